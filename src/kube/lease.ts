import { codeOf, TerminalError, TransientError } from '../errors.ts';
import { at, isObject, textAt, type JsonObject } from '../model/json.ts';
import type { Context } from '../observe/context.ts';
import { pause, type KubeClient } from './client.ts';
import { objectPath, collectionPath } from './resources.ts';

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique among the living; the same after a restart of the same Pod, so that it need not wait for itself. */
  readonly identity: string;
  /** How long a silent holder keeps the lease. Default 12 s: with the 2 s until the last renewal is noticed, take-over stays within 15 s. */
  readonly durationMs?: number;
  /** How long a holder tries to renew before it gives up by itself, well before anybody may take over; default 8 s. */
  readonly renewWithinMs?: number;
  /** Between two renewals, and between two looks of those who wait; default 2 s. */
  readonly retryMs?: number;
}

/** Held until it is disposed of, which gives it back at once. It outlives the context that asked for it, so that work can end under it. */
export interface Lead extends AsyncDisposable {
  /** Aborts with `kube.lease-lost` when it could not be renewed, or somebody else has it: stop writing now. */
  readonly lost: AbortSignal;
}

interface Settings extends LeaseOptions {
  readonly durationMs: number;
  readonly renewWithinMs: number;
  readonly retryMs: number;
}

/** A lease that we hold, and when the request that made it ours was sent, by our monotonic clock. */
interface Held {
  readonly lease: JsonObject;
  readonly at: number;
}

/**
 * Waits until the `coordination.k8s.io/v1` Lease is ours. Whether a holder is alive is judged by how long its record has not changed
 * for us, never by the times in it: clocks differ. Throws terminal errors (`kube.forbidden`) and the signal's reason; the rest is retried.
 */
export async function acquireLease(client: KubeClient, options: LeaseOptions, ctx: Context): Promise<Lead> {
  const settings = { durationMs: 12_000, renewWithinMs: 8_000, retryMs: 2_000, ...options };
  const held = await contend(client, settings, ctx);
  ctx.logger.info({ lease: settings.name, identity: settings.identity }, 'lease acquired');
  return hold(client, { settings, held }, ctx);
}

async function contend(client: KubeClient, settings: Settings, ctx: Context): Promise<Held> {
  let seen: { readonly record: string; readonly at: number } | undefined;
  let told = '';
  for (;;) {
    let waitMs = settings.retryMs;
    try {
      const lease = await client.call('GET', pathOf(settings), { retries: 0, timeoutMs: settings.renewWithinMs }, ctx);
      const holder = textAt(lease, 'spec', 'holderIdentity');
      const now = performance.now();
      const record = JSON.stringify(at(lease, 'spec') ?? null);
      if (seen?.record !== record) seen = { record, at: now };
      const leftMs = seen.at + silenceOf(lease, settings) - now;
      if (holder === '' || holder === settings.identity || leftMs <= 0) {
        const taken = await write(client, { settings, lease, holder: settings.identity }, ctx);
        if (taken !== undefined) return { lease: taken, at: now };
        ctx.logger.warn({ lease: settings.name, namespace: settings.namespace }, 'lease cannot be made: there is no such namespace');
      } else {
        waitMs = Math.min(waitMs, leftMs);
        if (told !== holder) ctx.logger.info({ lease: settings.name, holder }, 'lease is held by another, standing by');
        told = holder;
      }
    } catch (error) {
      if (ctx.signal.aborted || error instanceof TerminalError) throw error;
      const isRace = codeOf(error) === 'kube.conflict' || codeOf(error) === 'kube.exists';
      if (!isRace) ctx.logger.warn({ err: error, lease: settings.name }, 'lease cannot be looked at');
    }
    await pause(waitMs, ctx);
  }
}

