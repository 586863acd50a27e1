import { TerminalError } from './errors.ts';
import type { CleanFamily } from './extract/redact.ts';
import type { Format } from './format/format.ts';
import { formatOf } from './format/formats.ts';
import type { KnownRun } from './journal/journal.ts';
import type { Drop } from './model/artifact.ts';
import type { Logged } from './model/evidence.ts';
import type { Filing } from './model/envelope.ts';
import type { Receipt } from './model/receipt.ts';
import { idOf, type Family } from './model/run.ts';
import type { Payload, Work } from './model/work.ts';
import type { Context } from './observe/context.ts';
import { shortKeyOf } from './per-image.ts';
import { payloadOf, runKeyOf } from './plan.ts';
import { prove } from './prove.ts';
import { settled } from './settled.ts';
import { signedAndLogged } from './signed.ts';
import { surveyed } from './survey.ts';
import { counted, dependencyOf, type Carriage, type How, type Rooms } from './carriage.ts';

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
  readonly envelope: Logged;
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

/** The same for a run whose object is gone: what the journal has of it is carried to its end. */
export async function resume(known: KnownRun, rooms: Rooms, ctx: Context): Promise<Attested> {
  const works = await settled(known.works, async (kept) => {
    const { signers, stores: configured } = rooms.plan.artifacts[kept.artifact];
    const { artifact, format, key, log, payload } = kept;
    const image = key.startsWith(runKeyOf(known.id)) && !key.includes('/') ? undefined : payload.images[0];
    const signer = kept.signer ?? signers[0] ?? 'none';
    const shortKey = kept.envelope?.filing.shortKey ?? shortKeyOf(artifact, key, image);
    const work: Work = { key, shortKey, artifact, format, signer, stores: kept.stores ?? configured, log, image };
    return await carried({ id: known.id, work, payload, known: kept, how: { known, mayExist: false, isAgain: false } }, rooms, ctx);
  });
  return { works, dropped: [], redacted: 0, nothing: '' };
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
  const { work } = carriage;
  const logged = await signedAndLogged({ carriage, signing: signingOf(work), filing: filingOf(carriage) }, rooms, ctx);
  const receipts = await settled(
    work.stores,
    async (name) => await counted('storage', carriage.id, rooms, async () => await stored(name, logged, carriage, rooms, ctx)),
  );
  return { work, payload: carriage.payload, envelope: logged, receipts };
}

function filingOf({ id, work, payload }: Carriage): Filing {
  return { run: id, shortKey: work.shortKey, predicateType: payload.predicateType, images: payload.images };
}

async function stored(name: string, envelope: Logged, { id, work, known, how }: Carriage, rooms: Rooms, ctx: Context): Promise<Receipt> {
  const kept = how.isAgain ? undefined : known?.receipts.find(({ receipt, provenAt }) => receipt.store === name && provenAt !== undefined);
  if (kept) return kept.receipt;
  const store = await rooms.store(name, ctx);
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => await rooms.breakers.guard(dependencyOf(name, envelope.filing), work);
  const receipt = await guarded(async () => await store.put(envelope, ctx));
  await rooms.journal.keepReceipt(id.uid, work.key, receipt);
  rooms.metrics.runs[id.kind].payloadStored.inc();
  // What stands on the run itself is proven by the write that puts it there.
  if (store.proof === 'read-back' && rooms.readBack) {
    // What nobody but its key vouches for needs no trust in anybody else, who may be away just now.
    const { entries, timestamps } = envelope.evidence;
    const isVouchedFor = entries.length > 0 || timestamps.length > 0 || envelope.certificate !== '';
    const trust = isVouchedFor ? await rooms.trust(ctx) : undefined;
    await guarded(async () => await prove(receipt, envelope, { reader: store, trust }, ctx));
    await rooms.journal.markProven(id.uid, work.key, name, Date.now());
  }
  return receipt;
}

function signingOf({ key, format }: Work): Format['signing'] {
  const row = formatOf(format);
  if (row) return row.signing;
  throw new TerminalError('format.unknown', `Cannot sign "${key}": this version has no format "${format}"`, {
    fix: 'use one that docs/config.md names',
  });
}

/** Several works of a run read the same hints, and drop the same. */
function distinct(drops: readonly Drop[]): readonly Drop[] {
  return [...new Map(drops.map((drop) => [`${drop.result} ${drop.rule} ${drop.value}`, drop])).values()];
}
