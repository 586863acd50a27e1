import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { linesOf } from './lines.ts';

async function* inChunks(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    yield await Promise.resolve(bytes.subarray(start, cut));
    start = cut;
  }
  yield bytes.subarray(start);
}

async function all(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of linesOf(stream, maxBytes)) lines.push(...batch.map(String));
  return lines;
}

describe('linesOf', () => {
  it('gives the lines whatever the chunks, characters of several bytes included', async () => {
    const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\n'));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat(1000)), fc.boolean(), async (lines, cuts, endsWithNewline) => {
        const bytes = Buffer.from(lines.join('\n') + (endsWithNewline ? '\n' : ''));

        const got = await all(
          inChunks(
            bytes,
            cuts.map((cut) => Math.min(cut, bytes.length)),
          ),
          10_000,
        );

        assert.deepEqual(got, lines);
      }),
    );
  });
  it('passes over empty lines', async () => {
    assert.deepEqual(await all(inChunks(Buffer.from('\n\na\n\n'), []), 10), ['a']);
  });
  for (const text of ['0123456789x\n', '0123456789x']) {
    it(`refuses a line over the limit ${text.endsWith('\n') ? 'that ends' : 'that goes on'}`, async () => {
      await assert.rejects(all(inChunks(Buffer.from(text), [3]), 10), { code: 'kube.protocol' });
    });
  }
});
