import { z } from 'zod';
import { TransientError } from '../errors.ts';
import type { Image as ModelImage } from '../model/artifact.ts';
import { parseSha256, sha256Of } from '../model/digest.ts';
import type { Envelope } from '../model/envelope.ts';
import type { Receipt } from '../model/receipt.ts';
import type { Payload } from '../model/work.ts';
import { noEvidence, type Evidence } from '../model/evidence.ts';
import { evidenceOf } from './evidence-rows.ts';
import type { JournalRun, KnownKey, KnownReceipt, KnownRun, KnownWork } from './journal.ts';
import type { Result } from './statement.ts';

/** What to do about a journal that cannot be trusted. It is a cache of intent, so it may go (design 4, Journal). */
export const corruptFix =
  'stop the process, move the file with its -wal aside and start again: what is marked or already stored is found there, the rest is signed anew';

const Sha256 = z.string().transform((text) => parseSha256(text));
const Base64 = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const RunKind = z.enum(['TaskRun', 'PipelineRun']);
const Artifact = z.enum(['taskrun', 'pipelinerun', 'oci']);
const Image = z.object({ repository: z.string(), digest: Sha256 });
const Strings = z.record(z.string(), z.string());
const absent = <T>(value: T | null): T | undefined => value ?? undefined;

const RunRow = z
  .object({
    uid: z.string(),
    kind: RunKind,
    namespace: z.string(),
    name: z.string(),
    state: z.enum(['open', 'signed', 'failed', 'skipped']),
    lane: z.enum(['live', 'retry', 'backfill']),
    attempts: z.int(),
    due: z.int().nullable().transform(absent),
    reason: z.string().nullable().transform(absent),
    updated_at: z.int(),
  })
  .transform(({ uid, kind, namespace, name, due, updated_at, ...rest }): JournalRun => {
    return { id: { kind, namespace, name, uid }, ...rest, dueAt: due, updatedAt: updated_at };
  });
const SnapshotRow = z.object({ snapshot: z.string().nullable().transform(absent) });

const ChildrenRow = z.object({ children: z.string() });

const Detail = z.object({
  payloadType: z.string(),
  predicateType: z.string().nullable().transform(absent),
  subjects: z.array(z.object({ name: z.string(), digest: Strings })),
  images: z.array(Image),
  dropped: z.array(z.object({ result: z.string(), value: z.string(), rule: z.string(), why: z.string(), fix: z.string() })),
});

const EnvelopeText = z.object({
  kind: z.enum(['dsse', 'raw']),
  payloadType: z.string(),
  signature: Base64,
  publicKey: z.string(),
  certificate: z.string(),
  chain: z.string(),
  filing: z.object({
    run: z.object({ kind: RunKind, namespace: z.string(), name: z.string(), uid: z.string() }),
    shortKey: z.string(),
    predicateType: z.string().nullable().transform(absent),
    images: z.array(Image),
  }),
});

const WorkRow = z.object({
  work: z.string(),
  artifact: Artifact,
  format: z.string(),
  payload: z.instanceof(Uint8Array),
  payload_sha256: Sha256,
  detail: z.string(),
  envelope: z.string().nullable(),
  envelope_body: z.instanceof(Uint8Array).nullable(),
  signer: z.string().nullable().transform(absent),
  stores: z.string().nullable().transform(absent),
  is_logged: z.int().nullable(),
});

const ReceiptText = z.object({
  store: z.string(),
  places: z.array(z.object({ address: z.string(), image: Image.nullable().transform(absent) })),
  note: z.string().nullable().transform(absent),
  annotations: Strings,
});
const ReceiptRow = z.object({ work: z.string(), reference: z.string(), proven_at: z.int().nullable().transform(absent) });

/** A payload but for its bytes. */
export function detailText({ payloadType, predicateType, subjects, images, dropped }: Payload): string {
  return JSON.stringify({ payloadType, predicateType: predicateType ?? null, subjects, images, dropped });
}

