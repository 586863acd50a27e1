import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runOf } from '../../test/golden/rows.ts';
import type { HintRule } from '../extract/mapping.ts';
import { at, isObject, parseJson, type Json, type JsonObject } from '../model/json.ts';
import type { Family } from '../model/run.ts';
import { formatOf } from './formats.ts';

const commit = 'c'.repeat(40);
const rules: readonly HintRule[] = [
  { task: 'git-clone', from: 'result', name: 'url', hint: 'CHAINS-GIT_URL' },
  { task: 'git-clone', from: 'result', name: 'commit', hint: 'CHAINS-GIT_COMMIT' },
];
const clone: JsonObject = {
  kind: 'TaskRun',
  metadata: { name: 'clone', uid: 'u', labels: { 'tekton.dev/pipelineTask': 'clone' } },
  spec: { taskRef: { name: 'git-clone' } },
  status: {
    completionTime: '2026-05-04T09:13:41Z',
    results: [
      { name: 'url', value: 'https://git.example/a' },
      { name: 'commit', value: commit },
    ],
  },
};
const release: JsonObject = {
  kind: 'PipelineRun',
  metadata: { name: 'release', uid: 'p' },
  status: { pipelineSpec: { tasks: [{ name: 'clone' }] }, childReferences: [{ name: 'clone' }] },
};
const families: Readonly<Record<string, Family>> = {
  TaskRun: { run: runOf('TaskRun', clone), children: [] },
  PipelineRun: { run: runOf('PipelineRun', release), children: [{ kind: 'task-run', run: runOf('TaskRun', clone) }] },
};
const options = { builderId: 'b', buildType: '', deepInspection: true, nativeArtifacts: false };

/** The statement, with its materials and by-products aside. */
function partsOf(family: Family, format: string, hints: readonly HintRule[]) {
  const payload = formatOf(format)?.payload({ family, image: undefined }, { ...options, hints });
  const statement = parseJson(Buffer.from(payload?.bytes ?? []).toString('utf8'));
  const dependencies = format === 'in-toto' ? ['predicate', 'materials'] : ['predicate', 'buildDefinition', 'resolvedDependencies'];
  return { rest: without(statement, dependencies), materials: at(statement, ...dependencies) };
}

function without(value: Json | undefined, [name = '', ...rest]: readonly string[]): Json | undefined {
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([member, inner]) => {
      if (member !== name) return [[member, inner]];
      return rest.length === 0 ? [] : [[member, without(inner, rest)]];
    }),
  );
}

describe('extract.hints in a payload', () => {
  for (const format of ['in-toto', 'slsa/v2alpha3', 'slsa/v2alpha4']) {
    for (const [kind, family] of Object.entries(families)) {
      it(`adds the material to ${format} of a ${kind}, and changes nothing else`, () => {
        const before = partsOf(family, format, []);
        const after = partsOf(family, format, rules);

        const named = format === 'in-toto' ? {} : { name: 'inputs/result' };
        assert.equal(before.materials, undefined);
        assert.deepEqual(after.materials, [{ digest: { sha1: commit }, uri: 'git+https://git.example/a.git', ...named }]);
        assert.deepEqual(after.rest, before.rest);
      });
    }
  }
});
