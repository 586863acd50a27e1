import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../model/json.ts';
import { parseDigest } from './digest.ts';
import { Drops } from './drops.ts';
import { factsOf } from './facts.ts';
import { gitOfPipeline, gitOfTask } from './git.ts';
import { asRepository, imagesOf, imagesToSign } from './images.ts';
import { fullName } from './reference.ts';
import { looseSubjects, strictSubjects } from './subjects.ts';
import { taskHints } from './materials.ts';
import { mergeItems } from './merge.ts';
import { nearMisses } from './near-misses.ts';
import { trim } from './trim.ts';
import { stringOf, valueOf } from './value.ts';

const h1 = '1'.repeat(64);
const h2 = '2'.repeat(64);
const s1 = 'a'.repeat(40);

function run(results: Readonly<Record<string, Json>>, rest: JsonObject = {}): ReturnType<typeof factsOf> {
  return factsOf({ ...rest, status: { results: Object.entries(results).map(([name, value]) => ({ name, value })) } });
}
function rulesOf(drops: Drops): readonly string[] {
  return drops.all.map(({ rule, result }) => `${rule} ${result}`);
}

describe('trim', () => {
  it('takes White_Space, U+0085 too, and leaves U+FEFF', () => {
    assert.equal(trim('\u0085\u3000 \t a b\u00a0\n'), 'a b');
    assert.equal(trim('\ufeffa'), '\ufeffa');
    assert.equal(trim(' \n'), '');
  });
});

describe('valueOf', () => {
  const cases: readonly (readonly [Json, unknown])[] = [
    [5, { kind: 'string', text: '5' }],
    [true, { kind: 'string', text: 'true' }],
    [null, { kind: 'string', text: '' }],
    [['a', null], { kind: 'array', items: ['a', ''] }],
    [[1, 2], { kind: 'string', text: '[1,2]' }],
    [
      { b: 1, a: 'x' },
      { kind: 'string', text: '{"a":"x","b":1}' },
    ],
    [
      { b: null, a: 'x' },
      { kind: 'object', members: { a: 'x', b: '' } },
    ],
    [[], { kind: 'array', items: [] }],
    [{}, { kind: 'object', members: {} }],
  ];
  for (const [json, value] of cases) {
    it(`reads ${JSON.stringify(json)}`, () => {
      assert.deepEqual(valueOf({ value: json }), value);
    });
  }
  it('tells a missing value, and takes no inherited one', () => {
    assert.deepEqual(valueOf({}), { kind: 'missing' });
    assert.equal(stringOf(valueOf({ value: ['a'] })), '');
  });
});

describe('parseDigest', () => {
  it('normalises', () => {
    assert.deepEqual(parseDigest(` SHA256: ${h1}\n`), { algorithm: 'sha256', hex: h1 });
    assert.deepEqual(parseDigest(`sha1:${s1}`), { algorithm: 'sha1', hex: s1 });
  });
  for (const text of ['', h1, `sha256:${h1}:`, 'sha256:ab', `md5:${'a'.repeat(32)}`, `sha1:${h1}`, `sha256:${'A'.repeat(64)}`]) {
    it(`refuses "${text.slice(0, 40)}"`, () => {
      assert.equal(typeof parseDigest(text), 'string');
    });
  }
});

