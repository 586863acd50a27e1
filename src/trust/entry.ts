import { TerminalError } from '../errors.ts';
import { base64Of } from '../model/base64.ts';
import type { InclusionProof, LogEntry } from '../model/evidence.ts';
import type { PublicKey } from '../model/public-key.ts';
import { entryKinds } from './entry-kinds.ts';
import { originOf } from './log-key.ts';
import { isIncluded } from './merkle.ts';
import { isRekor1, parseCheckpoint, type Checkpoint } from './note.ts';
import { isSame, isSignatureOf, type Digest } from './signature.ts';
import { isWithin, type TrustedLog, type TrustedRoot } from './trusted-root.ts';

/** Which trusted log has an entry, and since when: undefined when the log itself has not signed a time. */
export interface CheckedEntry {
  readonly log: TrustedLog;
  readonly time: Date | undefined;
}

/**
 * Whether a log that `root` trusts really has this entry: its inclusion proof leads to a checkpoint that the log signed, and its promise
 * (SET), when there is one, is the log's (sigstore-wire 4.3, 5.3, 5.8). An entry without proof needs the promise. A time counts only when
 * the promise covers it; without one whoever asks must hold the log's validity against a time that it knows otherwise. What the body says
 * is not looked at: see `checkEntryBody`. Throws `trust.log-unknown` for a log that `root` does not have, and `trust.entry-*`.
 */
export function checkEntry(entry: LogEntry, root: TrustedRoot): CheckedEntry {
  checkNumbers(entry);
  const named = root.logs.filter(({ logId }) => isSame(logId, entry.logId));
  if (named.length === 0) {
    throw new TerminalError('trust.log-unknown', `Cannot trust ${placeOf(entry)}: the trusted root has no log of its id`, {
      fix: 'use a trusted root that has this log ("chainsmith trust show" lists the logs of yours)',
    });
  }
  const claimed = entry.integratedTime === undefined ? undefined : new Date(entry.integratedTime * 1000);
  const log = named.find(({ validFor }) => claimed === undefined || isWithin(validFor, claimed));
  if (log === undefined) throw refused('time', entry, `the log's key is not trusted for ${claimed?.toISOString()}`);
  if (entry.proof === undefined && entry.promise === undefined) throw refused('proof', entry, 'it has neither inclusion proof nor promise');
  if (entry.proof !== undefined) checkProof(entry, entry.proof, log);
  if (entry.promise !== undefined) checkPromise(entry, entry.promise, log);
  return { log, time: entry.promise === undefined ? undefined : claimed };
}

/** What a signature is over. */
export type SignedContent =
  | {
      readonly kind: 'dsse';
      readonly payloadType: string;
      readonly payload: Uint8Array;
      /** The envelope text, byte for byte, as it is stored; undefined when only its parts are known, as in a bundle. */
      readonly body: Uint8Array | undefined;
    }
  | {
      readonly kind: 'message';
      /** One of the two at least. */
      readonly payload: Uint8Array | undefined;
      readonly digest: { readonly algorithm: Digest; readonly value: Uint8Array } | undefined;
    };

/** The one signature that an entry must be about. */
export interface EntryClaim {
  readonly content: SignedContent;
  readonly signature: Uint8Array;
  /** Of the key that signed, or of the certificate. */
  readonly publicKey: PublicKey;
  /** DER of the leaf when the material is a certificate: then the entry must have exactly this one, and else exactly the key. */
  readonly certificate: Uint8Array | undefined;
}

/**
 * Whether an entry's body is about exactly this signature: kind and version as the content wants them, this signature, this key or
 * certificate, these hashes (sigstore-wire 4.3, 5.2, 5.4, 5.8). The entry itself must have passed `checkEntry`. That the signature is over the
 * content is not checked here. Throws `trust.entry-kind` and `trust.entry-body`.
 */
export function checkEntryBody(entry: LogEntry, claim: EntryClaim): void {
  const name = `${entry.kind} ${entry.version}`;
  const kind = entryKinds[name];
  if (kind === undefined || !kind.takes.includes(claim.content.kind)) {
    throw new TerminalError(
      'trust.entry-kind',
      `Cannot use a log entry of kind "${name.slice(0, 100)}" for a ${claim.content.kind} signature`,
    );
  }
  const reason = kind.difference(entry, claim);
  if (reason !== undefined) {
    throw new TerminalError('trust.entry-body', `Cannot use the log entry ${entry.logIndex}: ${reason}`);
  }
}