function hold(client: KubeClient, start: { readonly settings: Settings; readonly held: Held }, ctx: Context): Lead {
  const { settings } = start;
  const lost = new AbortController();
  const stop = new AbortController();
  const own: Context = { logger: ctx.logger, signal: AbortSignal.any([stop.signal, lost.signal]) };
  let { held } = start;
  const lose = (why: string): void => {
    if (stop.signal.aborted || lost.signal.aborted) return;
    ctx.logger.error({ lease: settings.name }, `lease lost: ${why}`);
    lost.abort(new TransientError('kube.lease-lost', `Cannot keep the lease "${settings.name}": ${why}`));
  };
  const armed = (): NodeJS.Timeout =>
    setTimeout(lose, Math.max(0, held.at + settings.renewWithinMs - performance.now()), 'it could not be renewed in time');
  let timer = armed();
  const renewing = (async () => {
    while (!own.signal.aborted) {
      try {
        await pause(settings.retryMs, own);
        const renewed = await renew(client, { settings, lease: held.lease }, own);
        if (renewed === 'taken') {
          lose('somebody else has it');
          return;
        }
        held = renewed;
        clearTimeout(timer);
        timer = armed();
      } catch (error) {
        if (!own.signal.aborted) ctx.logger.warn({ err: error, lease: settings.name }, 'lease cannot be renewed');
      }
    }
  })();
  return {
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await renewing;
      clearTimeout(timer);
      if (!lost.signal.aborted) await release(client, { settings, lease: held.lease }, ctx);
    },
  };
}

interface Change {
  readonly settings: Settings;
  readonly lease: JsonObject | undefined;
}

/** Usually one write on the version that we know; a conflict looks who has it. */
async function renew(client: KubeClient, { settings, lease }: Change, ctx: Context): Promise<Held | 'taken'> {
  let now = performance.now();
  let known = lease;
  for (;;) {
    try {
      const written = await write(client, { settings, lease: known, holder: settings.identity }, ctx);
      if (written !== undefined) return { lease: written, at: now };
      known = undefined;
    } catch (error) {
      if (codeOf(error) !== 'kube.conflict' && codeOf(error) !== 'kube.exists') throw error;
      known = await client.call('GET', pathOf(settings), { retries: 0, timeoutMs: settings.retryMs }, ctx);
    }
    const holder = textAt(known, 'spec', 'holderIdentity');
    if (known !== undefined && holder !== settings.identity) return 'taken';
    now = performance.now();
    await pause(settings.retryMs / 10, ctx);
  }
}

/** Lets the next one in without waiting; if it fails the lease just runs out. */
async function release(client: KubeClient, change: Change, ctx: Context): Promise<void> {
  const own: Context = { logger: ctx.logger, signal: AbortSignal.timeout(3_000) };
  try {
    await write(client, { ...change, holder: '' }, own);
    ctx.logger.info({ lease: change.settings.name }, 'lease released');
  } catch (error) {
    ctx.logger.warn({ err: error, lease: change.settings.name }, 'lease not released, it runs out by itself');
  }
}

/** Creates or replaces, on the version that was seen. undefined when the namespace, or on replacing the lease, is gone. */
async function write(
  client: KubeClient,
  { settings, lease, holder }: Change & { readonly holder: string },
  ctx: Context,
): Promise<JsonObject | undefined> {
  const time = microTime(new Date());
  const before = isObject(at(lease, 'spec')) ? textAt(lease, 'spec', 'holderIdentity') : undefined;
  const isSame = before === holder || holder === '';
  const transitions = at(lease, 'spec', 'leaseTransitions');
  const spec = {
    holderIdentity: holder,
    // A lease that is given back keeps nobody waiting who counts from its record.
    leaseDurationSeconds: holder === '' ? 1 : Math.ceil(settings.durationMs / 1000),
    acquireTime: isSame ? (at(lease, 'spec', 'acquireTime') ?? time) : time,
    renewTime: time,
    leaseTransitions: (typeof transitions === 'number' ? transitions : 0) + (isSame || lease === undefined ? 0 : 1),
  };
  const { namespace, name } = settings;
  const options = { retries: 0, timeoutMs: settings.renewWithinMs };
  const kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
  if (lease === undefined) {
    return await client.call('POST', collectionPath('leases', namespace), { ...options, body: { ...kind, metadata: { name }, spec } }, ctx);
  }
  const metadata = at(lease, 'metadata');
  return await client.call('PUT', pathOf(settings), { ...options, body: { ...kind, metadata, spec } }, ctx);
}

/** How long the holder may be silent: what its own record says, within reason, else ours. */
function silenceOf(lease: JsonObject | undefined, settings: Settings): number {
  const seconds = at(lease, 'spec', 'leaseDurationSeconds');
  return typeof seconds === 'number' && seconds > 0 && seconds <= 300 ? seconds * 1000 : settings.durationMs;
}

function pathOf({ namespace, name }: Settings): string {
  return objectPath({ resource: 'leases', namespace, name });
}

/** RFC 3339 with six digits, as Go's MicroTime wants it. */
function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