describe('imagesOf', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, Json>>, readonly string[], readonly string[]])[] = [
    ['a pair', { IMAGE_URL: 'gcr.io/f/b\n', IMAGE_DIGEST: ` sha256:${h1}` }, [`gcr.io/f/b@sha256:${h1}`], []],
    ['a pair without separator', { fooIMAGE_URL: 'gcr.io/f/b', fooIMAGE_DIGEST: `sha256:${h1}` }, [`gcr.io/f/b@sha256:${h1}`], []],
    ['half a pair', { IMAGE_URL: 'gcr.io/f/b' }, [], ['extract.incomplete-pair status.results[IMAGE_URL]']],
    ['an empty half', { IMAGE_DIGEST: ' ' }, [], ['extract.empty-hint status.results[IMAGE_DIGEST]']],
    ['a short digest', { IMAGE_URL: 'gcr.io/f/b', IMAGE_DIGEST: 'sha256:abc' }, [], ['extract.image-reference status.results[IMAGE_URL]']],
    [
      'a list',
      { IMAGES: `  \n \tgcr.io/f/b@sha256:${h1}\n,gcr.io/f/c:v1@sha256:${h2},,x` },
      [`gcr.io/f/b@sha256:${h1}`, `gcr.io/f/c@sha256:${h2}`],
      ['extract.image-reference status.results[IMAGES]'],
    ],
    ['an array of images', { IMAGES: [`gcr.io/f/b@sha256:${h1}`] }, [], ['extract.images-type status.results[IMAGES]']],
    [
      'a flagged output, once',
      {
        IMAGES: `gcr.io/f/b@sha256:${h1}`,
        ARTIFACT_OUTPUTS: { uri: 'gcr.io/f/b', digest: `sha256:${h1}`, isBuildArtifact: 'true' },
      },
      [`gcr.io/f/b@sha256:${h1}`],
      [],
    ],
    ['an unflagged output', { ARTIFACT_OUTPUTS: { uri: 'gcr.io/f/b', digest: `sha256:${h1}` } }, [], []],
    ['a string output', { ARTIFACT_OUTPUTS: 'gcr.io/f/b' }, [], ['extract.object-hint status.results[ARTIFACT_OUTPUTS]']],
  ];
  for (const [name, results, images, rules] of cases) {
    it(`reads ${name}`, () => {
      const drops = new Drops();

      assert.deepEqual(imagesOf(run(results).results, drops).map(fullName), images);
      assert.deepEqual(rulesOf(drops), rules);
    });
  }
  it('keeps the order of first appearance of the prefix', () => {
    const digests = { z_IMAGE_DIGEST: `sha256:${h1}`, a_IMAGE_DIGEST: `sha256:${h2}` };
    const images = imagesOf(run({ ...digests, a_IMAGE_URL: 'r.io/aa', z_IMAGE_URL: 'r.io/zz' }).results, new Drops());

    assert.deepEqual(images.map(fullName), [`r.io/zz@sha256:${h1}`, `r.io/aa@sha256:${h2}`]);
  });
});

describe('imagesToSign', () => {
  const names = {
    'a.jar': undefined,
    's3://b/f': undefined,
    'git+https://h/x': undefined,
    'oci://r.io/foo': 'r.io/foo',
    'r.io/a.jar': 'r.io/a.jar',
  };
  for (const [name, repository] of Object.entries(names)) {
    it(`takes ${name} for ${repository ?? 'no image'}`, () => {
      const output = { ARTIFACT_OUTPUTS: { uri: name, digest: `sha256:${h1}`, isBuildArtifact: 'true' } };
      const drops = new Drops();

      assert.equal(asRepository(name), repository);
      assert.deepEqual(
        imagesToSign(run(output).results, drops).map((image) => image.repository),
        repository === undefined ? [] : [repository],
      );
      assert.deepEqual(rulesOf(drops), repository === undefined ? ['extract.not-an-image status.results[ARTIFACT_OUTPUTS]'] : []);
    });
  }
});

describe('subjects', () => {
  const results = run({
    ARTIFACT_URI: 'pkg:npm/x',
    ARTIFACT_DIGEST: `sha512:${'a'.repeat(128)}`,
    b_ARTIFACT_OUTPUTS: { uri: 'foo/bar:v1', digest: `sha256:${h1}`, isBuildArtifact: 'true' },
    c_ARTIFACT_OUTPUTS: { uri: 'gs://b/f', digest: `SHA256: ${h2}\n` },
  }).results;
  it('loose ones are images, pairs, then all outputs, digests as given', () => {
    const drops = new Drops();

    assert.deepEqual(looseSubjects(results, drops), [
      { name: 'index.docker.io/foo/bar', digest: { sha256: h1 } },
      { name: 'pkg:npm/x', digest: { sha512: 'a'.repeat(128) } },
      { name: 'foo/bar:v1', digest: { sha256: h1 } },
      { name: 'gs://b/f', digest: { SHA256: ` ${h2}\n` } },
    ]);
    assert.deepEqual(rulesOf(drops), ['extract.digest-form status.results[c_ARTIFACT_OUTPUTS]']);
  });
  it('strict ones are flagged outputs, then images', () => {
    assert.deepEqual(strictSubjects(results, new Drops()), [
      { name: 'foo/bar:v1', digest: { sha256: h1 } },
      { name: 'index.docker.io/foo/bar', digest: { sha256: h1 } },
    ]);
  });
});

