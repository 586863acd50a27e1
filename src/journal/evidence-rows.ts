import { z } from 'zod';
import { noEvidence, type Evidence, type LogEntry, type Timestamp } from '../model/evidence.ts';

const Base64 = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const Index = z.int().nonnegative();

/** An entry but for its index, body and log, which are columns. Null where JSON has no undefined. */
const ProofText = z.object({
  logId: Base64,
  kind: z.string(),
  version: z.string(),
  integratedTime: Index.nullable(),
  promise: Base64.nullable(),
  proof: z.object({ logIndex: Index, rootHash: Base64, treeSize: Index, hashes: z.array(Base64), checkpoint: z.string() }).nullable(),
});

const EntryRow = z.object({
  work: z.string(),
  log: z.string(),
  index: Index.nullable(),
  body: z.instanceof(Uint8Array),
  proof: z.string().nullable(),
});

const timestampName = /^timestamp (signature|body) (.*)$/s;

/** The columns of one piece of evidence. */
export function evidenceRow(evidence: LogEntry | Timestamp) {
  if ('response' in evidence) {
    const { authority, over, response } = evidence;
    return { log: `timestamp ${over} ${authority}`, index: null, uuid: null, body: response, proof: null };
  }
  const { log, logIndex, logId, kind, version, integratedTime, promise, proof, body } = evidence;
  const text = JSON.stringify({
    logId: base64Of(logId),
    kind,
    version,
    integratedTime: integratedTime ?? null,
    promise: promise === undefined ? null : base64Of(promise),
    proof: proof === undefined ? null : { ...proof, rootHash: base64Of(proof.rootHash), hashes: proof.hashes.map(base64Of) },
  });
  return { log, index: logIndex, uuid: null, body, proof: text };
}

/** From the rows of `loading`, by work. Throws for what is not as it was written. */
export function evidenceOf(rows: readonly unknown[]): ReadonlyMap<string, Evidence> {
  const all = new Map<string, Evidence>();
  for (const value of rows) {
    const row = EntryRow.parse(value);
    const { entries, timestamps } = all.get(row.work) ?? noEvidence;
    const stamp = timestampName.exec(row.log);
    if (stamp !== null && row.proof === null) {
      const [, over, authority = ''] = stamp;
      const timestamp: Timestamp = { authority, over: over === 'body' ? 'body' : 'signature', response: row.body };
      all.set(row.work, { entries, timestamps: [...timestamps, timestamp] });
    } else all.set(row.work, { entries: [...entries, entryOf(row)], timestamps });
  }
  return all;
}

function entryOf({ log, index, body, proof: text }: z.output<typeof EntryRow>): LogEntry {
  const { integratedTime, promise, proof, ...rest } = ProofText.parse(JSON.parse(text ?? 'null'));
  return {
    log,
    logIndex: Index.parse(index),
    ...rest,
    integratedTime: integratedTime ?? undefined,
    promise: promise ?? undefined,
    proof: proof ?? undefined,
    body,
  };
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
