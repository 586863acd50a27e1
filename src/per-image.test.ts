import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { runOf } from '../test/golden/rows.ts';
import { fullName } from './extract/reference.ts';
import type { Image } from './model/artifact.ts';
import { parseSha256 } from './model/digest.ts';
import { isObject, parseJson, type JsonObject } from './model/json.ts';
import type { RunKind } from './model/run.ts';
import { nothingPerImage, shortKeyOf, type Indexes, type PerImage } from './per-image.ts';
import { payloadOf, plan, type PlanOptions } from './plan.ts';

const image = (repository: string, digit: string): Image => ({ repository, digest: parseSha256(digit.repeat(64)) });
const index = image('r.io/index', 'a');
const single = image('r.io/single', 'b');
const ofStep = image('r.io/step', 'c');
const amd64 = image('r.io/index', '1');
const arm64 = image('r.io/index', '2');
const indexes: Indexes = new Map([
  [fullName(index), [amd64, arm64]],
  [fullName(single), []],
  [fullName(ofStep), []],
]);

const object: JsonObject = {
  metadata: { name: 'build', namespace: 'ci', uid: 'u1' },
  status: {
    results: [{ name: 'IMAGES', value: `r.io/index:v1@sha256:${index.digest},r.io/single@sha256:${single.digest}` }],
    steps: [
      {
        name: 'more',
        results: [
          { name: 'x_IMAGE_URL', value: 'r.io/step' },
          { name: 'x_IMAGE_DIGEST', value: `sha256:${ofStep.digest}` },
        ],
      },
    ],
  },
};
const familyOf = (kind: RunKind, of: JsonObject = object) => ({ run: runOf(kind, of), children: [] });

const run = { format: 'slsa/v2alpha4', signers: ['x509'], stores: ['oci', 'tekton'] };
const base: PlanOptions = {
  artifacts: { taskrun: run, pipelinerun: run, oci: { format: 'simplesigning', signers: ['x509'], stores: ['oci'] } },
  format: { builderId: 'b', buildType: '', deepInspection: false },
  redact: { params: [], results: [], tokenShapes: true, salt: '' },
};
const optionsOf = (perImage: Partial<PerImage>): PlanOptions => ({ ...base, perImage: { ...nothingPerImage, ...perImage } });

const statement = (of: Image, key = 'taskrun-u1') => `${key}/${fullName(of)} oci,tekton`;
const childStatement = (of: Image, key = 'taskrun-u1') => `${key}/${fullName(of)} oci`;
const signature = (of: Image) => `${fullName(of)} oci`;

