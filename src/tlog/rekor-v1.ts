import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../errors.ts';
import type { Envelope } from '../model/envelope.ts';
import type { LogEntry } from '../model/evidence.ts';
import type { PublicKey } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { leafHashOf } from '../trust/merkle.ts';
import type { SignedOver } from './algorithm.ts';
import { checkedEntry, claimOf, expectTaken } from './claim.ts';
import { adding, LogOptions, openConnection, upload, type Connection } from './connection.ts';
import { failureOf, nonsense, type Attempt } from './line.ts';
import type { Log, LogKind } from './log.ts';
import { refusalOf } from './refusal.ts';
import { canonicalBodyOf, entryIn, entryKindOf, existingIdIn, proposalOf, type Answered } from './rekor-v1-entry.ts';

const name = 'Rekor 1';
const entries = 'api/v1/log/entries';
/** For one call (sigstore-wire 5.7). */
const timeoutMs = 30_000;
/** An entry that was just added is in the tree within the signer's interval: 10 tries take some 12 s. */
const reads = 10;
const longestNapMs = 2_000;

/**
 * A log of the first generation: `dsse` 0.0.1 for envelopes, `hashedrekord` 0.0.1 for image signatures, as Tekton Chains uploads them
 * (chains-controller 4.2). Sending the same envelope again finds the entry of the first time (409).
 */
export const rekorV1 = {
  options: LogOptions,
  async open(options, trust): Promise<Log> {
    const log = await openConnection(options, trust);
    return {
      url: options.url,
      isTimed: true,
      turn: async (ctx) => {
        await log.rate.turn(ctx);
      },
      refusal: (key: PublicKey, kind: Envelope['kind'], over?: SignedOver) => refusalOf(key, { log: name, entry: entryKindOf(kind), over }),
      append: async (envelope, ctx) => await append(envelope, log, ctx),
      find: async (envelope, ctx) => await find(envelope, log, ctx),
      async [Symbol.asyncDispose]() {
        await log.line[Symbol.asyncDispose]();
      },
    };
  },
} satisfies LogKind<typeof LogOptions>;

async function append(envelope: Envelope, log: Connection, ctx: Context): Promise<LogEntry> {
  const claim = claimOf(envelope);
  expectTaken(claim, name, entryKindOf(envelope.kind));
  const answer = await upload({ path: entries, body: proposalOf(claim), timeoutMs }, log, ctx);
  if (answer.status === 409) {
    const id = existingIdIn(answer.headers['location'], answer.body);
    if (id === undefined) throw nonsense(answer, 'it says that the entry exists, and not which it is', adding(log));
    return checkedEntry((await included(id, log, ctx)).entry, claim, log.trust);
  }
  const answered = entryIn(answer.body, log.options.url);
  if (typeof answered === 'string') throw nonsense(answer, answered, adding(log));
  // Old servers answer before the entry is in the tree (sigstore-wire 5.1).
  const { entry } = answered.entry.proof === undefined ? await included(answered.id, log, ctx) : answered;
  return checkedEntry(entry, claim, log.trust);
}

/** By its leaf, which the envelope fixes. One that the log has taken and not yet put into its tree is not found. */
async function find(envelope: Envelope, log: Connection, ctx: Context): Promise<LogEntry | undefined> {
  const claim = claimOf(envelope);
  const leaf = Buffer.from(leafHashOf(Buffer.from(canonicalBodyOf(claim)))).toString('hex');
  const answered = await read(leaf, log, ctx);
  return answered?.entry.proof === undefined ? undefined : checkedEntry(answered.entry, claim, log.trust);
}

/** The entry with its inclusion proof; waits for that. Throws `tlog.unreadable`. */
async function included(id: string, log: Connection, ctx: Context): Promise<Answered> {
  for (let count = 1; ; count += 1) {
    const answered = await read(id, log, ctx);
    if (answered?.entry.proof !== undefined) return answered;
    if (count >= reads) {
      const message = `Cannot read entry ${id} of ${log.options.url}: it is not in the tree yet`;
      throw new TransientError('tlog.unreadable', message, { fix: 'see that the signer of the log runs' });
    }
    await sleep(Math.min(longestNapMs, 50 * 2 ** count), undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}

/** undefined when the log does not have it. */
async function read(id: string, { line, options }: Connection, ctx: Context): Promise<Answered | undefined> {
  const answer = await line.ask({ method: 'GET', path: `${entries}/${id}`, timeoutMs, maxBytes: options.maxResponseBytes }, ctx);
  const attempt: Attempt = { action: 'read an entry', dependency: line.dependency, prefix: 'tlog.' };
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw failureOf(answer, attempt);
  const answered = entryIn(answer.body, options.url);
  if (typeof answered === 'string') throw nonsense(answer, answered, attempt);
  return answered;
}
