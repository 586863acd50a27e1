import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runOf } from '../../test/golden/rows.ts';
import { parseJson, type JsonObject } from '../model/json.ts';
import type { Family } from '../model/run.ts';
import { formatOf } from './formats.ts';

const h1 = '1'.repeat(64);
const h2 = '2'.repeat(64);
const value = (uri: string, hex: string): JsonObject => ({ uri, digest: { sha256: hex } });
const inputs = [{ name: 'source', values: [value('git+https://h/a', h1)] }];
const outputs = [
  { name: 'app', buildOutput: true, values: [value('oci://r.io/app', h1)] },
  { name: 'log', values: [value('s3://b/log', h2)] },
];
const taskRun: JsonObject = {
  metadata: { name: 'tr', uid: 'u', labels: { 'tekton.dev/pipelineTask': 't' } },
  status: {
    completionTime: '2024-05-01T10:00:00Z',
    artifacts: { inputs, outputs },
    steps: [{ name: 's', imageID: `i@sha256:${h1}`, inputs, outputs }],
  },
};
const pipelineRun: JsonObject = { metadata: { name: 'pr', uid: 'p' }, status: { pipelineSpec: { tasks: [{ name: 't' }] } } };
const task = runOf('TaskRun', taskRun);
const families: Readonly<Record<string, Family>> = {
  TaskRun: { run: task, children: [] },
  PipelineRun: { run: runOf('PipelineRun', pipelineRun), children: [{ kind: 'task-run', run: task }] },
};

interface Seen {
  readonly subjects: readonly unknown[];
  readonly materials: readonly unknown[];
  readonly byproducts: readonly unknown[];
}

function seen(kind: string, format: string, nativeArtifacts: boolean, deepInspection = true): Seen {
  const family = families[kind];
  assert.ok(family);
  const options = { builderId: 'b', buildType: '', deepInspection, nativeArtifacts };
  const payload = formatOf(format)?.payload({ family, image: undefined }, options);
  assert.ok(payload);
  assert.deepEqual(payload.dropped, []);
  const { predicate } = JSON.parse(Buffer.from(payload.bytes).toString('utf8')) as {
    readonly predicate: {
      readonly materials?: readonly unknown[];
      readonly buildDefinition?: { readonly resolvedDependencies?: readonly unknown[] };
      readonly runDetails?: { readonly byproducts?: readonly unknown[] };
    };
  };
  const materials = predicate.materials ?? predicate.buildDefinition?.resolvedDependencies ?? [];
  return { subjects: payload.subjects, materials, byproducts: predicate.runDetails?.byproducts ?? [] };
}

const image = { digest: { sha256: h1 }, uri: 'oci://i' };
const app = { name: 'oci://r.io/app', digest: { sha256: h1 } };
const log = { name: 's3://b/log', digest: { sha256: h2 } };
const source = { digest: { sha256: h1 }, uri: 'git+https://h/a' };
const dependency = { ...source, name: 'inputs/artifact' };
const byproduct = { digest: { sha256: h2 }, name: 'taskRunArtifacts/tr/log', uri: 's3://b/log' };

describe('native artifacts', () => {
  const wanted: Readonly<Record<string, Seen>> = {
    'in-toto': { subjects: [app, log], materials: [image, source], byproducts: [] },
    'slsa/v2alpha3': { subjects: [app, log], materials: [image, dependency], byproducts: [] },
    'slsa/v2alpha4': { subjects: [app], materials: [image, dependency], byproducts: [byproduct] },
  };
  for (const [format, want] of Object.entries(wanted)) {
    for (const kind of Object.keys(families)) {
      it(`are what a ${kind} used and made in ${format}, when asked for`, () => {
        assert.deepEqual(seen(kind, format, true), want);
        assert.deepEqual(seen(kind, format, false), { subjects: [], materials: [image], byproducts: [] });
      });
    }
    it(`of children count in ${format} only with deep inspection`, () => {
      assert.deepEqual(seen('PipelineRun', format, true, false), { subjects: [], materials: [image], byproducts: [] });
    });
  }
});

describe('numbers', () => {
  it('stay in runSpec as they were received, in the free-form spec of a custom task', () => {
    const spec = '{"big":9007199254740993,"exponent":1e3,"fraction":1.0,"negative":-0,"small":1E-7}';
    const object = parseJson(
      `{"metadata":{"name":"pr"},"spec":{"pipelineSpec":{"tasks":[{"name":"c","taskSpec":{"kind":"Wait","spec":${spec}}}]}}}`,
    );
    const family = { run: runOf('PipelineRun', object as JsonObject), children: [] };

    const payload = formatOf('slsa/v2alpha4')?.payload(
      { family, image: undefined },
      { builderId: 'b', buildType: '', deepInspection: false },
    );

    assert.ok(
      Buffer.from(payload?.bytes ?? '')
        .toString('utf8')
        .includes(`"spec":${spec}`),
    );
  });
  it('of members that stand twice, the last one counts', () => {
    const object = parseJson('{"metadata":{"name":"a","uid":"u"},"spec":{"retries":1,"retries":2}}') as JsonObject;
    const family = { run: runOf('TaskRun', object), children: [] };

    const payload = formatOf('slsa/v2alpha3')?.payload(
      { family, image: undefined },
      { builderId: 'b', buildType: '', deepInspection: false },
    );

    assert.ok(
      Buffer.from(payload?.bytes ?? '')
        .toString('utf8')
        .includes('"runSpec":{"retries":2,"serviceAccountName":""}'),
    );
  });
});
