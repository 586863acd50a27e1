import { readFileSync } from 'node:fs';
import { CodedError } from '../../src/errors.ts';
import { parseJson, textAt, type JsonObject } from '../../src/model/json.ts';
import type { Family, Run, RunKind } from '../../src/model/run.ts';
import { payloadOf, plan, type PlanOptions } from '../../src/plan.ts';

/** What the files hold: a run, its children, and the payload, images or error that Tekton Chains made of them. */
export interface GoldenRow {
  readonly id: string;
  readonly kind: 'tr' | 'pr';
  /** A configured format, or `oci` for the image payloads of a TaskRun. */
  readonly format: string;
  readonly deep: boolean;
  readonly buildType: string;
  readonly main: JsonObject;
  readonly children: readonly JsonObject[];
  readonly expected?: string;
  /** Where Tekton Chains chooses at random. */
  readonly expectedAnyOf?: readonly string[];
  readonly expectedImages?: readonly ExpectedImage[];
  readonly error?: string;
}
export interface ExpectedImage {
  readonly payload: string;
  readonly shortKey: string;
  readonly fullKey: string;
}

/** What is made of a row: a payload for the run, or one for each image, or the code of an error. */
export type Outcome =
  | { readonly kind: 'payload'; readonly text: string }
  | { readonly kind: 'images'; readonly images: readonly ExpectedImage[] }
  | { readonly kind: 'error'; readonly code: string };

export const files = ['edge-cases.jsonl', 'synthetic.jsonl'] as const;

export function readRows(file: (typeof files)[number]): readonly GoldenRow[] {
  const lines = readFileSync(new URL(file, import.meta.url), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => parseJson(line) as unknown as GoldenRow);
}

export function outcomeOf(row: GoldenRow): Outcome {
  const family = familyOf(row);
  const options = optionsOf(row);
  const isImage = row.format === 'oci';
  try {
    const { family: clean, works } = plan(family, options);
    const made = works
      .filter(({ artifact }) => (artifact === 'oci') === isImage)
      .map((work) => ({ work, text: Buffer.from(payloadOf(work, clean, options.format).bytes).toString('utf8') }));
    if (!isImage) return { kind: 'payload', text: made.map(({ text }) => text).join() };
    return { kind: 'images', images: made.map(({ work, text }) => ({ payload: text, shortKey: work.shortKey, fullKey: work.key })) };
  } catch (error) {
    if (error instanceof CodedError) return { kind: 'error', code: error.code };
    throw error;
  }
}

function familyOf({ kind, main, children }: GoldenRow): Family {
  const run = runOf(kind === 'tr' ? 'TaskRun' : 'PipelineRun', main);
  return { run, children: children.map((child) => ({ kind: 'task-run', run: runOf('TaskRun', child) })) };
}

/** A run as the watch would give it. What the watch keeps for itself is made up: no payload reads it. */
export function runOf(kind: RunKind, object: JsonObject): Run {
  const metadata = object['metadata'];
  const id = { kind, namespace: textAt(metadata, 'namespace'), name: textAt(metadata, 'name'), uid: textAt(metadata, 'uid') };
  const times = { createdAt: undefined, completedAt: undefined };
  const marks = { isDone: true, isDeleting: false, finalizers: [], signed: undefined, managedBy: undefined, owner: undefined };
  return { ...id, slim: { ...id, resourceVersion: '1', ...times, ...marks }, object };
}

function optionsOf({ format, buildType, deep }: GoldenRow): PlanOptions {
  const run = { format: format === 'oci' ? 'in-toto' : format, signers: ['x509'], stores: ['tekton'] };
  return {
    artifacts: { taskrun: run, pipelinerun: run, oci: { format: 'simplesigning', signers: ['x509'], stores: ['oci'] } },
    format: { builderId: 'https://tekton.dev/chains/v2', buildType, deepInspection: deep },
    redact: { params: [], results: [], tokenShapes: true, salt: '' },
  };
}
