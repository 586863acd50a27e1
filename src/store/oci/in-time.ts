import { TransientError } from '../../errors.ts';
import { within, type Context } from '../../observe/context.ts';

export interface Deadline {
  readonly ms: number;
  readonly code: string;
  /** `store "127.0.0.1:5000/app"`: what cannot be done in time. */
  readonly action: string;
  /** `oci:<registry>`, for its breaker. */
  readonly dependency: string;
}

/** A registry that is silent costs no more than this, whatever is asked of it and however often. Throws `code`, transient. */
export async function inTime<T>({ ms, code, action, dependency }: Deadline, ctx: Context, work: (ctx: Context) => Promise<T>): Promise<T> {
  let inner: AbortSignal | undefined;
  try {
    return await within(ms, ctx, async (limited) => {
      inner = limited.signal;
      return await work(limited);
    });
  } catch (cause) {
    if (ctx.signal.aborted || inner?.aborted !== true) throw cause;
    throw new TransientError(code, `Cannot ${action}: it took longer than ${ms / 1000} s`, { cause, dependency });
  }
}
