import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runOf } from '../test/golden/rows.ts';
import { sha256Of } from './model/digest.ts';
import type { JsonObject } from './model/json.ts';
import { payloadOf, plan, type PlanOptions } from './plan.ts';
import type { SigningRule } from './signing-rules.ts';

const hex = 'ab'.repeat(32);
const taskRun: JsonObject = {
  metadata: { name: 'build', namespace: 'ci', uid: 'u1' },
  status: { results: [{ name: 'IMAGES', value: `r.io/bb@sha256:${hex},r.io/aa:v1@sha256:${hex},r.io/cut@sha256:ab` }] },
};
const run = { format: 'slsa/v2alpha4', signers: ['x509'], stores: ['oci', 'gcs'] };
const options: PlanOptions = {
  artifacts: { taskrun: run, pipelinerun: run, oci: { format: 'simplesigning', signers: ['kms'], stores: ['oci'] } },
  format: { builderId: 'b', buildType: '', deepInspection: false },
  redact: { params: [], results: [], tokenShapes: true, salt: '' },
};
const family = { run: runOf('TaskRun', taskRun), children: [] };

describe('plan', () => {
  it('gives the run, then its images', () => {
    const image = { artifact: 'oci', format: 'simplesigning', signer: 'kms', stores: ['oci'], log: false, shortKey: hex.slice(0, 12) };
    const own = { artifact: 'taskrun', format: run.format, signer: 'x509', stores: ['gcs', 'oci'], log: false, image: undefined };
    const made = plan(family, options);

    assert.deepEqual(made.works, [
      { key: 'taskrun-u1', shortKey: 'taskrun-u1', ...own },
      { ...image, key: `r.io/bb@sha256:${hex}`, image: { repository: 'r.io/bb', digest: hex } },
      { ...image, key: `r.io/aa@sha256:${hex}`, image: { repository: 'r.io/aa', digest: hex } },
    ]);
    assert.deepEqual(made.disabled, []);
    assert.deepEqual(
      made.dropped.map(({ rule, value }) => [rule, value]),
      [['extract.image-reference', 'r.io/cut@sha256:ab']],
    );
  });
  it('gives a PipelineRun no images', () => {
    const keys = plan({ run: runOf('PipelineRun', taskRun), children: [] }, options).works.map(({ key }) => key);

    assert.deepEqual(keys, ['pipelinerun-u1']);
  });
  it('gives each of several signers a work of its own, the first under the plain key', () => {
    const artifacts = { ...options.artifacts, taskrun: { ...run, signers: ['x509', 'kms'] } };
    const works = plan(family, { ...options, artifacts }).works.filter(({ artifact }) => artifact === 'taskrun');

    assert.deepEqual(
      works.map(({ key, shortKey, signer }) => ({ key, shortKey, signer })),
      [
        { key: 'taskrun-u1', shortKey: 'taskrun-u1', signer: 'x509' },
        { key: 'taskrun-u1+kms', shortKey: `taskrun-u1-${sha256Of(Buffer.from('kms')).slice(0, 4)}`, signer: 'kms' },
      ],
    );
  });
  const labelled: JsonObject = { ...taskRun, metadata: { namespace: 'ci', labels: { team: 'pay', 'tekton.dev/pipeline': 'release-app' } } };
  const rules: readonly { readonly name: string; readonly rule: Omit<SigningRule, 'signers'>; readonly fits: boolean }[] = [
    { name: 'another namespace', rule: { namespaces: ['payments-*'] }, fits: false },
    { name: 'its namespace', rule: { namespaces: ['other', 'ci'] }, fits: true },
    { name: 'a pattern of its namespace', rule: { namespaces: ['*i'] }, fits: true },
    { name: 'a pattern with a star that stands for nothing', rule: { namespaces: ['ci*'] }, fits: true },
    { name: 'a pattern whose ends overlap', rule: { namespaces: ['ci*i'] }, fits: false },
    { name: 'its pipeline', rule: { namespaces: ['*'], pipelines: ['release-*'] }, fits: true },
    { name: 'another pipeline', rule: { namespaces: ['*'], pipelines: ['release'] }, fits: false },
    { name: 'its label', rule: { namespaces: ['*'], labels: { team: 'pay' } }, fits: true },
    { name: 'a label with another value', rule: { namespaces: ['*'], labels: { team: 'other' } }, fits: false },
    { name: 'a label that every object inherits', rule: { namespaces: ['*'], labels: { toString: 'x' } }, fits: false },
    { name: 'another artifact', rule: { namespaces: ['*'], artifacts: ['oci'] }, fits: false },
  ];
  for (const { name, rule, fits } of rules) {
    it(`${fits ? 'takes' : 'passes over'} a rule with ${name}`, () => {
      const all = {
        ...options,
        rules: [
          { ...rule, signers: ['team'] },
          { namespaces: ['*'], signers: ['late'], artifacts: ['taskrun'] as const },
        ],
      };
      const [work] = plan({ run: runOf('TaskRun', labelled), children: [] }, all).works;

      assert.equal(work?.signer, fits ? 'team' : 'late');
    });
  }
  const layouts = [
    { layout: 'tags', want: [['simplesigning', ['oci', 'tekton']]] },
    {
      layout: 'both',
      want: [
        ['simplesigning', ['oci', 'tekton']],
        ['cosign/sign/v1', ['oci']],
      ],
    },
    {
      layout: 'referrers',
      want: [
        ['simplesigning', ['tekton']],
        ['cosign/sign/v1', ['oci']],
      ],
    },
  ] as const;
  for (const { layout, want } of layouts) {
    it(`signs images for the layout ${layout}`, () => {
      const artifacts = { ...options.artifacts, oci: { ...options.artifacts.oci, stores: ['tekton', 'oci'] } };
      const works = plan(family, { ...options, artifacts, layout }).works.filter(({ image }) => image?.repository === 'r.io/aa');

      assert.deepEqual(
        works.map(({ format, stores }) => [format, stores]),
        want,
      );
      assert.equal(new Set(works.map(({ key }) => key)).size, works.length);
    });
  }
  const asking: JsonObject = { ...taskRun, metadata: { annotations: { 'chains.tekton.dev/transparency-upload': 'true' } } };
  const uploads = [
    { name: 'off', transparency: 'off', run: asking, owner: undefined, want: false },
    { name: 'on', transparency: 'on', run: taskRun, owner: undefined, want: true },
    { name: 'manual, and the run asks', transparency: 'manual', run: asking, owner: undefined, want: true },
    { name: 'manual, and its PipelineRun asks', transparency: 'manual', run: taskRun, owner: runOf('PipelineRun', asking), want: true },
    { name: 'manual, and nobody asks', transparency: 'manual', run: taskRun, owner: runOf('PipelineRun', taskRun), want: false },
  ] as const;
  for (const { name, transparency, run: object, owner, want } of uploads) {
    it(`${want ? 'logs' : 'does not log'} when transparency is ${name}`, () => {
      const asked = { run: runOf('TaskRun', object), children: [], ...(owner && { owner }) };

      assert.equal(
        plan(asked, { ...options, transparency }).works.every(({ log }) => log === want),
        true,
      );
    });
  }
  it('says what the configuration leaves out', () => {
    const artifacts = { ...options.artifacts, taskrun: { ...run, signers: [] }, oci: { ...options.artifacts.oci, stores: [] } };

    assert.deepEqual(plan(family, { ...options, artifacts }), {
      family,
      redacted: 0,
      works: [],
      disabled: [
        { artifact: 'taskrun', why: 'artifacts.taskrun.signer is none' },
        { artifact: 'oci', why: 'artifacts.oci.storage is empty' },
      ],
      dropped: [],
      unread: [],
    });
  });
  it('takes out what must not be published, and says how often', () => {
    const spec = {
      params: [
        { name: 'password', value: 'correct horse' },
        { name: 'url', value: 'https://h/?p=correct horse' },
      ],
    };
    const secretive = { run: runOf('TaskRun', { ...taskRun, spec }), children: [] };
    const { family: clean, redacted, works } = plan(secretive, { ...options, redact: { ...options.redact, params: ['pass*'] } });
    const [work] = works;
    assert.ok(work);

    assert.equal(redacted, 2);
    assert.doesNotMatch(Buffer.from(payloadOf(work, clean, options.format).bytes).toString('utf8'), /correct horse/);
  });
  it('drops a hint that is redacted', () => {
    const made = plan(family, { ...options, redact: { ...options.redact, results: ['IMAGES'] } });

    assert.deepEqual(
      made.works.map(({ key }) => key),
      ['taskrun-u1'],
    );
    assert.deepEqual(
      made.dropped.map(({ rule, result }) => [rule, result]),
      [['extract.redacted', 'status.results[IMAGES]']],
    );
  });
  it('refuses a run with a drop when it is told to, and names a few of them with their fixes', () => {
    const results = Array.from({ length: 7 }, (_, index) => ({ name: `${index}_IMAGE_URL`, value: 'r.io/a' }));
    const dropping = { run: runOf('TaskRun', { ...taskRun, status: { results } }), children: [] };
    const why = (index: number) =>
      `status.results[${index}_IMAGE_URL]: the result "${index}_IMAGE_DIGEST" that belongs to it is missing or empty`;

    assert.throws(() => plan(dropping, { ...options, onDropped: 'fail' }), {
      code: 'extract.dropped',
      message: `Cannot attest "ci/build": extract.on-dropped is "fail" and these cannot be used: ${[0, 1, 2, 3, 4].map(why).join('; ')}; and 2 more`,
      fix: `${[0, 1, 2, 3, 4].map((index) => `Write the result "${index}_IMAGE_DIGEST"`).join('; ')}; or set extract.on-dropped to "record"`,
    });
    assert.equal(plan(dropping, options).works.length, 1);
  });
  it('refuses it for what only the payload drops, too, and nothing else', () => {
    const status = { steps: [{ name: 's', imageID: '' }] };
    const cancelled = { run: runOf('TaskRun', { ...taskRun, status }), children: [] };

    assert.throws(() => plan(cancelled, { ...options, onDropped: 'fail' }), { code: 'extract.dropped' });
    assert.equal(
      plan({ run: runOf('TaskRun', { ...taskRun, status: {} }), children: [] }, { ...options, onDropped: 'fail' }).works.length,
      1,
    );
  });
  it('signs the images among native artifacts, when they are read', () => {
    const artifacts = { outputs: [{ name: 'a', buildOutput: true, values: [{ uri: 'oci://r.io/app', digest: { sha256: hex } }] }] };
    const native = { run: runOf('TaskRun', { ...taskRun, status: { artifacts } }), children: [] };
    const keys = (nativeArtifacts: boolean) =>
      plan(native, { ...options, format: { ...options.format, nativeArtifacts } }).works.map(({ key }) => key);

    assert.deepEqual([keys(true), keys(false)], [['taskrun-u1', `r.io/app@sha256:${hex}`], ['taskrun-u1']]);
  });
  it('takes a format only for what it can describe', () => {
    const artifacts = { ...options.artifacts, oci: { ...options.artifacts.oci, format: 'in-toto' } };

    assert.deepEqual(plan(family, { ...options, artifacts }).disabled, [
      { artifact: 'oci', why: 'artifacts.oci.format "in-toto" is no format for it' },
    ]);
  });
});

