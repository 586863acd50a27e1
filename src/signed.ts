import { X509Certificate } from 'node:crypto';
import { counted, dependencyOf, type Carriage, type Rooms } from './carriage.ts';
import { TransientError } from './errors.ts';
import type { Format } from './format/format.ts';
import type { Envelope, Filing } from './model/envelope.ts';
import { noEvidence, type Evidence, type LogEntry, type Logged, type Timestamp } from './model/evidence.ts';
import { parsePublicKey } from './model/public-key.ts';
import type { Context } from './observe/context.ts';
import { seal } from './sign/dsse.ts';
import type { Signer } from './sign/signer.ts';
import { signedBytesOf, signedOver } from './tlog/algorithm.ts';
import type { Log } from './tlog/log.ts';

/** A work that is to be signed: how, and where its envelope belongs. */
export interface ToSign {
  readonly carriage: Carriage;
  readonly signing: Format['signing'];
  readonly filing: Filing;
}

/**
 * Steps 6 and 7 (design 4): signed once, stamped, logged once. Whatever was done before is taken from the journal. The log's turn is waited for
 * before a certificate is asked for. A certificate that ran out before the log saw its signature is replaced with that signature, which nobody
 * has seen then, and nobody will.
 */
export async function signedAndLogged(given: ToSign, rooms: Rooms, ctx: Context): Promise<Logged> {
  const { work, id, known } = given.carriage;
  const all = work.log ? await rooms.logs(ctx) : [];
  // Which shard is in use may change between two attempts: what counts is how many have it.
  const missing = all.slice(known?.evidence.entries.length ?? 0);
  for (const log of missing) await log.turn(ctx);
  const { evidence, ...envelope } = await counted('signing', id, rooms, async () => await sealed(given, missing[0], rooms, ctx));
  const timestamps = await counted('tlog', id, rooms, async () => await stamped(given, envelope, evidence.timestamps, rooms, ctx));
  const entries = [...evidence.entries];
  for (const log of all.slice(entries.length)) {
    const entry = await counted('tlog', id, rooms, async () => await logged(envelope, log, rooms, ctx));
    await rooms.journal.keepEvidence(id.uid, work.key, entry);
    entries.push(entry);
  }
  return { ...envelope, evidence: { entries, timestamps } };
}

async function sealed(given: ToSign, log: Log | undefined, rooms: Rooms, ctx: Context): Promise<Logged> {
  const { id, work, known, how } = given.carriage;
  const evidence = known?.evidence ?? noEvidence;
  const there = known?.envelope;
  if (there !== undefined && (log === undefined || !isSpent(there, evidence, log))) return { ...there, evidence };
  // The answer to an upload may have been lost: what the log took in time still counts.
  const late = there && log && (await log.find(there, ctx));
  if (there !== undefined && late !== undefined && isInTime(there, late)) {
    return { ...there, evidence: await keep(given, { ...evidence, entries: [late] }, rooms) };
  }
  const signer = await rooms.breakers.guard(`signer:${work.signer}`, async () => await rooms.signer(work.signer, ctx));
  // Who built the same image before us signed the same bytes: one signature by one key is enough (P3).
  const found = there === undefined && (how.mayExist || given.signing === 'raw') ? await foundBy(signer, given, rooms, ctx) : undefined;
  const made = found ?? (await sealedBy(signer, given, log, rooms, ctx));
  const kept =
    there === undefined
      ? await rooms.journal.keepEnvelope(id.uid, work.key, made)
      : await rooms.journal.replaceEnvelope(id.uid, work.key, made);
  rooms.metrics.runs[id.kind].signCreated.inc();
  if (found === undefined) return { ...kept, evidence: noEvidence };
  return { ...kept, evidence: await keep(given, found.evidence, rooms) };
}

