import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { runOf } from '../../test/golden/rows.ts';
import { TerminalError } from '../errors.ts';
import { isList, isObject, parseJson, type Json, type JsonObject } from '../model/json.ts';
import type { Family, RunKind } from '../model/run.ts';
import type { Payload } from '../model/work.ts';
import type { FormatOptions } from './format.ts';
import { formatNames, formatOf, formats } from './formats.ts';

const examples = parseJson(readFileSync(new URL('../../test/golden/worked-examples.json', import.meta.url), 'utf8')) as JsonObject;
const taskRun = examples['taskRun'] as JsonObject;
const pipelineRun = examples['pipelineRun'] as JsonObject;
const options = { builderId: 'b', buildType: '', deepInspection: true };
const embedding = { ...options, buildType: 'https://tekton.dev/chains/v2/slsa-tekton' };
const settings = [
  { format: 'in-toto', options },
  ...['slsa/v2alpha3', 'slsa/v2alpha4'].flatMap((format) => [
    { format, options },
    { format, options: embedding },
  ]),
];

function familyOf(kind: RunKind, object: JsonObject): Family {
  if (kind === 'TaskRun') return { run: runOf(kind, object), children: [] };
  return { run: runOf(kind, pipelineRun), children: [{ kind: 'task-run', run: runOf('TaskRun', object) }] };
}

function payloadOf(family: Family, format: string, chosen: FormatOptions): Payload {
  const found = formatOf(format);
  assert.ok(found);
  return found.payload({ family, image: undefined }, chosen);
}

/** Every format of both kinds. Gives the codes of our own refusals; any other error is thrown. */
function refusalsOf(object: JsonObject): ReadonlySet<string> {
  const child = familyOf('TaskRun', object);
  const families = [child, familyOf('PipelineRun', object), { ...child, run: runOf('PipelineRun', object) }];
  const codes = new Set<string>();
  for (const { format, options: chosen } of settings) {
    for (const family of families) {
      try {
        JSON.parse(Buffer.from(payloadOf(family, format, chosen).bytes).toString('utf8'));
      } catch (error) {
        if (!(error instanceof TerminalError)) throw error;
        codes.add(error.code);
      }
    }
  }
  return codes;
}

/** The same value with every object's members in another order. */
function shuffled(value: Json, seed: number): Json {
  if (Array.isArray(value)) return value.map((item: Json) => shuffled(item, seed));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, shuffled(member ?? null, seed)] as const);
  const rotated = members.map((_, index) => members[(index * 7 + seed) % members.length]);
  const isWhole = new Set(rotated).size === members.length;
  return Object.fromEntries((isWhole ? rotated : members.toReversed()).filter((member) => member !== undefined));
}

/** The value with what stands at each place replaced by something else. */
function* replaced(value: Json): Generator<Json> {
  for (const other of [null, true, 0, -1.5, 1e300, '', 'x', '$(tasks.a.results.b)', [], [null], [[5]], {}, { name: 5 }]) yield other;
  if (isList(value)) {
    for (const [index, item] of value.entries()) for (const other of replaced(item)) yield value.with(index, other);
  } else if (isObject(value)) {
    for (const [name, member] of Object.entries(value)) for (const other of replaced(member ?? null)) yield { ...value, [name]: other };
  }
}

describe('formats', () => {
  it('are found by every one of their names, which are all different', () => {
    const rows = Object.values(formats);
    const names = rows.flatMap((row) => row.names);

    assert.deepEqual(
      names.map((name) => formatOf(name)),
      rows.flatMap((row) => row.names.map(() => row)),
    );
    assert.deepEqual(names, ['in-toto', 'slsa/v1', 'slsa/v2alpha3', 'slsa/v2alpha4', 'simplesigning', 'cosign/sign/v1']);
    assert.deepEqual([formatNames('oci'), formatOf('tekton')], [['simplesigning'], undefined]);
  });
});