describe('payloadOf', () => {
  it('tells subjects and images apart from the bytes', () => {
    const { family: clean, works } = plan(family, options);
    const [work] = works;
    assert.ok(work);
    const { subjects, images, payloadType, predicateType } = payloadOf(work, clean, options.format);

    assert.deepEqual(subjects, [
      { name: 'r.io/bb', digest: { sha256: hex } },
      { name: 'r.io/aa', digest: { sha256: hex } },
    ]);
    assert.deepEqual(images, [
      { repository: 'r.io/bb', digest: hex },
      { repository: 'r.io/aa', digest: hex },
    ]);
    assert.deepEqual([payloadType, predicateType], ['application/vnd.in-toto+json', 'https://slsa.dev/provenance/v1']);
  });
  it('keeps subjects that are no images from the registry', () => {
    const outputs = ['a.jar', 's3://b/f', 'oci://r.io/foo', 'r.io/foo:v2'].map((uri, index) => ({
      name: `${index}_ARTIFACT_OUTPUTS`,
      value: { uri, digest: `sha256:${hex}`, isBuildArtifact: 'true' },
    }));
    const object = { ...taskRun, status: { results: outputs } };
    const flagged = { run: runOf('TaskRun', object), children: [] };
    const { family: clean, works } = plan(flagged, options);
    const [work, ...images] = works;
    assert.ok(work);

    assert.deepEqual(payloadOf(work, clean, options.format).images, [{ repository: 'r.io/foo', digest: hex }]);
    assert.deepEqual(
      images.map(({ key }) => key),
      [`r.io/foo@sha256:${hex}`],
    );
  });
  it('refuses a format that it does not know', () => {
    const { family: clean, works } = plan(family, options);
    const [work] = works;
    assert.ok(work);
    assert.throws(() => payloadOf({ ...work, format: 'tekton' }, clean, options.format), { code: 'format.unknown' });
  });
});
