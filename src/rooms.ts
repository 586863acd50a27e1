import type { Rooms } from './attest.ts';
import type { Breakers } from './breakers.ts';
import type { Config } from './config/config.ts';
import { CodedError, TerminalError, TransientError } from './errors.ts';
import type { Journal } from './journal/journal.ts';
import type { Context } from './observe/context.ts';
import type { Metrics } from './observe/metrics.ts';
import { planOptionsOf } from './plan.ts';
import type { KeyHolder, Signer, SignerKind } from './sign/signer.ts';
import { signers } from './sign/signers.ts';
import { openReader, type Reader } from './store/oci/reader.ts';
import type { OpenStore, StoreKind } from './store/store.ts';
import { stores } from './store/stores.ts';

/** What lives longer than one configuration. */
export interface Foundation {
  readonly journal: Journal;
  readonly breakers: Breakers;
  readonly metrics: Metrics;
}

/** The rooms of one configuration. Signers and stores open on first need, once, and close with it. */
export interface OpenRooms extends Rooms, AsyncDisposable {}

/** The kubelet renews a mounted Secret within a minute; a signer that is older is opened again, so that a new key is taken up (design 5). */
const signerLifeMs = 60_000;

export function openRooms(config: Config, foundation: Foundation): OpenRooms {
  const openSigners = new Map<string, Kept<Signer & KeyHolder>>();
  const openStores = new Map<string, Kept<OpenStore>>();
  const openReaders = new Map<string, Kept<Reader>>();
  return {
    ...foundation,
    plan: planOptionsOf(config),
    limits: config.limits,
    readBack: config.proof.readBack,
    signer: async (name, ctx) =>
      await kept({ map: openSigners, name, lifeMs: signerLifeMs, open: async () => await openSigner(name, config, ctx) }, ctx),
    store: async (name, ctx) =>
      await kept({ map: openStores, name, lifeMs: Infinity, open: async () => await openStore(name, config, ctx) }, ctx),
    async children(image, ctx) {
      const open = async () => await openReader(stores.oci.options.parse(config.stores.oci), ctx);
      const reader = await kept({ map: openReaders, name: 'oci', lifeMs: Infinity, open }, ctx);
      return await reader.children(image, ctx);
    },
    async [Symbol.asyncDispose]() {
      const all = [...openSigners.values(), ...openStores.values(), ...openReaders.values()];
      await Promise.all(all.map(async ({ value }) => await value.then(async (opened) => await opened[Symbol.asyncDispose]())));
    },
  };
}

interface Slot<T> {
  readonly map: Map<string, Kept<T>>;
  readonly name: string;
  readonly lifeMs: number;
  readonly open: () => Promise<T>;
}

interface Kept<T> {
  readonly value: Promise<T>;
  readonly at: number;
}

/**
 * What cannot be opened is not kept: the next caller tries again. What is too old is opened again; until that works the old one goes on.
 */
async function kept<T extends AsyncDisposable>(slot: Slot<T>, ctx: Context): Promise<T> {
  const { map, name, lifeMs, open } = slot;
  const there = map.get(name);
  if (there !== undefined && Date.now() - there.at < lifeMs) return await there.value;
  const entry: Kept<T> = { value: open(), at: Date.now() };
  map.set(name, entry);
  try {
    const value = await entry.value;
    await there?.value.then(async (old) => await old[Symbol.asyncDispose]());
    return value;
  } catch (error) {
    if (there === undefined) {
      map.delete(name);
      throw error;
    }
    ctx.logger.warn({ err: error, name }, 'cannot be opened again, the last one goes on');
    map.set(name, { value: there.value, at: Date.now() });
    return await there.value;
  }
}

/** A key that is not there may come yet, for instance with the Secret: runs wait for it, they do not fail (P2). */
async function openSigner(name: string, config: Config, ctx: Context): Promise<Signer & KeyHolder> {
  if (!isRow(signers, name)) throw unknownRow('sign.unknown', 'signer', name);
  try {
    const row: SignerKind = signers[name];
    return await row.open(row.options.parse(config.signers[name]), ctx);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { code, message, fix } = error;
    throw new TransientError(code, message, { cause: error, dependency: `signer:${name}`, ...(fix !== undefined && { fix }) });
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
