import type { Config } from '../config/config.ts';
import { decide, type Decision } from '../decide.ts';
import { codeOf, sentenceOf } from '../errors.ts';
import type { KnownRun } from '../journal/journal.ts';
import { settingsOf } from '../main.ts';
import type { Drop } from '../model/artifact.ts';
import type { Family, Run, RunKind } from '../model/run.ts';
import { payloadOf, plan, planOptionsOf } from '../plan.ts';

/** What there is to say about a run. `verdict` is one word; `why` and `drops` carry the fix. */
export interface Explanation {
  readonly kind: RunKind;
  readonly namespace: string;
  readonly name: string;
  readonly verdict: 'signed' | 'failed' | 'waiting' | 'skipped' | 'signable' | 'unsignable';
  readonly why: readonly string[];
  readonly works: readonly {
    readonly key: string;
    readonly format: string;
    readonly subjects: readonly string[];
    readonly stores: readonly string[];
  }[];
  readonly dropped: readonly Drop[];
}

/** What the journal says of a run, which need not exist any more. */
export function journalled(run: KnownRun): Explanation {
  const verdicts = { open: 'waiting', signed: 'signed', failed: 'failed', skipped: 'skipped' } as const;
  const attempts = run.attempts === 0 ? [] : [`${run.attempts} attempts so far`];
  return {
    kind: run.id.kind,
    namespace: run.id.namespace,
    name: run.id.name,
    verdict: verdicts[run.state],
    why: [...(run.reason === undefined ? [] : [run.reason]), ...attempts],
    works: run.works.map(({ key, format, payload, receipts }) => ({
      key,
      format,
      subjects: payload.subjects.map((subject) => subject.name),
      stores: receipts.map(
        ({ receipt, provenAt }) => `${receipt.places[0]?.address ?? receipt.store}${provenAt === undefined ? '' : ', proven'}`,
      ),
    })),
    dropped: run.works.flatMap(({ payload }) => payload.dropped),
  };
}

/** An Event of ours about a run. */
export interface Told {
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly at: string;
}

/** What the configuration would make of a run as it is now, what its marks say, and what the controller has told of it, the oldest first. */
export function explanationOf(family: Family, config: Config, told: readonly Told[] = []): Explanation {
  const { run } = family;
  const head = { kind: run.kind, namespace: run.namespace, name: run.name };
  const decision = decide(run.slim, { ...settingsOf(config).decide, now: Date.now(), readyAt: Date.now() });
  const missing = family.children.flatMap((child) =>
    child.kind === 'missing' ? [`its child ${child.reference.name} is gone: the statement says so`] : [],
  );
  const made = derived(family, config);
  const wanted = tellingOf(run, decision);
  const last = told.findLast(({ reason }) => reason === wanted);
  const said = last === undefined ? [] : [`the controller said at ${last.at}: ${last.message}`];
  const verdict = verdictOf(run, decision.kind, made.isWhole);
  return {
    ...head,
    verdict: verdict === 'signable' && last !== undefined ? 'waiting' : verdict,
    why: [...said, ...reasonsOf(run, decision), ...missing, ...made.why],
    works: made.works,
    dropped: made.dropped,
  };
}

/** Which Event says why a run is as it is. */
function tellingOf({ slim }: Run, decision: Decision): string | undefined {
  if (slim.signed === 'failed') return 'SigningFailed';
  return slim.signed === undefined && decision.kind === 'attest' ? 'SigningDelayed' : undefined;
}

function reasonsOf(run: Run, decision: Decision): readonly string[] {
  if (run.slim.signed === 'true') return ['it is marked signed; the mark is a word, "chainsmith verify" is the proof'];
  if (decision.kind === 'wait') return ['it has not completed yet'];
  if (run.slim.signed === 'failed') return [`${decision.kind === 'skip' ? decision.reason : 'marked failed'}; why stands in its Events`];
  return decision.kind === 'attest' ? ['it is covered, complete and unmarked: the controller signs it'] : [decision.reason];
}

function verdictOf(run: Run, decision: Decision['kind'], isWhole: boolean): Explanation['verdict'] {
  if (run.slim.signed === 'true') return 'signed';
  if (run.slim.signed === 'failed') return 'failed';
  if (decision === 'wait') return 'waiting';
  if (decision !== 'attest') return 'skipped';
  return isWhole ? 'signable' : 'unsignable';
}

function derived(
  family: Family,
  config: Config,
): { readonly isWhole: boolean; readonly why: readonly string[] } & Pick<Explanation, 'works' | 'dropped'> {
  try {
    const planned = plan(family, planOptionsOf(config));
    const why = planned.disabled.map((disabled) => `no ${disabled.artifact}: ${disabled.why}`);
    const dropped = new Map(planned.dropped.map((drop) => [`${drop.result} ${drop.rule}`, drop]));
    const works: Explanation['works'][number][] = [];
    for (const work of planned.works) {
      try {
        const payload = payloadOf(work, planned.family, config.format);
        for (const drop of payload.dropped) dropped.set(`${drop.result} ${drop.rule}`, drop);
        works.push({ key: work.key, format: work.format, subjects: payload.subjects.map(({ name }) => name), stores: work.stores });
      } catch (error) {
        why.push(`${work.key}: ${sentenceOf(error)} (${codeOf(error)})`);
      }
    }
    return { isWhole: works.length === planned.works.length, why, works, dropped: [...dropped.values()] };
  } catch (error) {
    return { isWhole: false, why: [`${sentenceOf(error)} (${codeOf(error)})`], works: [], dropped: [] };
  }
}
