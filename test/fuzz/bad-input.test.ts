import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { TerminalError } from '../../src/errors.ts';
import { familyOf } from '../../src/family.ts';
import { parseJson, type Json, type JsonObject } from '../../src/model/json.ts';
import type { Family, RunKind } from '../../src/model/run.ts';
import { parseStrictJson } from '../../src/model/strict-json.ts';
import type { Payload } from '../../src/model/work.ts';

import { payloadOf, plan, type PlanOptions } from '../../src/plan.ts';
import { runOf } from '../golden/rows.ts';

const image = { format: 'simplesigning', signers: ['x509'], stores: ['oci'] };
const hex = (index: number): string => index.toString(16).padStart(64, '0');

function optionsOf(format: string): PlanOptions {
  const run = { format, signers: ['x509'], stores: ['oci'] };
  return {
    artifacts: { taskrun: run, pipelinerun: run, oci: image },
    format: { builderId: 'b', buildType: 'https://tekton.dev/chains/v2/slsa-tekton', deepInspection: true, nativeArtifacts: true },
    redact: { params: ['secret'], results: ['secret'], tokenShapes: true, salt: '' },
  };
}

/** The payloads in every format, or the codes of what refuses. Anything but a `TerminalError` is a crash. */
function outcomes(family: Family): readonly (Payload | string)[] {
  return ['in-toto', 'slsa/v2alpha3', 'slsa/v2alpha4'].map((format) => {
    try {
      const { works, family: clean } = plan(family, optionsOf(format));
      const [work] = works;
      assert.ok(work);
      return payloadOf(work, clean, optionsOf(format).format);
    } catch (error) {
      if (error instanceof TerminalError) return error.code;
      throw error;
    }
  });
}

function familyWith(object: JsonObject, kind: RunKind = 'TaskRun', children: readonly JsonObject[] = []): Family {
  const named = { metadata: { name: 'r', namespace: 'n', uid: 'u' }, ...object };
  return { run: runOf(kind, named), children: children.map((child) => ({ kind: 'task-run', run: runOf('TaskRun', child) })) };
}
const many = <T>(count: number, make: (index: number) => T): readonly T[] => Array.from({ length: count }, (_, index) => make(index));

/** How long the work takes, the best of three: the machine has other things to do. */
function timeOf(work: () => unknown): number {
  return Math.min(
    ...many(3, () => {
      const startedAt = performance.now();
      work();
      return performance.now() - startedAt;
    }),
  );
}

