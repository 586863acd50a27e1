import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { SqliteThread, workerUrl } from './sqlite-thread.ts';
import type { Statement } from './statement.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

function request(sql: string): readonly Statement[] {
  return [{ sql, parameters: [], isGate: false }];
}

describe('SqliteThread', () => {
  it('fails the batch during which the worker dies, and starts another for the next', async () => {
    const { promise: started, resolve } = Promise.withResolvers<Worker>();
    process.once('worker', resolve);
    await using thread = await SqliteThread.open({ path: ':memory:', maxBytes: 2 ** 20 }, ctx);
    await thread.commit([request('create table t (n)'), request('insert into t values (1)')]);

    // Long enough that the end comes before the answer.
    const long = 'with recursive c(n) as (select 1 union all select n + 1 from c where n < 1000000) select max(n) from c';
    const died = thread.commit([request(long)]);
    await Promise.all([(await started).terminate(), died.catch(() => undefined)]);
    const ended = await died.then(
      () => 'lived',
      (error: unknown) => String(error),
    );
    const [next] = await thread.commit([request('select 1 as one')]);

    assert.match(ended, /^TransientError: Cannot write to journal ":memory:": its worker stopped: /);
    assert.deepEqual(next, { kind: 'done', results: [{ rows: [{ one: 1 }], changes: 0 }] });
    assert.equal(thread.commits, 1);
  });
});

describe('workerUrl', () => {
  const rows = [
    { name: 'source', self: 'file:///app/src/journal/sqlite-thread.ts', url: 'file:///app/src/journal/sqlite-worker.ts' },
    { name: 'a build', self: 'file:///app/dist/journal/sqlite-thread.js', url: 'file:///app/dist/journal/sqlite-worker.js' },
  ];
  for (const { name, self, url } of rows) {
    it(`is beside the module in ${name}`, () => {
      assert.equal(workerUrl(self).href, url);
    });
  }
});
