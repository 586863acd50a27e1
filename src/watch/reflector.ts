import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, TerminalError, TransientError, unreachable } from '../errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { listPages } from '../kube/objects.ts';
import { refusalError } from '../kube/refusal.ts';
import { collectionPath } from '../kube/resources.ts';
import { runKinds, type RunKind, type SlimRun } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { eventOf } from './event.ts';
import { keyOf, type KnownRuns } from './known-runs.ts';
import { slimOf, type Malformed } from './slim.ts';

/** Times in milliseconds, sizes in bytes. */
export interface ReflectorSettings {
  /** Bookmarks come once a minute, so this long without a byte nobody is there any more. */
  readonly idleMs: number;
  /** The first wait after a failure, doubled up to `maxWaitMs`; the real one is a random part of it. */
  readonly firstWaitMs: number;
  readonly maxWaitMs: number;
  readonly maxLineBytes: number;
  readonly pageSize: number;
}

export const reflectorDefaults: ReflectorSettings = {
  idleMs: 120_000,
  firstWaitMs: 1_000,
  maxWaitMs: 30_000,
  // etcd takes 1.5 MiB; the rest is room for a server that is set to more.
  maxLineBytes: 32 * 1024 * 1024,
  pageSize: 250,
};

export interface ReflectorOptions {
  readonly client: KubeClient;
  readonly kind: RunKind;
  readonly known: KnownRuns;
  /** Runs of other namespaces are passed over; empty: all are wanted. The watch is cluster-wide all the same (chains-controller 1.2). */
  readonly namespaces: readonly string[];
  readonly settings: ReflectorSettings;
}

/** So often may the server end a WatchList before its initial events did; then pages, which it cannot cut. */
const maxCuts = 3;
/** A stream that ends sooner than this has failed, else it would be opened again in a tight loop. */
const shortMs = 1_000;
const maxReported = 1_000;

/**
 * Keeps `KnownRuns` like the API server's runs of one kind: a WatchList, then its watch, resumed where it ended, listed again when the
 * server has forgotten that place (dependencies 1.4, design 7). Every failure is retried: it ends only with its context.
 */
