import { z } from 'zod';
import { base64Of, bytesOfBase64 } from '../model/base64.ts';
import type { LogEntry } from '../model/evidence.ts';
import { pemOf } from '../model/pem.ts';
import { hashOf } from './algorithm.ts';
import type { Claim } from './claim.ts';
import type { EntryKind } from './refusal.ts';

/** The kind of entry that Tekton Chains makes of an envelope (chains-controller 4.2). */
export function entryKindOf(kind: Claim['envelope']['kind']): EntryKind {
  return kind === 'dsse' ? 'dsse' : 'hashedrekord';
}

/** The proposed entry as JSON (chains-controller 4.2, sigstore-wire 5.2). The same claim gives the same text. */
export function proposalOf(claim: Claim): string {
  const { kind, body } = claim.envelope;
  if (kind === 'raw') return hashedRekordOf(claim);
  const proposedContent = { envelope: Buffer.from(body).toString('utf8'), verifiers: [verifierIn(claim)] };
  return JSON.stringify({ apiVersion: '0.0.1', kind: 'dsse', spec: { proposedContent } });
}

/** What the log makes of the proposal: the leaf of its tree. Members stand in the order of RFC 8785, and no text needs an escape. */
export function canonicalBodyOf(claim: Claim): string {
  const { kind, body, payload, signature } = claim.envelope;
  if (kind === 'raw') return hashedRekordOf(claim);
  const signatures = [{ signature: base64Of(signature), verifier: verifierIn(claim) }];
  const spec = { envelopeHash: hashIn('sha256', body), payloadHash: hashIn('sha256', payload), signatures };
  return JSON.stringify({ apiVersion: '0.0.1', kind: 'dsse', spec });
}

function hashedRekordOf(claim: Claim): string {
  const { envelope, bytes, over } = claim;
  const data = { hash: hashIn(over === 'bytes' ? 'sha256' : over, bytes) };
  const signature = { content: base64Of(envelope.signature), publicKey: { content: verifierIn(claim) } };
  return JSON.stringify({ apiVersion: '0.0.1', kind: 'hashedrekord', spec: { data, signature } });
}

/** The certificate where there is one (chains-controller 4.2). */
function verifierIn({ key, certificate }: Claim): string {
  return base64Of(Buffer.from(certificate === undefined ? key.pem : pemOf('CERTIFICATE', certificate)));
}

function hashIn(algorithm: 'sha256' | 'sha384' | 'sha512', bytes: Uint8Array): { readonly algorithm: string; readonly value: string } {
  return { algorithm, value: Buffer.from(hashOf(algorithm, bytes)).toString('hex') };
}

const Whole = z.int().nonnegative();
const Hex32 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'want 64 hex digits')
  .transform((text) => Uint8Array.from(Buffer.from(text, 'hex')));
const Base64 = z.string().transform((text, context) => {
  const bytes = bytesOfBase64(text);
  if (bytes === undefined || bytes.length === 0) context.addIssue('want base64');
  return bytes ?? new Uint8Array();
});
const Proof = z.object({
  logIndex: Whole,
  rootHash: Hex32,
  treeSize: Whole,
  // The tree of the largest log has less than 64 levels.
  hashes: z.array(Hex32).max(64),
  checkpoint: z.string().min(1).max(65_536),
});
const Entry = z.object({
  body: Base64,
  integratedTime: Whole,
  logID: Hex32,
  logIndex: Whole,
  verification: z.object({ signedEntryTimestamp: Base64, inclusionProof: Proof.optional() }).optional(),
});
const KindVersion = z.object({ kind: z.string().max(64), apiVersion: z.string().max(64) });

/** Tree id (may be missing on old servers) and leaf hash (sigstore-wire 5.1). */
const entryId = /^(?:[0-9a-f]{16})?[0-9a-f]{64}$/;

/** An answer with one entry, read. */
export interface Answered {
  readonly id: string;
  readonly entry: LogEntry;
}

/** `{<id>: {body, integratedTime, …}}` (sigstore-wire 5.1); a text is why it cannot be read. `log` is the URL as configured. */
export function entryIn(body: Uint8Array, log: string): Answered | string {
  const json = jsonOf(body);
  const members: readonly (readonly [string, unknown])[] = typeof json === 'object' && json !== null ? Object.entries(json) : [];
  const [[id, value] = ['', undefined], ...more] = members;
  if (members.length === 0 || more.length > 0) return 'it is no map with one entry';
  if (!entryId.test(id)) return 'the id of the entry is none';
  const parsed = Entry.safeParse(value);
  if (!parsed.success) return `the entry has a wrong member: ${issueIn(parsed.error)}`;
  const kindVersion = KindVersion.safeParse(jsonOf(parsed.data.body));
  if (!kindVersion.success) return 'the body of the entry has no kind and version';
  const { logIndex, logID, integratedTime, verification, body: canonical } = parsed.data;
  const { kind, apiVersion: version } = kindVersion.data;
  const { signedEntryTimestamp: promise, inclusionProof: proof } = verification ?? {};
  return { id, entry: { log, logIndex, logId: logID, kind, version, integratedTime, promise, proof, body: canonical } };
}

/** The id of the entry that is there already, from `Location`, or from what the server says (sigstore-wire 5.5). */
export function existingIdIn(location: string | undefined, body: Uint8Array): string | undefined {
  const last = (location ?? '').split(/[?#]/)[0]?.split('/').at(-1) ?? '';
  if (entryId.test(last)) return last;
  return /\b(?:[0-9a-f]{80}|[0-9a-f]{64})\b/.exec(Buffer.from(body.subarray(0, 4096)).toString('latin1'))?.[0];
}

function issueIn(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unreadable'}`.slice(0, 200);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
