import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TerminalError } from '../../src/errors.ts';
import { formats } from '../../src/format/formats.ts';
import { parseJson, type JsonObject } from '../../src/model/json.ts';
import type { Family } from '../../src/model/run.ts';
import { parseStrictJson } from '../../src/model/strict-json.ts';
import type { Payload } from '../../src/model/work.ts';
import { payloadOf, plan, type Plan, type PlanOptions } from '../../src/plan.ts';
import { runOf } from '../golden/rows.ts';
import { families, secret } from './arbitrary-runs.ts';

/** 10 000 in `npm test`; more with CHAINSMITH_FUZZ_CASES. */
const numRuns = Number(process.env['CHAINSMITH_FUZZ_CASES'] ?? 10_000);
/** Every format for runs, by its first name. */
const names = Object.values(formats).flatMap(({ artifacts, names: [name] }) =>
  artifacts.includes('taskrun') && name !== undefined ? [name] : [],
);
const slsa = 'https://tekton.dev/chains/v2/slsa';

const optionsOf = fc
  .record({
    buildType: fc.constantFrom(slsa, `${slsa}-tekton`),
    deepInspection: fc.boolean(),
    nativeArtifacts: fc.boolean(),
    redact: fc.record({
      params: fc.constantFrom([], ['token'], ['*']),
      results: fc.constantFrom([], ['token'], ['*']),
      tokenShapes: fc.boolean(),
      salt: fc.constantFrom('', 'salt'),
    }),
    onDropped: fc.constantFrom<'record' | 'fail'>('record', 'record', 'record', 'fail'),
  })
  .map(({ buildType, deepInspection, nativeArtifacts, redact, onDropped }) => (format: string): PlanOptions => {
    const run = { format, signers: ['x509'], stores: ['oci'] };
    return {
      artifacts: { taskrun: run, pipelinerun: run, oci: { format: 'simplesigning', signers: ['x509'], stores: ['oci'] } },
      format: { builderId: 'https://builder.example', buildType, deepInspection, nativeArtifacts },
      redact,
      onDropped,
    };
  });

/** Codes of our own refusals that a strange run may meet. Everything else is a crash. */
const refusals = new Set(['format.value-missing', 'json.deep', 'json.number', 'extract.dropped']);

/** A family as a source gives it: parsed from text, so that what only JavaScript can hold does not count. */
function read(
  { main, children }: { readonly main: string; readonly children: readonly string[] },
  kind: 'TaskRun' | 'PipelineRun',
): Family {
  const parsed = (text: string): JsonObject => parseJson(text) as JsonObject;
  return {
    run: runOf(kind, parsed(main)),
    children: [
      ...children.map((text) => ({ kind: 'task-run', run: runOf('TaskRun', parsed(text)) }) as const),
      { kind: 'other', reference: { kind: 'CustomRun', apiVersion: 'v1', name: 'c', pipelineTaskName: 'a' } },
      { kind: 'missing', reference: { kind: '', name: '__proto__', pipelineTaskName: '' } },
    ],
  };
}

type Made = { readonly plan: Plan; readonly payloads: readonly Payload[] } | { readonly code: string };

function made(family: Family, options: PlanOptions): Made {
  try {
    const planned = plan(family, options);
    return { plan: planned, payloads: planned.works.map((work) => payloadOf(work, planned.family, options.format)) };
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    return { code: error.code };
  }
}

function bytesOf(result: Made): unknown {
  return 'code' in result ? result.code : result.payloads.map(({ bytes }) => Buffer.from(bytes).toString('latin1'));
}

const algorithm = /^[A-Za-z0-9]+$/;
const lengths: Readonly<Record<string, number>> = { sha1: 40, sha256: 64, sha384: 96, sha512: 128 };

interface Statement {
  readonly _type: string;
  readonly subject?: readonly { readonly name: string; readonly digest: Readonly<Record<string, string>> }[];
  readonly predicateType: string;
  readonly predicate: { readonly [member: string]: unknown };
}

function isTrue(payload: Payload, { redact }: PlanOptions): void {
  const text = Buffer.from(payload.bytes).toString('utf8');
  const statement = parseStrictJson(payload.bytes, 'the payload', 64 * 1024 * 1024) as unknown as Statement;
  if (redact.tokenShapes) assert.ok(!text.includes(secret), 'a token is published');
  if (payload.predicateType === undefined) return;
  assert.deepEqual(Object.keys(statement), ['_type', ...(statement.subject ? ['subject'] : []), 'predicateType', 'predicate']);
  assert.deepEqual(
    statement.subject ?? [],
    payload.subjects.map(({ name, digest }) => ({ name: name.toWellFormed(), digest })),
  );
  for (const { name, digest } of payload.subjects) {
    assert.ok(name !== '' && !name.startsWith('redacted:'), `a subject has the name "${name}"`);
    assert.notDeepEqual(digest, {});
    for (const [key, hex] of Object.entries(digest)) {
      // The form that the hint has is kept: white space around, and an upper-case algorithm.
      const trimmed = hex.trim();
      assert.match(trimmed, /^[0-9a-f]+$/);
      assert.equal(trimmed.length, lengths[key.trim().toLowerCase()]);
      assert.match(key.trim(), algorithm);
    }
  }
}

describe('any run', () => {
  it(`is attested truly, or refused with a code, in every format (${numRuns} cases)`, () => {
    fc.assert(
      fc.property(
        families,
        optionsOf,
        fc.constantFrom('TaskRun', 'PipelineRun'),
        fc.constantFrom(...names),
        (texts, options, kind, repeated) => {
          for (const format of names) {
            const once = made(read(texts, kind), options(format));

            if ('code' in once) assert.ok(refusals.has(once.code), once.code);
            else for (const payload of once.payloads) isTrue(payload, options(format));
            if (format !== repeated) continue;
            // The same text gives the same bytes: on a retry, after a restart, on another replica.
            const again = made(read(texts, kind), options(format));
            assert.deepEqual(bytesOf(again), bytesOf(once));
            if (!('code' in once) && !('code' in again)) assert.deepEqual(again.plan.dropped, once.plan.dropped);
          }
        },
      ),
      { numRuns },
    );
    assert.deepEqual(Object.keys(Object.prototype), []);
  });
});
