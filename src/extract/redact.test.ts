import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { runOf } from '../../test/golden/rows.ts';
import { parseJson, type Json, type JsonObject } from '../model/json.ts';
import type { Family } from '../model/run.ts';
import { matchesGlob } from './glob.ts';
import { holdsMarker, isMarker, markerOf } from './marker.ts';
import { redact } from './redact.ts';
import type { RedactOptions } from './redact-names.ts';

const off: RedactOptions = { params: [], results: [], tokenShapes: false, salt: '' };
const token = `gh${'p_'}${'a1B2'.repeat(10)}`;
const secret = 'correct horse "battery" <staple>';
const mark = (value: string): string => markerOf(value, 'chainsmith redaction of u1');

function familyOf(object: JsonObject, ...children: readonly JsonObject[]): Family {
  const identified = { ...object, metadata: { name: 'r', namespace: 'n', uid: 'u1', ...(object['metadata'] as JsonObject) } };
  return {
    run: runOf(children.length === 0 ? 'TaskRun' : 'PipelineRun', identified),
    children: children.map((child) => ({ kind: 'task-run', run: runOf('TaskRun', child) })),
  };
}
function objectsOf(family: Family): readonly JsonObject[] {
  return [family.run.object, ...family.children.flatMap((child) => (child.kind === 'task-run' ? [child.run.object] : []))];
}

describe('matchesGlob', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['token', 'token', true],
    ['token', 'tokens', false],
    ['*', '', true],
    ['*token*', 'my-token-2', true],
    ['*-password', 'db-password', true],
    ['*-password', 'db-password-file', false],
    ['p?n', 'pin', true],
    ['p?n', 'pn', false],
    ['a*b*c', 'aXbXbXc', true],
    ['.*', 'xx', false],
    ['', '', true],
    ['TOKEN', 'token', false],
  ];
  for (const [glob, name, matches] of cases)
    it(`${glob} ${matches ? 'matches' : 'does not match'} "${name}"`, () => assert.equal(matchesGlob(glob, name), matches));
  it('takes no time for long names', () => assert.equal(matchesGlob(`${'*a'.repeat(20)}b`, 'a'.repeat(50_000)), false));
});

