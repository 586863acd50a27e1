import { attest, resume, type Attested } from './attest.ts';
import type { Rooms } from './carriage.ts';
import { decide, isHeld, type DecideContext } from './decide.ts';
import { familyOf } from './family.ts';
import type { Journal } from './journal/journal.ts';
import { idOf, type Run, type RunId, type SlimRun } from './model/run.ts';
import type { Context } from './observe/context.ts';
import type { Outcome, RetryPolicy } from './outcome.ts';
import type { Recorder } from './record/recorder.ts';
import type { QueueLane } from './watch/queue.ts';
import type { Source } from './watch/source.ts';

/** What of the configuration a pass itself reads; the rest is in the rooms. */
export interface Settings {
  readonly decide: Omit<DecideContext, 'now' | 'readyAt'>;
  readonly retry: RetryPolicy;
  /** `finalizer.hold`, in milliseconds. */
  readonly holdMs: number;
  /** Whether the PipelineRun that controls a TaskRun has a say (`transparency.enabled: manual`): one more GET for each. */
  readonly readOwners: boolean;
}

/** What a pass works with: one snapshot, so that it ends with what it began with. */
export interface Passing {
  readonly source: Source;
  readonly journal: Journal;
  readonly recorder: Recorder;
  readonly rooms: Rooms;
  readonly settings: Settings;
  readonly readyAt: number | undefined;
}

/** What stands in the queue: a run that exists, or one that does not any more, with the last that was seen of it. */
export type Item =
  | { readonly kind: 'known'; readonly run: SlimRun }
  | { readonly kind: 'gone'; readonly id: RunId; readonly last: Run | undefined };

/** How a pass ended, when nothing failed. */
export type Pass =
  | { readonly kind: 'ended'; readonly outcome: Outcome; readonly attested: Attested | undefined }
  /** The run's children are not complete yet, though it is. */
  | { readonly kind: 'wait'; readonly afterMs: number }
  /** The journal says that it was signed before, and the journal is the record of such runs. */
  | { readonly kind: 'before' }
  /** There was nothing to end: a finalizer was written, or somebody else had been quicker. */
  | { readonly kind: 'idle' };

const idle: Pass = { kind: 'idle' };
const signed = (attested: Attested): Pass => ({ kind: 'ended', outcome: { kind: 'signed' }, attested });

/** How long a complete PipelineRun waits for a child that is not: Tekton ends them first, so this is a matter of moments. */
const childWaitMs = 1_000;
const childPatienceMs = 60_000;

/** One pass over one run; throws what went wrong. Everything in it may be repeated. */
export async function pass(item: Item, lane: QueueLane, passing: Passing, ctx: Context): Promise<Pass> {
  return item.kind === 'known' ? await known(item.run, lane, passing, ctx) : await gone(item.id, item.last, passing, ctx);
}

async function known(seen: SlimRun, lane: QueueLane, passing: Passing, ctx: Context): Promise<Pass> {
  const { journal, recorder, source } = passing;
  const decision = decide(seen, decideContext(passing));
  if (decision.kind === 'wait' && decision.hold) await recorder.hold(seen, ctx);
  if (decision.kind === 'release') await recorder.release(seen, ctx);
  const entry = await journal.load(seen.uid);
  if (decision.kind !== 'attest')
    return entry?.state === 'open' ? overtaken(seen, decision.kind === 'wait' ? undefined : decision.reason) : idle;
  if (entry?.state === 'signed' && recorder.keeps === 'journal') return { kind: 'before' };
  // What is finished and comes again is old news, or somebody took the mark off to have it signed again: only the run itself can tell.
  const isAgain = entry !== undefined && entry.state !== 'open';
  const run = await source.get(seen, ctx, { isFresh: isAgain });
  if (run === undefined) return await gone(seen, undefined, passing, ctx);
  if (decide(run.slim, decideContext(passing)).kind !== 'attest') return entry?.state === 'open' ? overtaken(seen, undefined) : idle;
  return await carry(run, { lane, isAgain, mayExist: lane !== 'live' }, passing, ctx);
}

