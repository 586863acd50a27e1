import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { codeOf, TransientError } from '../../errors.ts';
import type { Context } from '../../observe/context.ts';
import { openRenewal, type Renewal } from './renewal.ts';

interface Thing {
  readonly number: number;
  readonly notAfter: number;
}

interface Scene {
  readonly renewal: Renewal<Thing>;
  readonly warnings: string[];
  readonly ctx: Context;
  now: number;
  asked: number;
  lifeMs: number;
  /** What the next answers are; undefined for a new thing. */
  failure: Error | undefined;
  /** Answers wait for it. */
  gate: Promise<void>;
  /** Of the last question. */
  signal: AbortSignal | undefined;
}

const minute = 60_000;

function sceneOf(): Scene {
  const warnings: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  const scene: Scene = {
    renewal: openRenewal(
      async (within) => {
        scene.asked += 1;
        scene.signal = within.signal;
        await scene.gate;
        within.signal.throwIfAborted();
        if (scene.failure) throw scene.failure;
        return { number: scene.asked, notAfter: scene.now + scene.lifeMs };
      },
      () => scene.now,
    ),
    warnings,
    ctx: { signal: new AbortController().signal, logger },
    now: 0,
    asked: 0,
    lifeMs: 10 * minute,
    failure: undefined,
    gate: Promise.resolve(),
    signal: undefined,
  };
  return scene;
}

const down = (retryAfterMs?: number) => new TransientError('test.down', 'down', retryAfterMs === undefined ? {} : { retryAfterMs });

describe('openRenewal', () => {
  it('asks for nothing before the first use, and once for as many callers as there are', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    const before = scene.asked;

    const things = await Promise.all(Array.from({ length: 50 }, async () => await renewal.get(scene.ctx)));

    assert.deepEqual([before, scene.asked, new Set(things).size], [0, 1, 1]);
  });

  it('uses one thing for 80 % of its life, then asks for another while the first one goes on', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    const numbers: number[] = [];

    for (scene.now = 0; scene.now <= 9 * minute; scene.now += 2_700) {
      numbers.push((await renewal.get(scene.ctx)).number);
      await turn();
    }

    // The use that finds it due at 480.6 s still has the first one: 178 steps of 2.7 s and the one at 0.
    assert.deepEqual([numbers.length, numbers.indexOf(2), scene.asked], [201, 179, 2]);
  });

  it('asks once for each 80 % of a life, however often it is used', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    const lives = 100;

    for (; scene.now < lives * scene.lifeMs; scene.now += minute) {
      const { notAfter } = await renewal.get(scene.ctx);
      assert.equal(notAfter > scene.now, true);
      await turn();
    }

    assert.equal(scene.asked, lives / 0.8);
  });

  it('goes on with the last one while it cannot be renewed, says so, and never uses it to its very end', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    await renewal.get(scene.ctx);
    scene.failure = down();

    scene.now = 8 * minute;
    const late = await renewal.get(scene.ctx);
    await turn();
    scene.now = 9.5 * minute - 1;
    const last = await renewal.get(scene.ctx);
    await turn();
    scene.now = 9.5 * minute + 1_000;

    await assert.rejects(renewal.get(scene.ctx), { code: 'test.down' });
    assert.deepEqual([late.number, last.number, scene.asked, scene.warnings.length], [1, 1, 4, 2]);
    assert.match(scene.warnings[0] ?? '', /cannot be renewed yet, the last one goes on/);
  });

  it('asks again soon after a failure, but not at once', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    scene.failure = down();

    await assert.rejects(renewal.get(scene.ctx), { code: 'test.down' });
    scene.now = 999;
    await assert.rejects(renewal.get(scene.ctx), { code: 'test.down' });
    const paused = scene.asked;
    scene.now = 1_000;
    scene.failure = undefined;

    assert.deepEqual([paused, (await renewal.get(scene.ctx)).number], [1, 2]);
  });

  it('waits as long as it was asked to', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    scene.failure = down(30_000);

    for (scene.now = 0; scene.now < 30_000; scene.now += 1_000) await assert.rejects(renewal.get(scene.ctx), { code: 'test.down' });
    scene.failure = undefined;
    const paused = scene.asked;

    assert.deepEqual([paused, (await renewal.get(scene.ctx)).number], [1, 2]);
  });

  it('does not let one caller who gives up spoil it for the others', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    const gate = Promise.withResolvers<void>();
    scene.gate = gate.promise;
    const hasty = new AbortController();

    const first = renewal.get({ ...scene.ctx, signal: hasty.signal });
    const second = renewal.get(scene.ctx);
    hasty.abort(new Error('no time'));
    await assert.rejects(first, /no time/);
    gate.resolve();

    assert.equal((await second).number, 1);
    assert.equal(scene.asked, 1);
  });

  it('lets those who wait have their thing when it is closed, and stops what nobody waits for', async () => {
    const waited = sceneOf();
    const gate = Promise.withResolvers<void>();
    waited.gate = gate.promise;
    const thing = waited.renewal.get(waited.ctx);
    const closing = waited.renewal[Symbol.asyncDispose]();
    gate.resolve();
    await closing;

    const ahead = sceneOf();
    await ahead.renewal.get(ahead.ctx);
    ahead.now = 8 * minute;
    const slow = Promise.withResolvers<void>();
    ahead.gate = slow.promise;
    await ahead.renewal.get(ahead.ctx);
    const closed = ahead.renewal[Symbol.asyncDispose]();
    const wasStopped = ahead.signal?.aborted;
    slow.resolve();
    await closed;

    assert.equal((await thing).number, 1);
    assert.equal(wasStopped, true);
    assert.deepEqual(ahead.warnings, []);
    ahead.now = 20 * minute;
    assert.equal(codeOf(await ahead.renewal.get(ahead.ctx).catch((error: unknown) => error)), 'sign.closed');
  });

  it('keeps the pace of a short rest of life when the clocks disagree', async () => {
    const scene = sceneOf();
    await using renewal = scene.renewal;
    scene.lifeMs = 60_000;

    for (; scene.now < 600_000; scene.now += 100) {
      await renewal.get(scene.ctx);
      await turn();
    }

    // Every 48 s.
    assert.equal(scene.asked, 13);
  });
});
