import { setTimeout as sleep } from 'node:timers/promises';
import type { Attested } from './attest.ts';
import { Breakers } from './breakers.ts';
import { isCovered, type Config } from './config/config.ts';
import { Controller } from './controller.ts';
import { openJournal } from './journal/journals.ts';
import { sentenceOf } from './errors.ts';
import { follow } from './follow.ts';
import { runKinds, type RunId, type RunKind } from './model/run.ts';
import { preflight } from './preflight.ts';
import type { SignerMeans } from './sign/signer.ts';
import type { Context } from './observe/context.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Outcome } from './outcome.ts';
import type { Settings } from './reconcile.ts';
import type { Recorder } from './record/recorder.ts';
import { openRooms, type OpenRooms } from './rooms.ts';
import { handlerOf, serve } from './serve/serve.ts';
import type { Source } from './watch/source.ts';

/** What the service is composed of, beside its configuration. */
export interface Service {
  readonly config: Config;
  readonly source: Source;
  readonly recorder: Recorder;
  readonly metrics: Metrics;
  /** `host:port` for probes and metrics; undefined serves nothing. */
  readonly listen: string | undefined;
  /** Gives each configuration that comes after the first one, as long as the context lives. */
  readonly changes?: (ctx: Context) => AsyncIterable<Config>;
  /** Called when it listens and before the first run is looked at. */
  readonly onListening?: (port: number | undefined) => void;
  /** Secrets of the cluster, for the signers that want one. */
  readonly secret: SignerMeans['secret'];
  readonly report?: (run: RunId, outcome: Outcome, attested: Attested | undefined) => void;
  /** Waits until this replica may work; probes answer meanwhile. `lost` aborts when it may not any more. */
  readonly lead?: (ctx: Context) => Promise<AsyncDisposable & { readonly lost: AbortSignal }>;
}

/** More finished runs than this are forgotten, oldest first, however young they are. */
const maxFinishedRuns = 100_000;
const housekeepingMs = 60 * 60 * 1_000;
/** A watch gives a bookmark each minute: five without a sign of life mean that nobody is there. */
const silenceMs = 5 * 60 * 1_000;

/** The composition root: configuration, rooms, controller, until the context's signal aborts. What was in work has ended when it returns. */
export async function runService(service: Service, ctx: Context): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { metrics, source, recorder } = service;
  const started: { controller?: Controller } = {};
  let isStandby = service.lead !== undefined;
  const unready = (): string | undefined => {
    if (isStandby) return undefined;
    if (started.controller?.readyAt === undefined) return 'still reading what exists';
    return Date.now() - source.lastEventAt > silenceMs ? 'no sign of life from where runs come from' : undefined;
  };
  if (service.listen !== undefined) {
    const listening = stack.use(await serve(service.listen, handlerOf(metrics, { dead: () => undefined, unready })));
    service.onListening?.(listening.port);
  } else service.onListening?.(undefined);

  const lead = service.lead && stack.use(await service.lead(ctx));
  isStandby = false;
  const signal = lead === undefined ? ctx.signal : AbortSignal.any([ctx.signal, lead.lost]);
  const working: Context = { ...ctx, signal };
  const journal = stack.use(await openJournal(service.config.journal, working));
  const foundation = { journal, metrics, breakers: new Breakers(), secret: service.secret };
  const open = (config: Config): Snapshot => ({ rooms: openRooms(config, foundation), settings: settingsOf(config) });
  let current = open(service.config);
  stack.defer(async () => await current.rooms[Symbol.asyncDispose]());
  await preflight(service.config, current.rooms, working);
  const report = service.report;
  const { concurrency } = service.config;
  const parts = { source, recorder, journal, metrics, concurrency, current: () => current };
  const controller = new Controller(report === undefined ? parts : { ...parts, report });
  started.controller = controller;
  gauge(metrics, controller, foundation.breakers);

  const stop = new AbortController();
  const background: Context = { ...working, signal: AbortSignal.any([signal, stop.signal]) };
  const apply = async (config: Config): Promise<boolean> => {
    const next = open(config);
    try {
      await preflight(config, next.rooms, background);
    } catch (error) {
      background.signal.throwIfAborted();
      await next.rooms[Symbol.asyncDispose]();
      background.logger.error({ err: error }, 'configuration refused, the last good one stays');
      await journal.note({ at: Date.now(), who: 'configuration', what: `refused: ${sentenceOf(error)}` });
      return false;
    }
    const old = current;
    current = next;
    background.logger.info('configuration applied');
    await journal.note({ at: Date.now(), who: 'configuration', what: 'applied' });
    // What is under way with the old rooms meets closed connections at worst, which is an attempt that is made again.
    await old.rooms[Symbol.asyncDispose]();
    return true;
  };
  const following = follow(service.changes?.(background) ?? noChanges(), apply, background);
  const aside = [ended(following, background), ended(housekeep(service.config, foundation.journal, background), background)];
  try {
    await controller.run(working);
  } finally {
    stop.abort(new Error('stopped'));
    await Promise.all(aside);
  }
  lead?.lost.throwIfAborted();
}

async function* noChanges(): AsyncGenerator<Config, void> {}

interface Snapshot {
  readonly rooms: OpenRooms;
  readonly settings: Settings;
}

/** What the decisions of one configuration need. */
export function settingsOf(config: Config): Settings {
  const kinds = Object.keys(runKinds) as RunKind[];
  const { oci, ...own } = config.artifacts;
  const isWanted = (kind: RunKind): boolean => isCovered(own[runKinds[kind].artifact]) || (kind === 'TaskRun' && isCovered(oci));
  return {
    decide: {
      managedBy: config.filter.managedBy,
      namespaces: config.namespaces,
      backfillSinceMs: config.backfillSinceMs,
      finalizerEnabled: config.finalizer.enabled,
      kinds: new Set(kinds.filter(isWanted)),
      anyState: false,
    },
    retry: config.retry,
    holdMs: config.finalizer.holdMs,
    readOwners: config.transparency === 'manual',
  };
}

/** Forgets finished runs that are older than `journal.keep`, now and every hour. */
async function housekeep(config: Config, journal: Awaited<ReturnType<typeof openJournal>>, ctx: Context): Promise<void> {
  for (;;) {
    const pruned = await journal.prune({ finishedBefore: Date.now() - config.journal.keepMs, maxRuns: maxFinishedRuns });
    if (pruned > 0) ctx.logger.info({ runs: pruned }, 'forgot finished runs');
    await sleep(housekeepingMs, undefined, { signal: ctx.signal, ref: false });
  }
}

/** Work beside the controller: its end by the signal is none, its trouble is logged and ends no run. */
async function ended(work: Promise<void>, ctx: Context): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!ctx.signal.aborted) ctx.logger.error({ err: error }, 'a background task has ended');
  }
}

function gauge(metrics: Metrics, controller: Controller, breakers: Breakers): void {
  metrics.onScrape(() => {
    for (const [lane, depth] of Object.entries(controller.depth)) metrics.queueDepth.set({ lane }, depth);
    metrics.dependenciesDown.set(breakers.names.length);
  });
}