/** An envelope but for its payload and body, which are columns of bytes. */
export function envelopeText(envelope: Envelope): string {
  const { payload: _payload, body: _body, signature, filing, ...rest } = envelope;
  const predicateType = filing.predicateType ?? null;
  return JSON.stringify({ ...rest, signature: Buffer.from(signature).toString('base64'), filing: { ...filing, predicateType } });
}

export function receiptText({ store, places, note, annotations }: Receipt): string {
  const filled = places.map(({ address, image }) => ({ address, image: image ?? null }));
  return JSON.stringify({ store, places: filled, note: note ?? null, annotations });
}

/** What `children` of an image index are looked up by. */
export function imageText({ repository, digest }: ModelImage): string {
  return `${repository}@sha256:${digest}`;
}

export function childrenText(children: readonly ModelImage[]): string {
  return JSON.stringify(children);
}

/** undefined when nothing was kept. */
export function childrenIn(result: Result | undefined): readonly ModelImage[] | undefined {
  const [row] = result?.rows ?? [];
  return row === undefined ? undefined : trusted('an image index', () => z.array(Image).parse(JSON.parse(ChildrenRow.parse(row).children)));
}

export function runsOf(result: Result | undefined): readonly JournalRun[] {
  return (result?.rows ?? []).map((row) => trusted('a run', () => RunRow.parse(row)));
}

/** From the results of `loading`; undefined when there is no such run. */
export function knownRunOf([run, works, receipts, entries]: readonly Result[]): KnownRun | undefined {
  const [line] = runsOf(run);
  if (line === undefined) return undefined;
  return trusted(`run "${line.id.uid}"`, () => {
    const { snapshot } = SnapshotRow.parse(run?.rows[0]);
    const all = (receipts?.rows ?? []).map((row) => ReceiptRow.parse(row));
    const receiptsOf = (key: string) => all.filter(({ work }) => work === key).map(knownReceiptOf);
    const evidence = evidenceOf(entries?.rows ?? []);
    return { ...line, snapshot, works: (works?.rows ?? []).map((row) => knownWorkOf(row, receiptsOf, evidence)) };
  });
}

function knownReceiptOf(row: z.output<typeof ReceiptRow>): KnownReceipt {
  return { receipt: ReceiptText.parse(JSON.parse(row.reference)), provenAt: row.proven_at };
}

function knownWorkOf(
  value: unknown,
  receiptsOf: (key: string) => readonly KnownReceipt[],
  evidence: ReadonlyMap<string, Evidence>,
): KnownWork {
  const row = WorkRow.parse(value);
  const { work: key, artifact, format, payload_sha256: payloadSha256, payload: bytes } = row;
  if (sha256Of(bytes) !== payloadSha256) throw new Error(`the payload of "${key}" does not have the SHA-256 that was kept with it`);
  const payload: Payload = { ...Detail.parse(JSON.parse(row.detail)), bytes };
  return {
    key,
    artifact,
    format,
    signer: row.signer,
    stores: row.stores?.split(',').filter((name) => name !== ''),
    log: row.is_logged === 1,
    payload,
    payloadSha256,
    envelope: envelopeOf(row),
    evidence: evidence.get(key) ?? noEvidence,
    receipts: receiptsOf(key),
  };
}

function envelopeOf({ envelope, envelope_body: body, payload }: z.output<typeof WorkRow>): Envelope | undefined {
  if (envelope === null || body === null) return undefined;
  return { ...EnvelopeText.parse(JSON.parse(envelope)), payload, body };
}

const KeyRow = z
  .object({ fingerprint: z.string(), signer: z.string(), public_key: z.string(), first_at: z.int(), last_at: z.int() })
  .transform(({ fingerprint, signer, public_key: publicKey, first_at: firstAt, last_at: lastAt }): KnownKey => {
    return { fingerprint, signer, publicKey, firstAt, lastAt };
  });

export function keysOf(result: Result | undefined): readonly KnownKey[] {
  return (result?.rows ?? []).map((row) => trusted('a key', () => KeyRow.parse(row)));
}

function trusted<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new TransientError('journal.corrupt', `Cannot read ${what} from the journal: ${reason}`, { cause, fix: corruptFix });
  }
}
