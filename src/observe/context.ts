import type { Logger } from 'pino';

/** The last argument of every effectful call: how to stop, and where to speak. Nothing else, ever. */
export interface Context {
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** Runs `work` with a deadline of `ms` milliseconds on top of the context's own signal. */
export async function within<T>(ms: number, ctx: Context, work: (ctx: Context) => Promise<T>): Promise<T> {
  return await work({ ...ctx, signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(ms)]) });
}