describe('payloads', () => {
  it('are the same bytes whatever the order of members', () => {
    fc.assert(
      fc.property(
        fc.nat(100),
        fc.constantFrom(...settings),
        fc.constantFrom<RunKind>('TaskRun', 'PipelineRun'),
        (seed, { format, options: chosen }, kind) => {
          const plain = payloadOf(familyOf(kind, taskRun), format, chosen);
          const other = payloadOf(familyOf(kind, shuffled(taskRun, seed) as JsonObject), format, chosen);
          assert.deepEqual(other.bytes, plain.bytes);
        },
      ),
    );
  });
  it('are made, or refused with a reason, when any place holds another type', () => {
    const codes = [...replaced(taskRun)].filter(isObject).flatMap((object) => [...refusalsOf(object)]);

    // Among the others stand objects without a value where params and results are (E-60).
    assert.deepEqual([...new Set(codes)], ['format.value-missing']);
  });
  it('are made, or refused with a reason, of any JSON', () => {
    const name = fc.constantFrom(
      '__proto__',
      'constructor',
      'toString',
      '10',
      '9',
      'IMAGES',
      'x-ARTIFACT_OUTPUTS',
      'IMAGE_URL',
      'IMAGE_DIGEST',
    );
    const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
    const result = fc.record({ name, value: json }, { requiredKeys: ['name'] });
    const step = fc.record({
      name: fc.constantFrom('compile', 'unnamed-0'),
      imageID: fc.oneof(json, fc.constant('r@a:b')),
      results: fc.array(result),
    });
    const map = fc.dictionary(name, fc.oneof(fc.string(), json));
    const run = fc.record({
      metadata: fc.oneof(json, fc.record({ labels: map, annotations: map, name: json })),
      spec: fc.oneof(json, fc.record({ params: fc.array(result), podTemplate: fc.record({ nodeSelector: map }) })),
      status: fc.oneof(json, fc.record({ results: fc.array(result), steps: fc.array(step), taskSpec: json, completionTime: json })),
    });
    fc.assert(
      fc.property(run, (object) => {
        refusalsOf(object as JsonObject);
      }),
      { numRuns: 300 },
    );
  });
});

describe('names that objects inherit', () => {
  it('are members like any other', () => {
    const names = '{"__proto__":"a","constructor":"b","toString":"c","10":"d","9":"e"}';
    const text = `{"metadata":{"name":"n","labels":${names}},"spec":{"params":[{"name":"__proto__","value":${names}}]},
      "status":{"results":[{"name":"__proto__","value":${names}}],"provenance":{"refSource":{"digest":${names}}}}}`;
    const sorted = '{"10":"d","9":"e","__proto__":"a","constructor":"b","toString":"c"}';
    const family = familyOf('TaskRun', parseJson(text) as JsonObject);

    const v02 = Buffer.from(payloadOf(family, 'in-toto', options).bytes).toString('utf8');
    assert.ok(
      v02.includes(`"labels":${sorted}`) && v02.includes(`"parameters":{"__proto__":${sorted}}`) && v02.includes(`"digest":${sorted}`),
    );
    const v1 = Buffer.from(payloadOf(family, 'slsa/v2alpha3', options).bytes).toString('utf8');
    assert.ok(v1.includes(`"runSpec":{"params":[{"name":"__proto__","value":${sorted}}]`));
    assert.ok(v1.includes(Buffer.from(sorted).toString('base64')));
    assert.equal(Object.hasOwn(Object.prototype, 'x'), false);
  });
});

describe('a child that is no TaskRun, or is gone', () => {
  const references = [
    { kind: 'CustomRun', apiVersion: 'tekton.dev/v1beta1', name: 'wait', pipelineTaskName: 'w' },
    { kind: 'TaskRun', name: 'lost', pipelineTaskName: 'l' },
  ] as const;
  const children = [
    { kind: 'other', reference: references[0] },
    { kind: 'missing', reference: references[1] },
  ] as const;
  const family = { run: runOf('PipelineRun', pipelineRun), children };
  const told = [
    { ...references[0], state: 'not a TaskRun' },
    { ...references[1], state: 'missing' },
  ];
  it('stands in buildConfig of v0.2', () => {
    const statement = JSON.parse(Buffer.from(payloadOf(family, 'in-toto', options).bytes).toString('utf8')) as Statement;
    assert.deepEqual(statement.predicate.buildConfig?.unresolved, told);
  });
  for (const format of ['slsa/v2alpha3', 'slsa/v2alpha4']) {
    it(`stands among the by-products of ${format}`, () => {
      const statement = JSON.parse(Buffer.from(payloadOf(family, format, options).bytes).toString('utf8')) as Statement;
      const found = statement.predicate.runDetails?.byproducts.filter(({ name }) => name.startsWith('pipelineRunChildren/')) ?? [];
      assert.deepEqual(
        found.map(({ content }) => JSON.parse(Buffer.from(content, 'base64').toString('utf8')) as unknown),
        told,
      );
      assert.deepEqual(
        found.map(({ name }) => name),
        ['pipelineRunChildren/wait', 'pipelineRunChildren/lost'],
      );
    });
  }
});

interface Statement {
  readonly predicate: {
    readonly buildConfig?: { readonly unresolved: unknown };
    readonly runDetails?: { readonly byproducts: readonly { readonly name: string; readonly content: string }[] };
  };
}

describe('drops', () => {
  it('tell what a payload does not hold', () => {
    const status = { steps: [{ name: 's' }], results: [{ name: 'IMAGE_URL', value: 'r.io/foo' }] };
    const { dropped } = payloadOf(familyOf('TaskRun', { status }), 'slsa/v2alpha4', {
      builderId: 'b',
      buildType: '',
      deepInspection: false,
    });

    assert.deepEqual(
      dropped.map(({ result, rule }) => `${rule} ${result}`),
      ['extract.incomplete-pair status.results[IMAGE_URL]', 'extract.image-id status.steps[s].imageID'],
    );
  });
});