describe('plan, for each image', () => {
  const rows: readonly {
    readonly name: string;
    readonly kind?: RunKind;
    readonly perImage: Partial<PerImage>;
    readonly works: readonly string[];
  }[] = [
    { name: 'nothing by default', perImage: {}, works: ['taskrun-u1 oci,tekton', signature(index), signature(single)] },
    {
      name: 'a statement for each image subject',
      perImage: { provenance: true },
      works: ['taskrun-u1 oci,tekton', ...[ofStep, index, single].map((of) => statement(of)), signature(index), signature(single)],
    },
    {
      name: 'a signature for each image subject, its own results first',
      perImage: { signSubjects: true },
      works: ['taskrun-u1 oci,tekton', signature(index), signature(single), signature(ofStep)],
    },
    {
      name: 'statements and signatures for children, in the registry alone',
      perImage: { recursive: true },
      works: ['taskrun-u1 oci,tekton', childStatement(amd64), childStatement(arm64), ...[index, single, amd64, arm64].map(signature)],
    },
    {
      name: 'all of it',
      perImage: { provenance: true, recursive: true, signSubjects: true },
      works: [
        'taskrun-u1 oci,tekton',
        ...[ofStep, index, single].map((of) => statement(of)),
        childStatement(amd64),
        childStatement(arm64),
        ...[index, single, ofStep, amd64, arm64].map(signature),
      ],
    },
    {
      name: "statements for a PipelineRun's images, and no signatures",
      kind: 'PipelineRun',
      perImage: { provenance: true, recursive: true },
      works: [
        'pipelinerun-u1 oci,tekton',
        statement(index, 'pipelinerun-u1'),
        statement(single, 'pipelinerun-u1'),
        childStatement(amd64, 'pipelinerun-u1'),
        childStatement(arm64, 'pipelinerun-u1'),
      ],
    },
    {
      name: "signatures of a PipelineRun's images when asked",
      kind: 'PipelineRun',
      perImage: { signSubjects: true },
      works: ['pipelinerun-u1 oci,tekton', signature(index), signature(single)],
    },
  ];
  for (const { name, kind = 'TaskRun', perImage, works } of rows) {
    it(name, () => {
      const made = plan(familyOf(kind), optionsOf(perImage), indexes);

      assert.deepEqual(
        made.works.map(({ key, stores }) => `${key} ${stores.join()}`),
        works,
      );
      assert.deepEqual(made.unread, []);
      // What one annotation holds, no other work writes.
      assert.equal(new Set(made.works.map(({ shortKey }) => shortKey)).size, works.length);
    });
  }

  it('says which images may be indexes, each once, until they are known', () => {
    const unread = (of: Indexes, options = optionsOf({ recursive: true })) => plan(familyOf('TaskRun'), options, of).unread.map(fullName);
    const onlyRun = {
      ...optionsOf({ recursive: true }),
      artifacts: { ...base.artifacts, oci: { ...base.artifacts.oci, stores: ['tekton'] } },
    };
    const nowhere = { ...onlyRun, artifacts: { ...onlyRun.artifacts, taskrun: { ...run, stores: ['tekton'] } } };

    assert.deepEqual(unread(new Map()), [ofStep, index, single].map(fullName));
    assert.deepEqual(unread(new Map([[fullName(index), [amd64, single]]])), [fullName(ofStep)]);
    assert.deepEqual(unread(new Map(), optionsOf({ provenance: true, signSubjects: true })), []);
    assert.deepEqual(unread(new Map(), onlyRun), [ofStep, index, single].map(fullName));
    assert.deepEqual(unread(new Map(), nowhere), []);
  });

  it('makes nothing twice for a child that is a subject, too', () => {
    const both = new Map([[fullName(index), [single, amd64]]]);
    const keys = plan(familyOf('TaskRun'), optionsOf({ recursive: true, provenance: true }), both).works.map(({ key }) => key);

    assert.equal(new Set(keys).size, keys.length);
    assert.equal(keys.filter((key) => key === fullName(single)).length, 1);
  });

  it('makes no statement when there is none for the run, and signs all the same', () => {
    const without = {
      ...optionsOf({ provenance: true, signSubjects: true }),
      artifacts: { ...base.artifacts, taskrun: { ...run, signers: [] } },
    };
    const impossible = { ...optionsOf({ provenance: true, signSubjects: true }), format: { ...base.format, buildType: 'unknown' } };

    assert.deepEqual(
      plan(familyOf('TaskRun'), without).works.map(({ key }) => key),
      [index, single, ofStep].map(fullName),
    );
    assert.deepEqual(
      plan(familyOf('TaskRun'), impossible).works.map(({ key }) => key),
      ['taskrun-u1', ...[index, single].map(fullName)],
    );
  });
});

describe('payloadOf, for each image', () => {
  for (const format of ['in-toto', 'slsa/v2alpha3', 'slsa/v2alpha4']) {
    it(`has that image for its only subject, and is otherwise the run's: ${format}`, () => {
      const artifacts = { ...base.artifacts, taskrun: { ...run, format } };
      const { family, works } = plan(familyOf('TaskRun'), { ...optionsOf({ provenance: true, recursive: true }), artifacts }, indexes);
      const [whole, ...rest] = works;
      assert.ok(whole);
      const { subject: _, ...expected } = bodyOf(payloadOf(whole, family, base.format).bytes);

      for (const work of rest.filter(({ artifact }) => artifact === 'taskrun')) {
        const payload = payloadOf(work, family, base.format);
        const { subject, ...body } = bodyOf(payload.bytes);
        assert.deepEqual(subject, [{ name: work.image?.repository, digest: { sha256: work.image?.digest } }]);
        assert.deepEqual(body, expected);
        assert.deepEqual(payload.images, [work.image]);
      }
    });
  }
});

describe('shortKeyOf', () => {
  it('keeps the names that Tekton Chains has', () => {
    assert.equal(shortKeyOf('taskrun', 'taskrun-u1', undefined), 'taskrun-u1');
    assert.equal(shortKeyOf('oci', fullName(index), index), 'aaaaaaaaaaaa');
  });

  it('gives every statement about an image a name of its own, that an annotation can have', () => {
    const images = fc.record({
      repository: fc.stringMatching(/^[a-z0-9.-]{1,40}\/[a-z0-9/._-]{2,200}$/),
      digest: fc.stringMatching(/^[0-9a-f]{64}$/).map(parseSha256),
    });
    fc.assert(
      fc.property(images, images, (one, other) => {
        const [first, second] = [one, { ...one, repository: other.repository }].map((of) => shortKeyOf('taskrun', 'k', of));

        assert.match(`signature-${first}`, /^[a-z][a-z0-9-]{0,61}[a-z0-9]$/);
        assert.equal(first === second, one.repository === other.repository);
        assert.notEqual(first, shortKeyOf('oci', 'k', one));
      }),
    );
  });
});

function bodyOf(bytes: Uint8Array): JsonObject {
  const body = parseJson(Buffer.from(bytes).toString('utf8'));
  assert.ok(isObject(body));
  return body;
}
