import type { Attested } from './attest.ts';
import type { Rooms } from './carriage.ts';
import { decide, isHeld } from './decide.ts';
import type { Journal } from './journal/journal.ts';
import { idOf, type RunId, type SlimRun } from './model/run.ts';
import type { Context } from './observe/context.ts';
import type { Metrics } from './observe/metrics.ts';
import { outcomeOf, type Outcome } from './outcome.ts';
import { pass, type Item, type Passing, type Settings } from './reconcile.ts';
import type { Recorder } from './record/recorder.ts';
import { WorkQueue, type QueueLane } from './watch/queue.ts';
import type { Change, Source } from './watch/source.ts';

export interface Parts {
  readonly source: Source;
  readonly journal: Journal;
  readonly recorder: Recorder;
  readonly metrics: Metrics;
  /** Runs that are worked on at the same time. */
  readonly concurrency: number;
  /** The configuration in force: asked for at the start of each pass. */
  current(): { readonly rooms: Rooms; readonly settings: Settings };
  /** Told how each pass ended, for a person who watches. */
  report?(run: RunId, outcome: Outcome, attested: Attested | undefined): void;
}

/** What is remembered of a run that has failed at least once. */
interface Attempts {
  readonly count: number;
  readonly firstAt: number;
  readonly dependency: string | undefined;
}

/**
 * Sees runs and sees each to its end, whatever fails meanwhile. One for each process; `run` returns when its context's signal aborts and
 * what was in work has ended. What it keeps in memory is one small record for each run that is not finished.
 */
export class Controller {
  readonly #parts: Parts;
  readonly #queue = new WorkQueue<Item>();
  readonly #attempts = new Map<string, Attempts>();
  /** Open in the journal, not yet seen in the source. */
  readonly #orphans = new Map<string, RunId>();
  readonly #holds = new Map<string, NodeJS.Timeout>();
  readonly #unsynced = new Set<string>(['TaskRun', 'PipelineRun']);
  #readyAt: number | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** When everything that already existed had been seen, in milliseconds since the epoch. */
  get readyAt(): number | undefined {
    return this.#readyAt;
  }

  /** How many runs wait, are delayed and are worked on. */
  get depth(): WorkQueue<Item>['depth'] {
    return this.#queue.depth;
  }

