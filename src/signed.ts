import { X509Certificate } from 'node:crypto';
import { counted, dependencyOf, type Carriage, type Rooms } from './carriage.ts';
import { TerminalError, TransientError } from './errors.ts';
import type { Format } from './format/format.ts';
import type { Envelope, Filing } from './model/envelope.ts';
import { noEvidence, type Evidence, type LogEntry, type Logged, type Timestamp } from './model/evidence.ts';
import { parsePublicKey } from './model/public-key.ts';
import type { Context } from './observe/context.ts';
import { seal } from './sign/dsse.ts';
import type { Signer } from './sign/signer.ts';
import { signedBytesOf, signedOver } from './tlog/algorithm.ts';
import type { Log } from './tlog/log.ts';
import type { Authority } from './tlog/timestamp.ts';
import { isSame } from './trust/signature.ts';

/** A work that is to be signed: how, and where its envelope belongs. */
export interface ToSign {
  readonly carriage: Carriage;
  readonly signing: Format['signing'];
  readonly filing: Filing;
}

/**
 * Steps 6 and 7 (design 4): signed once, stamped, logged once. Whatever was done before is taken from the journal. The log's turn is waited for
 * before a certificate is asked for. A certificate that ran out before log or authority saw its signature is replaced with that signature, which
 * nobody has seen then, and nobody will.
 */
export async function signedAndLogged(given: ToSign, rooms: Rooms, ctx: Context): Promise<Logged> {
  const { work, id, known } = given.carriage;
  const all = work.log ? await rooms.logs(ctx) : [];
  const authorities = await rooms.authorities(ctx);
  // Which shard is in use may change between two attempts: what counts is how many have it.
  const missing = all.slice(known?.evidence.entries.length ?? 0);
  for (const log of missing) await log.turn(ctx);
  const means = { log: missing[0], authorities };
  const { evidence, ...envelope } = await counted('signing', id, rooms, async () => await sealed(given, means, rooms, ctx));
  const stamping = async () => await stamped(given, { ...envelope, evidence }, authorities, rooms, ctx);
  const timestamps = await counted('tlog', id, rooms, stamping);
  const entries = [...evidence.entries];
  for (const log of all.slice(entries.length)) {
    const entry = await counted(
      'tlog',
      id,
      rooms,
      async () => await asked(dependencyOfLog(log), rooms, async () => await log.append(envelope, ctx)),
    );
    await rooms.journal.keepEvidence(id.uid, work.key, entry);
    entries.push(entry);
  }
  return { ...envelope, evidence: inOrder({ entries, timestamps }) };
}

/** Who is to vouch for what is signed. */
interface Means {
  /** The first that has no entry of it yet; undefined when there is none. */
  readonly log: Log | undefined;
  readonly authorities: readonly Authority[];
}

async function sealed(given: ToSign, means: Means, rooms: Rooms, ctx: Context): Promise<Logged> {
  const { id, work, known, how } = given.carriage;
  const { log } = means;
  const evidence = known?.evidence ?? noEvidence;
  const there = known?.envelope;
  if (there !== undefined && !isSpent({ ...there, evidence }, toStamp(given, rooms), means)) return { ...there, evidence };
  // The answer to an upload may have been lost: what the log took in time still counts.
  const late = there && log && (await asked(dependencyOfLog(log), rooms, async () => await log.find(there, ctx)));
  if (there !== undefined && late !== undefined && isInTime(there, late)) {
    return { ...there, evidence: await keep(given, { ...evidence, entries: [late] }, rooms) };
  }
  // One that is open already says nothing of whether it can sign now.
  const signer = await rooms.breakers.guard(`signer:${work.signer}`, async () => await rooms.signer(work.signer, ctx), 'nothing');
  // Who built the same image before us signed the same bytes: one signature by one key is enough (P3).
  const found = there === undefined && (how.mayExist || given.signing === 'raw') ? await foundBy(signer, given, rooms, ctx) : undefined;
  const made = found ?? (await sealedBy(signer, given, log, rooms, ctx));
  const kept =
    there === undefined
      ? await rooms.journal.keepEnvelope(id.uid, work.key, made)
      : await rooms.journal.replaceEnvelope(id.uid, work.key, made);
  rooms.metrics.runs[id.kind].signCreated.inc();
  if (found !== undefined) return { ...kept, evidence: await keep(given, await named(found.evidence, given, rooms, ctx), rooms) };
  // One that a store has already stays, whatever became of its certificate.
  return { ...kept, evidence: kept === made ? noEvidence : evidence };
}

async function sealedBy(signer: Signer, { carriage, filing, signing }: ToSign, log: Log | undefined, rooms: Rooms, ctx: Context) {
  const { work, payload } = carriage;
  const dependency = `signer:${work.signer}`;
  const envelope = await rooms.breakers.guard(dependency, async () => await seal(payload, filing, signer, signing, ctx));
  const refusal = log && refusalOf(envelope, log);
  if (refusal !== undefined) {
    throw new TransientError('sign.not-loggable', `Cannot sign "${filing.shortKey}" with "${work.signer}": ${refusal}`, {
      dependency,
      fix: 'use an ECDSA P-256 key, which every log takes, or switch transparency.enabled off',
    });
  }
  if (signer.publicKey !== undefined) await rooms.keyUsed({ publicKey: envelope.publicKey, signer: work.signer });
  return { ...envelope, evidence: noEvidence };
}

