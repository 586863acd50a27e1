import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide, type DecideContext } from './decide.ts';
import type { SlimRun } from './model/run.ts';

const readyAt = Date.parse('2026-05-01T12:00:00Z');
const context: DecideContext = {
  now: readyAt + 60_000,
  readyAt,
  managedBy: new Set(['acme.example/runner']),
  namespaces: new Set(),
  backfillSinceMs: 3_600_000,
  finalizerEnabled: true,
  kinds: new Set(['TaskRun']),
  anyState: false,
};
const done: SlimRun = {
  kind: 'TaskRun',
  namespace: 'ci',
  name: 'build',
  uid: 'u-1',
  resourceVersion: '7',
  createdAt: readyAt - 5_000,
  isDone: true,
  completedAt: readyAt + 1_000,
  isDeleting: false,
  finalizers: [],
  signed: undefined,
  managedBy: undefined,
  owner: undefined,
};
const held = ['chains.tekton.dev/taskrun'];

describe('decide', () => {
  const rows: readonly { name: string; run: Partial<SlimRun>; context?: Partial<DecideContext>; expected: object }[] = [
    { name: 'attests what completed while it watched as live', run: {}, expected: { kind: 'attest', lane: 'live' } },
    {
      name: 'attests what was complete before as backfill',
      run: { completedAt: readyAt - 60_000 },
      expected: { kind: 'attest', lane: 'backfill' },
    },
    {
      name: 'takes everything for backfill before it is ready',
      run: {},
      context: { readyAt: undefined },
      expected: { kind: 'attest', lane: 'backfill' },
    },
    {
      name: 'skips what completed too long ago',
      run: { completedAt: readyAt - 3_600_001 },
      expected: { kind: 'skip', code: 'decide.too-old' },
    },
    { name: 'holds what is still running', run: { isDone: false }, expected: { kind: 'wait', hold: true } },
    { name: 'holds it once', run: { isDone: false, finalizers: held }, expected: { kind: 'wait', hold: false } },
    {
      name: 'holds nothing when finalizers are off',
      run: { isDone: false },
      context: { finalizerEnabled: false },
      expected: { kind: 'wait', hold: false },
    },
    {
      name: 'takes running ones when any state is asked for',
      run: { isDone: false },
      context: { anyState: true },
      expected: { kind: 'attest', lane: 'live' },
    },
    {
      name: 'lets go what is deleted before it completed',
      run: { isDone: false, isDeleting: true, finalizers: held },
      expected: { kind: 'release', code: 'decide.deleted-early' },
    },
    {
      name: 'attests what is deleted after it completed',
      run: { isDeleting: true, finalizers: held },
      expected: { kind: 'attest', lane: 'live' },
    },
    { name: 'skips what is signed', run: { signed: 'true' }, expected: { kind: 'skip', code: 'decide.signed' } },
    { name: 'skips what failed', run: { signed: 'failed' }, expected: { kind: 'skip', code: 'decide.failed' } },
    {
      name: 'lets go what is signed and deleted, whoever put the finalizer on',
      run: { signed: 'true', isDeleting: true, finalizers: held },
      expected: { kind: 'release', code: 'decide.signed' },
    },
    { name: 'takes any other mark for none', run: { signed: 'pending' }, expected: { kind: 'attest', lane: 'live' } },
    { name: 'skips a foreign manager', run: { managedBy: 'other.example/x' }, expected: { kind: 'skip', code: 'decide.managed-by' } },
    { name: 'knows the default manager', run: { managedBy: 'tekton.dev/pipeline' }, expected: { kind: 'attest', lane: 'live' } },
    {
      name: 'skips what the configuration makes nothing of',
      run: { kind: 'PipelineRun' },
      expected: { kind: 'skip', code: 'decide.disabled' },
    },
    { name: 'knows a listed manager', run: { managedBy: 'acme.example/runner' }, expected: { kind: 'attest', lane: 'live' } },
    {
      name: 'skips a namespace that is not watched',
      run: {},
      context: { namespaces: new Set(['prod']) },
      expected: { kind: 'skip', code: 'decide.namespace' },
    },
  ];
  for (const row of rows) {
    it(row.name, () => {
      const decision = decide({ ...done, ...row.run }, { ...context, ...row.context });

      const { kind, code, lane, hold } = { code: undefined, lane: undefined, hold: undefined, ...decision };
      assert.deepEqual({ kind, code, lane, hold }, { code: undefined, lane: undefined, hold: undefined, ...row.expected });
    });
  }
});
