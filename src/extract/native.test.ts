import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json } from '../model/json.ts';
import { Drops } from './drops.ts';
import { factsOf, type Facts } from './facts.ts';
import { markerOf } from './marker.ts';
import { nativeImages, nativeInputs, nativeOutputs } from './native.ts';
import { fullName } from './reference.ts';

const h1 = '1'.repeat(64);
const s1 = 'a'.repeat(40);
const value = (uri: Json, digest: Json): Json => ({ uri, digest });
const artifact = (name: string, ...values: readonly Json[]): Json => ({ name, values });

function runOf(artifacts: Json, steps: readonly Json[] = []): Facts {
  return factsOf({ metadata: { name: 'tr' }, status: { artifacts, steps } });
}

describe('nativeInputs', () => {
  it('reads the run, then its steps, each once, digests normalised', () => {
    const source = artifact('source', value('pkg:github/a/b', { SHA256: ` ${h1}\n`, gitCommit: s1 }));
    const steps = [{ name: 's', inputs: [source, artifact('more', value('https://h/f', { sha1: s1 }))] }];
    const drops = new Drops();

    assert.deepEqual(nativeInputs(runOf({ inputs: [source] }, steps), drops), [
      { name: 'pkg:github/a/b', digest: { sha256: h1, gitCommit: s1 } },
      { name: 'https://h/f', digest: { sha1: s1 } },
    ]);
    assert.deepEqual(drops.all, []);
  });

  const malformed: readonly (readonly [string, Json, readonly (readonly [string, string])[]])[] = [
    ['inputs that are no list', { inputs: 'x' }, [['status.artifacts.inputs', 'want a list of artifacts']]],
    ['an artifact that is no object', { inputs: [5] }, [['status.artifacts.inputs', 'an artifact is an object with a name and values']]],
    [
      'values that are no list',
      { inputs: [{ name: 'a', values: { uri: 'x' } }] },
      [['status.artifacts.inputs[a]', 'its values are no list']],
    ],
    ['a value that is no object', { inputs: [artifact('a', 'x')] }, [['status.artifacts.inputs[a]', 'want an object with uri and digest']]],
    [
      'no uri',
      { inputs: [artifact('a', value(5, { sha256: h1 }))] },
      [['status.artifacts.inputs[a]', 'it has no uri, or one that is no text']],
    ],
    ['no digest', { inputs: [artifact('a', { uri: 'x' })] }, [['status.artifacts.inputs[a]', 'it has no digest that can be used']]],
    [
      'a digest of another type',
      { inputs: [artifact('a', value('x', { sha256: 5 }))] },
      [
        ['status.artifacts.inputs[a]', 'no digest: want a string'],
        ['status.artifacts.inputs[a]', 'it has no digest that can be used'],
      ],
    ],
    [
      'a redacted uri',
      { inputs: [artifact('a', value(markerOf('x', ''), { sha256: h1 }))] },
      [['status.artifacts.inputs[a]', 'its value is redacted, so it says nothing any more about what was used or made']],
    ],
  ];
  for (const [name, artifacts, told] of malformed) {
    it(`drops ${name}`, () => {
      const drops = new Drops();

      assert.deepEqual(nativeInputs(runOf(artifacts), drops), []);
      assert.deepEqual(
        drops.all.map(({ result, why }) => [result, why]),
        told,
      );
    });
  }
  it('keeps the good digest of two', () => {
    const drops = new Drops();

    assert.deepEqual(nativeInputs(runOf({ inputs: [artifact('a', value('x', { sha256: h1, md5: 'ab' }))] }), drops), [
      { name: 'x', digest: { sha256: h1 } },
    ]);
    assert.deepEqual(
      drops.all.map(({ value: given, why }) => [given, why]),
      [['md5:ab', 'no digest: "md5" is none of sha256, sha384, sha512, sha1']],
    );
  });
});

describe('nativeOutputs', () => {
  it('knows what the build is about from true alone, and an output of run and step once', () => {
    const image = value('oci://r.io/app:v1', { sha256: h1 });
    const outputs = [
      { ...(artifact('log', value('s3://b/log', { sha256: h1 })) as object), buildOutput: 'true' },
      artifact('image', image),
    ];
    const steps = [{ name: 's', outputs: [{ ...(artifact('image', image) as object), buildOutput: true }] }];
    const drops = new Drops();

    const facts = runOf({ outputs }, steps);

    const shared = { run: 'tr', step: undefined, digest: { sha256: h1 } };
    assert.deepEqual(nativeOutputs(facts, drops), [
      { ...shared, name: 's3://b/log', artifact: 'log', isBuildOutput: false },
      { ...shared, name: 'oci://r.io/app:v1', artifact: 'image', isBuildOutput: true },
    ]);
    assert.deepEqual(
      drops.all.map(({ result, value: given }) => [result, given]),
      [['status.artifacts.outputs[log]', 'true']],
    );
    assert.deepEqual(nativeImages(facts, drops).map(fullName), [`r.io/app@sha256:${h1}`]);
  });
  for (const uri of ['pkg:oci/nginx@1?repository_url=docker.io/library', 's3://b/x', 'a.jar', 'app', 'git+https://h/x']) {
    it(`takes ${uri} for no image to sign`, () => {
      const outputs = [{ ...(artifact('a', value(uri, { sha256: h1 })) as object), buildOutput: true }];

      assert.deepEqual(nativeImages(runOf({ outputs }), new Drops()), []);
    });
  }
});
