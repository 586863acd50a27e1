import { TransientError } from '../errors.ts';

const newline = 10;

/**
 * Splits a stream into lines without their newline, a batch for each chunk that completes any. What stands after the last newline is
 * given at the end. A line over `maxBytes` throws `kube.protocol`: it would fill the memory before it could be refused.
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<readonly Buffer[], void> {
  let tail: Buffer[] = [];
  let tailBytes = 0;
  for await (const bytes of stream) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      const piece = chunk.subarray(start, end);
      const line = tail.length === 0 ? piece : Buffer.concat([...tail, piece]);
      tail = [];
      tailBytes = 0;
      if (line.length > maxBytes) throw tooLong(maxBytes);
      if (line.length > 0) lines.push(line);
      start = end + 1;
    }
    if (start < chunk.length) {
      tail.push(chunk.subarray(start));
      tailBytes += chunk.length - start;
      if (tailBytes > maxBytes) throw tooLong(maxBytes);
    }
    if (lines.length > 0) yield lines;
  }
  if (tailBytes > 0) yield [Buffer.concat(tail)];
}

function tooLong(maxBytes: number): TransientError {
  return new TransientError('kube.protocol', `Cannot read the watch: a line is longer than ${maxBytes} bytes`, { dependency: 'kube' });
}
