import { TransientError } from '../../errors.ts';
import { openDeadline, type Context } from '../../observe/context.ts';

export interface Limit {
  readonly ms: number;
  readonly code: string;
  /** `store what belongs to "registry/repository"`: what cannot be done in time. */
  readonly action: string;
  /** `oci:<registry>`, for its breaker. */
  readonly dependency: string;
}

/** A registry that is silent costs no more than this, whatever is asked of it and however often. Throws `code`, transient. */
export async function inTime<T>({ ms, code, action, dependency }: Limit, ctx: Context, work: (ctx: Context) => Promise<T>): Promise<T> {
  using deadline = openDeadline(ms, ctx.signal);
  try {
    return await work({ ...ctx, signal: deadline.signal });
  } catch (cause) {
    if (!deadline.isOver()) throw cause;
    throw new TransientError(code, `Cannot ${action}: it took longer than ${ms / 1000} s`, {
      cause,
      dependency,
      fix: 'see whether the registry answers at all',
    });
  }
}