describe('large input', () => {
  const shapes: Readonly<Record<string, (count: number) => JsonObject>> = {
    'results of one name': (count) => ({
      status: { results: many(count, (index) => ({ name: 'IMAGES', value: `r.io/app@sha256:${hex(index)}` })) },
    }),
    pairs: (count) => ({
      status: {
        results: many(count, (index) => [
          { name: `${index}_IMAGE_URL`, value: 'r.io/app' },
          { name: `${index}_IMAGE_DIGEST`, value: `sha256:${hex(index)}` },
        ]).flat(),
      },
    }),
    'one list of images': (count) => ({
      status: { results: [{ name: 'IMAGES', value: many(count, (index) => `r.io/a${index}@sha256:${hex(index)}`).join('\n') }] },
    }),
    'inputs of one uri': (count) => ({
      status: {
        results: many(count, (index) => ({ name: `${index}ARTIFACT_INPUTS`, value: { uri: 'x', digest: `sha256:${hex(index)}` } })),
      },
    }),
    'broken hints': (count) => ({ status: { results: many(count, (index) => ({ name: `${index}_IMAGE_URL`, value: 'x' })) } }),
    steps: (count) => ({
      status: {
        taskSpec: { steps: many(count, (index) => ({ name: `s${index}`, script: 'x' })) },
        steps: many(count, (index) => ({ name: `s${index}`, imageID: `i@sha256:${hex(index)}` })),
      },
    }),
    'native artifacts': (count) => ({
      status: { artifacts: { outputs: [{ name: 'a', values: many(count, (index) => ({ uri: 'x', digest: { sha256: hex(index) } })) }] } },
    }),
    labels: (count) => ({ metadata: { name: 'r', labels: Object.fromEntries(many(count, (index) => [`l${index}`, 'x'])) } }),
    'white space': (count) => ({ status: { results: [{ name: 'IMAGE_URL', value: ' '.repeat(count * 50) }] } }),
    names: (count) => ({ status: { results: [{ name: 'IMAGE_URL'.repeat(count * 5), value: 'x' }] } }),
    'texts like tokens': (count) => ({
      spec: { params: [{ name: 'p', value: '://a:eyJ.ghp_-----BEGIN PRIVATE KEY-----'.repeat(count) }] },
    }),
    'places of a secret': (count) => ({
      spec: { params: [{ name: 'secret', value: 'hidden value' }] },
      status: { taskSpec: { steps: [{ script: 'hidden value '.repeat(count) }] } },
    }),
  };
  for (const [name, shape] of Object.entries(shapes)) {
    it(`takes time in proportion to its ${name}`, () => {
      const work = (count: number) => {
        const family = familyWith(shape(count));
        return timeOf(() => outcomes(family).forEach((made) => assert.equal(typeof made, 'object')));
      };
      work(500);
      const [small, large] = [work(1_500), work(12_000)];

      // Eight times as much: quadratic would be sixty-four times as long. Sorting, memory and a busy machine get their share.
      assert.ok(large < 24 * Math.max(small, 5), `${small.toFixed(0)} ms for 1500, ${large.toFixed(0)} ms for 12000`);
    });
  }

  it('may be 100 000 results, or one of 10 MB', () => {
    const results = many(100_000, (index) => ({ name: `r${index}`, value: 'x' }));
    const big = [
      { name: 'log', value: 'é'.repeat(5_000_000) },
      { name: 'IMAGE_URL', value: 'r.io/a'.repeat(1_500_000) },
    ];

    for (const list of [results, big]) {
      for (const made of outcomes(familyWith({ status: { results: list } }))) {
        assert.ok(typeof made === 'object');
        parseStrictJson(made.bytes, 'the payload', 256 * 1024 * 1024);
      }
    }
  });

  it('takes time in proportion to the tasks of a pipeline and their references', () => {
    const pipeline = (count: number): Family => {
      const tasks = many(count, (index) => ({
        name: `t${index}`,
        params: [{ name: 'p', value: many(5, (other) => `$(tasks.t${index - other}.results.r)`) }],
      }));
      const last = { name: 'last', params: [{ name: 'p', value: many(count, (index) => `$(tasks.t${index}.results.r)`).join('') }] };
      const child = (name: string): JsonObject => ({
        metadata: { name, labels: { 'tekton.dev/pipelineTask': name } },
        status: { completionTime: '2024-05-01T10:00:00Z', taskSpec: {} },
      });
      return familyWith(
        { status: { pipelineSpec: { tasks, finally: [last] } } },
        'PipelineRun',
        [...tasks, last].map(({ name }) => child(name)),
      );
    };
    const work = (count: number) => {
      const family = pipeline(count);
      return timeOf(() => outcomes(family));
    };
    work(100);
    const [small, large] = [work(250), work(2_000)];

    assert.ok(large < 24 * Math.max(small, 5), `${small.toFixed(0)} ms for 250, ${large.toFixed(0)} ms for 2000`);
  });
});

