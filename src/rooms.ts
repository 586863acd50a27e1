import type { Breakers } from './breakers.ts';
import type { Rooms } from './carriage.ts';
import type { Config } from './config/config.ts';
import { CodedError, TerminalError, TransientError } from './errors.ts';
import type { Journal } from './journal/journal.ts';
import { keyIdOf } from './model/public-key.ts';
import type { Context } from './observe/context.ts';
import type { Metrics } from './observe/metrics.ts';
import { OpenSigners } from './open-signers.ts';
import { planOptionsOf } from './plan.ts';
import { servicesOf } from './services.ts';
import type { SignerMeans } from './sign/signer.ts';
import { openReader, type Reader } from './store/oci/reader.ts';
import type { OpenStore, StoreKind } from './store/store.ts';
import { stores } from './store/stores.ts';
import type { Log, LogKind } from './tlog/log.ts';
import { logs } from './tlog/logs.ts';
import { openAuthority, type Authority } from './tlog/timestamp.ts';
import { openTrust } from './trust/open.ts';
import type { TrustedRoot } from './trust/trusted-root.ts';

/** What lives longer than one configuration. */
export interface Foundation {
  readonly journal: Journal;
  readonly breakers: Breakers;
  readonly metrics: Metrics;
  /** Secrets of the cluster, for signers; undefined where there is none. */
  readonly secret: SignerMeans['secret'];
}

/** The rooms of one configuration. Signers, logs and stores open on first need, once, and close with it. */
export interface OpenRooms extends Rooms, AsyncDisposable {}

/** How often it is asked whether trusted root and signing configuration are still the same, and when everything is read again. */
const servicesLookMs = 10_000;
const servicesLifeMs = 60 * 60 * 1_000;

/** Which services of Sigstore are used, opened with the trust in them. */
interface OpenServices extends AsyncDisposable {
  readonly root: TrustedRoot;
  readonly logs: readonly Log[];
  readonly authorities: readonly Authority[];
  readonly isGood: () => Promise<boolean>;
}

export function openRooms(config: Config, { secret, ...foundation }: Foundation): OpenRooms {
  const openStores = new Map<string, Kept<OpenStore>>();
  const openReaders = new Map<string, Kept<Reader>>();
  const openServices = new Map<string, Kept<OpenServices>>();
  const services = async (ctx: Context) => {
    const open = async () => await foundation.breakers.guard('trust', async () => await openedServices(config, ctx));
    return await kept(
      { map: openServices, name: 'services', lifeMs: servicesLookMs, open, isGood: async (there) => await there.isGood() },
      ctx,
    );
  };
  const openSigners = new OpenSigners(config, { trust: async (ctx) => (await services(ctx)).root, secret });
  const isTrustUsed = config.transparency !== 'off' || config.trust.fulcio !== undefined;
  const isStamped = config.log.timestamps.length > 0 || config.log.signingConfig !== undefined;
  const known = new Map<string, number>();
  return {
    ...foundation,
    plan: planOptionsOf(config),
    limits: config.limits,
    readBack: config.proof.readBack,
    tagsEnvelopes: config.layout !== 'referrers',
    bundlesEnvelopes: config.layout !== 'tags',
    signer: async (name, ctx) => await openSigners.get(name, ctx),
    trust: async (ctx) => (isTrustUsed || isStamped ? (await services(ctx)).root : undefined),
    logs: async (ctx) => (await services(ctx)).logs,
    authorities: async (ctx) => (isStamped ? (await services(ctx)).authorities : []),
    store: async (name, ctx) =>
      await kept({ map: openStores, name, lifeMs: Infinity, open: async () => await openStore(name, config, ctx) }, ctx),
    async children(image, ctx) {
      const open = async () => await openReader(stores.oci.options.parse(config.stores.oci), ctx);
      const reader = await kept({ map: openReaders, name: 'oci', lifeMs: Infinity, open }, ctx);
      return await reader.children(image, ctx);
    },
    async keyUsed({ publicKey, signer }) {
      const now = Date.now();
      const name = `${signer} ${publicKey}`;
      if (now - (known.get(name) ?? 0) < keyNoteMs) return;
      if (known.size >= maxKnownKeys) known.clear();
      known.set(name, now);
      await foundation.journal.keepKey({ fingerprint: keyIdOf(publicKey), publicKey, signer }, now);
    },
    async [Symbol.asyncDispose]() {
      const all = [openStores, openReaders, openServices].flatMap((map) => [...map.values()]);
      await Promise.all([
        openSigners[Symbol.asyncDispose](),
        ...all.map(async ({ value }) => await value.then(async (opened) => await opened[Symbol.asyncDispose]()).catch(() => undefined)),
      ]);
    },
  };
}

