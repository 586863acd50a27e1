import { runKinds, type RunKind, type SlimRun } from './model/run.ts';

/** What should happen to a run next. `code` and `reason` are for people and metrics: stable and plain (P5). */
export type Decision =
  | { readonly kind: 'attest'; readonly lane: Lane }
  /** Not done yet. `hold`: put our finalizer on, so that it is still there when it is done. */
  | { readonly kind: 'wait'; readonly hold: boolean }
  /** Nothing to do but to take our finalizer off. */
  | { readonly kind: 'release'; readonly code: string; readonly reason: string }
  | { readonly kind: 'skip'; readonly code: string; readonly reason: string };

/** design 4.2. */
export type Lane = 'live' | 'retry' | 'backfill';

/** What a decision needs to know beside the run. Times are milliseconds since the epoch. */
export interface DecideContext {
  readonly now: number;
  /** When this process had seen everything that already existed; undefined until then. */
  readonly readyAt: number | undefined;
  /** Values of `spec.managedBy` that are ours beside the always accepted ones (chains-controller 1.2). */
  readonly managedBy: ReadonlySet<string>;
  /** Namespaces to look at; empty for all. */
  readonly namespaces: ReadonlySet<string>;
  readonly backfillSinceMs: number;
  readonly finalizerEnabled: boolean;
  /** Kinds of which the configuration makes anything at all. */
  readonly kinds: ReadonlySet<RunKind>;
  /** `attest --any-state`: runs that are not complete are taken as they are. */
  readonly anyState: boolean;
}

/** Looked at again at the start of every reconcile, not only when an event arrives: a filter that is passed once is not passed for good. */
export function decide(run: SlimRun, context: DecideContext): Decision {
  for (const check of checks) {
    const decision = check(run, context);
    if (decision) return decision;
  }
  return { kind: 'attest', lane: laneOf(run, context) };
}

type Check = (run: SlimRun, context: DecideContext) => Decision | undefined;

/** Nobody else takes our finalizer off; one that Tekton Chains left on a run that is going is ours too. */
const leave = (run: SlimRun, code: string, reason: string): Decision =>
  run.isDeleting && isHeld(run) ? { kind: 'release', code, reason } : { kind: 'skip', code, reason };

export function isHeld(run: SlimRun): boolean {
  return run.finalizers.includes(runKinds[run.kind].finalizer);
}

const foreignNamespace: Check = (run, { namespaces }) =>
  namespaces.size === 0 || namespaces.has(run.namespace)
    ? undefined
    : leave(run, 'decide.namespace', `namespace "${run.namespace}" is not one of those that are watched`);

const foreignManager: Check = (run, { managedBy }) => {
  const manager = run.managedBy ?? '';
  if (manager === '' || manager === 'tekton.dev/pipeline' || managedBy.has(manager)) return undefined;
  return leave(run, 'decide.managed-by', `spec.managedBy is "${manager}", which filter.managed-by does not list`);
};

/** `true` and `failed` end a run; any other value is as good as none (chains-controller 1.6). */
const alreadyMarked: Check = (run) => {
  if (run.signed === 'true') return leave(run, 'decide.signed', 'already signed');
  if (run.signed !== 'failed') return undefined;
  return leave(run, 'decide.failed', 'marked failed; remove the annotation chains.tekton.dev/signed to have it tried again');
};

/** No store or no signer is a decision that is said, not a success by default (P1). */
const notCovered: Check = (run, { kinds }) =>
  kinds.has(run.kind)
    ? undefined
    : leave(run, 'decide.disabled', `the configuration makes nothing of a ${run.kind}: no storage, or the signer none`);

const stillRunning: Check = (run, { finalizerEnabled, anyState }) => {
  if (run.isDone || anyState) return undefined;
  if (run.isDeleting) return leave(run, 'decide.deleted-early', 'deleted before it completed');
  return { kind: 'wait', hold: finalizerEnabled && !isHeld(run) };
};

const tooOld: Check = (run, context) => {
  const { readyAt, now, backfillSinceMs } = context;
  const ended = run.completedAt ?? run.createdAt;
  if (laneOf(run, context) !== 'backfill' || ended === undefined || ended >= (readyAt ?? now) - backfillSinceMs) return undefined;
  return leave(run, 'decide.too-old', `completed ${new Date(ended).toISOString()}, before the time that lanes.backfill.since covers`);
};

const checks: readonly Check[] = [foreignNamespace, foreignManager, alreadyMarked, notCovered, stillRunning, tooOld];

function laneOf(run: SlimRun, { readyAt }: DecideContext): Lane {
  const ended = run.completedAt ?? run.createdAt;
  // Kubernetes times are whole seconds: a run that ended in the second of the start is taken for a live one.
  return readyAt !== undefined && (ended === undefined || ended >= readyAt - 1000) ? 'live' : 'backfill';
}