function refusalOf(envelope: Envelope, log: Log): string | undefined {
  const key = parsePublicKey(envelope.publicKey);
  return log.refusal(key, envelope.kind, signedOver(key, signedBytesOf(envelope), envelope.signature));
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
 * Whether a signature by a certificate came too late for all who could say when it was made: the time of the log must lie within that of the
 * certificate (sigstore-wire 4.3), and so must every timestamp. One that a log has is public, and stays.
 */
function isSpent({ certificate, evidence }: Logged, wanted: readonly Timestamp['over'][], { log, authorities }: Means): boolean {
  if (certificate === '' || evidence.entries.length > 0) return false;
  // Nobody will ever say when it was made.
  if (log === undefined && authorities.length === 0) return false;
  const isBy = (authority: Authority) => wanted.every((over) => evidence.timestamps.some((one) => isOf(authority, over, one)));
  if (log?.isTimed !== true && authorities.length > 0 && authorities.every(isBy)) return false;
  return new X509Certificate(certificate).validToDate.getTime() - uploadMs < Date.now();
}

function isInTime({ certificate }: Envelope, { integratedTime = 0 }: LogEntry): boolean {
  return integratedTime * 1_000 <= new X509Certificate(certificate).validToDate.getTime();
}

/** Over the signature for bundles and image signatures, and over the envelope where cosign wants that (sigstore-wire 3.1). */
function toStamp({ signing }: ToSign, { tagsEnvelopes }: Rooms): readonly Timestamp['over'][] {
  return signing === 'dsse' && tagsEnvelopes ? ['signature', 'body'] : ['signature'];
}

/** What was found in a store names no authority: it stands for all of them, because another one would make a second object there (P3). */
function isOf({ url }: Pick<Authority, 'url'>, over: Timestamp['over'], stamp: Timestamp): boolean {
  return stamp.over === over && (stamp.authority === url || !URL.canParse(stamp.authority));
}

/** A timestamp of each authority. */
async function stamped(given: ToSign, { evidence, ...envelope }: Logged, authorities: readonly Authority[], rooms: Rooms, ctx: Context) {
  const { id, work } = given.carriage;
  const stamps = [...evidence.timestamps];
  for (const authority of authorities) {
    for (const over of toStamp(given, rooms)) {
      if (stamps.some((one) => isOf(authority, over, one))) continue;
      const stamping = async () => await authority.stamp(envelope[over], ctx);
      const stamp: Timestamp = { authority: authority.url, over, response: await asked(dependencyOfAuthority(authority), rooms, stamping) };
      await rooms.journal.keepEvidence(id.uid, work.key, stamp);
      stamps.push(stamp);
    }
  }
  return stamps;
}

function dependencyOfLog({ url }: Log): string {
  return `tlog:${new URL(url).host}`;
}

function dependencyOfAuthority({ url }: Authority): string {
  return `tsa:${new URL(url).host}`;
}

/** What it says and nobody would believe is its trouble, or that of the trusted root, and no fault of the run: it waits (P2). */
async function asked<T>(dependency: string, { breakers }: Rooms, ask: () => Promise<T>): Promise<T> {
  return await breakers.guard(dependency, async () => {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof TerminalError) || !error.code.startsWith('trust.')) throw error;
      const fix = 'let trust.root be one that has the log and the authority in use ("chainsmith trust show" lists what yours has)';
      throw new TransientError(error.code, error.message, { cause: error, dependency, fix });
    }
  });
}

async function keep({ carriage: { id, work } }: ToSign, evidence: Evidence, rooms: Rooms): Promise<Evidence> {
  for (const one of [...evidence.entries, ...evidence.timestamps]) await rooms.journal.keepEvidence(id.uid, work.key, one);
  return evidence;
}

/**
 * What was found in a store says neither at which address the log is, which the trusted root knows, nor which authority it was: so they are numbered.
 * An entry from a tag has no proof; where one is wanted the log is asked again, which has the entry and gives the rest of it.
 */
async function named({ entries: found, timestamps }: Evidence, { signing }: ToSign, rooms: Rooms, ctx: Context): Promise<Evidence> {
  const isBundled = rooms.bundlesEnvelopes && signing === 'dsse';
  const entries = isBundled ? found.filter(({ proof }) => proof !== undefined) : found;
  const trust = entries.length === 0 ? undefined : await rooms.trust(ctx);
  const addressOf = ({ logId }: LogEntry) => trust?.logs.find((log) => isSame(log.logId, logId))?.baseUrl;
  return {
    entries: entries.map((entry) => ({ ...entry, log: entry.log === '' ? (addressOf(entry) ?? '') : entry.log })),
    timestamps: timestamps.map((stamp, index) => ({
      ...stamp,
      authority: stamp.authority === '' ? `found ${index + 1}` : stamp.authority,
    })),
  };
}

/** As the journal gives it, whatever the order in which it came: a bundle that is made again must be the same bytes. */
function inOrder({ entries, timestamps }: Evidence): Evidence {
  const nameOf = ({ over, authority }: Timestamp): string => `${over} ${authority}`;
  return {
    entries: entries.toSorted((a, b) => compare(a.log, b.log)),
    timestamps: timestamps.toSorted((a, b) => compare(nameOf(a), nameOf(b))),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
