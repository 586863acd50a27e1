import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { base64Of } from '../../src/model/base64.ts';
import type { InclusionProof, LogEntry } from '../../src/model/evidence.ts';
import { leafHashOf } from '../../src/trust/merkle.ts';
import { logIdOf, noteIdOf } from '../../src/trust/log-key.ts';
import { emptyRoot, type TrustedLog, type TrustedRoot } from '../../src/trust/trusted-root.ts';

/** A log on paper: its key signs whatever a test wants it to have logged. */
export interface PaperLog {
  readonly version: 1 | 2;
  readonly privateKey: KeyObject;
  readonly trusted: TrustedLog;
  readonly root: TrustedRoot;
}

export const keyKinds = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  'RSA 2048': () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  Ed25519: () => generateKeyPairSync('ed25519'),
} as const;

export const logTime = Date.UTC(2026, 0, 2) / 1000;

export function paperLog(version: 1 | 2, kind: keyof typeof keyKinds = 'P-256'): PaperLog {
  const { publicKey, privateKey } = keyKinds[kind]();
  const baseUrl = 'https://log.example:8443';
  const trusted: TrustedLog = {
    baseUrl,
    publicKey,
    logId: version === 1 ? logIdOf(publicKey) : noteIdOf(publicKey, 'log.example'),
    validFor: { start: new Date('2026-01-01'), end: new Date('2027-01-01') },
  };
  return { version, privateKey, trusted, root: { ...emptyRoot, logs: [trusted] } };
}

/** Digest that goes with a key when the log signs. */
function signWith(key: KeyObject, bytes: Uint8Array): Uint8Array {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const digest = curve === 'secp384r1' ? 'sha384' : curve === 'secp521r1' ? 'sha512' : 'sha256';
  return sign(key.asymmetricKeyType === 'ed25519' ? null : digest, bytes, key);
}

/** The entry of a body at `index` in a tree of `size`; of Rekor 1 the shard begins at 1000. */
export function entryOn(log: PaperLog, body: Uint8Array, place: { readonly index?: number; readonly size?: number } = {}): LogEntry {
  const { index = 5, size = 11 } = place;
  const leaves = Array.from({ length: size }, (_, at) => (at === index ? body : Buffer.from(`leaf ${at}`)));
  const rootHash = rootOf(leaves.map(leafHashOf));
  const isFirst = log.version === 1;
  const logIndex = isFirst ? 1000 + index : index;
  const parsed = JSON.parse(Buffer.from(body).toString()) as { readonly kind: string; readonly apiVersion: string };
  const entry = {
    log: log.trusted.baseUrl,
    logIndex,
    logId: log.trusted.logId,
    kind: parsed.kind,
    version: parsed.apiVersion,
    integratedTime: isFirst ? logTime : undefined,
    body,
    proof: {
      logIndex: index,
      treeSize: size,
      rootHash,
      hashes: pathOf(leaves.map(leafHashOf), index),
      checkpoint: checkpointOf(log, size, rootHash),
    },
  };
  return { ...entry, promise: isFirst ? promiseOf(log, entry) : undefined };
}

export function checkpointOf(log: PaperLog, size: number, rootHash: Uint8Array, more: CheckpointChange = {}): string {
  const origin = more.origin ?? (log.version === 1 ? 'log.example - 42' : 'log.example');
  const text = `${origin}\n${more.sizeText ?? size}\n${base64Of(rootHash)}\n`;
  const line = (key: KeyObject, id: Uint8Array, name: string) =>
    `\u2014 ${name} ${base64Of(Buffer.concat([id.subarray(0, 4), signWith(key, Buffer.from(text))]))}\n`;
  const own = line(more.key ?? log.privateKey, log.trusted.logId, more.name ?? 'log.example');
  return `${text}\n${own}${more.witness === undefined ? '' : line(more.witness, Buffer.from('witness!'), 'witness.example')}`;
}

export interface CheckpointChange {
  readonly origin?: string;
  readonly sizeText?: string;
  readonly name?: string;
  /** Signs in the log's name. */
  readonly key?: KeyObject;
  readonly witness?: KeyObject;
}

/** RFC 8785 over the four members; sorted by hand. */
export function promiseOf(
  { privateKey }: PaperLog,
  { body, integratedTime, logId, logIndex }: Pick<LogEntry, 'body' | 'integratedTime' | 'logId' | 'logIndex'>,
): Uint8Array {
  const text = `{"body":"${base64Of(body)}","integratedTime":${integratedTime},"logID":"${Buffer.from(logId).toString('hex')}","logIndex":${logIndex}}`;
  return signWith(privateKey, Buffer.from(text));
}

export function withProof(entry: LogEntry, change: Partial<InclusionProof>): LogEntry {
  if (entry.proof === undefined) throw new Error('Cannot change a proof: there is none');
  return { ...entry, proof: { ...entry.proof, ...change } };
}

/** Root hash as RFC 9162 2.1.1 defines it. */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes;
  if (only === undefined) return createHash('sha256').digest();
  if (hashes.length === 1) return only;
  const half = splitOf(hashes.length);
  return node(rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half)));
}

/** Inclusion path as RFC 9162 2.1.3.1 defines it. */
export function pathOf(hashes: readonly Uint8Array[], index: number): readonly Uint8Array[] {
  if (hashes.length <= 1) return [];
  const half = splitOf(hashes.length);
  return index < half
    ? [...pathOf(hashes.slice(0, half), index), rootOf(hashes.slice(half))]
    : [...pathOf(hashes.slice(half), index - half), rootOf(hashes.slice(0, half))];
}

/** The largest power of two that is smaller. */
function splitOf(size: number): number {
  let half = 1;
  while (half * 2 < size) half *= 2;
  return half;
}

function node(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash('sha256')
    .update(Buffer.from([1]))
    .update(left)
    .update(right)
    .digest();
}
