import { TransientError } from '../../errors.ts';
import { orAborted } from '../../http/http.ts';
import type { Context } from '../../observe/context.ts';

/** What has an end: milliseconds since the epoch. */
export interface Perishable {
  readonly notAfter: number;
}

/** One thing at a time that is good for many uses, renewed before it ends. */
export interface Renewal<T> extends AsyncDisposable {
  /** Good for some time yet. Throws what `issue` throws when there is none, and none can be had. */
  get(ctx: Context): Promise<T>;
}

interface Held<T> {
  readonly value: T;
  /** From when a new one is asked for, while this one is used. */
  readonly renewAt: number;
  /** From when this one is not used any more. */
  readonly endAt: number;
}

/** The part of its life after which a new one is asked for. */
const renewAfter = 0.8;
/** No use begins so shortly before the end: what is signed must reach a log, too. Of short lives a tenth. */
const marginMs = 30_000;
/** After a failure nobody is asked for so long, whoever wants one; at most what the other side may ask for. */
const pauseMs = 1_000;
const maxPauseMs = 5 * 60_000;

/**
 * Asks for as few as possible: nothing before the first use, one at a time for however many callers, ahead of the end only when there is
 * a use. While a renewal fails the last one goes on to its end, with a warning. A life is counted from when it comes, so that clocks that
 * disagree do not make each use ask again.
 */
export function openRenewal<T extends Perishable>(issue: (ctx: Context) => Promise<T>, now: () => number): Renewal<T> {
  const stop = new AbortController();
  let held: Held<T> | undefined;
  let flight: Promise<Held<T>> | undefined;
  let ahead: Promise<void> = Promise.resolve();
  let failure: { readonly error: unknown; readonly until: number } | undefined;
  let waiting = 0;

  const renewed = async (ctx: Context): Promise<Held<T>> => {
    try {
      held = holdOf(await issue({ logger: ctx.logger, signal: stop.signal }), now());
      failure = undefined;
      return held;
    } catch (error) {
      const askedMs = error instanceof TransientError ? (error.retryAfterMs ?? 0) : 0;
      failure = { error, until: now() + Math.min(Math.max(pauseMs, askedMs), maxPauseMs) };
      throw error;
    } finally {
      flight = undefined;
    }
  };
  const renew = async (ctx: Context): Promise<Held<T>> => {
    if (flight === undefined && failure !== undefined && now() < failure.until) throw failure.error;
    flight ??= renewed(ctx);
    return await flight;
  };
  const renewAhead = (ctx: Context): void => {
    if (flight !== undefined || (failure !== undefined && now() < failure.until)) return;
    ahead = renew(ctx).then(
      () => undefined,
      (error: unknown) => {
        if (!stop.signal.aborted) ctx.logger.warn({ err: error }, 'cannot be renewed yet, the last one goes on');
      },
    );
  };

  return {
    async get(ctx) {
      ctx.signal.throwIfAborted();
      if (held !== undefined && now() < held.endAt) {
        if (now() >= held.renewAt) renewAhead(ctx);
        return held.value;
      }
      waiting += 1;
      try {
        return (await orAborted(renew(ctx), ctx.signal)).value;
      } finally {
        waiting -= 1;
      }
    },
    async [Symbol.asyncDispose]() {
      // Work that has begun ends with what it began with; what nobody waits for is told to stop.
      const closed = new TransientError('sign.closed', 'Cannot renew: the signer was closed');
      if (waiting === 0) stop.abort(closed);
      await Promise.allSettled([flight, ahead]);
      stop.abort(closed);
    },
  };
}

function holdOf<T extends Perishable>(value: T, now: number): Held<T> {
  const lifeMs = value.notAfter - now;
  return { value, renewAt: now + lifeMs * renewAfter, endAt: value.notAfter - Math.min(marginMs, lifeMs / 10) };
}