describe('git hints', () => {
  it('come from results before params before defaults', () => {
    const status = { taskSpec: { params: [{ name: 'CHAINS-GIT_COMMIT', default: s1 }, { name: 'CHAINS-GIT_URL' }] } };
    const facts = factsOf({ status, spec: { params: [{ name: 'CHAINS-GIT_URL', value: 'https://x/y' }] } });

    assert.deepEqual(gitOfTask(facts, new Drops()), [{ name: 'git+https://x/y.git', digest: { sha1: s1 } }]);
  });
  it('tell a missing url, which only a PipelineRun needs', () => {
    const drops = new Drops();
    const facts = run({ 'CHAINS-GIT_COMMIT': s1 });

    assert.deepEqual(gitOfTask(facts, drops), [{ name: 'git+.git', digest: { sha1: s1 } }]);
    assert.deepEqual(gitOfPipeline(facts, drops), []);
    assert.deepEqual(rulesOf(drops), ['extract.incomplete-git status.results[CHAINS-GIT_COMMIT]']);
  });
  it('tell a commit that is none, and stand before inputs', () => {
    const drops = new Drops();
    const input = { uri: 'https://h/p', digest: `SHA256: ${h1}` };

    assert.deepEqual(taskHints(run({ 'CHAINS-GIT_COMMIT': 'main', 'CHAINS-GIT_URL': 'git+u.git', x_ARTIFACT_INPUTS: input }), drops), [
      { name: 'git+u.git', digest: { sha1: 'main' } },
      { name: 'https://h/p', digest: { sha256: h1 } },
    ]);
    assert.deepEqual(rulesOf(drops), ['extract.git-commit status.results[CHAINS-GIT_URL]']);
  });
});

describe('mergeItems', () => {
  it('joins what shares a digest (E-55) and nothing else', () => {
    const items = [
      { name: 'n', digest: { sha256: 'a', sha224: 'b' } },
      { name: 'n', digest: { sha256: 'a', sha512: 'c' } },
      { name: 'n', digest: { sha1: 'd' } },
      { name: 'm', digest: { sha256: 'a' } },
      { name: 'e', digest: {} },
      { name: 'e', digest: {} },
    ];

    assert.deepEqual(mergeItems(items), [{ name: 'n', digest: { sha256: 'a', sha224: 'b', sha512: 'c' } }, ...items.slice(2)]);
    assert.deepEqual(items[0], { name: 'n', digest: { sha256: 'a', sha224: 'b' } });
  });
});

describe('nearMisses', () => {
  it('tells names that look like hints and are none', () => {
    const drops = new Drops();
    const names = [
      'image_url',
      'ARTIFACTs_OUTPUTS',
      'ARTIFACT_URL',
      'X_IMAGES',
      'CHAINS_GIT_URL',
      'x-IMAGE_URL',
      'IMAGES',
      'summary',
      'a_CHAINS-GIT_COMMIT',
    ];
    nearMisses(run(Object.fromEntries(names.map((name) => [name, 'v']))).results, drops);

    const told = drops.all.map(({ result }) => result.slice('status.results['.length, -1));
    assert.deepEqual(told, ['image_url', 'ARTIFACTs_OUTPUTS', 'ARTIFACT_URL', 'X_IMAGES', 'CHAINS_GIT_URL', 'a_CHAINS-GIT_COMMIT']);
  });
});
