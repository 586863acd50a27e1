import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../model/json.ts';
import { slimOf } from './slim.ts';

const metadata = { name: 'a', namespace: 'ci', uid: 'u', resourceVersion: '5' };

describe('slimOf', () => {
  it('keeps what is needed of a run', () => {
    const object: Json = {
      apiVersion: 'tekton.dev/v1',
      kind: 'TaskRun',
      metadata: {
        ...metadata,
        creationTimestamp: '2026-01-02T03:04:05Z',
        deletionTimestamp: '2026-01-02T03:05:05Z',
        finalizers: ['x/y', 'chains.tekton.dev/taskrun'],
        annotations: { 'chains.tekton.dev/signed': 'pending', other: 'x' },
        ownerReferences: [
          { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', name: 'not-controlling' },
          { apiVersion: 'tekton.dev/v1beta1', kind: 'PipelineRun', name: 'pr', controller: true },
        ],
      },
      spec: { managedBy: 'kueue' },
      status: { completionTime: '2026-01-02T03:04:06Z', conditions: [{ type: 'Ready' }, { type: 'Succeeded', status: 'False' }] },
    };

    assert.deepEqual(slimOf(object, 'TaskRun'), {
      kind: 'slim',
      run: {
        kind: 'TaskRun',
        namespace: 'ci',
        name: 'a',
        uid: 'u',
        resourceVersion: '5',
        createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
        isDone: true,
        completedAt: Date.UTC(2026, 0, 2, 3, 4, 6),
        isDeleting: true,
        finalizers: ['x/y', 'chains.tekton.dev/taskrun'],
        signed: 'pending',
        managedBy: 'kueue',
        owner: 'pr',
      },
    });
  });

  const conditions: readonly { name: string; conditions: Json; isDone: boolean }[] = [
    { name: 'True', conditions: [{ type: 'Succeeded', status: 'True' }], isDone: true },
    { name: 'False', conditions: [{ type: 'Succeeded', status: 'False' }], isDone: true },
    { name: 'an empty status', conditions: [{ type: 'Succeeded', status: '' }], isDone: true },
    { name: 'no status', conditions: [{ type: 'Succeeded' }], isDone: true },
    { name: 'Unknown', conditions: [{ type: 'Succeeded', status: 'Unknown' }], isDone: false },
    { name: 'another condition only', conditions: [{ type: 'Ready', status: 'True' }], isDone: false },
    { name: 'no conditions', conditions: [], isDone: false },
    { name: 'nonsense', conditions: 'x', isDone: false },
  ];
  for (const { name, conditions: given, isDone } of conditions) {
    it(`takes ${name} for ${isDone ? 'done' : 'not done'}`, () => {
      const slim = slimOf({ metadata, status: { conditions: given } }, 'TaskRun');

      assert.equal(slim.kind === 'slim' && slim.run.isDone, isDone);
    });
  }

  it('keeps a run of which everything else has the wrong type', () => {
    const object = {
      metadata: { ...metadata, finalizers: 'x', annotations: [], ownerReferences: 7, creationTimestamp: 'never' },
      status: 1,
      spec: null,
    };
    const slim = slimOf(object, 'PipelineRun');

    assert.deepEqual(slim.kind === 'slim' && [slim.run.finalizers, slim.run.signed, slim.run.owner, slim.run.createdAt], [
      [],
      undefined,
      undefined,
      undefined,
    ]);
  });

  const malformed: readonly { name: string; object: Json; why: string }[] = [
    { name: 'no name', object: { metadata: { ...metadata, name: '' } }, why: 'it has no metadata.name' },
    { name: 'no uid', object: { metadata: { ...metadata, uid: 7 } }, why: 'it has no metadata.uid' },
    { name: 'no metadata', object: {}, why: 'it has no metadata.name, metadata.namespace, metadata.uid' },
    { name: 'another kind', object: { kind: 'Pod', metadata }, why: 'it is a Pod, not a TaskRun' },
    { name: 'no object', object: null, why: 'it has no metadata.name, metadata.namespace, metadata.uid' },
  ];
  for (const { name, object, why } of malformed) {
    it(`reports ${name}`, () => {
      const slim = slimOf(object, 'TaskRun');

      assert.equal(slim.kind === 'malformed' && slim.why, why);
    });
  }

  it('never throws, whatever stands there', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (value, inner) => {
        slimOf(value as Json, 'TaskRun');
        const object = { metadata: { ...metadata, annotations: inner, ownerReferences: value }, status: inner, spec: value };
        assert.equal(slimOf(object as Json, 'TaskRun').kind, 'slim');
      }),
    );
  });
});