describe('redact', () => {
  it('gives back as it came what has nothing to hide', () => {
    const family = familyOf({ spec: { params: [{ name: 'x', value: 'https://git.example/a' }] } });

    const made = redact(family, { ...off, params: ['nothing'], tokenShapes: true });

    assert.equal(made.count, 0);
    for (const [index, object] of objectsOf(made.family).entries()) assert.equal(object, objectsOf(family)[index]);
  });

  it('replaces a named param wherever its value stands, and tells where', () => {
    const escaped = JSON.stringify(secret).slice(1, -1);
    const object = {
      metadata: {
        annotations: {
          note: `for ${secret}!`,
          'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ spec: { params: [{ name: 'pass', value: secret }] } }),
          'chains.tekton.dev/payload-taskrun-u1': Buffer.from('{}').toString('base64'),
          'chains.tekton.dev/signed': 'true',
        },
      },
      spec: {
        params: [
          { name: 'pass', value: secret },
          { name: 'url', value: `https://h/?p=${secret}` },
        ],
      },
      status: {
        taskSpec: {
          params: [{ name: 'pass', default: 'another secret' }],
          steps: [{ name: 's', script: `login '${secret}'`, args: ['-p', secret], env: [{ name: 'P', value: secret }] }],
        },
        results: [{ name: 'log', value: `{"p":"${escaped}"}` }],
      },
    };
    const [clean] = objectsOf(redact(familyOf(object), { ...off, params: ['pa*'] }).family);

    assert.deepEqual(clean, {
      metadata: {
        name: 'r',
        namespace: 'n',
        uid: 'u1',
        annotations: {
          note: `for ${mark(secret)}!`,
          'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ spec: { params: [{ name: 'pass', value: mark(secret) }] } }),
          'chains.tekton.dev/payload-taskrun-u1': mark(Buffer.from('{}').toString('base64')),
          'chains.tekton.dev/signed': 'true',
        },
      },
      spec: {
        params: [
          { name: 'pass', value: mark(secret) },
          { name: 'url', value: `https://h/?p=${mark(secret)}` },
        ],
      },
      status: {
        taskSpec: {
          params: [{ name: 'pass', default: mark('another secret') }],
          steps: [{ name: 's', script: `login '${mark(secret)}'`, args: ['-p', mark(secret)], env: [{ name: 'P', value: mark(secret) }] }],
        },
        results: [{ name: 'log', value: `{"p":"${mark(secret)}"}` }],
      },
    });
  });

  it('counts, and names places but no value', () => {
    const made = redact(
      familyOf({ spec: { params: [{ name: 'pass', value: secret }] }, status: { results: [{ name: 'r', value: [secret, 'b'] }] } }),
      {
        ...off,
        params: ['pass'],
      },
    );

    assert.deepEqual([made.count, made.places], [2, ['spec.params[pass].value', 'status.results[r].value[0]']]);
  });

  it('finds in the children what is named in the parent, and the other way round', () => {
    const family = familyOf(
      { spec: { params: [{ name: 'pass', value: secret }] }, status: { results: [{ name: 'x', value: 'from the child' }] } },
      {
        metadata: { name: 'c' },
        status: { taskSpec: { steps: [{ script: `a ${secret}` }] }, results: [{ name: 'key', value: 'from the child' }] },
      },
    );

    assert.deepEqual(
      objectsOf(redact(family, { ...off, params: ['pass'], results: ['key'] }).family).map(({ spec, status }) => ({ spec, status })),
      [
        { spec: { params: [{ name: 'pass', value: mark(secret) }] }, status: { results: [{ name: 'x', value: mark('from the child') }] } },
        {
          spec: undefined,
          status: { taskSpec: { steps: [{ script: `a ${mark(secret)}` }] }, results: [{ name: 'key', value: mark('from the child') }] },
        },
      ],
    );
  });

  const values: readonly (readonly [Json, Json])[] = [
    ['', ''],
    [null, null],
    ['$(tasks.a.results.b)', '$(tasks.a.results.b)'],
    [
      ['a', '', null],
      [mark('a'), '', null],
    ],
    [
      { user: 'u', __proto: 'p' },
      { user: mark('u'), __proto: mark('p') },
    ],
    [5, mark('5')],
    [true, mark('true')],
    [[1, 'b'], mark('[1,"b"]')],
    [{ b: { c: 1 }, a: 'x' }, mark('{"a":"x","b":{"c":1}}')],
  ];
  for (const [value, want] of values) {
    it(`keeps the type of ${JSON.stringify(value)} when it can`, () => {
      const [clean] = objectsOf(redact(familyOf({ status: { results: [{ name: 'r', value }] } }), { ...off, results: ['r'] }).family);

      assert.deepEqual(clean?.['status'], { results: [{ name: 'r', value: want }] });
    });
  }

  it('looks for a short value only where it stands alone, and leaves names, ids and digests', () => {
    const status = {
      taskSpec: { steps: [{ name: 'main', script: 'git checkout main', args: ['main', 'maintain'] }] },
      steps: [{ name: 'main', imageID: 'r.io/abcdefghij@sha256:ab', results: [{ name: 'x', value: 'r.io/abcdefghij' }] }],
      provenance: { refSource: { uri: 'r.io/abcdefghij', digest: { sha1: 'abcdefghij' } } },
    };
    const spec = {
      params: [
        { name: 'a', value: 'main' },
        { name: 'b', value: 'abcdefghij' },
      ],
    };
    const [clean] = objectsOf(redact(familyOf({ spec, status }), { ...off, params: ['*'] }).family);

    assert.deepEqual(clean?.['status'], {
      taskSpec: { steps: [{ name: 'main', script: 'git checkout main', args: [mark('main'), 'maintain'] }] },
      steps: [{ name: 'main', imageID: 'r.io/abcdefghij@sha256:ab', results: [{ name: 'x', value: `r.io/${mark('abcdefghij')}` }] }],
      provenance: { refSource: { uri: `r.io/${mark('abcdefghij')}`, digest: { sha1: 'abcdefghij' } } },
    });
  });

  it('reads what a step reported to Tekton', () => {
    const message = JSON.stringify([
      { key: 'pin', value: '1234', type: 1 },
      { key: 'StartedAt', value: 'x', type: 3 },
    ]);
    const state = (text: string): JsonObject => ({ steps: [{ name: 's', terminated: { message: text } }] });
    const [clean] = objectsOf(redact(familyOf({ status: state(message) }), { ...off, results: ['pin'] }).family);

    assert.deepEqual(clean?.['status'], state(message.replace('1234', mark('1234'))));
  });

  it('finds token shapes everywhere, whatever is named', () => {
    const object = {
      spec: { params: [{ name: 'x', value: token }] },
      status: { taskSpec: { steps: [{ script: `curl -H ${token} h`, env: [{ value: token }] }] } },
    };
    const made = redact(familyOf(object), { ...off, tokenShapes: true });

    assert.equal(made.count, 3);
    assert.deepEqual(objectsOf(made.family)[0]?.['status'], {
      taskSpec: { steps: [{ script: `curl -H ${mark(token)} h`, env: [{ value: mark(token) }] }] },
    });
    assert.equal(redact(familyOf(object), off).count, 0);
  });

  it('knows an AWS secret key by its name', () => {
    const key = 'aB3+'.repeat(10);
    const env = [
      { name: 'AWS_SECRET_ACCESS_KEY', value: key },
      { name: 'OTHER', value: key },
    ];
    const [clean] = objectsOf(redact(familyOf({ status: { taskSpec: { steps: [{ env }] } } }), { ...off, tokenShapes: true }).family);

    assert.deepEqual(clean?.['status'], { taskSpec: { steps: [{ env: [{ name: 'AWS_SECRET_ACCESS_KEY', value: mark(key) }, env[1]] }] } });
  });

  it('salts with what is configured, else with the run', () => {
    const family = familyOf({ spec: { params: [{ name: 'p', value: secret }] } });
    const valueOf = (given: Family, salt: string): Json | undefined =>
      ((redact(given, { ...off, params: ['p'], salt }).family.run.object['spec'] as JsonObject)['params'] as readonly JsonObject[])[0]?.[
        'value'
      ];

    assert.equal(valueOf(family, 'pepper'), markerOf(secret, 'pepper'));
    assert.notEqual(valueOf(family, ''), valueOf({ ...family, run: { ...family.run, uid: 'u2' } }, ''));
    assert.ok(isMarker(markerOf('x', '')) && !isMarker('redacted:sha256-salted:') && holdsMarker(`r.io/${markerOf('x', '')}`));
  });

  it('refuses a run in which it would look for too many values', () => {
    const results = Array.from({ length: 100_000 }, (_, index) => ({ name: 'r', value: `a value ${index}` }));

    assert.throws(() => redact(familyOf({ status: { results } }), { ...off, results: ['*'] }), { code: 'redact.too-much' });
  });

  it('bears any JSON, changes nothing twice, and leaves no secret', () => {
    const json = fc.jsonValue({ maxDepth: 4 }).map((value) => parseJson(JSON.stringify(value)));
    const name = fc.constantFrom('pass', 'other', '__proto__');
    const text = fc.oneof(fc.constantFrom(secret, `x${secret}y`, token, 'main'), fc.string());
    const item = fc.record({ name, value: fc.oneof(text, fc.array(text), fc.dictionary(name, text), json) }, { requiredKeys: [] });
    const run = fc.record({
      spec: fc.oneof(json, fc.record({ params: fc.array(item) })),
      status: fc.oneof(json, fc.record({ results: fc.array(item), taskSpec: json })),
    });
    const options = { ...off, params: ['pass'], results: ['pass'], tokenShapes: true };
    fc.assert(
      fc.property(run, (object) => {
        const withSecret = { ...object, more: { params: [{ name: 'pass', value: secret }] } } as unknown as JsonObject;
        const once = redact(familyOf(withSecret), options).family;
        const written = JSON.stringify(once.run.object);

        assert.ok(!written.includes(token) && !written.includes(JSON.stringify(secret).slice(1, -1)));
        assert.deepEqual(redact(once, { ...options, params: ['no'], results: [] }).family.run.object, once.run.object);
        assert.deepEqual(redact(familyOf(withSecret), options).family.run.object, once.run.object);
      }),
      { numRuns: 500 },
    );
  });
});