async function sealedBy(signer: Signer, { carriage, filing, signing }: ToSign, log: Log | undefined, rooms: Rooms, ctx: Context) {
  const { work, payload } = carriage;
  const dependency = `signer:${work.signer}`;
  const envelope = await rooms.breakers.guard(dependency, async () => await seal(payload, filing, signer, signing, ctx));
  const key = parsePublicKey(envelope.publicKey);
  const refusal = log?.refusal(key, signing, signedOver(key, signedBytesOf(envelope), envelope.signature));
  if (refusal !== undefined) {
    throw new TransientError('sign.not-loggable', `Cannot sign "${filing.shortKey}" with "${work.signer}": ${refusal}`, {
      dependency,
      fix: 'use an ECDSA P-256 key, which every log takes, or switch transparency.enabled off',
    });
  }
  if (signer.publicKey !== undefined) {
    await rooms.keyUsed({ fingerprint: key.fingerprint, publicKey: key.pem, signer: work.signer });
  }
  return { ...envelope, evidence: noEvidence };
}

/** An envelope that a former life of ours stored: over the same payload, by the same key or identity. A store that cannot be asked is an error. */
async function foundBy(signer: Signer, { carriage, filing }: ToSign, rooms: Rooms, ctx: Context): Promise<Logged | undefined> {
  const { work, payload } = carriage;
  const { publicKey } = signer;
  const wanted = {
    filing,
    payload,
    publicKey,
    owns: async (by: Pick<Envelope, 'publicKey' | 'certificate'>) => await signer.owns(by, ctx),
  };
  for (const name of work.stores) {
    const store = await rooms.store(name, ctx);
    if (store.proof !== 'read-back') continue;
    const found = await rooms.breakers.guard(dependencyOf(name, filing), async () => await store.find(wanted, ctx));
    if (found) return found;
  }
  return undefined;
}

/** Time that an upload may take: a log answers within it, or the certificate is as good as gone. */
const uploadMs = 30_000;

/**
 * Whether a signature by a certificate came too late for the log: what the log says of the time must lie within the certificate's (sigstore-wire
 * 4.3). Where it says nothing of the time, a timestamp that was had in time is what counts.
 */
function isSpent({ certificate }: Envelope, { timestamps }: Evidence, { isTimed }: Log): boolean {
  if (certificate === '' || (!isTimed && timestamps.length > 0)) return false;
  return new X509Certificate(certificate).validToDate.getTime() - uploadMs < Date.now();
}

function isInTime({ certificate }: Envelope, { integratedTime = 0 }: LogEntry): boolean {
  return integratedTime * 1_000 <= new X509Certificate(certificate).validToDate.getTime();
}

/** A timestamp of each authority, over the signature for bundles and image signatures, and over the envelope where cosign wants that (3.1). */
async function stamped({ carriage, signing }: ToSign, envelope: Envelope, there: readonly Timestamp[], rooms: Rooms, ctx: Context) {
  const stamps = [...there];
  for (const authority of await rooms.authorities(ctx)) {
    for (const over of signing === 'dsse' && rooms.tagsEnvelopes ? (['signature', 'body'] as const) : (['signature'] as const)) {
      if (stamps.some((one) => one.authority === authority.url && one.over === over)) continue;
      const response = await rooms.breakers.guard(
        `tsa:${new URL(authority.url).host}`,
        async () => await authority.stamp(envelope[over], ctx),
      );
      const stamp: Timestamp = { authority: authority.url, over, response };
      await rooms.journal.keepEvidence(carriage.id.uid, carriage.work.key, stamp);
      stamps.push(stamp);
    }
  }
  return stamps;
}

async function logged(envelope: Envelope, log: Log, rooms: Rooms, ctx: Context): Promise<LogEntry> {
  return await rooms.breakers.guard(`tlog:${new URL(log.url).host}`, async () => await log.append(envelope, ctx));
}

async function keep({ carriage: { id, work } }: ToSign, evidence: Evidence, rooms: Rooms): Promise<Evidence> {
  for (const one of [...evidence.entries, ...evidence.timestamps]) await rooms.journal.keepEvidence(id.uid, work.key, one);
  return evidence;
}
