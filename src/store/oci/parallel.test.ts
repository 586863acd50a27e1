import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TerminalError } from '../../errors.ts';
import { inOrder } from './parallel.ts';

const items = [0, 1, 2, 3, 4, 5, 6];

describe('inOrder', () => {
  it('keeps the order and the limit', async () => {
    let running = 0;
    let most = 0;

    const doubled = await inOrder(items, 3, async (item) => {
      most = Math.max(most, (running += 1));
      for (let turns = items.length - item; turns > 0; turns -= 1) await turn();
      running -= 1;
      return item * 2;
    });

    assert.deepEqual({ doubled, most }, { doubled: [0, 2, 4, 6, 8, 10, 12], most: 3 });
  });

  it('tries all, then throws the one failure as it is', async () => {
    const tried: number[] = [];
    const broken = new TerminalError('x.y', 'broken');

    const all = inOrder(items, 2, async (item) => {
      tried.push(item);
      await turn();
      if (item === 0) throw broken;
    });

    await assert.rejects(all, (error) => error === broken);
    assert.deepEqual(tried, items);
  });

  it('throws several failures as one, in order', async () => {
    const all = inOrder(items, 2, async (item) => {
      if (item % 2 === 1) throw new Error(String(item));
      await turn();
    });

    await assert.rejects(all, (error: AggregateError) => {
      assert.deepEqual(error.errors.map(String), ['Error: 1', 'Error: 3', 'Error: 5']);
      return error instanceof AggregateError;
    });
  });
});
