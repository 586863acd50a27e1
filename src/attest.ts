import type { Breakers } from './breakers.ts';
import { TerminalError } from './errors.ts';
import type { CleanFamily } from './extract/redact.ts';
import type { Format } from './format/format.ts';
import { formatOf } from './format/formats.ts';
import type { Journal, KnownRun, KnownWork } from './journal/journal.ts';
import type { Drop, Image } from './model/artifact.ts';
import type { Envelope, Filing } from './model/envelope.ts';
import type { Receipt } from './model/receipt.ts';
import { idOf, type Family, type RunId } from './model/run.ts';
import type { Payload, Work } from './model/work.ts';
import type { Context } from './observe/context.ts';
import type { ErrorType, Metrics } from './observe/metrics.ts';
import { shortKeyOf } from './per-image.ts';
import { payloadOf, runKeyOf, type PlanOptions } from './plan.ts';
import { prove } from './prove.ts';
import { settled } from './settled.ts';
import { seal } from './sign/dsse.ts';
import type { KeyHolder, Signer } from './sign/signer.ts';
import type { OpenStore } from './store/store.ts';
import { surveyed } from './survey.ts';

/** The rooms that a run passes through, opened for one configuration. */
export interface Rooms {
  readonly journal: Journal;
  readonly breakers: Breakers;
  readonly metrics: Metrics;
  readonly plan: PlanOptions;
  readonly limits: Limits;
  /** `proof.read-back` */
  readonly readBack: boolean;
  signer(name: string, ctx: Context): Promise<Signer & KeyHolder>;
  store(name: string, ctx: Context): Promise<OpenStore>;
  /** The manifests below an image index, from its registry. */
  children(image: Image, ctx: Context): Promise<readonly Image[]>;
}

/** `limits.payload-bytes` and `limits.subjects`: bad input meets a number. */
export interface Limits {
  readonly payloadBytes: number;
  readonly subjects: number;
}

/** What was made of a run: every work proven in every one of its stores. */
export interface Attested {
  readonly works: readonly Made[];
  /** Why there is nothing to make, in words; empty text when there was. */
  readonly nothing: string;
  readonly dropped: readonly Drop[];
  /** How many values were replaced before anything was made of them (`redact.*`). */
  readonly redacted: number;
}

export interface Made {
  readonly work: Work;
  readonly payload: Payload;
  readonly envelope: Envelope;
  readonly receipts: readonly Receipt[];
}

/**
 * Carries one run through the rooms: derive, sign, store, prove (design 4, steps 4 to 9). Safe to repeat: what the journal has is taken
 * from there. One work's failure hides no other's: throws an `AggregateError` of all of them when everything that could be done is done.
 */
export async function attest(family: Family, how: How, rooms: Rooms, ctx: Context): Promise<Attested> {
  const id = idOf(family.run);
  const { family: clean, works, dropped, disabled, redacted, errors } = await surveyed(family, rooms, ctx);
  const make = async (work: Work): Promise<Made> => {
    const payload = await counted('payload_creation', id, rooms, async () => await derived(work, clean, rooms));
    return await carried({ id, work, payload, known: how.known.works.find(({ key }) => key === work.key), how }, rooms, ctx);
  };
  const made = await settled(works, make, errors);
  const nothing = works.length > 0 ? '' : disabled.map(({ artifact, why }) => `${artifact}: ${why}`).join('; ') || 'it made no image';
  return { works: made, dropped: distinct([...dropped, ...made.flatMap(({ payload }) => payload.dropped)]), redacted, nothing };
}

export interface How {
  /** What the journal said when it admitted the run. */
  readonly known: KnownRun;
  /** An earlier life, whose journal is lost, may have carried the run: stores are asked before what the journal has no envelope of is signed (P3). */
  readonly mayExist: boolean;
  /** The run was finished, and its mark taken off: what was stored is stored again, should it be gone. */
  readonly isAgain: boolean;
}

/** The same for a run whose object is gone: what the journal has of it is carried to its end. */
export async function resume(known: KnownRun, rooms: Rooms, ctx: Context): Promise<Attested> {
  const works = await settled(known.works, async (kept) => {
    const { signer, stores } = rooms.plan.artifacts[kept.artifact];
    const image = kept.key === runKeyOf(known.id) ? undefined : kept.payload.images[0];
    const shortKey = shortKeyOf(kept.artifact, kept.key, image);
    const work: Work = { key: kept.key, shortKey, artifact: kept.artifact, format: kept.format, signer, stores, image };
    return await carried(
      { id: known.id, work, payload: kept.payload, known: kept, how: { known, mayExist: false, isAgain: false } },
      rooms,
      ctx,
    );
  });
  return { works, dropped: [], redacted: 0, nothing: '' };
}

