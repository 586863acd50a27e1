import { setTimeout as sleep } from 'node:timers/promises';
import PQueue from 'p-queue';
import { TransientError } from '../errors.ts';
import type { Context } from '../observe/context.ts';

/** How often one log is written to. Everybody who writes to it shares one of these. */
export interface Rate {
  /** Waits for a turn, first come first served; throws `tlog.busy` (transient, with the time to come back) when that takes more than 30 s. */
  turn(ctx: Context): Promise<void>;
  /** The log took an upload. */
  taken(): void;
  /** The log asked for patience (429, 503). `sentAt` is when the upload left, by the clock that was given. */
  pushedBack(sentAt: number, retryAfterMs: number | undefined): void;
  /** Uploads per second that it keeps to now. */
  readonly now: () => number;
}

/** What the passing of time is to a rate; a test brings its own. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** Rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  async sleep(ms, signal) {
    await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
  },
};

/** Waiting longer keeps a run's place for nothing: the queue holds it better. */
const longestWaitMs = 30_000;
/** One upload in 20 s: less would stop the work. */
const lowestPerSecond = 0.05;
/** Where the rate begins to count for a log that has none configured, once it asked for patience. */
const unlimitedPerSecond = 32;
/** Some 35 uploads double it. */
const riseFactor = 1.02;
/** A `Retry-After` beyond it is taken for nonsense. */
const longestPauseMs = 15 * 60_000;

/**
 * A token bucket that adapts. It fills at `perSecond` (without one: no bound, until the log asks for patience) and holds what one second
 * gives, at least one: the largest burst. A push-back halves the rate, once for all uploads that were on their way; each success raises it
 * by 2 %, up to what was configured. During a `Retry-After` nobody has a turn.
 */
export function openRate(log: string, perSecond: number | undefined, clock: Clock = systemClock): Rate {
  const ceiling = perSecond ?? Number.POSITIVE_INFINITY;
  const turns = new PQueue({ concurrency: 1 });
  const burst = Math.max(1, Math.min(ceiling, unlimitedPerSecond));
  let current = ceiling;
  let tokens = burst;
  let filledAt = clock.now();
  let pausedUntil = filledAt;
  let slowedAt = Number.NEGATIVE_INFINITY;

  /** How long until there is a token; takes it when it is there already. */
  const take = (): number => {
    const now = clock.now();
    tokens = Math.min(Math.max(1, Math.min(current, burst)), tokens + (Math.max(0, now - filledAt) / 1000) * Math.min(current, 1e9));
    filledAt = Math.max(filledAt, now);
    if (now < pausedUntil) return pausedUntil - now;
    // A millisecond's rounding is not worth another nap.
    if (tokens < 1 - 1e-6) return Math.ceil(((1 - tokens) / current) * 1000);
    tokens -= 1;
    return 0;
  };

  const wait = async (ctx: Context): Promise<void> => {
    for (;;) {
      ctx.signal.throwIfAborted();
      const ms = take();
      if (ms === 0) return;
      if (ms > longestWaitMs) throw busy(log, ms);
      await clock.sleep(ms, ctx.signal);
    }
  };

  return {
    async turn(ctx) {
      if (current === Number.POSITIVE_INFINITY && clock.now() >= pausedUntil) return;
      const aheadMs = ((turns.size + turns.pending) / current) * 1000;
      if (aheadMs > longestWaitMs) throw busy(log, aheadMs);
      await turns.add(async () => await wait(ctx), { signal: ctx.signal });
    },
    taken() {
      const risen = current * riseFactor;
      current = perSecond === undefined && risen > unlimitedPerSecond ? ceiling : Math.min(ceiling, risen);
    },
    pushedBack(sentAt, retryAfterMs) {
      const now = clock.now();
      pausedUntil = Math.max(pausedUntil, now + Math.min(retryAfterMs ?? 0, longestPauseMs));
      // Nothing is saved up meanwhile: after a pause the first goes at once, and the second at its distance.
      tokens = pausedUntil > now ? 1 : 0;
      filledAt = pausedUntil;
      if (sentAt < slowedAt) return;
      slowedAt = now;
      current = Math.max(lowestPerSecond, Math.min(current, unlimitedPerSecond) / 2);
    },
    now: () => current,
  };
}

/** What is configured; for a log of the public instance, which asks its users to be modest, 5 uploads per second. */
export function perSecondOf({ url, rate }: { readonly url: string; readonly rate?: number | undefined }): number | undefined {
  return rate ?? (/(^|\.)sigstore\.dev$/.test(new URL(url).hostname) ? 5 : undefined);
}

function busy(log: string, ms: number): TransientError {
  return new TransientError('tlog.busy', `Waiting for a turn at ${log}: the next one is in ${Math.ceil(ms / 1000)} s`, {
    retryAfterMs: ms,
  });
}
