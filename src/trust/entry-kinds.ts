import { createHash } from 'node:crypto';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { base64Of, bytesOfBase64 } from '../model/base64.ts';
import { paeOf } from '../model/dsse.ts';
import type { LogEntry } from '../model/evidence.ts';
import { firstPemBlock } from '../model/pem.ts';
import { keyAlgorithms } from '../model/public-key.ts';
import { parseStrictJson } from '../model/strict-json.ts';
import { keyDetailsOf, spkiOf } from './log-key.ts';
import type { EntryClaim, SignedContent } from './entry.ts';
import { isSame, type Digest } from './signature.ts';

/** The body of a Rekor 2 entry as the log must have it: canonical JSON (RFC 8785), members in its order (sigstore-wire 5.8). */
export function hashedRekordV002Of(claim: EntryClaim): Uint8Array {
  const { algorithm, value } = digestOf(claim);
  const details = keyDetailsOf(claim.publicKey.object);
  if (details === undefined)
    throw new TerminalError('trust.entry-kind', 'Cannot expect an entry of Rekor 2: it takes no RSA key of this size');
  const verifier =
    claim.certificate === undefined
      ? { publicKey: { rawBytes: base64Of(spkiOf(claim.publicKey.object)) } }
      : { x509Certificate: { rawBytes: base64Of(claim.certificate) } };
  const keyDetails = details === 'PKIX_ED25519' ? 'PKIX_ED25519_PH' : details;
  const hashedRekordV002 = {
    data: { algorithm: protobufNames[algorithm], digest: base64Of(value) },
    signature: { content: base64Of(claim.signature), verifier: { keyDetails, ...verifier } },
  };
  return Buffer.from(JSON.stringify({ apiVersion: '0.0.2', kind: 'hashedrekord', spec: { hashedRekordV002 } }));
}

const protobufNames: Readonly<Record<Digest, string>> = { sha256: 'SHA2_256', sha384: 'SHA2_384', sha512: 'SHA2_512' };

/** What is signed, hashed as goes with the key: the PAE of an envelope, or the message. Ed25519 is logged prehashed, with SHA-512. */
function digestOf({ content, publicKey }: EntryClaim): { readonly algorithm: Digest; readonly value: Uint8Array } {
  const [algorithm = 'sha512']: readonly Digest[] = keyAlgorithms[publicKey.algorithm].digests;
  if (content.kind === 'dsse') return { algorithm, value: hashOf(algorithm, paeOf(content.payloadType, content.payload)) };
  if (content.payload !== undefined) return { algorithm, value: hashOf(algorithm, content.payload) };
  return content.digest ?? { algorithm, value: new Uint8Array() };
}

/** How one kind of entry differs from what is claimed, in words; undefined when it does not. */
interface EntryKind {
  readonly takes: readonly SignedContent['kind'][];
  difference(entry: LogEntry, claim: EntryClaim): string | undefined;
}

/** Sigstore-wire 4.3 and 5.9: what sigstore-go since 1.2 takes, and `intoto 0.0.1` for what cosign 2 and Tekton Chains left at tags. */
export const entryKinds: Readonly<Record<string, EntryKind>> = {
  'dsse 0.0.1': { takes: ['dsse'], difference: differenceOfDsse },
  'intoto 0.0.1': { takes: ['dsse'], difference: differenceOfInToto1 },
  'intoto 0.0.2': { takes: ['dsse'], difference: differenceOfInToto2 },
  'hashedrekord 0.0.1': { takes: ['message'], difference: differenceOfHashedRekord1 },
  'hashedrekord 0.0.2': { takes: ['dsse', 'message'], difference: differenceOfHashedRekord2 },
};

const Hash = z.strictObject({ algorithm: z.enum(['sha256', 'sha384', 'sha512']), value: z.string().regex(/^[0-9a-f]+$/) });
type Hash = z.output<typeof Hash>;

const Dsse = bodyOf(
  'dsse',
  '0.0.1',
  z.strictObject({
    envelopeHash: Hash,
    payloadHash: Hash,
    signatures: z.tuple([z.strictObject({ signature: z.string(), verifier: z.string() })]),
  }),
);

function differenceOfDsse(entry: LogEntry, { content, signature, ...key }: EntryClaim): string | undefined {
  if (content.kind !== 'dsse') return 'it is about an envelope';
  const { envelopeHash, payloadHash, signatures } = specOf(entry, Dsse);
  if (!isHash(payloadHash, content.payload)) return 'it is about another payload';
  if (content.body !== undefined && !isHash(envelopeHash, content.body)) return 'it is about another text of the envelope';
  if (!isBase64(signatures[0].signature, signature)) return 'it is about another signature';
  return isVerifier(signatures[0].verifier, key) ? undefined : otherKey;
}

const InToto1 = bodyOf(
  'intoto',
  '0.0.1',
  z.strictObject({ content: z.strictObject({ hash: Hash, payloadHash: Hash.optional() }), publicKey: z.string() }),
);

