import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { base64Of, bytesOfBase64 } from './base64.ts';

describe('bytesOfBase64', () => {
  it('reads what base64Of writes, in both alphabets', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = base64Of(bytes);
        const urlSafe = text.replaceAll('+', '-').replaceAll('/', '_');

        assert.deepEqual(Buffer.from(bytesOfBase64(text) ?? []), Buffer.from(bytes));
        assert.deepEqual(Buffer.from(bytesOfBase64(urlSafe) ?? []), Buffer.from(bytes));
      }),
    );
  });

  for (const text of ['Zg', 'Zg=', 'Zg===', 'Zh==', 'Zm8 ', ' Zm8=', 'Zm\n8=', 'Zm8=\n', 'Zm8=Zm8=', 'Zm8$', '+-==', '-/+_', 'ÿÿÿÿ']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(bytesOfBase64(text), undefined);
    });
  }
});
