import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SlimRun } from '../model/run.ts';
import { Bodies } from './bodies.ts';
import { KnownRuns, keyOf, type Told } from './known-runs.ts';
import type { Change } from './source.ts';
import { slimOf } from './slim.ts';

interface Bed {
  readonly known: KnownRuns;
  readonly bodies: Bodies;
  /** Changes since the last look, shortened: `seen a 5`, `seen a 5 initial`, `gone a 5 whole`, `synced`. */
  readonly told: () => readonly string[];
}

function bed(): Bed {
  const bodies = new Bodies(10_000);
  const told: string[] = [];
  const known = new KnownRuns('TaskRun', bodies, (change) => told.push(shown(change)));
  return { known, bodies, told: () => told.splice(0) };
}

function shown(change: Change): string {
  if (change.kind === 'synced') return 'synced';
  const { name, resourceVersion } = change.run;
  const more = change.kind === 'seen' ? (change.isInitial ? ' initial' : '') : change.last === undefined ? '' : ' whole';
  return `${change.kind} ${name} ${resourceVersion}${more}`;
}

function told(
  name: string,
  resourceVersion: string,
  more: { readonly uid?: string; readonly isDone?: boolean; readonly signed?: string } = {},
): Told {
  const annotations = more.signed === undefined ? {} : { 'chains.tekton.dev/signed': more.signed };
  const conditions = more.isDone === true ? [{ type: 'Succeeded', status: 'True' }] : [];
  const object = {
    metadata: { name, namespace: 'ci', uid: more.uid ?? `uid-${name}`, resourceVersion, annotations },
    status: { conditions },
  };
  const slim = slimOf(object, 'TaskRun');
  assert.ok(slim.kind === 'slim');
  return { run: slim.run, line: Buffer.from(JSON.stringify({ type: 'MODIFIED', object })) };
}

const listed = (...runs: readonly Told[]): Map<string, SlimRun> => new Map(runs.map(({ run }) => [keyOf(run), run]));

describe('KnownRuns', () => {
  it('tells the first list as initial, then synced, once', () => {
    const { known, told: changes } = bed();

    known.replace(listed(told('a', '1'), told('b', '2')));
    known.replace(listed(told('a', '1'), told('b', '2'), told('c', '3')));

    assert.deepEqual(changes(), ['seen a 1 initial', 'seen b 2 initial', 'synced', 'seen c 3']);
  });

  it('tells what vanished and what changed while nobody watched, and nothing else', () => {
    const { known, told: changes } = bed();
    known.replace(listed(told('a', '1'), told('b', '1'), told('c', '1')));
    changes();

    known.replace(listed(told('b', '1'), told('c', '4')));

    assert.deepEqual(changes(), ['gone a 1', 'seen c 4']);
  });

  it('tells each version once', () => {
    const { known, told: changes } = bed();
    known.see(told('a', '1'));
    known.see(told('a', '1'));
    known.see(told('a', '2'));

    assert.deepEqual(changes(), ['seen a 1', 'seen a 2']);
  });

  it('tells the end of the one before when a name comes back with another UID', () => {
    const { known, told: changes } = bed();
    known.see(told('a', '1', { uid: 'one', isDone: true }));
    known.see(told('a', '2', { uid: 'two' }));
    known.replace(listed(told('a', '3', { uid: 'three' })));

    assert.deepEqual(changes(), ['seen a 1', 'gone a 1 whole', 'seen a 2', 'gone a 2', 'seen a 3 initial', 'synced']);
  });

  it('tells a deletion with the whole last state, and none of what is not known', () => {
    const { known, told: changes } = bed();
    known.see(told('a', '1'));

    known.forget(told('a', '2'));
    known.forget(told('a', '3'));
    known.forget(told('b', '3'));

    assert.deepEqual(changes(), ['seen a 1', 'gone a 2 whole']);
    assert.equal(known.size, 0);
  });

  it('keeps the whole of runs that completed, until they are marked or gone', () => {
    const { known, bodies } = bed();
    const holds = (version: string): boolean => bodies.get('uid-a', version) !== undefined;

    known.see(told('a', '1'));
    assert.equal(holds('1'), false);
    known.see(told('a', '2', { isDone: true }));
    assert.equal(holds('2'), true);
    known.see(told('a', '3', { isDone: true, signed: 'true' }));
    assert.deepEqual([holds('2'), holds('3'), bodies.bytes], [false, false, 0]);
    known.see(told('b', '4', { isDone: true }));
    known.forget(told('b', '5', { isDone: true }));
    assert.equal(bodies.bytes, 0);
  });

  it('keeps nothing of a list that failed, but what it knew before', () => {
    const { known, bodies, told: changes } = bed();
    known.see(told('a', '1', { isDone: true }));
    changes();
    const collected = new Map<string, SlimRun>();
    known.collect(told('a', '1', { isDone: true }), collected);
    known.collect(told('b', '2', { isDone: true }), collected);
    known.collect(told('c', '3', { isDone: true }), collected);
    known.discard(told('c', '4', { isDone: true }), collected);
    assert.deepEqual([...collected.keys()], ['ci/a', 'ci/b']);

    known.abandon(collected);

    assert.deepEqual(changes(), []);
    assert.deepEqual(
      [bodies.get('uid-a', '1') !== undefined, bodies.get('uid-b', '2'), bodies.get('uid-c', '3')],
      [true, undefined, undefined],
    );
  });
});