interface How {
  readonly lane: QueueLane;
  readonly isAgain: boolean;
  readonly mayExist: boolean;
}

async function carry(run: Run, how: How, passing: Passing, ctx: Context): Promise<Pass> {
  const { journal, source, recorder, rooms, settings } = passing;
  const known = await journal.admit({ id: idOf(run), lane: how.lane, at: Date.now(), snapshot: undefined });
  const family = await familyOf(run, source, ctx, settings.readOwners);
  const isEarly = family.children.some((child) => child.kind === 'task-run' && !child.run.slim.isDone);
  if (isEarly && Date.now() - (run.slim.completedAt ?? 0) < childPatienceMs) return { kind: 'wait', afterMs: childWaitMs };
  const attested = await attest(family, { ...how, known }, rooms, ctx);
  if (attested.works.length === 0) {
    if (isHeld(run.slim)) await recorder.release(run.slim, ctx);
    return { kind: 'ended', outcome: { kind: 'skipped', code: 'plan.nothing', reason: attested.nothing }, attested };
  }
  const receipts = attested.works.flatMap((made) => made.receipts);
  const annotations = {
    ...Object.fromEntries(receipts.flatMap((receipt) => Object.entries(receipt.annotations))),
    ...transparencyOf(attested),
  };
  const recorded = await recorder.record(run.slim, { signed: 'true', annotations }, ctx);
  if (recorded.kind === 'superseded') return overtaken(run, `somebody else marked it "${recorded.signed}"`);
  return signed(attested);
}

/**
 * Where the log has the run's own statement, or without one what was logged last (chains-controller 4.4; Chains always names the last, which is an
 * image's: 9.4, T3).
 */
function transparencyOf({ works }: Attested): Readonly<Record<string, string>> {
  const logged = works.filter(({ envelope }) => envelope.evidence.entries.some(({ log }) => log !== ''));
  const entries = (logged.find(({ work }) => work.image === undefined) ?? logged.at(-1))?.envelope.evidence.entries ?? [];
  const entry = entries.find(({ log }) => log !== '');
  if (entry === undefined) return {};
  const version = entry.integratedTime === undefined ? 'v2' : 'v1';
  return { 'chains.tekton.dev/transparency': `${entry.log}/api/${version}/log/entries?logIndex=${entry.logIndex}` };
}

/** The run does not exist any more: it is signed from what was last seen of it, or from what the journal has. */
async function gone(id: RunId, last: Run | undefined, passing: Passing, ctx: Context): Promise<Pass> {
  const { journal, source, rooms, settings } = passing;
  const entry = await journal.load(id.uid);
  if (entry !== undefined && entry.state !== 'open') return idle;
  if (last !== undefined && decide(last.slim, decideContext(passing)).kind === 'attest') {
    const known = await journal.admit({ id: idOf(last), lane: 'live', at: Date.now(), snapshot: undefined });
    const family = await familyOf(last, source, ctx, settings.readOwners);
    return signed(await attest(family, { known, isAgain: false, mayExist: true }, rooms, ctx));
  }
  if (entry === undefined) return idle;
  if (entry.works.length > 0) return signed(await resume(entry, rooms, ctx));
  const reason = 'deleted before anything of it was in the journal';
  return { kind: 'ended', outcome: { kind: 'failed', code: 'run.gone', reason }, attested: undefined };
}

/** The journal has it open, and the run itself says that there is nothing left to do. */
function overtaken(run: SlimRun | Run, reason: string | undefined): Pass {
  const isSigned = ('slim' in run ? run.slim : run).signed === 'true';
  if (isSigned) return { kind: 'ended', outcome: { kind: 'signed' }, attested: undefined };
  return {
    kind: 'ended',
    outcome: { kind: 'skipped', code: 'decide.overtaken', reason: reason ?? 'no longer to be signed' },
    attested: undefined,
  };
}

function decideContext({ settings, readyAt }: Passing): DecideContext {
  return { ...settings.decide, now: Date.now(), readyAt };
}
