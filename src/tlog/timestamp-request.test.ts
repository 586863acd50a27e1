import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { integerOf, timestampRequestOf } from './timestamp-request.ts';

describe('timestampRequestOf', () => {
  it('is what "openssl ts -query -sha256 -cert" makes of "hello" with this nonce', () => {
    const imprint = createHash('sha256').update('hello').digest();

    const request = timestampRequestOf(imprint, Buffer.from('0123456789abcdef', 'hex'));

    assert.equal(
      Buffer.from(request).toString('hex'),
      '30430201013031300d0609608648016503040201050004202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b98240208' +
        '0123456789abcdef0101ff',
    );
  });
});

describe('integerOf', () => {
  const rows = [
    { bytes: '0123', want: '0123' },
    { bytes: '00000123', want: '0123' },
    { bytes: '80ff', want: '0080ff' },
    { bytes: '00ff', want: '00ff' },
    { bytes: '0000', want: '00' },
  ];
  for (const { bytes, want } of rows) {
    it(`writes ${bytes} as ${want}`, () => {
      assert.equal(Buffer.from(integerOf(Buffer.from(bytes, 'hex'))).toString('hex'), want);
    });
  }
});