function checkProof(entry: LogEntry, proof: InclusionProof, log: TrustedLog): void {
  const checkpoint = parseCheckpoint(proof.checkpoint);
  checkOrigin(entry, checkpoint, log);
  // Another log may share the hint's 4 bytes or have no hint of ours: only lines that claim to be this log's matter, and all of them.
  const own = checkpoint.signatures.filter(
    ({ name, hint }) => isSame(hint, log.logId.subarray(0, 4)) && name === checkpoint.origin.replace(/ - \d+$/, ''),
  );
  const isSigned = own.length > 0 && own.every(({ signature }) => isSignatureOf(log.publicKey, checkpoint.signed, signature, undefined));
  if (!isSigned) throw refused('checkpoint', entry, "its checkpoint is not signed by the log's key");
  if (checkpoint.size !== proof.treeSize) {
    throw refused(
      'checkpoint',
      entry,
      `its proof is for a tree of ${proof.treeSize} entries, its checkpoint for one of ${checkpoint.size}`,
    );
  }
  if (!isSame(checkpoint.rootHash, proof.rootHash))
    throw refused('checkpoint', entry, 'its proof and its checkpoint differ in the root hash');
  if (!isIncluded(entry.body, proof.logIndex, proof.treeSize, proof.hashes, proof.rootHash)) {
    throw refused('inclusion', entry, `its inclusion proof does not lead from its body to the root of the tree`);
  }
}

/** Of Rekor 1 the origin says which tree, and the index over all shards is at least that in one. Rekor 2 has one tree and one name. */
function checkOrigin(entry: LogEntry, checkpoint: Checkpoint, { baseUrl }: TrustedLog): void {
  const inShard = entry.proof?.logIndex ?? 0;
  if (isRekor1(checkpoint)) {
    if (entry.logIndex < inShard) throw refused('index', entry, `its index in the shard, ${inShard}, is larger`);
    return;
  }
  if (checkpoint.origin !== originOf(baseUrl)) {
    throw refused('origin', entry, `its checkpoint is that of "${checkpoint.origin.slice(0, 200)}", want "${originOf(baseUrl)}"`);
  }
  if (entry.logIndex !== inShard) throw refused('index', entry, `its proof is for the entry ${inShard}`);
}

/** The log's signature over the canonical JSON (RFC 8785) of four members, which need no escaping. */
function checkPromise(entry: LogEntry, promise: Uint8Array, log: TrustedLog): void {
  const { body, integratedTime, logId, logIndex } = entry;
  const logID = Buffer.from(logId).toString('hex');
  const signed = JSON.stringify({ body: base64Of(body), integratedTime, logID, logIndex });
  if (integratedTime === undefined) throw refused('promise', entry, 'its promise has no time');
  if (!isSignatureOf(log.publicKey, Buffer.from(signed), promise, undefined)) {
    throw refused('promise', entry, "its promise (SET) is not the log's signature over this entry");
  }
}

/** An entry is made by a parser or by a client; a slip there must not be a number that two readers round differently. */
function checkNumbers(entry: LogEntry): void {
  const { logIndex, integratedTime, proof, logId } = entry;
  const numbers = [logIndex, integratedTime ?? 0, proof?.logIndex ?? 0, proof?.treeSize ?? 0];
  // The last second that a date can have.
  const isTime = (integratedTime ?? 0) <= 8_640_000_000_000;
  const isSound = isTime && numbers.every((number) => Number.isSafeInteger(number) && number >= 0);
  if (!isSound) throw refused('number', entry, 'it has a number that is none');
  if (logId.length !== 32) throw refused('number', entry, `the id of its log has ${logId.length} bytes, want 32`);
}

function placeOf({ log, logIndex }: LogEntry): string {
  return `the log entry ${logIndex}${log === '' ? '' : ` of ${log.slice(0, 200)}`}`;
}

function refused(what: string, entry: LogEntry, reason: string): TerminalError {
  return new TerminalError(`trust.entry-${what}`, `Cannot trust ${placeOf(entry)}: ${reason}`);
}