  async run(ctx: Context): Promise<void> {
    const { journal, source, concurrency } = this.#parts;
    for await (const { id } of journal.open()) this.#orphans.set(id.uid, id);
    const stop = (): void => this.#queue.close();
    ctx.signal.addEventListener('abort', stop, { once: true });
    if (ctx.signal.aborted) stop();
    try {
      await Promise.all([
        source.watch((change) => this.#onChange(change, ctx), ctx),
        this.#queue.run(concurrency, async ({ item, lane }) => await this.#work(item, lane, ctx)),
      ]);
    } finally {
      stop();
      for (const timer of this.#holds.values()) clearTimeout(timer);
    }
  }

  #onChange(change: Change, ctx: Context): void {
    switch (change.kind) {
      case 'synced':
        this.#unsynced.delete(change.runKind);
        if (this.#unsynced.size === 0 && this.#readyAt === undefined) this.#onReady(ctx);
        return;
      case 'gone': {
        const { run, last } = change;
        this.#endHold(run.uid);
        const isOpen = this.#orphans.delete(run.uid) || this.#attempts.has(run.uid) || this.#decide(run).kind === 'attest';
        if (isOpen) this.#queue.add(run.uid, { kind: 'gone', id: idOf(run), last }, 'live');
        else this.#queue.forget(run.uid);
        return;
      }
      case 'seen':
        this.#onSeen(change.run, ctx);
        return;
    }
  }

  #onSeen(run: SlimRun, ctx: Context): void {
    const isOpen = this.#orphans.delete(run.uid);
    const decision = this.#decide(run);
    const isHeldBack = run.isDeleting && isHeld(run);
    if (isHeldBack && decision.kind === 'attest') this.#limitHold(run, ctx);
    if (!isHeldBack) this.#endHold(run.uid);
    if (decision.kind === 'attest') this.#queue.add(run.uid, { kind: 'known', run }, decision.lane);
    else if (isOpen || decision.kind === 'release' || (decision.kind === 'wait' && decision.hold)) {
      this.#queue.add(run.uid, { kind: 'known', run }, 'live');
    } else if (decision.kind === 'skip') ctx.logger.debug({ ...shownId(run), code: decision.code }, 'skipped');
  }

  #onReady(ctx: Context): void {
    this.#readyAt = Date.now();
    for (const id of this.#orphans.values()) this.#queue.add(id.uid, { kind: 'gone', id, last: undefined }, 'retry');
    ctx.logger.info({ backfill: this.#queue.depth.backfill, resumed: this.#orphans.size }, 'ready');
    this.#orphans.clear();
  }

  #decide(run: SlimRun): ReturnType<typeof decide> {
    return decide(run, { ...this.#parts.current().settings.decide, now: Date.now(), readyAt: this.#readyAt });
  }

  /** One pass over one run, and what follows from it. Never throws. */
  async #work(item: Item, lane: QueueLane, outer: Context): Promise<void> {
    const id = item.kind === 'known' ? item.run : item.id;
    const ctx: Context = { ...outer, logger: outer.logger.child(shownId(id)) };
    const attempts = this.#attempts.get(id.uid) ?? { count: 0, firstAt: Date.now(), dependency: undefined };
    const { rooms, settings } = this.#parts.current();
    const downMs = attempts.dependency === undefined ? 0 : rooms.breakers.waitMs(attempts.dependency);
    if (downMs > 0) return this.#queue.addAfter(id.uid, item, 'retry', downMs + Math.random() * 1_000);
    const passing: Passing = { ...this.#parts, rooms, settings, readyAt: this.#readyAt };
    try {
      const done = await pass(item, lane, passing, ctx);
      if (done.kind === 'wait') return this.#queue.addAfter(id.uid, item, lane, done.afterMs);
      if (done.kind === 'before')
        this.#parts.report?.(idOf(id), { kind: 'skipped', code: 'journal.signed', reason: 'signed before' }, undefined);
      if (done.kind === 'ended') await this.#end(item, done.outcome, done.attested, lane, ctx);
      this.#forget(id.uid);
    } catch (error) {
      if (!outer.signal.aborted) await this.#onFailure(item, error, attempts, ctx);
    }
  }

  async #end(item: Item, outcome: Outcome, attested: Attested | undefined, lane: QueueLane, ctx: Context): Promise<void> {
    const { journal, metrics, recorder, report } = this.#parts;
    const id = idOf(item.kind === 'known' ? item.run : item.id);
    const code = 'code' in outcome ? outcome.code : 'ok';
    const state = outcome.kind === 'retry' ? 'failed' : outcome.kind;
    const redacted = attested?.redacted ?? 0;
    const note = redacted === 0 ? undefined : `${redacted} values were redacted`;
    await journal.finish(id.uid, { state, reason: 'reason' in outcome ? outcome.reason : note, at: Date.now() });
    metrics.attempts.inc({ kind: id.kind, outcome: state, code });
    if (outcome.kind === 'signed' && attested !== undefined) {
      metrics.runs[id.kind].markedSigned.inc();
      const completedAt = item.kind === 'known' ? item.run.completedAt : undefined;
      if (lane === 'live' && completedAt !== undefined) metrics.completionToSigned.observe((Date.now() - completedAt) / 1_000);
      const message = attested.dropped.map(({ result, why, fix }) => `${result}: ${why} (${fix})`).join('; ');
      if (message !== '' && item.kind === 'known') await recorder.tell(id, { type: 'Warning', reason: 'HintDropped', message }, ctx);
    }
    ctx.logger.info(
      {
        outcome: outcome.kind,
        ...('code' in outcome && { code, reason: outcome.reason }),
        works: attested?.works.length,
        ...(note && { redacted }),
      },
      'run ended',
    );
    report?.(id, outcome, attested);
  }

  async #onFailure(item: Item, error: unknown, attempts: Attempts, ctx: Context): Promise<void> {
    const { settings } = this.#parts.current();
    const id = item.kind === 'known' ? item.run : item.id;
    const now = Date.now();
    const outcome = outcomeOf(error, { ...attempts, now, random: Math.random() }, settings.retry);
    const level = outcome.kind === 'failed' ? 'error' : 'warn';
    ctx.logger[level]({ err: error, attempt: attempts.count + 1, outcome: outcome.kind }, 'attempt failed');
    let isWritten = false;
    try {
      if (outcome.code === 'journal.full') await this.#makeRoom(now, ctx);
      if (outcome.kind === 'failed') await this.#giveUp(item, outcome, ctx);
      else if (outcome.kind === 'retry') await this.#postpone(item, outcome, attempts, ctx);
      isWritten = true;
    } catch (inner) {
      // The journal or the API server is in trouble as well. The run stays in the queue, and that is all that is needed.
      if (!ctx.signal.aborted) ctx.logger.warn({ err: inner }, 'cannot write down how an attempt ended');
    }
    if (outcome.kind === 'failed' && isWritten) return this.#forget(id.uid);
    const afterMs = outcome.kind === 'retry' ? outcome.afterMs : settings.retry.maxDelayMs;
    this.#queue.addAfter(id.uid, item, 'retry', afterMs);
  }

  /** What is finished is marked on its run; the journal's copy of it is a convenience that ends where work begins. */
  async #makeRoom(now: number, ctx: Context): Promise<void> {
    const runs = await this.#parts.journal.prune({ finishedBefore: now - 10 * 60_000, maxRuns: 1_000 });
    ctx.logger.warn({ runs }, 'the journal is full: forgot what ended more than ten minutes ago');
  }

  /** The mark is Tekton Chains' own, its counter of tries included (chains-controller 1.11). */
  async #giveUp(item: Item, outcome: Outcome & { readonly kind: 'failed' }, ctx: Context): Promise<void> {
    const { journal, recorder } = this.#parts;
    const id = idOf(item.kind === 'known' ? item.run : item.id);
    if (item.kind === 'known') {
      await recorder.tell(id, { type: 'Warning', reason: 'SigningFailed', message: outcome.reason }, ctx);
      await recorder.record(item.run, { signed: 'failed', annotations: { 'chains.tekton.dev/retries': '3' } }, ctx);
    }
    if ((await journal.load(id.uid)) === undefined) await journal.admit({ id, lane: 'retry', at: Date.now(), snapshot: undefined });
    await this.#end(item, outcome, undefined, 'retry', ctx);
  }

