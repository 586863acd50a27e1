import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../errors.ts';
import { runKinds, type Run, type RunId, type RunKind } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { FileIndex, type Report } from './file-index.ts';
import { FolderWatchers } from './folder-watchers.ts';
import { readRunFile, type FileRun, type Reading } from './run-files.ts';
import { codeOf, listRunFiles, reasonOf, type Listed, type Listing } from './run-listing.ts';
import type { Change, Source } from './source.ts';

export { readRuns } from './run-files.ts';

export interface DirectorySourceOptions {
  /** A file, or a folder with its subfolders (`listRunFiles` says what is read). It may come into being later. */
  readonly path: string;
  /** How often to look when nothing calls, milliseconds; default 2000. More seldom when a look takes long. */
  readonly pollMs?: number;
  /** How long a file must have been left alone to be believed complete, milliseconds; default 300. */
  readonly settleMs?: number;
}

/** Changes come in bursts: several events for one save. */
const debounceMs = 50;
/** A file that is written without a pause may not hold up the start. */
const initialMs = 3_000;
/** Characters of parsed files that are kept between two reads, all files together. */
const keptCharacters = 32 * 1024 ** 2;

/**
 * Runs from files, which are never written. A truncated file may well be valid YAML, so a file is read when it has been left alone for a while; writing it
 * elsewhere and renaming it is safe at any speed. Trouble with a file is reported once for each content, and holds up no other file.
 */
export function openDirectorySource(options: DirectorySourceOptions, ctx: Context): Source {
  return new DirectorySource(options, ctx);
}

class DirectorySource implements Source {
  lastEventAt = 0;
  readonly #root: string;
  readonly #pollMs: number;
  readonly #settleMs: number;
  readonly #logger: Context['logger'];
  readonly #index = new FileIndex();
  /** Files that have changed, and since when they look as they do (monotonic). */
  #unsettled: ReadonlyMap<string, { readonly stamp: string; readonly since: number }> = new Map();
  /** Parsed files, the one used last at the end. */
  readonly #parsed = new Map<string, Reading>();
  #wake = new AbortController();

  constructor({ path, pollMs = 2_000, settleMs = 300 }: DirectorySourceOptions, ctx: Context) {
    this.#root = resolve(path);
    this.#pollMs = pollMs;
    this.#settleMs = settleMs;
    this.#logger = ctx.logger;
  }

