import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as breath } from 'node:timers/promises';
import { pino } from 'pino';
import { TransientError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import { openRate, perSecondOf, type Clock, type Rate } from './rate.ts';

const logger = pino({ level: 'silent' });
const ctx: Context = { signal: new AbortController().signal, logger };

/** Sleeping takes no time, and moves the hands. */
function clock(): Clock & { at: number } {
  return {
    at: 0,
    now() {
      return this.at;
    },
    async sleep(ms, signal) {
      await breath();
      signal.throwIfAborted();
      this.at += ms;
    },
  };
}

async function timesOf(count: number, rate: Rate, time: Clock): Promise<readonly number[]> {
  const turns = Array.from({ length: count }, async () => {
    await rate.turn(ctx);
    return time.now();
  });
  return await Promise.all(turns);
}

describe('openRate', () => {
  it('lets a burst of one second through, and then one upload after the other', async () => {
    const time = clock();
    const rate = openRate('log', 5, time);

    assert.deepEqual(await timesOf(8, rate, time), [0, 0, 0, 0, 0, 200, 400, 600]);
  });

  it('saves up no more than one second while nobody asks', async () => {
    const time = clock();
    const rate = openRate('log', 2, time);
    await timesOf(2, rate, time);
    time.at += 60_000;

    assert.deepEqual(await timesOf(4, rate, time), [60_000, 60_000, 60_500, 61_000]);
  });

  it('halves once for all uploads that were on their way, and again for a later one', async () => {
    const time = clock();
    const rate = openRate('log', 8, time);

    time.at = 100;
    for (const sentAt of [10, 20, 30]) rate.pushedBack(sentAt, undefined);
    const once = rate.now();
    time.at = 200;
    rate.pushedBack(150, undefined);

    assert.deepEqual([once, rate.now()], [4, 2]);
    assert.deepEqual(await timesOf(3, rate, time), [700, 1200, 1700]);
  });

  it('rises slowly to what is configured, and never above it', () => {
    const rate = openRate('log', 8, clock());

    rate.pushedBack(0, undefined);
    for (let count = 0; count < 20; count += 1) rate.taken();
    const middle = rate.now();
    for (let count = 0; count < 100; count += 1) rate.taken();

    assert.equal(middle.toFixed(2), '5.94');
    assert.equal(rate.now(), 8);
  });

  it('never sinks to a standstill', () => {
    const time = clock();
    const rate = openRate('log', 5, time);

    for (time.at = 0; time.at < 100; time.at += 1) rate.pushedBack(time.at, undefined);

    assert.equal(rate.now(), 0.05);
  });

  it('gives nobody a turn before Retry-After is over', async () => {
    const time = clock();
    const rate = openRate('log', 4, time);

    rate.pushedBack(0, 3_000);

    assert.deepEqual(await timesOf(2, rate, time), [3_000, 3_500]);
  });

  it('sends away who would wait for more than 30 s, with the time to come back', async () => {
    const rate = openRate('https://log.example', 4, clock());

    rate.pushedBack(0, 60_000);

    await assert.rejects(rate.turn(ctx), (error) => {
      assert.ok(error instanceof TransientError);
      assert.deepEqual([error.code, error.retryAfterMs, error.dependency], ['tlog.busy', 60_000, undefined]);
      assert.equal(error.message, 'Waiting for a turn at https://log.example: the next one is in 60 s');
      return true;
    });
  });

  it('sends away who comes when the queue is longer than 30 s', async () => {
    const time = clock();
    const rate = openRate('log', 1, time);

    const turns = await Promise.allSettled(Array.from({ length: 40 }, async () => await rate.turn(ctx)));

    assert.equal(turns.filter(({ status }) => status === 'fulfilled').length, 31);
  });

  it('takes an hour of Retry-After for a quarter of one', async () => {
    const rate = openRate('log', 1, clock());

    rate.pushedBack(0, 3_600_000);

    await assert.rejects(rate.turn(ctx), { retryAfterMs: 900_000 });
  });

  it('stops who is told to stop, and goes on with the next', async () => {
    const time = clock();
    const rate = openRate('log', 1, time);
    const stop = new AbortController();
    await rate.turn(ctx);

    const stopped = [rate.turn({ signal: stop.signal, logger }), rate.turn({ signal: stop.signal, logger })];
    const next = rate.turn(ctx);
    stop.abort(new Error('enough'));

    for (const turn of stopped) await assert.rejects(turn, { message: 'enough' });
    await next;
    assert.equal(time.now(), 1_000);
  });

  it('has no bound without a configured rate, until the log asks for patience, and again when it is content', async () => {
    const time = clock();
    const rate = openRate('log', undefined, time);

    const free = await timesOf(500, rate, time);
    rate.pushedBack(0, undefined);
    const slowed = rate.now();
    const spaced = await timesOf(3, rate, time);
    for (let count = 0; count < 40; count += 1) rate.taken();

    assert.equal(Math.max(...free), 0);
    assert.equal(slowed, 16);
    assert.deepEqual(spaced, [63, 125, 188]);
    assert.equal(rate.now(), Number.POSITIVE_INFINITY);
  });
});

describe('perSecondOf', () => {
  const rows = [
    { url: 'https://rekor.sigstore.dev', rate: undefined, want: 5 },
    { url: 'https://log2025-1.rekor.sigstore.dev/', rate: undefined, want: 5 },
    { url: 'https://rekor.sigstore.dev', rate: 20, want: 20 },
    { url: 'https://rekor.example.com', rate: undefined, want: undefined },
    { url: 'https://notsigstore.dev', rate: undefined, want: undefined },
    { url: 'https://sigstore.dev.example.com/rekor.sigstore.dev', rate: undefined, want: undefined },
  ];
  for (const { url, rate, want } of rows) {
    it(`is ${want ?? 'no bound'} for ${url}${rate === undefined ? '' : ` with ${rate} configured`}`, () => {
      assert.equal(perSecondOf({ url, rate }), want);
    });
  }
});