export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #resource: (typeof runKinds)[RunKind]['plural'];
  /** Where the watch goes on; undefined: list first. */
  #resourceVersion: string | undefined;
  #cuts = 0;
  #failures = 0;
  #hasWatchList = true;
  #lastTold = '';
  #lastEventAt = 0;
  readonly #reported = new Set<string>();

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#resource = runKinds[options.kind].plural;
  }

  /** Milliseconds since the epoch; 0 before the first answer. */
  get lastEventAt(): number {
    return this.#lastEventAt;
  }

  async run(ctx: Context): Promise<void> {
    while (!ctx.signal.aborted) {
      try {
        const isListing = this.#resourceVersion === undefined;
        if (isListing && (!this.#hasWatchList || this.#cuts >= maxCuts)) await this.#list(ctx);
        else await this.#stream(ctx);
      } catch (error) {
        if (ctx.signal.aborted) return;
        const waitMs = this.#waitAfter(error, ctx);
        // The only way to fail is to be told to stop, which the loop's condition sees.
        await sleep(waitMs, undefined, { signal: ctx.signal }).catch(() => undefined);
      }
    }
  }

  /** One list in pages; the next turn watches. */
  async #list(ctx: Context): Promise<void> {
    const { client, kind, known, settings } = this.#options;
    const listed = new Map<string, SlimRun>();
    let resourceVersion = '';
    for await (const page of listPages(client, { resource: this.#resource, namespace: undefined, limit: settings.pageSize }, ctx)) {
      this.#lastEventAt = Date.now();
      if (page === undefined) throw absent(this.#resource);
      ({ resourceVersion } = page);
      for (const item of page.items) {
        const slim = slimOf(item, kind);
        if (slim.kind === 'malformed') this.#report(slim, ctx);
        else if (this.#wants(slim.run)) listed.set(keyOf(slim.run), slim.run);
      }
    }
    known.replace(listed);
    this.#synced(resourceVersion, ctx);
  }

  /** One stream: from where the last one ended, or a WatchList that becomes the watch. */
  async #stream(ctx: Context): Promise<void> {
    const { client, known, settings } = this.#options;
    const from = this.#resourceVersion;
    const openedAt = performance.now();
    const lines = await client.watch(
      collectionPath(this.#resource, undefined),
      { query: queryOf(from), idleMs: settings.idleMs, maxLineBytes: settings.maxLineBytes },
      ctx,
    );
    this.#lastEventAt = Date.now();
    if (lines === undefined) throw absent(this.#resource);
    let collected = from === undefined ? new Map<string, SlimRun>() : undefined;
    try {
      for await (const batch of lines) {
        this.#lastEventAt = Date.now();
        for (const line of batch) collected = this.#take(line, collected, ctx);
      }
    } catch (error) {
      if (collected !== undefined && codeOf(error) !== 'kube.busy') this.#cuts += 1;
      throw error;
    } finally {
      if (collected !== undefined) known.abandon(collected);
    }
    if (collected !== undefined) {
      this.#cuts += 1;
      throw cut(this.#resource, 'before all that exists was told');
    }
    if (performance.now() - openedAt < shortMs) throw cut(this.#resource, 'at once');
  }

  /**
   * One line. Until the initial events end nothing is told, because a stream that is cut before that has left objects out; gives what is
   * still being collected, undefined once it has been told.
   */
  #take(line: Buffer, collected: Map<string, SlimRun> | undefined, ctx: Context): Map<string, SlimRun> | undefined {
    const { kind, known } = this.#options;
    const event = eventOf(line, kind);
    switch (event.kind) {
      case 'seen':
      case 'gone': {
        const told = { run: event.run, line };
        if (!this.#wants(event.run)) break;
        if (collected !== undefined && event.kind === 'seen') known.collect(told, collected);
        else if (collected !== undefined) known.discard(told, collected);
        else if (event.kind === 'seen') known.see(told);
        else known.forget(told);
        break;
      }
      case 'bookmark':
        if (collected === undefined || !event.endsInitial) break;
        known.replace(collected);
        this.#synced(event.resourceVersion, ctx);
        return undefined;
      case 'malformed':
        this.#report(event.what, ctx);
        break;
      case 'error':
        throw refusalError(event.refusal, { verb: 'watch', resource: this.#resource, namespace: undefined, name: undefined });
      case 'nonsense':
        throw new TransientError(
          'watch.nonsense',
          `Cannot read the watch of ${this.#resource}: a line of ${line.length} bytes is no event`,
        );
      default:
        return unreachable(event);
    }
    if (collected === undefined) this.#progress(event.resourceVersion);
    return collected;
  }

  #synced(resourceVersion: string, ctx: Context): void {
    this.#cuts = 0;
    this.#progress(resourceVersion);
    ctx.logger.debug({ resource: this.#resource, known: this.#options.known.size }, 'listed');
  }

  #progress(resourceVersion: string): void {
    if (resourceVersion !== '') this.#resourceVersion = resourceVersion;
    this.#failures = 0;
    this.#lastTold = '';
  }

  /** What a failure changes, said once; gives how long to wait. */
  #waitAfter(error: unknown, ctx: Context): number {
    const { firstWaitMs, maxWaitMs } = this.#options.settings;
    const code = codeOf(error);
    if (this.#isWatchListRefused(error)) {
      this.#hasWatchList = false;
      ctx.logger.info({ resource: this.#resource, code }, 'the API server has no WatchList, runs are listed in pages');
      return 0;
    }
    // A place that gives nonsense again and again is not come back to.
    if (code === 'kube.expired' || (code === 'watch.nonsense' && this.#failures >= 2)) this.#resourceVersion = undefined;
    if (this.#lastTold !== code) {
      const isExpected = code === 'kube.expired' || code === 'kube.absent';
      ctx.logger[isExpected ? 'info' : 'warn']({ err: error, resource: this.#resource, code }, 'watch interrupted, it is tried again');
    }
    this.#lastTold = code;
    const limitMs = Math.min(maxWaitMs, firstWaitMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    const asked = error instanceof TransientError ? error.retryAfterMs : undefined;
    return (asked ?? 0) + Math.random() * limitMs;
  }

  /** Any 4xx but 401, 403, 404, 408, 410 and 429 says that the parameters are not understood; they are, or the list in pages fails as well. */
  #isWatchListRefused(error: unknown): boolean {
    return (
      this.#resourceVersion === undefined &&
      this.#hasWatchList &&
      error instanceof TerminalError &&
      ['kube.invalid', 'kube.refused'].includes(error.code)
    );
  }

  #wants(run: SlimRun): boolean {
    const { namespaces } = this.#options;
    return namespaces.length === 0 || namespaces.includes(run.namespace);
  }

  #report({ name, why }: Malformed, ctx: Context): void {
    const key = `${name} ${why}`;
    if (this.#reported.has(key)) return;
    if (this.#reported.size >= maxReported) this.#reported.clear();
    this.#reported.add(key);
    ctx.logger.warn({ resource: this.#resource, run: name, why, code: 'watch.malformed' }, 'an object that is no run was passed over');
  }
}

/** `timeoutSeconds` is random so that the watches of a fleet do not all come back at once. */
function queryOf(from: string | undefined): Readonly<Record<string, string>> {
  const common = { allowWatchBookmarks: 'true', timeoutSeconds: String(300 + Math.floor(Math.random() * 300)) };
  if (from !== undefined) return { ...common, resourceVersion: from };
  return { ...common, sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
}

function absent(resource: string): TransientError {
  return new TransientError('kube.absent', `Cannot watch ${resource}: the API server does not know this resource`, {
    fix: 'install Tekton Pipelines (tekton.dev/v1); runs are watched as soon as it is there',
  });
}

function cut(resource: string, when: string): TransientError {
  return new TransientError('watch.cut', `Cannot watch ${resource}: the stream ended ${when}`);
}
