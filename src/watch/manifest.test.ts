import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { orderedText } from '../model/json-text.ts';
import { at, parseJson, textAt } from '../model/json.ts';
import { parseManifest } from './manifest.ts';

const uid = '6b3b1d7e-0f3a-4c55-9a3e-0f6d5d0b7c11';
const taskRun = { apiVersion: 'tekton.dev/v1', kind: 'TaskRun', metadata: { name: 'a', namespace: 'ci', uid } };
const pipelineRun = { ...taskRun, kind: 'PipelineRun', metadata: { ...taskRun.metadata, name: 'p' } };
const yamlRun = `apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: a, namespace: ci, uid: ${uid}}\n`;

/** What a text gives, as one line for each object and problem. */
function told(text: string): readonly string[] {
  const { objects, problems } = parseManifest(text);
  return [
    ...objects.map(
      ({ kind, object, line }) => `${line}: ${kind} ${textAt(object, 'metadata', 'namespace')}/${textAt(object, 'metadata', 'name')}`,
    ),
    ...problems.map(({ line, column, message }) => `${line}:${column} ${message}`),
  ];
}

describe('parseManifest', () => {
  const cases: readonly { readonly name: string; readonly text: string; readonly want: readonly string[] }[] = [
    { name: 'nothing', text: '', want: [] },
    { name: 'comments and empty documents', text: '# x\n---\n---\n\n', want: [] },
    { name: 'YAML', text: yamlRun, want: ['1: TaskRun ci/a'] },
    { name: 'JSON', text: `\n${JSON.stringify(taskRun)}`, want: ['2: TaskRun ci/a'] },
    {
      name: 'several documents',
      text: `# one\n${yamlRun}---\n${yamlRun.replace('name: a', 'name: b')}`,
      want: ['2: TaskRun ci/a', '6: TaskRun ci/b'],
    },
    {
      name: 'JSON documents',
      text: `${JSON.stringify(taskRun)}\n---\n${JSON.stringify(pipelineRun)}\n`,
      want: ['1: TaskRun ci/a', '3: PipelineRun ci/p'],
    },
    {
      name: 'a list as JSON',
      text: JSON.stringify(
        { apiVersion: 'v1', kind: 'List', metadata: {}, items: [taskRun, { kind: 'Task', apiVersion: 'tekton.dev/v1' }, pipelineRun] },
        undefined,
        1,
      ),
      want: ['6: TaskRun ci/a', '19: PipelineRun ci/p'],
    },
    {
      name: 'a list as YAML',
      text: `apiVersion: v1\nkind: List\nitems:\n- apiVersion: tekton.dev/v1\n  kind: TaskRun\n  metadata: {name: a}\n- apiVersion: tekton.dev/v1\n  kind: PipelineRun\n  metadata: {name: p}\n`,
      want: ['4: TaskRun default/a', '7: PipelineRun default/p'],
    },
    {
      name: 'a typed list whose elements have no kind',
      text: JSON.stringify({ apiVersion: 'tekton.dev/v1', kind: 'TaskRunList', items: [{ metadata: taskRun.metadata }] }),
      want: ['1: TaskRun ci/a'],
    },
    { name: 'an empty list', text: '{"apiVersion":"v1","kind":"List","items":[]}', want: [] },
    {
      name: 'other kinds',
      text: ['v1 ConfigMap', 'tekton.dev/v1 Task', 'tekton.dev/v1beta1 CustomRun', 'example.com/v1 TaskRun']
        .map((both) => `apiVersion: ${both.split(' ')[0]}\nkind: ${both.split(' ')[1]}\n`)
        .join('---\n'),
      want: [],
    },
    { name: 'v1beta1', text: yamlRun.replace('dev/v1', 'dev/v1beta1'), want: ['1: TaskRun ci/a'] },
    {
      name: 'v1beta1 with a field of another name',
      text: `${yamlRun.replace('dev/v1', 'dev/v1beta1')}status: {taskResults: []}\n`,
      want: [
        '1:1 TaskRun "a" of tekton.dev/v1beta1 has status.taskResults, which tekton.dev/v1 calls status.results: fetch it as v1, for example with "kubectl get taskruns.v1.tekton.dev NAME -o yaml"',
      ],
    },
    {
      name: 'another version',
      text: yamlRun.replace('dev/v1', 'dev/v1alpha1'),
      want: ['1:1 TaskRun "a" has the apiVersion "tekton.dev/v1alpha1": want tekton.dev/v1'],
    },
    {
      name: 'no kind',
      text: 'apiVersion: tekton.dev/v1\nmetadata: {name: a}\n',
      want: ['1:1 kind is missing: every object of a file needs both'],
    },
    { name: 'no apiVersion', text: '\nkind: TaskRun\n', want: ['2:1 apiVersion is missing: every object of a file needs both'] },
    { name: 'no object', text: '- 1\n- 2\n', want: ['1:1 it is no Kubernetes object: want a map with apiVersion, kind and metadata'] },
    { name: 'a text', text: 'hello', want: ['1:1 it is no Kubernetes object: want a map with apiVersion, kind and metadata'] },
    { name: 'no metadata', text: 'apiVersion: tekton.dev/v1\nkind: TaskRun\n', want: ['1:1 TaskRun "": metadata is missing'] },
    { name: 'no name', text: yamlRun.replace('name: a, ', ''), want: ['1:1 TaskRun "": metadata.name is missing'] },
    {
      name: 'a name to be generated',
      text: yamlRun.replace('name: a', 'generateName: a-'),
      want: ['1:1 TaskRun "": metadata.name is missing: only a run that was created has one'],
    },
    {
      name: 'a name with a path',
      text: yamlRun.replace('name: a', 'name: ../a'),
      want: ['1:1 TaskRun "../a": metadata.name is no Kubernetes name'],
    },
    {
      name: 'a UID with a path',
      text: yamlRun.replace(uid, 'x/y'),
      want: ['1:1 TaskRun "a": metadata.uid is not what Kubernetes would give'],
    },
    {
      name: 'a namespace that is a number',
      text: yamlRun.replace('namespace: ci', 'namespace: 7'),
      want: ['1:1 TaskRun "a": metadata.namespace is not what Kubernetes would give'],
    },
    {
      name: 'a broken document beside a good one',
      text: `${yamlRun}---\na: "b\n`,
      want: ['1: TaskRun ci/a', '6:1 Missing closing "quote'],
    },
    { name: 'a key that stands twice', text: `${yamlRun}kind: TaskRun\n`, want: ['4:1 the key "kind" stands twice in one map'] },
    {
      name: 'a member that stands twice',
      text: '{"apiVersion":"v1",\n "kind":"x","k\\u0069nd":"y"}',
      want: ['2:13 the member "kind" stands twice in one object'],
    },
    { name: 'broken JSON', text: '{"apiVersion": "v1",\n"kind" "x"}', want: ['2:8 Missing , or : between flow map items'] },
    { name: 'a number that JSON cannot write', text: `${yamlRun}x: .inf\n`, want: ['1:1 the number Infinity cannot be written as JSON'] },
    { name: 'an unknown alias', text: `${yamlRun}x: *y\n`, want: ['1:1 Unresolved alias (the anchor must be set before the alias): y'] },
  ];
  for (const { name, text, want } of cases) {
    it(`reads ${name}`, () => {
      const got = told(text);

      assert.equal(got.length, want.length, got.join('\n'));
      for (const [index, line] of want.entries()) assert.ok(got[index]?.startsWith(line), `${got[index]}\nis not\n${line}`);
    });
  }

  it('hands an object on as it is, numbers and order included', () => {
    const text = `{"kind":"TaskRun","apiVersion":"tekton.dev/v1","metadata":{"uid":"${uid}","namespace":"ci","name":"a"},"spec":{"n":[1.0,-0,9007199254740993,1e2,5]}}`;

    const [run] = parseManifest(text).objects;

    assert.ok(run);
    assert.equal(orderedText(run.object), text);
  });

  it('reads the numbers and words of YAML as kubectl does', () => {
    const values = 'a: 0644, b: 9007199254740993, c: 1.50, d: on, e: 2024-05-01T10:00:00Z, f: 12:30, g: "1", h: ~, i: -0, j: -0.0, k: 0x1F';

    const [run] = parseManifest(`${yamlRun}spec: {${values}}\n`).objects;

    assert.ok(run);
    assert.equal(
      orderedText(at(run.object, 'spec') ?? null),
      '{"a":420,"b":9007199254740993,"c":1.5,"d":true,"e":"2024-05-01T10:00:00Z","f":"12:30","g":"1","h":null,"i":0,"j":-0,"k":31}',
    );
  });

  it('follows anchors and merges', () => {
    const [run] = parseManifest(`${yamlRun}base: &base {x: 1, y: 2}\nspec: {<<: *base, y: 3}\n`).objects;

    assert.ok(run);
    assert.equal(orderedText(at(run.object, 'spec') ?? null), '{"x":1,"y":3}');
  });

  it('fills in a namespace and a UID of its own that stays the same', () => {
    const bare = (text: string) => at(parseManifest(text).objects[0]?.object, 'metadata');
    const first = 'apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata:\n  name: a\n';

    assert.deepEqual(bare(first), { name: 'a', namespace: 'default', uid: 'e6aa80ce-c9e3-8a57-8b8c-f227ea8fc85a' });
    assert.deepEqual(bare(`# moved\n${first}spec: {}\n`), bare(first));
    for (const other of [
      first.replace('TaskRun', 'PipelineRun'),
      first.replace('name: a', 'name: b'),
      `${first}  namespace: x\n`,
      `${first}  creationTimestamp: "2024-05-01T10:00:00Z"\n`,
    ]) {
      assert.notEqual(at(bare(other), 'uid'), at(bare(first), 'uid'));
    }
  });

  it('bounds what aliases unfold to', () => {
    const letters = 'abcdefghij'.split('');
    const bomb = letters.map(
      (letter, index) =>
        `${letter}: &${letter} [${Array(9)
          .fill(index === 0 ? 'x' : `*${letters[index - 1]}`)
          .join(',')}]`,
    );

    const { objects, problems } = parseManifest(`${yamlRun}${bomb.join('\n')}\n`);

    assert.deepEqual(objects, []);
    assert.deepEqual(
      problems.map(({ message }) => message),
      ['Excessive alias count indicates a resource exhaustion attack'],
    );
  });

  const deep = [
    { name: 'JSON', text: '['.repeat(200_000) },
    { name: 'JSON that is complete', text: `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}` },
    { name: 'YAML', text: '- '.repeat(100_000) },
  ];
  for (const { name, text } of deep) {
    it(`survives deep ${name}`, () => {
      const { objects, problems } = parseManifest(text);

      assert.deepEqual(objects, []);
      assert.ok(problems.length > 0 && problems.length <= 10);
      assert.ok(!problems.some(({ message }) => message.includes('call stack')));
    });
  }

  it('looks for repeated names in time', () => {
    const text = `apiVersion: v1\nkind: x\n${Array.from({ length: 50_000 }, (_, index) => `k${index}: 1`).join('\n')}\nk1: 2\n`;

    assert.deepEqual(told(text), ['50003:1 the key "k1" stands twice in one map']);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.json(), fc.string({ unit: fc.constantFrom(...'{}[]":,-&*!|>#\n ab1'.split('')) })),
        (text) => void parseManifest(text),
      ),
    );
  });

  it('gives back any JSON object it was given', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (spec) => {
        const text = JSON.stringify({ ...taskRun, spec });
        const [run] = parseManifest(text).objects;
        assert.equal(run === undefined ? '' : orderedText(run.object), orderedText(parseJson(text)));
      }),
    );
  });
});
