import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32c } from './crc32c.ts';

describe('crc32c', () => {
  // RFC 3720 B.4, and the usual check value.
  const known = [
    { name: '32 bytes of zeroes', bytes: Buffer.alloc(32), want: 0x8a9136aa },
    { name: '32 bytes of ones', bytes: Buffer.alloc(32, 0xff), want: 0x62a8ab43 },
    { name: '32 bytes that count up', bytes: Buffer.from(Array.from({ length: 32 }, (_, at) => at)), want: 0x46dd794e },
    { name: 'the digits', bytes: Buffer.from('123456789'), want: 0xe3069283 },
    { name: 'nothing', bytes: Buffer.alloc(0), want: 0 },
  ];
  for (const { name, bytes, want } of known) {
    it(`is what the standard says of ${name}`, () => {
      assert.equal(crc32c(bytes), want);
    });
  }
});