/** It has no signature, so it is about this one only through the whole envelope. */
function differenceOfInToto1(entry: LogEntry, { content, ...key }: EntryClaim): string | undefined {
  if (content.kind !== 'dsse' || content.body === undefined) return 'it names no signature, and the text of the envelope is not known';
  const { content: logged, publicKey } = specOf(entry, InToto1);
  if (!isHash(logged.hash, content.body)) return 'it is about another text of the envelope';
  if (logged.payloadHash !== undefined && !isHash(logged.payloadHash, content.payload)) return 'it is about another payload';
  return isVerifier(publicKey, key) ? undefined : otherKey;
}

const InToto2 = bodyOf(
  'intoto',
  '0.0.2',
  z.strictObject({
    content: z.strictObject({
      envelope: z.strictObject({
        payloadType: z.string(),
        signatures: z.tuple([z.strictObject({ sig: z.string(), publicKey: z.string(), keyid: z.string().optional() })]),
      }),
      hash: Hash,
      payloadHash: Hash,
    }),
  }),
);

/** The client gives `hash`, and clients differ in the text that they hash; the signature is there, so the hash is not needed. */
function differenceOfInToto2(entry: LogEntry, { content, signature, ...key }: EntryClaim): string | undefined {
  if (content.kind !== 'dsse') return 'it is about an envelope';
  const { envelope, payloadHash } = specOf(entry, InToto2).content;
  if (envelope.payloadType !== content.payloadType) return 'it is about another type of payload';
  if (!isHash(payloadHash, content.payload)) return 'it is about another payload';
  // Base64 of base64: the server decodes what it was sent once (sigstore-wire 5.2).
  const sig = Buffer.from(bytesOfBase64(envelope.signatures[0].sig) ?? []).toString('latin1');
  if (!isBase64(sig, signature)) return 'it is about another signature';
  return isVerifier(envelope.signatures[0].publicKey, key) ? undefined : otherKey;
}

const HashedRekord1 = bodyOf(
  'hashedrekord',
  '0.0.1',
  z.strictObject({
    data: z.strictObject({ hash: Hash }),
    signature: z.strictObject({ content: z.string(), publicKey: z.strictObject({ content: z.string() }) }),
  }),
);

function differenceOfHashedRekord1(entry: LogEntry, { content, signature, ...key }: EntryClaim): string | undefined {
  if (content.kind !== 'message') return 'it is about a message';
  const { data, signature: logged } = specOf(entry, HashedRekord1);
  const { payload, digest } = content;
  if (payload === undefined && digest === undefined) return 'the message that was signed is not known';
  if (payload !== undefined && !isHash(data.hash, payload)) return 'it is about another message';
  const isDigest = digest === undefined || (digest.algorithm === data.hash.algorithm && isHex(data.hash.value, digest.value));
  if (!isDigest) return 'it is about another digest';
  if (!isBase64(logged.content, signature)) return 'it is about another signature';
  return isVerifier(logged.publicKey.content, key) ? undefined : otherKey;
}

/** Nothing is read out of it: it is made anew from what is claimed, so no two readings of it are possible. */
function differenceOfHashedRekord2(entry: LogEntry, claim: EntryClaim): string | undefined {
  const expected = hashedRekordV002Of(claim);
  return isSame(entry.body, expected) ? undefined : 'it is not the entry of this signature, key and content';
}

const otherKey = 'it is about another key or certificate';
const maxBytes = 1024 * 1024;

function bodyOf<Spec extends z.ZodType>(kind: string, apiVersion: string, spec: Spec) {
  return z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), spec });
}

function specOf<Spec>({ body, logIndex }: LogEntry, Body: z.ZodType<{ readonly spec: Spec }>): Spec {
  const parsed = Body.safeParse(parseStrictJson(body, `the log entry ${logIndex}`, maxBytes));
  if (parsed.success) return parsed.data.spec;
  const [issue] = parsed.error.issues;
  throw new TerminalError(
    'trust.entry-body',
    `Cannot read the log entry ${logIndex}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
  );
}

/** Whether base64 of a PEM text is of this certificate, or else of this key. */
function isVerifier(base64: string, { publicKey, certificate }: Pick<EntryClaim, 'publicKey' | 'certificate'>): boolean {
  const block = firstPemBlock(Buffer.from(bytesOfBase64(base64) ?? []).toString('latin1'));
  if (block === undefined) return false;
  return certificate === undefined
    ? block.type === 'PUBLIC KEY' && isSame(block.bytes, spkiOf(publicKey.object))
    : block.type === 'CERTIFICATE' && isSame(block.bytes, certificate);
}

function isHash({ algorithm, value }: Hash, bytes: Uint8Array): boolean {
  return isHex(value, hashOf(algorithm, bytes));
}

function isHex(hex: string, bytes: Uint8Array): boolean {
  return hex === Buffer.from(bytes).toString('hex');
}

function isBase64(base64: string, bytes: Uint8Array): boolean {
  const decoded = bytesOfBase64(base64);
  return decoded !== undefined && isSame(decoded, bytes);
}

function hashOf(algorithm: Digest, bytes: Uint8Array): Uint8Array {
  return createHash(algorithm).update(bytes).digest();
}
