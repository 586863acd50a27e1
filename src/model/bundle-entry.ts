import { base64Of } from './base64.ts';
import { kindOfBody } from './cosign-annotations.ts';
import type { InclusionProof, LogEntry } from './evidence.ts';
import type { Message } from './proto-json.ts';

const sha256Bytes = 32;
/** A proof has one hash for each level, and a tree of safe integers has at most 53. */
const maxHashes = 64;

export const entryMembers: readonly string[] = [
  'logIndex',
  'logId',
  'kindVersion',
  'integratedTime',
  'inclusionPromise',
  'inclusionProof',
  'canonicalizedBody',
];

/** One of `tlogEntries[]` as proto3 JSON: 64-bit integers are texts, bytes are base64 (sigstore-wire 4.3). */
export function entryJsonOf(entry: LogEntry, proof: InclusionProof): unknown {
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: base64Of(entry.logId) },
    kindVersion: { kind: entry.kind, version: entry.version },
    ...(entry.integratedTime !== undefined && { integratedTime: String(entry.integratedTime) }),
    ...(entry.promise && { inclusionPromise: { signedEntryTimestamp: base64Of(entry.promise) } }),
    inclusionProof: {
      logIndex: String(proof.logIndex),
      rootHash: base64Of(proof.rootHash),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map(base64Of),
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: base64Of(entry.body),
  };
}

/** The other way round; `log` is empty text. Structure only: nothing is verified. */
export function entryIn(message: Message): LogEntry {
  const logId = message.message('logId', ['keyId'])?.bytes('keyId');
  if (logId?.length !== sha256Bytes) throw message.refuse('logId', `keyId must have ${sha256Bytes} bytes`);
  const kindVersion = message.message('kindVersion', ['kind', 'version']);
  const [kind, version] = [kindVersion?.text('kind'), kindVersion?.text('version')];
  const body = message.bytes('canonicalizedBody');
  if (body === undefined) throw message.refuse('canonicalizedBody', 'it is missing');
  if (kind === undefined || version === undefined) throw message.refuse('kindVersion', 'kind and version must be there');
  const found = kindOfBody(body);
  if (found?.kind !== kind || found.version !== version) throw message.refuse('kindVersion', 'the body is of another kind or version');
  const time = message.count('integratedTime');
  return {
    log: '',
    logIndex: message.count('logIndex'),
    logId,
    kind,
    version,
    integratedTime: time === 0 ? undefined : time,
    promise: message.message('inclusionPromise', ['signedEntryTimestamp'])?.bytes('signedEntryTimestamp'),
    proof: proofIn(message),
    body,
  };
}

function proofIn(entry: Message): InclusionProof | undefined {
  const message = entry.message('inclusionProof', ['logIndex', 'rootHash', 'treeSize', 'hashes', 'checkpoint']);
  if (message === undefined) return undefined;
  const [logIndex, treeSize] = [message.count('logIndex'), message.count('treeSize')];
  if (logIndex >= treeSize) throw message.refuse('logIndex', 'it must be below treeSize');
  const rootHash = message.bytes('rootHash');
  if (rootHash?.length !== sha256Bytes) throw message.refuse('rootHash', `it must have ${sha256Bytes} bytes`);
  const hashes = message.byteLists('hashes');
  if (hashes.length > maxHashes) throw message.refuse('hashes', `it has ${hashes.length} hashes, more than ${maxHashes}`);
  if (hashes.some(({ length }) => length !== sha256Bytes)) throw message.refuse('hashes', `each must have ${sha256Bytes} bytes`);
  const checkpoint = message.message('checkpoint', ['envelope'])?.text('envelope');
  if (checkpoint === undefined) throw message.refuse('checkpoint', 'its envelope is missing');
  return { logIndex, rootHash, treeSize, hashes, checkpoint };
}
