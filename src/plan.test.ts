import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runOf } from '../test/golden/rows.ts';
import type { JsonObject } from './model/json.ts';
import { payloadOf, plan, type PlanOptions } from './plan.ts';

const hex = 'ab'.repeat(32);
const taskRun: JsonObject = {
  metadata: { name: 'build', namespace: 'ci', uid: 'u1' },
  status: { results: [{ name: 'IMAGES', value: `r.io/bb@sha256:${hex},r.io/aa:v1@sha256:${hex},r.io/cut@sha256:ab` }] },
};
const run = { format: 'slsa/v2alpha4', signer: 'x509', stores: ['oci', 'gcs'] };
const options: PlanOptions = {
  artifacts: { taskrun: run, pipelinerun: run, oci: { format: 'simplesigning', signer: 'kms', stores: ['oci'] } },
  format: { builderId: 'b', buildType: '', deepInspection: false },
  redact: { params: [], results: [], tokenShapes: true, salt: '' },
};
const family = { run: runOf('TaskRun', taskRun), children: [] };

describe('plan', () => {
  it('gives the run, then its images', () => {
    const image = { artifact: 'oci', format: 'simplesigning', signer: 'kms', stores: ['oci'], shortKey: hex.slice(0, 12) };
    const made = plan(family, options);

    assert.deepEqual(made.works, [
      { key: 'taskrun-u1', shortKey: 'taskrun-u1', artifact: 'taskrun', ...run, stores: ['gcs', 'oci'], image: undefined },
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
  it('says what the configuration leaves out', () => {
    const artifacts = { ...options.artifacts, taskrun: { ...run, signer: 'none' }, oci: { ...options.artifacts.oci, stores: [] } };

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
