import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../errors.ts';
import type { Result, Statement } from './statement.ts';

/** How one request of a batch ended: requests of a batch share a commit, not a fate. */
export type Settled = { readonly kind: 'done'; readonly results: readonly Result[] } | { readonly kind: 'failed'; readonly error: Error };

/** Commits a batch; a settled answer for each request, in order. Rejects when nothing of it can be known to be written. */
export type Commit = (batch: readonly (readonly Statement[])[]) => Promise<readonly Settled[]>;

export interface Limits {
  /** How long the first request of a batch waits for company: 3 ms, as a commit costs 5 (design 7). */
  readonly windowMs: number;
  readonly batchRequests: number;
  readonly batchBytes: number;
  /** Requests beyond these wait before they are taken into memory. */
  readonly queueRequests: number;
  readonly queueBytes: number;
}

const mebibyte = 1024 * 1024;
const defaults: Limits = {
  windowMs: 3,
  batchRequests: 512,
  batchBytes: 16 * mebibyte,
  queueRequests: 4096,
  queueBytes: 64 * mebibyte,
};

interface Waiting {
  readonly statements: readonly Statement[];
  readonly bytes: number;
  readonly settle: (settled: Settled) => void;
}

/** Puts requests that come within a few milliseconds into one commit. One batch is under way at a time; the next gathers meanwhile. */
export class GroupCommit implements AsyncDisposable {
  readonly #commit: Commit;
  readonly #limits: Limits;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #blocked: (() => void)[] = [];
  #pump: Promise<void> | undefined;
  #isClosed = false;

  constructor(commit: Commit, limits: Partial<Limits> = {}) {
    this.#commit = commit;
    this.#limits = { ...defaults, ...limits };
  }

  /** Settles after the commit that holds the request. Waits first while the queue is full. */
  async execute(statements: readonly Statement[]): Promise<readonly Result[]> {
    while (!this.#isClosed && this.#isFull()) await new Promise<void>((resolve) => this.#blocked.push(resolve));
    if (this.#isClosed) throw new TransientError('journal.closed', 'Cannot write to the journal: it is closed');
    const settled = await new Promise<Settled>((settle) => {
      const bytes = bytesOf(statements);
      this.#queue.push({ statements, bytes, settle });
      this.#queuedBytes += bytes;
      this.#pump ??= this.#run();
    });
    if (settled.kind === 'failed') throw settled.error;
    return settled.results;
  }

  /** Refuses what comes from now on and waits for what was taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#unblock();
    await this.#pump;
  }

  #isFull(): boolean {
    return this.#queue.length >= this.#limits.queueRequests || this.#queuedBytes >= this.#limits.queueBytes;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      if (!this.#isClosed && this.#queue.length < this.#limits.batchRequests) await sleep(this.#limits.windowMs);
      const batch = this.#take();
      const settled = await this.#send(batch);
      batch.forEach(({ settle }, index) => settle(settled[index] ?? lost));
    }
    this.#pump = undefined;
  }

  #take(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue.slice(0, this.#limits.batchRequests)) {
      bytes += waiting.bytes;
      if (count > 0 && bytes > this.#limits.batchBytes) break;
      count += 1;
    }
    const batch = this.#queue.splice(0, count);
    for (const waiting of batch) this.#queuedBytes -= waiting.bytes;
    this.#unblock();
    return batch;
  }

  async #send(batch: readonly Waiting[]): Promise<readonly Settled[]> {
    try {
      return await this.#commit(batch.map(({ statements }) => statements));
    } catch (error) {
      const failed = { kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) } as const;
      return batch.map(() => failed);
    }
  }

  #unblock(): void {
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const resume of blocked) resume();
  }
}

const lost: Settled = { kind: 'failed', error: new TransientError('journal.io', 'Cannot write to the journal: no answer for the request') };

function bytesOf(statements: readonly Statement[]): number {
  let bytes = 0;
  for (const { parameters } of statements) {
    for (const parameter of parameters) bytes += parameter === null || typeof parameter === 'number' ? 8 : parameter.length;
  }
  return bytes;
}