/** The last use of a key is in the journal to the minute. */
const keyNoteMs = 60_000;
const maxKnownKeys = 1_000;

/** What is wrong with the services or the trust in them is no fault of a run: it waits until that is mended (P2). */
async function openedServices(config: Config, ctx: Context): Promise<OpenServices> {
  try {
    return await openAll(config, ctx);
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!(error instanceof CodedError)) throw error;
    const retryAfterMs = error instanceof TransientError ? error.retryAfterMs : undefined;
    throw new TransientError(error.code, error.message, {
      cause: error,
      dependency: 'trust',
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(error.fix !== undefined && { fix: error.fix }),
    });
  }
}

async function openAll(config: Config, ctx: Context): Promise<OpenServices> {
  await using stack = new AsyncDisposableStack();
  const chosen = await servicesOf(config);
  const trust = await openTrust(chosen.trust, ctx);
  const { root } = trust;
  const openedAt = Date.now();
  // A signing configuration may change, and time may bring another of its shards into use.
  const isChosen = async () => JSON.stringify(await servicesOf(config)) === JSON.stringify(chosen);
  const isGood = async () => Date.now() - openedAt < servicesLifeMs && (await isChosen()) && (await trust.isCurrent(new Date()));
  const openLogs: Log[] = [];
  for (const { kind, options } of chosen.logs) {
    const row: LogKind = logs[kind];
    openLogs.push(stack.use(await row.open(row.options.parse(options), root, ctx)));
  }
  const authorities: Authority[] = [];
  for (const options of chosen.authorities) authorities.push(stack.use(await openAuthority(options, root, ctx)));
  const held = stack.move();
  return { root, logs: openLogs, authorities, isGood, [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose]() };
}

interface Slot<T> {
  readonly map: Map<string, Kept<T>>;
  readonly name: string;
  readonly lifeMs: number;
  readonly open: () => Promise<T>;
  /** What is too old and still good lives as long again. */
  readonly isGood?: (there: T) => Promise<boolean>;
}

interface Kept<T> {
  readonly value: Promise<T>;
  readonly at: number;
}

/**
 * What cannot be opened is not kept: the next caller tries again. What is too old is opened again, by the first who comes; until that works the
 * old one goes on.
 */
async function kept<T extends AsyncDisposable>(slot: Slot<T>, ctx: Context): Promise<T> {
  const { map, name, lifeMs, open } = slot;
  const there = map.get(name);
  if (there !== undefined && Date.now() - there.at < lifeMs) return await there.value;
  if (there !== undefined) return await renewed(slot, there, ctx);
  const entry: Kept<T> = { value: open(), at: Date.now() };
  map.set(name, entry);
  try {
    return await entry.value;
  } catch (error) {
    map.delete(name);
    throw error;
  }
}

async function renewed<T extends AsyncDisposable>({ map, name, open, isGood }: Slot<T>, old: Kept<T>, ctx: Context): Promise<T> {
  const stay: Kept<T> = { value: old.value, at: Date.now() };
  map.set(name, stay);
  try {
    const there = await old.value;
    if (isGood !== undefined && (await isGood(there))) return there;
    const value = await open();
    map.set(name, { value: Promise.resolve(value), at: Date.now() });
    await there[Symbol.asyncDispose]();
    return value;
  } catch (error) {
    ctx.signal.throwIfAborted();
    ctx.logger.warn({ err: error, name }, 'cannot be opened again, the last one goes on');
    return await old.value;
  }
}

async function openStore(name: string, config: Config, ctx: Context): Promise<OpenStore> {
  if (!isRow(stores, name)) throw unknownRow('store.unknown', 'store', name);
  const row: StoreKind = stores[name];
  return await row.open(row.options.parse(config.stores[name]), ctx);
}

function isRow<Table extends object>(table: Table, name: string): name is Extract<keyof Table, string> {
  return Object.hasOwn(table, name);
}

function unknownRow(code: string, what: string, name: string): TerminalError {
  return new TerminalError(code, `Cannot open ${what} "${name}": there is none of that name`);
}