  async #postpone(item: Item, outcome: Outcome & { readonly kind: 'retry' }, attempts: Attempts, ctx: Context): Promise<void> {
    const { journal, metrics, recorder, report } = this.#parts;
    const id = idOf(item.kind === 'known' ? item.run : item.id);
    const isFirst = !this.#attempts.has(id.uid);
    const count = attempts.count + (outcome.isCounted ? 1 : 0);
    const now = Date.now();
    this.#attempts.set(id.uid, { count, firstAt: attempts.firstAt, dependency: outcome.dependency });
    metrics.attempts.inc({ kind: id.kind, outcome: 'retry', code: outcome.code });
    report?.(id, outcome, undefined);
    if (isFirst && item.kind === 'known')
      await recorder.tell(id, { type: 'Warning', reason: 'SigningDelayed', message: outcome.reason }, ctx);
    const entry = await journal.load(id.uid);
    if (entry === undefined) return;
    await journal.postpone(id.uid, { attempts: count, dueAt: now + outcome.afterMs, reason: outcome.reason, at: now });
    // It is signed from the journal from here on: whoever deletes it need not wait (P4).
    if (item.kind === 'known' && item.run.isDeleting && isHeld(item.run) && entry.works.length > 0) await recorder.release(item.run, ctx);
  }

  /** However long an attempt hangs, a deletion waits for `finalizer.hold` and no longer (P4). */
  #limitHold(run: SlimRun, ctx: Context): void {
    if (this.#holds.has(run.uid)) return;
    const { recorder } = this.#parts;
    const release = async (): Promise<void> => {
      try {
        await recorder.release(run, ctx);
      } catch (error) {
        ctx.logger.warn({ ...shownId(run), err: error }, 'cannot let go of a run that is being deleted');
        if (this.#holds.has(run.uid) && !ctx.signal.aborted) arm(1_000);
      }
    };
    const arm = (ms: number): void =>
      void this.#holds.set(
        run.uid,
        setTimeout(() => void release(), ms),
      );
    arm(this.#parts.current().settings.holdMs);
  }

  #endHold(uid: string): void {
    clearTimeout(this.#holds.get(uid));
    this.#holds.delete(uid);
  }

  /** Not its hold: a pass may end after the deletion of its run began, and only the run itself says that it is no longer held. */
  #forget(uid: string): void {
    this.#attempts.delete(uid);
  }
}

function shownId({ kind, namespace, name, uid }: RunId): Readonly<Record<string, string>> {
  return { run: `${namespace}/${name}`, kind, uid };
}
