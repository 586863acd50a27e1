import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../model/json.ts';
import { Drops } from './drops.ts';
import { factsOf } from './facts.ts';
import { imagesToSign } from './images.ts';
import { mappedHints, taskNamesOf, type HintRule } from './mapping.ts';
import { taskHints } from './materials.ts';
import { meantHint, nearMisses } from './near-misses.ts';
import { looseSubjects } from './subjects.ts';

const digest = `sha256:${'1'.repeat(64)}`;
const commit = 'c'.repeat(40);
const gitRules: readonly HintRule[] = [
  { task: 'git-clone*', from: 'result', name: 'url', hint: 'CHAINS-GIT_URL' },
  { task: 'git-clone*', from: 'result', name: 'commit', hint: 'CHAINS-GIT_COMMIT' },
];
const jibRules: readonly HintRule[] = [{ task: 'jib-*', from: 'param', name: 'IMAGE', hint: 'IMAGE_URL' }];

function taskRun(task: string, results: Readonly<Record<string, Json>>, params: Readonly<Record<string, Json>> = {}): JsonObject {
  const listed = (values: Readonly<Record<string, Json>>) => Object.entries(values).map(([name, value]) => ({ name, value }));
  return { kind: 'TaskRun', spec: { taskRef: { name: task }, params: listed(params) }, status: { results: listed(results) } };
}

describe('factsOf with extract.hints', () => {
  it('reads the results of a known task as a git source', () => {
    const drops = new Drops();

    const materials = taskHints(factsOf(taskRun('git-clone', { url: 'https://git.example/a', commit }), '', gitRules), drops);

    assert.deepEqual(materials, [{ name: 'git+https://git.example/a.git', digest: { sha1: commit } }]);
    assert.deepEqual(drops.all, []);
  });

  it('reads a param as the other half of a pair, for subjects and signatures', () => {
    const facts = factsOf(taskRun('jib-maven', { IMAGE_DIGEST: digest }, { IMAGE: 'registry.example/app:1' }), '', jibRules);
    const drops = new Drops();

    assert.deepEqual(looseSubjects(facts.results, drops), [{ name: 'registry.example/app', digest: { sha256: '1'.repeat(64) } }]);
    assert.deepEqual(imagesToSign(facts.results, drops), [{ repository: 'registry.example/app', digest: '1'.repeat(64) }]);
    assert.deepEqual(drops.all, []);
  });

  it('takes the default of a param that the run does not give', () => {
    const run = taskRun('jib-maven', {});
    const withDefault = { ...run, status: { taskSpec: { params: [{ name: 'IMAGE', default: 'registry.example/d' }] } } };

    assert.deepEqual(mappedHints(withDefault, { results: [], prefix: 'x: ' }, jibRules), [
      {
        name: 'IMAGE_URL',
        value: { kind: 'string', text: 'registry.example/d' },
        where: 'x: status.taskSpec.params[IMAGE]',
        mappedFrom: { from: 'param', name: 'IMAGE' },
      },
    ]);
  });

  it('keeps the results as they are, and tells drops by the name that the run has', () => {
    const facts = factsOf(taskRun('git-clone', { commit }), '', gitRules);
    const drops = new Drops();

    taskHints(facts, drops);

    assert.deepEqual(
      facts.results.filter(({ mappedFrom }) => mappedFrom === undefined).map(({ name }) => name),
      ['commit'],
    );
    assert.deepEqual(
      drops.all.map(({ rule, result }) => [rule, result]),
      [['extract.incomplete-git', 'status.results[commit]']],
    );
  });

  it('lets a result with the name of the hint win, and the first of two rules', () => {
    const own = factsOf(taskRun('git-clone', { commit, 'CHAINS-GIT_COMMIT': 'd'.repeat(40) }), '', gitRules);
    const rules: readonly HintRule[] = [
      { task: '*', from: 'result', name: 'a', hint: 'IMAGES' },
      { task: '*', from: 'result', name: 'b', hint: 'IMAGES' },
    ];
    const twice = factsOf(taskRun('any', { b: 'B', a: 'A' }), '', rules);

    assert.equal(own.results.length, 2);
    assert.deepEqual(
      twice.results.filter(({ name }) => name === 'IMAGES').map(({ mappedFrom }) => mappedFrom?.name),
      ['a'],
    );
  });

  it('does not call a mapped result a near miss', () => {
    const rules: readonly HintRule[] = [{ task: 'old', from: 'result', name: 'image_url', hint: 'IMAGE_URL' }];
    const drops = new Drops();

    nearMisses(factsOf(taskRun('old', { image_url: 'x', image_digest: digest }), '', rules).results, drops);

    assert.deepEqual(
      drops.all.map(({ result }) => result),
      ['status.results[image_digest]'],
    );
  });

  it('changes nothing for a task that no rule names, and for a PipelineRun', () => {
    const other = taskRun('clone', { url: 'https://git.example/a', commit });
    const pipeline = { ...taskRun('git-clone', { url: 'https://git.example/a', commit }), kind: 'PipelineRun' };

    for (const run of [other, pipeline]) assert.deepEqual(factsOf(run, '', gitRules), factsOf(run));
  });

  it('never fails, whatever the run is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (spec) => {
        const run = { spec: spec as Json, metadata: spec as Json, status: spec as Json };

        assert.doesNotThrow(() => factsOf(run, '', [{ task: '*', from: 'param', name: 'a', hint: 'IMAGES' }, ...gitRules]));
      }),
    );
  });
});

describe('taskNamesOf', () => {
  const label = { 'tekton.dev/task': 'c' };
  const cases: readonly { readonly name: string; readonly run: JsonObject; readonly expected: readonly string[] }[] = [
    { name: 'the name of the reference', run: { spec: { taskRef: { name: 'a' } } }, expected: ['a'] },
    {
      name: 'what the resolver was asked for',
      run: { spec: { taskRef: { resolver: 'hub', params: [{ name: 'version' }, { name: 'name', value: 'b' }] } } },
      expected: ['b'],
    },
    { name: 'the label', run: { metadata: { labels: label } }, expected: ['c'] },
    {
      name: 'each of them once',
      run: { spec: { taskRef: { name: 'c', params: [{ name: 'name', value: 'b' }] } }, metadata: { labels: label } },
      expected: ['c', 'b'],
    },
    { name: 'none for a PipelineRun', run: { kind: 'PipelineRun', metadata: { labels: label } }, expected: [] },
    { name: 'none for wrong types', run: { spec: { taskRef: [] }, metadata: { labels: { 'tekton.dev/task': 5 } } }, expected: [] },
  ];
  for (const { name, run, expected } of cases) {
    it(`gives ${name}`, () => {
      assert.deepEqual(taskNamesOf(run), expected);
    });
  }
});

describe('meantHint', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['image_digest', 'IMAGE_DIGEST'],
    ['app-image-url', 'app-IMAGE_URL'],
    ['IMAGE-DIGEST', 'IMAGE_DIGEST'],
    ['mvn1_ARTIFACT_URL', 'mvn1_ARTIFACT_URI'],
    ['x_ARTIFACTS_OUTPUTS', 'x_ARTIFACT_OUTPUTS'],
    ['my_images', 'IMAGES'],
    ['chains-git-url', 'CHAINS-GIT_URL'],
    ['IMAGE_DIGEST', undefined],
    ['digest', undefined],
    ['', undefined],
  ];
  for (const [name, expected] of cases) {
    it(`${expected === undefined ? 'finds nothing in' : `finds ${expected} in`} "${name}"`, () => {
      assert.equal(meantHint(name)?.name, expected);
    });
  }
});
