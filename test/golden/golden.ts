import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '../../src/errors.ts';
import { isObject, parseJson, textAt, type Json, type JsonObject } from '../../src/model/json.ts';
import type { Family, Run, RunKind } from '../../src/model/run.ts';
import { payloadOf, plan, type PlanOptions } from '../../src/plan.ts';

/** What the files hold: a run, its children, and what Tekton Chains made of them. */
export interface GoldenRow {
  readonly id: string;
  readonly kind: 'tr' | 'pr';
  readonly format: string;
  readonly deep: boolean;
  readonly buildType: string;
  readonly main: JsonObject;
  readonly children: readonly JsonObject[];
  readonly expected?: string;
  readonly expectedAnyOf?: readonly string[];
  readonly expectedImages?: readonly JsonObject[];
  readonly error?: string;
}

export const files = ['edge-cases.jsonl', 'synthetic.jsonl'] as const;

export function readRows(file: (typeof files)[number]): readonly GoldenRow[] {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8');
  return text.split('\n').filter((line) => line !== '').map((line) => parseJson(line) as unknown as GoldenRow);
}

/** What we make of a row: payload texts, or the code of the error. */
export type Outcome = { readonly kind: 'payloads'; readonly texts: readonly string[]; readonly keys: readonly (readonly string[])[] } | { readonly kind: 'error'; readonly code: string };

export function outcomeOf(row: GoldenRow): Outcome {
  const family = familyOf(row);
  const options = optionsOf(row);
  const wanted = row.format === 'oci' ? 'oci' : family.run.kind === 'TaskRun' ? 'taskrun' : 'pipelinerun';
  try {
    const works = plan(family, options).works.filter(({ artifact }) => artifact === wanted);
    const texts = works.map((work) => Buffer.from(payloadOf(work, family, options.format).bytes).toString('utf8'));
    return { kind: 'payloads', texts, keys: works.map(({ shortKey, key }) => [shortKey, key]) };
  } catch (error) {
    if (error instanceof CodedError) return { kind: 'error', code: error.code };
    throw error;
  }
}

/** Why a row differs from what Tekton Chains made of it; undefined when it agrees. */
export function differenceOf(row: GoldenRow): string | undefined {
  const outcome = outcomeOf(row);
  if (row.error !== undefined) return outcome.kind === 'error' ? undefined : `want an error: ${row.error}`;
  if (outcome.kind === 'error') return `unexpected error ${outcome.code}`;
  if (row.expectedImages !== undefined) {
    const made = outcome.texts.map((payload, index) => ({ payload: JSON.parse(payload) as Json, keys: outcome.keys[index] }));
    const wanted = row.expectedImages.map((image) => ({
      payload: JSON.parse(textAt(image, 'payload')) as Json,
      keys: [textAt(image, 'shortKey'), textAt(image, 'fullKey')],
    }));
    return isDeepStrictEqual(made, wanted) ? undefined : 'the images differ';
  }
  const made = JSON.parse(outcome.texts[0] ?? 'null') as Json;
  const candidates = (row.expectedAnyOf ?? [row.expected ?? 'null']).map((text) => JSON.parse(text) as Json);
  if (candidates.some((candidate) => isDeepStrictEqual(made, candidate))) return undefined;
  return firstDifference(made, candidates[0] ?? null, '$') ?? 'unknown';
}

function familyOf({ kind, main, children }: GoldenRow): Family {
  const run = runOf(kind === 'tr' ? 'TaskRun' : 'PipelineRun', main);
  return { run, children: children.map((child) => ({ kind: 'task-run', run: runOf('TaskRun', child) })) };
}

export function runOf(kind: RunKind, object: JsonObject): Run {
  const metadata = object['metadata'];
  const id = { kind, namespace: textAt(metadata, 'namespace'), name: textAt(metadata, 'name'), uid: textAt(metadata, 'uid') };
  const slim = {
    ...id,
    resourceVersion: '1',
    createdAt: undefined,
    isDone: true,
    completedAt: undefined,
    isDeleting: false,
    finalizers: [],
    signed: undefined,
    managedBy: undefined,
    owner: undefined,
  };
  return { ...id, slim, object };
}

function optionsOf({ format, buildType, deep }: GoldenRow): PlanOptions {
  const run = { format: format === 'oci' ? 'in-toto' : format, signer: 'x509', stores: ['tekton'] };
  return {
    artifacts: { taskrun: run, pipelinerun: run, oci: { format: 'simplesigning', signer: 'x509', stores: ['oci'] } },
    format: { builderId: 'https://tekton.dev/chains/v2', buildType, deepInspection: deep },
  };
}

function firstDifference(made: Json | undefined, wanted: Json | undefined, path: string): string | undefined {
  if (isDeepStrictEqual(made, wanted)) return undefined;
  if (isObject(made) && isObject(wanted)) {
    for (const name of new Set([...Object.keys(made), ...Object.keys(wanted)])) {
      const found = firstDifference(made[name], wanted[name], `${path}.${name}`);
      if (found !== undefined) return found;
    }
  }
  if (Array.isArray(made) && Array.isArray(wanted) && made.length === wanted.length) {
    for (const [index, item] of made.entries()) {
      const found = firstDifference(item, wanted[index], `${path}[${index}]`);
      if (found !== undefined) return found;
    }
  }
  if (path.endsWith('.content') && typeof made === 'string' && typeof wanted === 'string') {
    return firstDifference(decoded(made), decoded(wanted), `${path}()`) ?? `${path}: the order of members differs`;
  }
  return `${path}: made ${JSON.stringify(made)?.slice(0, 300)}, want ${JSON.stringify(wanted)?.slice(0, 300)}`;
}

function decoded(content: string): Json {
  return JSON.parse(Buffer.from(content, 'base64').toString('utf8')) as Json;
}

if (import.meta.main) {
  const failures = files.flatMap(readRows).flatMap((row) => {
    const difference = differenceOf(row);
    return difference === undefined ? [] : [`${row.id} (${row.kind} ${row.format}): ${difference}`];
  });
  for (const failure of failures) console.log(failure);
  const total = files.flatMap(readRows).length;
  console.log(`${total - failures.length} of ${total}`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
