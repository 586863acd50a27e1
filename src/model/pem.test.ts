import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { firstPemBlock, pemOf } from './pem.ts';

describe('firstPemBlock', () => {
  it('reads what pemOf writes, whatever stands around it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        const block = firstPemBlock(`Bag Attributes\n${pemOf('PUBLIC KEY', bytes)}${pemOf('OTHER', bytes)}`);

        assert.deepEqual(block, { type: 'PUBLIC KEY', bytes: Buffer.from(bytes), hasHeaders: false });
      }),
    );
  });

  it('tells a block with RFC 1421 headers', () => {
    const text =
      '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00FF\n\nAAAA\n-----END EC PRIVATE KEY-----\n';

    assert.deepEqual(firstPemBlock(text), { type: 'EC PRIVATE KEY', bytes: Buffer.from([0, 0, 0]), hasHeaders: true });
  });

  const none = [
    { name: 'no block', text: 'MFkwEwYH' },
    { name: 'no end', text: '-----BEGIN A-----\nAAAA\n' },
    { name: 'another end', text: '-----BEGIN A-----\nAAAA\n-----END B-----' },
    { name: 'a body that is not base64', text: '-----BEGIN A-----\nA$AA\n-----END A-----' },
    { name: 'an empty body', text: '-----BEGIN A-----\n-----END A-----' },
  ];
  for (const { name, text } of none) {
    it(`finds nothing in ${name}`, () => {
      assert.equal(firstPemBlock(text), undefined);
    });
  }
});