describe('strange input', () => {
  const nested = (depth: number): string => `${'['.repeat(depth)}1${']'.repeat(depth)}`;
  const places = [
    '"spec":{"podTemplate":{"x":X}}',
    '"spec":{"params":[{"name":"p","value":X}]}',
    '"status":{"results":[{"name":"r","value":X}]}',
    '"metadata":{"annotations":{"x":X}}',
    '"other":X',
  ];
  for (const place of places) {
    it(`may be nested to any depth: ${place}`, () => {
      for (const depth of [50, 900, 1_050, 1_500, 5_000]) {
        const object = parseJson(`{"kind":"TaskRun",${place.replace('X', nested(depth))}}`) as JsonObject;
        for (const made of outcomes(familyWith(object))) assert.ok(typeof made === 'object' || made === 'json.deep');
      }
    });
  }

  it('is refused with a code when it is no JSON', () => {
    for (const text of ['{', '', '{"a":1}x', '\u0000', nested(100_000).slice(1)])
      assert.throws(() => parseJson(text), { code: 'json.malformed' });
  });

  it('has members of any name, and none is inherited', () => {
    const text =
      '{"__proto__":{"status":{"results":[{"name":"IMAGES","value":"X"}]}},"constructor":{"prototype":{"x":1}},"status":{"__proto__":{"results":[{"name":"IMAGES","value":"X"}]}}}';
    const object = parseJson(text.replaceAll('X', `r.io/app@sha256:${hex(1)}`)) as JsonObject;

    for (const made of outcomes(familyWith(object))) assert.deepEqual(typeof made === 'object' && made.subjects, []);
    assert.equal(Object.hasOwn(Object.prototype, 'x'), false);
  });

  it('has halves of surrogate pairs and NUL, which are written so that everyone can read them', () => {
    const object = parseJson('{"status":{"results":[{"name":"\\ud800","value":"a\\u0000\\udc00"}]}}') as JsonObject;
    const [, made] = outcomes(familyWith(object));

    assert.ok(typeof made === 'object');
    const content = Buffer.from(JSON.stringify('a\u0000\ufffd')).toString('base64');
    assert.match(
      Buffer.from(made.bytes).toString('utf8'),
      new RegExp(`"content":"${content.replaceAll('+', '\\+')}","mediaType":"application/json","name":"taskRunResults/\ufffd"`),
    );
  });
});

describe('child references', () => {
  const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

  it('may name the run itself, each other, and nothing', async () => {
    const childReferences: Json = [
      { kind: 'PipelineRun', apiVersion: 'tekton.dev/v1', name: 'r', pipelineTaskName: 'self' },
      { kind: 'TaskRun', name: 'r' },
      { kind: 'TaskRun', name: 'lost' },
      { name: '__proto__' },
      { name: '' },
      { name: 5 },
      'x',
      null,
    ];
    const run = runOf('PipelineRun', { metadata: { name: 'r', namespace: 'n', uid: 'u' }, status: { childReferences, pipelineSpec: {} } });
    const task = runOf('TaskRun', { metadata: { name: 'r' } });
    const asked: string[] = [];
    const source = {
      relative: async (_: unknown, { name }: { readonly name: string }) => {
        asked.push(name);
        return await Promise.resolve(name === 'r' ? task : undefined);
      },
    };

    const family = await familyOf(run, source, ctx);

    assert.deepEqual(family.children, [
      { kind: 'other', reference: { kind: 'PipelineRun', apiVersion: 'tekton.dev/v1', name: 'r', pipelineTaskName: 'self' } },
      { kind: 'task-run', run: task },
      { kind: 'missing', reference: { kind: 'TaskRun', name: 'lost', pipelineTaskName: '' } },
      { kind: 'missing', reference: { kind: '', name: '__proto__', pipelineTaskName: '' } },
    ]);
    assert.deepEqual(asked, ['r', 'lost', '__proto__']);
    for (const made of outcomes(family)) assert.equal(typeof made, 'object');
  });

  it('are refused with a code when they are too many', async () => {
    const childReferences = many(5_000, (index) => ({ kind: 'TaskRun', name: `c${index}` }));
    const run = runOf('PipelineRun', { metadata: { name: 'r' }, status: { childReferences } });

    await assert.rejects(familyOf(run, { relative: async () => await Promise.resolve(undefined) }, ctx), { code: 'family.too-many' });
  });
});
