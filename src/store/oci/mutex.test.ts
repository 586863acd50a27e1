import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keyedMutex } from './mutex.ts';

describe('keyedMutex', () => {
  it('runs one key in the order of asking, others beside it, and goes on after a failure', async () => {
    const mutex = keyedMutex();
    const events: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    const work = (name: string, wait: Promise<unknown>) => async () => {
      events.push(`${name} begins`);
      await wait;
      events.push(`${name} ends`);
      return name;
    };

    const first = mutex.run('a', work('first', gate.promise));
    const failing = mutex.run('a', async () => await Promise.reject(new Error('broken')));
    const last = mutex.run('a', work('last', Promise.resolve()));
    const other = await mutex.run('b', work('other', Promise.resolve()));
    gate.resolve(undefined);

    await assert.rejects(failing, /broken/);
    assert.deepEqual([await first, other, await last], ['first', 'other', 'last']);
    assert.deepEqual(events, ['first begins', 'other begins', 'other ends', 'first ends', 'last begins', 'last ends']);
  });
});