interface Carriage {
  readonly id: RunId;
  readonly work: Work;
  readonly payload: Payload;
  readonly known: KnownWork | undefined;
  readonly how: How;
}

async function derived(work: Work, family: CleanFamily, { journal, limits, plan: { format } }: Rooms): Promise<Payload> {
  const payload = payloadOf(work, family, format);
  demandWithin('limits.payload-bytes', work, payload.bytes.length, limits.payloadBytes);
  demandWithin('limits.subjects', work, payload.subjects.length, limits.subjects);
  return await journal.keepPayload(family.run.uid, work, payload);
}

function demandWithin(key: 'limits.payload-bytes' | 'limits.subjects', { key: work }: Work, found: number, limit: number): void {
  if (found <= limit) return;
  throw new TerminalError(key, `Cannot attest "${work}": its statement has ${found}, more than ${key} allows (${limit})`, {
    fix: `let the run make less, or raise ${key}`,
  });
}

async function carried(carriage: Carriage, rooms: Rooms, ctx: Context): Promise<Made> {
  const { work, known } = carriage;
  const envelope = known?.envelope ?? (await sealed(carriage, rooms, ctx));
  const receipts = await settled(
    work.stores,
    async (name) => await counted('storage', carriage.id, rooms, async () => await stored(name, envelope, carriage, rooms, ctx)),
  );
  return { work, payload: carriage.payload, envelope, receipts };
}

async function sealed(carriage: Carriage, rooms: Rooms, ctx: Context): Promise<Envelope> {
  const { id, work, payload, how } = carriage;
  const signing = signingOf(work);
  const filing: Filing = { run: id, shortKey: work.shortKey, predicateType: payload.predicateType, images: payload.images };
  return await counted('signing', id, rooms, async () => {
    const signer = await rooms.breakers.guard(`signer:${work.signer}`, async () => await rooms.signer(work.signer, ctx));
    // Who built the same image before us signed the same bytes: one signature by one key is enough (P3).
    const there = how.mayExist || signing === 'raw' ? await found(carriage, filing, signer.publicKey, rooms, ctx) : undefined;
    const envelope = there ?? (await seal(payload, filing, signer, signing, ctx));
    const kept = await rooms.journal.keepEnvelope(id.uid, work.key, envelope);
    rooms.metrics.runs[id.kind].signCreated.inc();
    return kept;
  });
}

async function stored(name: string, envelope: Envelope, { id, work, known, how }: Carriage, rooms: Rooms, ctx: Context): Promise<Receipt> {
  const kept = how.isAgain ? undefined : known?.receipts.find(({ receipt, provenAt }) => receipt.store === name && provenAt !== undefined);
  if (kept) return kept.receipt;
  const store = await rooms.store(name, ctx);
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => await rooms.breakers.guard(dependencyOf(name, envelope.filing), work);
  const receipt = await guarded(async () => await store.put(envelope, ctx));
  await rooms.journal.keepReceipt(id.uid, work.key, receipt);
  rooms.metrics.runs[id.kind].payloadStored.inc();
  // What stands on the run itself is proven by the write that puts it there.
  if (store.proof === 'read-back' && rooms.readBack) {
    await guarded(async () => await prove(receipt, envelope, store, ctx));
    await rooms.journal.markProven(id.uid, work.key, name, Date.now());
  }
  return receipt;
}

/** An envelope that a former life of ours stored: over the same payload, by the same key. A store that cannot be asked is an error. */
async function found({ work, payload }: Carriage, filing: Filing, key: string, rooms: Rooms, ctx: Context): Promise<Envelope | undefined> {
  for (const name of work.stores) {
    const store = await rooms.store(name, ctx);
    if (store.proof !== 'read-back') continue;
    const envelope = await rooms.breakers.guard(dependencyOf(name, filing), async () => await store.find(filing, payload, key, ctx));
    if (envelope) return envelope;
  }
  return undefined;
}

function signingOf({ key, format }: Work): Format['signing'] {
  const row = formatOf(format);
  if (row) return row.signing;
  throw new TerminalError('format.unknown', `Cannot sign "${key}": this version has no format "${format}"`, {
    fix: 'use one that docs/config.md names',
  });
}

/** What a breaker watches: a registry by its host, any other store by its name. */
function dependencyOf(store: string, { images }: Filing): string {
  const host = images[0]?.repository.split('/')[0];
  return store === 'oci' && host !== undefined ? `oci:${host}` : store;
}

/** Several works of a run read the same hints, and drop the same. */
function distinct(drops: readonly Drop[]): readonly Drop[] {
  return [...new Map(drops.map((drop) => [`${drop.result} ${drop.rule} ${drop.value}`, drop])).values()];
}

async function counted<T>(type: ErrorType, { kind }: RunId, { metrics }: Rooms, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    metrics.runs[kind].signingFailures.inc({ error_type: type });
    throw error;
  }
}
