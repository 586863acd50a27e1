import type { Logger } from 'pino';

/** The last argument of every effectful call: how to stop, and where to speak. Nothing else, ever. */
export interface Context {
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** Runs `work` with a deadline of `ms` milliseconds on top of the context's own signal. Nothing is left of it when `work` has ended. */
export async function within<T>(ms: number, ctx: Context, work: (ctx: Context) => Promise<T>): Promise<T> {
  using deadline = openDeadline(ms, ctx.signal);
  return await work({ ...ctx, signal: deadline.signal });
}

export interface Deadline extends Disposable {
  /** Aborts with `outer`'s reason, or with a `TimeoutError`, as `AbortSignal.timeout` does, when the time is over first. */
  readonly signal: AbortSignal;
  readonly isOver: () => boolean;
}

/**
 * As `AbortSignal.any([outer, AbortSignal.timeout(ms)])`, until it is disposed of. Those live until the time is over however soon the work ends, at
 * 2 KB each: with 30 s for each of some hundred calls a second that was a third of the heap.
 */
export function openDeadline(ms: number, outer: AbortSignal): Deadline {
  const own = new AbortController();
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = !own.signal.aborted;
    own.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
  }, ms).unref();
  const stop = (): void => {
    own.abort(outer.reason);
  };
  outer.addEventListener('abort', stop, { once: true });
  if (outer.aborted) stop();
  return {
    signal: own.signal,
    isOver: () => isOver,
    [Symbol.dispose]() {
      clearTimeout(timer);
      outer.removeEventListener('abort', stop);
    },
  };
}
