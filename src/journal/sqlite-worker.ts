// The entry of the worker thread that owns the file: COMMIT waits for the disk, and the main thread must not (design 7, Journal).
import { parentPort, workerData } from 'node:worker_threads';
import { SqliteDatabase, failureOf, type Answer, type Failure } from './sqlite-database.ts';
import type { Statement } from './statement.ts';

/** What the worker is started with. */
export interface Opening {
  readonly path: string;
  readonly maxBytes: number;
}
/** To the worker: a batch to commit, or undefined to close. */
export type Order = readonly (readonly Statement[])[] | undefined;
/** From the worker: first `opened` or `refused`, then a `ran` for each batch. */
export type Word =
  | { readonly kind: 'opened' }
  | { readonly kind: 'refused'; readonly failure: Failure }
  | { readonly kind: 'ran'; readonly answers: readonly Answer[]; readonly commits: number };

function serve(port: NonNullable<typeof parentPort>, { path, maxBytes }: Opening): void {
  const database = SqliteDatabase.open(path, maxBytes);
  port.on('message', (order: Order) => {
    if (order === undefined) {
      database[Symbol.dispose]();
      port.close();
      return;
    }
    const answers = database.run(order);
    say(port, { kind: 'ran', answers, commits: database.commits });
  });
  say(port, { kind: 'opened' });
}

function say(port: NonNullable<typeof parentPort>, word: Word): void {
  port.postMessage(word);
}

function isOpening(value: unknown): value is Opening {
  return typeof value === 'object' && value !== null && 'path' in value && typeof value.path === 'string' && 'maxBytes' in value;
}

if (parentPort !== null && isOpening(workerData)) {
  try {
    serve(parentPort, workerData);
  } catch (error) {
    say(parentPort, { kind: 'refused', failure: failureOf(error) });
    parentPort.close();
  }
}
