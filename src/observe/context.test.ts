import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { within, type Context } from './context.ts';

const logger = pino({ level: 'silent' });

/** Waits until it is told to stop, and gives the reason. */
async function stopped({ signal }: Context): Promise<unknown> {
  await sleep(60_000, undefined, { signal }).catch(() => undefined);
  return signal.reason;
}

describe('within', () => {
  it('stops the work with a TimeoutError when its time is over', async () => {
    const ctx: Context = { signal: new AbortController().signal, logger };

    const reason = await within(5, ctx, stopped);

    assert.equal(reason instanceof DOMException && reason.name, 'TimeoutError');
  });

  it('stops the work for the reason of the context, also one that was told to stop before', async () => {
    const outer = new AbortController();
    const ctx: Context = { signal: outer.signal, logger };
    const reason = new Error('the process ends');

    const early = within(60_000, ctx, stopped);
    outer.abort(reason);

    assert.deepEqual([await early, await within(60_000, ctx, stopped)], [reason, reason]);
  });

  it('leaves nothing behind on the signal of the context, whether the work succeeds or not', async () => {
    const outer = new AbortController();
    const ctx: Context = { signal: outer.signal, logger };

    const result = await within(60_000, ctx, async () => await Promise.resolve('done'));
    const failure = within(60_000, ctx, async () => await Promise.reject(new Error('failed')));

    await assert.rejects(failure, /failed/);
    assert.equal(result, 'done');
    assert.deepEqual(getEventListeners(outer.signal, 'abort'), []);
  });
});
