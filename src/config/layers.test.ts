import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sentenceOfFinding } from './finding.ts';
import { dataLayer, environmentLayer, fileLayer, flagLayer, type Layer } from './layers.ts';
import { nearest } from './nearest.ts';
import { keyNames, variableOf } from './schema.ts';

function layerText({ entries, problems, warnings }: Layer) {
  return { entries: Object.fromEntries(entries), problems: problems.map(sentenceOfFinding), warnings: warnings.map(sentenceOfFinding) };
}
const plain = (entries: Record<string, string>) => ({ entries, problems: [], warnings: [] });

describe('fileLayer', () => {
  const read = [
    { name: 'a data map', text: 'builder.id: x\n', want: plain({ 'builder.id': 'x' }) },
    { name: 'a ConfigMap', text: 'apiVersion: v1\nkind: ConfigMap\ndata:\n  builder.id: x\n', want: plain({ 'builder.id': 'x' }) },
    {
      name: 'a ConfigMap as JSON',
      text: '{"apiVersion":"v1","kind":"ConfigMap","data":{"builder.id":"x"}}',
      want: plain({ 'builder.id': 'x' }),
    },
    { name: 'a ConfigMap without data', text: 'apiVersion: v1\nkind: ConfigMap\n', want: plain({}) },
    {
      name: 'the only ConfigMap among other objects',
      text: '---\napiVersion: v1\nkind: Namespace\n---\napiVersion: v1\nkind: ConfigMap\ndata: {builder.id: x}\n',
      want: plain({ 'builder.id': 'x' }),
    },
    { name: 'an empty file', text: '# nothing\n---\n', want: plain({}) },
    {
      name: 'values that are no text',
      text: 'concurrency: 16\nproof.read-back: true\nnamespace: [a]\n',
      want: {
        entries: {},
        problems: [
          'concurrency (f): the value is a number, and ConfigMaps hold text only; put it in quotes',
          'proof.read-back (f): the value is a boolean, and ConfigMaps hold text only; put it in quotes',
          'namespace (f): the value is a list, and ConfigMaps hold text only; put it in quotes',
        ],
        warnings: [],
      },
    },
    {
      name: 'a key that stands twice',
      text: 'builder.id: x\nbuilder.id: y\n',
      want: { entries: {}, problems: ['f: line 2, column 1: Map keys must be unique'], warnings: [] },
    },
    {
      name: 'another kind',
      text: 'apiVersion: v1\nkind: Secret\n',
      want: { entries: {}, problems: ['f: it holds a Secret, not a ConfigMap'], warnings: [] },
    },
    {
      name: 'two ConfigMaps',
      text: 'apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\n',
      want: { entries: {}, problems: ['f: it holds 2 ConfigMaps; give a file with one ConfigMap, or with its data'], warnings: [] },
    },
    {
      name: 'a list',
      text: '- a\n',
      want: {
        entries: {},
        problems: ['f: it holds no ConfigMap and no map of keys to values; give a file with one ConfigMap, or with its data'],
        warnings: [],
      },
    },
  ];
  for (const { name, text, want } of read) {
    it(`reads ${name}`, () => assert.deepEqual(layerText(fileLayer('f', text)), want));
  }

  it('says where broken YAML breaks', () => {
    const { problems } = layerText(fileLayer('f', 'a: b\nc: "d\n'));

    assert.match(problems[0] ?? '', /^f: line 3, column 1: Missing closing/);
  });

  it('refuses a bomb of aliases instead of unfolding it', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(',')}]`),
    ];

    const { problems } = layerText(fileLayer('f', bomb.join('\n')));

    assert.deepEqual(problems, ['f: it cannot be unfolded: Excessive alias count indicates a resource exhaustion attack']);
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void fileLayer('f', text)));
  });
});

describe('environmentLayer', () => {
  it('takes every key from its variable', () => {
    const variables = Object.fromEntries(keyNames.map((name) => [variableOf(name), name]));

    assert.deepEqual(layerText(environmentLayer(variables)), plain(Object.fromEntries(keyNames.map((name) => [name, name]))));
  });

  it('passes over other variables and those that Kubernetes makes for a Service of our name', () => {
    const variables = {
      PATH: '/bin',
      CHAINSMITH_SERVICE_HOST: '10.0.0.1',
      CHAINSMITH_SERVICE_PORT_METRICS: '9090',
      CHAINSMITH_PORT: 'tcp://10.0.0.1:9090',
      CHAINSMITH_PORT_9090_TCP_ADDR: '10.0.0.1',
      CHAINSMITH_CONCURRENCY: undefined,
    };

    assert.deepEqual(layerText(environmentLayer(variables)), plain({}));
  });

  it('warns about a variable with a slip, without its value', () => {
    assert.deepEqual(layerText(environmentLayer({ CHAINSMITH_CONCURENCY: 'hunter2' })), {
      entries: {},
      problems: [],
      warnings: ['CHAINSMITH_CONCURENCY (environment): no key has this variable, so it is ignored; did you mean "CHAINSMITH_CONCURRENCY"?'],
    });
  });
});

describe('flagLayer', () => {
  it('splits at the first equals sign and keeps the last of a key', () => {
    assert.deepEqual(layerText(flagLayer(['a=1', 'b=x=y', 'a=2', 'c='])), plain({ a: '2', b: 'x=y', c: '' }));
  });

  it('refuses a flag without a key, and does not show it', () => {
    const { problems } = layerText(flagLayer(['hunter2', '=hunter2']));

    assert.deepEqual(problems, Array(2).fill('--set: there is no key before "="; write --set key=value'));
  });
});

describe('dataLayer', () => {
  it('keeps a key called __proto__ as any other', () => {
    assert.deepEqual([...dataLayer('x', Object.fromEntries([['__proto__', 'y']])).entries], [['__proto__', 'y']]);
  });
});

describe('nearest', () => {
  const cases = [
    { given: 'artifacts.taskrun.formt', want: 'artifacts.taskrun.format' },
    { given: 'artifacts.task-run.format', want: 'artifacts.taskrun.format' },
    { given: 'storage_oci_repository', want: 'storage.oci.repository' },
    { given: 'conucrrency', want: 'concurrency' },
    { given: 'transparency.enable', want: 'transparency.enabled' },
    { given: 'storage.gcs.bukcet', want: 'storage.gcs.bucket' },
    { given: 'foo', want: undefined },
    { given: '', want: undefined },
    { given: 'x'.repeat(1000), want: undefined },
  ];
  for (const { given, want } of cases) {
    it(`takes "${given.slice(0, 30)}" for ${want ?? 'nothing'}`, () => assert.equal(nearest(given, keyNames), want));
  }

  it('finds every key again after one slip', () => {
    fc.assert(
      fc.property(fc.constantFrom(...keyNames), fc.nat(), (name, place) => {
        const at = place % name.length;
        assert.ok(nearest(name.slice(0, at) + name.slice(at + 1), keyNames) !== undefined);
      }),
    );
  });
});
