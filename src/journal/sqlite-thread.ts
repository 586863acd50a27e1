import { Worker, type Transferable } from 'node:worker_threads';
import { TransientError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import type { Settled } from './group-commit.ts';
import { journalError } from './sqlite-failure.ts';
import type { Opening, Order, Word } from './sqlite-worker.ts';
import type { Statement } from './statement.ts';

/** The main thread's end of the worker. One batch at a time. A worker that dies is started again with the next batch. */
export class SqliteThread implements AsyncDisposable {
  readonly #opening: Opening;
  readonly #ctx: Context;
  #worker: Worker | undefined;
  #waiting: PromiseWithResolvers<Word> | undefined;
  #isClosing = false;
  /** Commits of workers that died. */
  #before = 0;
  #commits = 0;

  private constructor(opening: Opening, ctx: Context) {
    this.#opening = opening;
    this.#ctx = ctx;
  }

  /** Throws `journal.locked`, `journal.read-only`, `journal.corrupt`, `journal.foreign`, `journal.unopenable`, `journal.full` and `journal.io`. */
  static async open(opening: Opening, ctx: Context): Promise<SqliteThread> {
    const thread = new SqliteThread(opening, ctx);
    await thread.#start();
    return thread;
  }

  get commits(): number {
    return this.#before + this.#commits;
  }

  async commit(batch: readonly (readonly Statement[])[]): Promise<readonly Settled[]> {
    const worker = this.#worker ?? (await this.#start());
    const word = this.#next();
    worker.postMessage(batch satisfies Order, transfersOf(batch));
    const answer = await word;
    if (answer.kind !== 'ran')
      throw new TransientError('journal.io', `Cannot write to journal "${this.#opening.path}": "${answer.kind}" is no answer`);
    this.#commits = answer.commits;
    return answer.answers.map((each): Settled => {
      return each.kind === 'done' ? each : { kind: 'failed', error: journalError(each.failure, this.#opening.path, 'write to') };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.once('exit', () => resolve());
    this.#isClosing = true;
    worker.postMessage(undefined satisfies Order);
    await promise;
  }

  async #start(): Promise<Worker> {
    const worker = new Worker(workerUrl(import.meta.url), {
      workerData: this.#opening,
      // Batches are bytes outside the heap; a small young generation keeps the thread's share of memory small (design 7).
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    this.#worker = worker;
    const word = this.#next();
    worker.on('message', (said: Word) => this.#heard(said));
    worker.on('error', (error: unknown) => this.#died(worker, error));
    worker.on('exit', (code) => this.#died(worker, new Error(`exit ${code}`)));
    const first = await word;
    if (first.kind === 'refused') throw journalError(first.failure, this.#opening.path, 'open');
    return worker;
  }

  #heard(word: Word): void {
    // Here and not after the await: the exit of a worker that refused may be told in the same turn, and is no news.
    if (word.kind === 'refused') this.#worker = undefined;
    this.#waiting?.resolve(word);
  }

  /** The worker's next word; rejects when it dies first. */
  #next(): Promise<Word> {
    this.#waiting = Promise.withResolvers<Word>();
    return this.#waiting.promise;
  }

  /** Only the first news of a death counts: an error is followed by an exit. */
  #died(worker: Worker, cause: unknown): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#before += this.#commits;
    this.#commits = 0;
    if (this.#isClosing) return;
    this.#ctx.logger.error({ err: cause }, 'journal worker stopped');
    const message = `Cannot write to journal "${this.#opening.path}": its worker stopped: ${cause instanceof Error ? cause.message : String(cause)}`;
    this.#waiting?.reject(new TransientError('journal.io', message, { cause, dependency: 'journal' }));
  }
}

/** The worker beside this module, whether it runs from source or from a build: the compiler does not rewrite text. */
export function workerUrl(self: string): URL {
  return new URL(self.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js', self);
}

/** Bytes go over without a copy: `statementOf` made them ours. */
function transfersOf(order: NonNullable<Order>): readonly Transferable[] {
  const parameters = order.flatMap((request) => request.flatMap((statement) => statement.parameters));
  return [...new Set(parameters.filter((parameter) => parameter instanceof Uint8Array).map(({ buffer }) => buffer))].filter(
    (buffer) => buffer instanceof ArrayBuffer,
  );
}