  async watch(listener: (change: Change) => void, ctx: Context): Promise<void> {
    using watchers = new FolderWatchers(() => {
      this.#wake.abort();
    });
    const startedAt = performance.now();
    let isInitial = true;
    while (!ctx.signal.aborted) {
      const lookedAt = performance.now();
      const listing = await listRunFiles(this.#root);
      watchers.follow(listing.folders.length > 0 ? listing.folders : [dirname(this.#root)]);
      for (const change of await this.#round(listing, isInitial)) listener(change);
      if (isInitial && (this.#unsettled.size === 0 || performance.now() - startedAt > initialMs)) {
        isInitial = false;
        for (const runKind of Object.keys(runKinds) as RunKind[]) listener({ kind: 'synced', runKind });
      }
      // A twentieth of the time at most, however large the folder is.
      const restMs = Math.max(this.#pollMs, 20 * (performance.now() - lookedAt));
      await this.#rest(this.#unsettled.size > 0 ? this.#settleMs : restMs, ctx);
    }
  }

  async get(id: RunId, ctx: Context): Promise<Run | undefined> {
    const runs = await this.#runsBeside(id.uid, ctx);
    return runs?.find(
      ({ kind, namespace, name, uid }) => uid === id.uid && kind === id.kind && namespace === id.namespace && name === id.name,
    );
  }

  /** Looks in the same file only: a name alone is too little to trust another file for. */
  async relative(of: Run, { kind, name }: { readonly kind: RunKind; readonly name: string }, ctx: Context): Promise<Run | undefined> {
    const runs = await this.#runsBeside(of.uid, ctx);
    return runs?.find((run) => run.kind === kind && run.namespace === of.namespace && run.name === name);
  }

  /** One look at everything: what is new is read, and what follows from it is given. */
  async #round(listing: Listing, isInitial: boolean): Promise<readonly Change[]> {
    const others: Report[] = listing.unknown.map(({ path, reason }) => ({
      file: path,
      line: 1,
      column: 1,
      message: reason,
    }));
    const unsettled = new Map<string, { readonly stamp: string; readonly since: number }>();
    for (const listed of listing.files) {
      if (this.#index.isCurrent(listed)) continue;
      const since = this.#sinceWhen(listed);
      if (since !== undefined) {
        unsettled.set(listed.path, { stamp: listed.stamp, since });
        continue;
      }
      try {
        const reading = await readRunFile(listed.path);
        if (reading.stamp === listed.stamp) this.#report(this.#index.take(reading));
        else unsettled.set(listed.path, { stamp: listed.stamp, since: performance.now() });
      } catch (error) {
        others.push({ file: listed.path, line: 1, column: 1, message: reasonOf(error) });
      }
    }
    this.#unsettled = unsettled;
    this.#index.retain(listing);
    const { changes, reports } = this.#index.settle(isInitial, others);
    this.#report(reports);
    if (!listing.unknown.some(({ path }) => path === this.#root)) this.lastEventAt = Date.now();
    return changes;
  }

  /** Undefined when the file has been left alone for long enough; else since when it has. A clock that is off only costs a second look. */
  #sinceWhen({ path, stamp, changedAt }: Listed): number | undefined {
    const ageMs = Date.now() - changedAt;
    if (ageMs >= this.#settleMs) return undefined;
    const before = this.#unsettled.get(path);
    const since = before?.stamp === stamp ? before.since : performance.now();
    return performance.now() - since >= this.#settleMs ? undefined : since;
  }

  #report(reports: readonly Report[]): void {
    for (const { file, line, column, message } of reports)
      this.#logger.warn({ file, line, column, reason: message }, 'file not understood');
  }

  /**
   * All runs of the file that holds the run; undefined when the run or its file is not there. Throws `watch.file` when the file is just being
   * changed or cannot be read: an unknown is not a no.
   */
  async #runsBeside(uid: string, ctx: Context): Promise<readonly FileRun[] | undefined> {
    const entry = this.#index.find(uid);
    if (entry === undefined) return undefined;
    const known = this.#parsed.get(entry.file);
    const reading = known?.stamp === entry.stamp ? known : await this.#read(entry.file, ctx);
    if (reading === undefined) return undefined;
    if (reading.stamp !== entry.stamp) throw notNow(entry.file, 'it has just been changed');
    const isThere = reading.runs.some((run) => run.uid === uid);
    if (!isThere && !entry.isSound) throw notNow(entry.file, 'it is not understood any more');
    this.#keep(reading);
    return reading.runs;
  }

  async #read(file: string, ctx: Context): Promise<Reading | undefined> {
    ctx.signal.throwIfAborted();
    try {
      return await readRunFile(file);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw notNow(file, reasonOf(error), error);
    }
  }

  #keep(reading: Reading): void {
    this.#parsed.delete(reading.file);
    this.#parsed.set(reading.file, reading);
    let characters = this.#parsed.values().reduce((sum, kept) => sum + kept.characters, 0);
    for (const [file, kept] of this.#parsed) {
      if (characters <= keptCharacters || this.#parsed.size === 1) break;
      this.#parsed.delete(file);
      characters -= kept.characters;
    }
  }

  /** Until something calls, or the time is over, or we are told to stop. What was kept for reading again goes when all is quiet. */
  async #rest(ms: number, ctx: Context): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: AbortSignal.any([ctx.signal, this.#wake.signal]) });
      this.#parsed.clear();
    } catch {
      // Woken. A burst of events is one change.
      if (!ctx.signal.aborted) await sleep(debounceMs);
    }
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
  }
}

function notNow(file: string, reason: string, cause?: unknown): TransientError {
  return new TransientError('watch.file', `Cannot read run file "${file}": ${reason}`, { cause, retryAfterMs: 1_000 });
}
