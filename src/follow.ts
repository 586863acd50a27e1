import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config/config.ts';
import type { Context } from './observe/context.ts';

/** A configuration that could not be applied is tried again after this time: a key or a server may come. */
const againMs = 10_000;

/**
 * Applies each configuration as it comes. One that cannot be applied changes nothing, and is tried again until a newer one comes. Ends with the
 * changes.
 */
export async function follow(changes: AsyncIterable<Config>, apply: (config: Config) => Promise<boolean>, ctx: Context): Promise<void> {
  const iterator = changes[Symbol.asyncIterator]();
  let pending: Config | undefined;
  let next = iterator.next();
  for (;;) {
    const timer = new AbortController();
    const again = sleep(againMs, undefined, { signal: AbortSignal.any([ctx.signal, timer.signal]), ref: false }).catch(() => undefined);
    const change = await (pending === undefined ? next : Promise.race([next, again]));
    timer.abort();
    ctx.signal.throwIfAborted();
    if (change?.done === true) return;
    if (change !== undefined) next = iterator.next();
    const config = change === undefined ? pending : change.value;
    if (config !== undefined) pending = (await apply(config)) ? undefined : config;
  }
}
