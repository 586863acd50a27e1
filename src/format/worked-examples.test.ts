import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { runOf } from '../../test/golden/rows.ts';
import { isObject, objectsAt, parseJson, textAt, type Json, type JsonObject } from '../model/json.ts';
import type { Family } from '../model/run.ts';
import { payloadOf, plan } from '../plan.ts';

interface Examples {
  readonly taskRun: JsonObject;
  readonly pipelineRun: JsonObject;
  readonly payloads: Readonly<Record<string, string>>;
  readonly embeddedTaskRun: string;
}

/** The worked examples of chains-provenance 13, with the payloads as Tekton Chains writes them. */
const examples = parseJson(readFileSync(new URL('../../test/golden/worked-examples.json', import.meta.url), 'utf8')) as unknown as Examples;
const child = runOf('TaskRun', examples.taskRun);
const families: Readonly<Record<string, Family>> = {
  TaskRun: { run: child, children: [] },
  image: { run: child, children: [] },
  PipelineRun: { run: runOf('PipelineRun', examples.pipelineRun), children: [{ kind: 'task-run', run: child }] },
};

function textOf(kind: string, format: string, change: { readonly deepInspection?: boolean; readonly buildType?: string }): string {
  const family = families[kind];
  assert.ok(family);
  const options = { builderId: 'https://tekton.dev/chains/v2', buildType: '', deepInspection: false, ...change };
  const run = { format: kind === 'image' ? 'in-toto' : format, signers: ['x509'], stores: ['tekton'] };
  const artifacts = { taskrun: run, pipelinerun: run, oci: { format: 'simplesigning', signers: ['x509'], stores: ['oci'] } };
  const redact = { params: [], results: [], tokenShapes: true, salt: '' };
  const { family: clean, works } = plan(family, { artifacts, format: options, redact });
  const work = works.find(({ artifact }) => (artifact === 'oci') === (kind === 'image'));
  assert.ok(work);
  return Buffer.from(payloadOf(work, clean, options).bytes).toString('utf8');
}

describe('worked examples', () => {
  for (const [title, expected] of Object.entries(examples.payloads)) {
    it(title, () => {
      const [kind = '', format = ''] = title.split(/,? /);

      assert.equal(textOf(kind, format, { deepInspection: title.includes('deep') }), expected);
    });
  }
  it('a PipelineRun with the build type slsa-tekton embeds its children', () => {
    const text = textOf('PipelineRun', 'slsa/v2alpha3', { buildType: 'https://tekton.dev/chains/v2/slsa-tekton' });
    const definition = definitionOf(text);
    const content = textAt(objectsAt(definition, 'resolvedDependencies')[0], 'content');

    assert.deepEqual(definition['internalParameters'], { annotations: null, labels: null });
    assert.equal(Buffer.from(content, 'base64').toString('utf8'), examples.embeddedTaskRun);
  });
  it('slsa/v1 is in-toto by another name', () => {
    assert.equal(textOf('TaskRun', 'slsa/v1', {}), examples.payloads['TaskRun in-toto']);
  });
  it('another build type is refused', () => {
    assert.throws(() => textOf('TaskRun', 'slsa/v2alpha4', { buildType: 'https://example/mine' }), { code: 'format.build-type' });
  });
});

function definitionOf(text: string): JsonObject {
  const predicate = (JSON.parse(text) as { readonly predicate: { readonly buildDefinition: Json } }).predicate;
  assert.ok(isObject(predicate.buildDefinition));
  return predicate.buildDefinition;
}
