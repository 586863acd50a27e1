import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { WorkQueue, type QueueLane } from './queue.ts';

/** Runs the queue with one worker until `count` items have come out. */
async function drained(queue: WorkQueue<string>, count: number): Promise<string[]> {
  const out: string[] = [];
  await queue.run(1, async ({ item }) => {
    out.push(item);
    if (out.length === count) queue.close();
    await Promise.resolve();
  });
  return out;
}

describe('WorkQueue', () => {
  it('gives live items newest first and the others oldest first, one in eight from each lane behind', async () => {
    const queue = new WorkQueue<string>();
    for (let n = 0; n < 12; n += 1) queue.add(`l${n}`, `l${n}`, 'live');
    for (let n = 0; n < 4; n += 1) queue.add(`r${n}`, `r${n}`, 'retry');
    for (let n = 0; n < 4; n += 1) queue.add(`b${n}`, `b${n}`, 'backfill');

    const out = await drained(queue, 20);

    assert.deepEqual(out.slice(0, 16).join(' '), 'b0 l11 l10 l9 l8 l7 l6 r0 b1 l5 l4 l3 l2 l1 l0 r1');
    assert.equal(new Set(out).size, 20);
  });

  it('never works on one key twice at once, and comes back to what was added meanwhile', async () => {
    const queue = new WorkQueue<number>();
    const seen: number[] = [];
    let inWork = 0;
    queue.add('k', 1, 'live');

    await queue.run(4, async ({ item }) => {
      inWork += 1;
      assert.equal(inWork, 1);
      seen.push(item);
      if (item === 1) for (const next of [2, 3, 4]) queue.add('k', next, 'live');
      await new Promise(setImmediate);
      inWork -= 1;
      if (item === 4) queue.close();
    });

    assert.deepEqual(seen, [1, 4]);
  });

  it('moves a key to the live lane when it is added there, and keeps the newest item', async () => {
    const queue = new WorkQueue<string>();
    queue.add('a', 'old a', 'backfill');
    queue.add('b', 'b', 'backfill');
    queue.add('a', 'new a', 'live');

    assert.deepEqual(queue.depth, { live: 1, retry: 0, backfill: 1, delayed: 0, working: 0 });
    assert.deepEqual((await drained(queue, 2)).toSorted(), ['b', 'new a']);
  });

  it('keeps the earliest of several delays, and forgets', async () => {
    const queue = new WorkQueue<string>();
    queue.addAfter('late', 'late', 'retry', 3_600_000);
    queue.addAfter('soon', 'soon', 'retry', 3_600_000);
    queue.addAfter('soon', 'sooner', 'retry', 1);
    queue.addAfter('soon', 'newest', 'retry', 3_600_000);
    queue.forget('late');

    assert.deepEqual(await drained(queue, 1), ['newest']);
    assert.equal(queue.depth.delayed, 0);
  });

  it('gives every key that was added at least once, the last item of each among them', async () => {
    const adds = fc.array(fc.tuple(fc.nat(9), fc.constantFrom<QueueLane>('live', 'retry', 'backfill')), { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(adds, fc.integer({ min: 1, max: 4 }), async (list, workers) => {
        const queue = new WorkQueue<number>();
        const last = new Map<string, number>();
        const got = new Map<string, number>();
        list.forEach(([key, lane], index) => {
          last.set(`${key}`, index);
          queue.add(`${key}`, index, lane);
        });
        const keyOf = new Map(list.map(([key], index) => [index, `${key}`]));

        await queue.run(workers, async ({ item }) => {
          await Promise.resolve();
          got.set(keyOf.get(item) ?? '', item);
          if (got.size === last.size) queue.close();
        });

        assert.deepEqual(got, new Map([...got.keys()].map((key) => [key, last.get(key)])));
      }),
    );
  });
});
