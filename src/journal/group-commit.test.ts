import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GroupCommit, type Commit, type Settled } from './group-commit.ts';
import type { Statement } from './statement.ts';

function request(parameter: string): readonly Statement[] {
  return [{ sql: 'insert', parameters: [parameter], isGate: false }];
}

function echo(batch: Parameters<Commit>[0]): readonly Settled[] {
  return batch.map(([statement]) => ({ kind: 'done', results: [{ rows: [statement?.parameters[0]], changes: 1 }] }));
}

async function rowOf(group: GroupCommit, parameter: string): Promise<unknown> {
  return (await group.execute(request(parameter)))[0]?.rows[0];
}

describe('GroupCommit', () => {
  it('commits what comes at once together, and gives everyone their own result', async () => {
    const sizes: number[] = [];
    await using group = new GroupCommit(async (batch) => {
      sizes.push(batch.length);
      return await Promise.resolve(echo(batch));
    });
    const wanted = Array.from({ length: 100 }, (_, index) => `${index}`);

    const rows = await Promise.all(wanted.map(async (parameter) => await rowOf(group, parameter)));

    assert.deepEqual({ rows, sizes }, { rows: wanted, sizes: [100] });
  });

  it('gathers the next batch while one is under way, within the bounds of a batch', async () => {
    const sizes: number[] = [];
    let underWay = 0;
    let most = 0;
    const limits = { batchRequests: 4, batchBytes: 30 };
    await using group = new GroupCommit(async (batch) => {
      most = Math.max(most, (underWay += 1));
      sizes.push(batch.length);
      await new Promise(setImmediate);
      underWay -= 1;
      return echo(batch);
    }, limits);

    // Five small ones, then three of which two are more than a batch may weigh, and one is by itself.
    const texts = ['a', 'b', 'c', 'd', 'e', 'x'.repeat(20), 'y'.repeat(20), 'z'.repeat(99)];
    const rows = await Promise.all(texts.map(async (text) => await rowOf(group, text)));

    assert.deepEqual({ rows, sizes, most }, { rows: texts, sizes: [4, 2, 1, 1], most: 1 });
  });

  const bounds = [
    { name: 'requests', limits: { queueRequests: 4 }, taken: 4 },
    { name: 'bytes', limits: { queueBytes: 30 }, taken: 3 },
  ];
  for (const { name, limits, taken } of bounds) {
    it(`takes no more ${name} than the queue may hold, and refuses the rest when it is closed`, async () => {
      const group = new GroupCommit(async (batch) => await Promise.resolve(echo(batch)), limits);
      const calls = Promise.allSettled(Array.from({ length: 9 }, async () => await rowOf(group, '0123456789')));

      await group[Symbol.asyncDispose]();

      const ended = (await calls).map((each) => (each.status === 'fulfilled' ? each.value : String(each.reason)));
      const refused = 'TransientError: Cannot write to the journal: it is closed';
      assert.deepEqual(
        ended,
        Array.from({ length: 9 }, (_, index) => (index < taken ? '0123456789' : refused)),
      );
      await assert.rejects(rowOf(group, 'late'), { code: 'journal.closed' });
    });

    it(`serves everyone in the end with a queue bounded in ${name}`, async () => {
      await using group = new GroupCommit(async (batch) => await Promise.resolve(echo(batch)), { ...limits, batchRequests: 2 });
      const wanted = Array.from({ length: 25 }, (_, index) => `${index}`.padStart(10));

      assert.deepEqual(await Promise.all(wanted.map(async (text) => await rowOf(group, text))), wanted);
    });
  }

  it('fails the request that failed and no other', async () => {
    await using group = new GroupCommit(async (batch) => {
      const settled = echo(batch);
      return await Promise.resolve(settled.with(1, { kind: 'failed', error: new Error('disk') }));
    });

    const ended = await Promise.allSettled(['a', 'b', 'c'].map(async (text) => await rowOf(group, text)));

    assert.deepEqual(
      ended.map((each) => (each.status === 'fulfilled' ? each.value : String(each.reason))),
      ['a', 'Error: disk', 'c'],
    );
  });

  it('fails the batch when the commit does, and takes the next', async () => {
    let calls = 0;
    await using group = new GroupCommit(async (batch) => {
      calls += 1;
      if (calls === 1) throw new Error('gone');
      return await Promise.resolve(echo(batch));
    });

    await assert.rejects(rowOf(group, 'a'), /gone/);

    assert.equal(await rowOf(group, 'b'), 'b');
  });
});
