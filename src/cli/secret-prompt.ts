import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Io } from './io.ts';

type Terminal<Stream> = Stream & { readonly isTTY?: boolean };

/** Asks on a terminal without echo; undefined when one of the two is no terminal. An interrupt rejects with an `AbortError`. */
export function secretPrompt(input: Terminal<NodeJS.ReadableStream>, output: Terminal<NodeJS.WritableStream>): Io['askSecret'] {
  if (!input.isTTY || !output.isTTY) return undefined;
  return async (question, signal) => {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    // With `terminal` readline switches the echo of the terminal off, and its own goes nowhere.
    const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
    const interrupted = new AbortController();
    lines.once('SIGINT', () => {
      interrupted.abort();
    });
    output.write(question);
    try {
      return await lines.question('', { signal: AbortSignal.any([signal, interrupted.signal]) });
    } finally {
      lines.close();
      output.write('\n');
    }
  };
}
