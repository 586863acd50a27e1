import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { describe, it } from 'node:test';
import { derOfRawSignature } from './ecdsa-der.ts';

describe('derOfRawSignature', () => {
  for (const [namedCurve, digest] of [
    ['P-256', 'sha256'],
    ['P-384', 'sha384'],
    ['P-521', 'sha512'],
  ] as const) {
    it(`gives what verifies as DER, for ${namedCurve}`, () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
      // Enough of them for short integers, and for ones with the highest bit set.
      for (let count = 0; count < 100; count += 1) {
        const bytes = randomBytes(32);

        const der = derOfRawSignature(sign(digest, bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' }));

        assert.equal(verify(digest, bytes, { key: publicKey, dsaEncoding: 'der' }, der), true);
      }
    });
  }

  it('writes integers as short as can be, and positive', () => {
    const raw = Buffer.from('000000010000008000000000000000ff', 'hex');

    assert.equal(Buffer.from(derOfRawSignature(raw)).toString('hex'), ['300b', '0205', '0100000080', '0202', '00ff'].join(''));
  });
});
