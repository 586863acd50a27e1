import { TerminalError } from '../errors.ts';
import { base64Of, bytesOfBase64 } from './base64.ts';
import { isObject, type Json } from './json.ts';
import { parseStrictJson } from './strict-json.ts';

/** What a payload is. `inToto` goes into a DSSE envelope, `simpleSigning` is signed as it is (chains-controller 3.5). */
export const payloadTypes = {
  inToto: 'application/vnd.in-toto+json',
  simpleSigning: 'application/vnd.dev.cosign.simplesigning.v1+json',
} as const;

/** 16 MiB of payload in base64, its type and a signature. */
export const maxEnvelopeBytes = 32 * 1024 * 1024;

const maxSignatures = 32;

export interface DsseSignature {
  /** Unauthenticated; empty text when the producer gave none. */
  readonly keyid: string;
  readonly signature: Uint8Array;
}

/** A parsed envelope. Nothing in it is believed before a signature over `paeOf` its payload is verified. */
export interface DsseEnvelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** At least one. */
  readonly signatures: readonly DsseSignature[];
}

/** Pre-authentication encoding, the bytes that a DSSE signature covers (DSSE 1.0, protocol). Lengths count bytes. */
export function paeOf(payloadType: string, payload: Uint8Array): Uint8Array {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** The envelope as Tekton Chains writes it: members in this order, no white space (chains-controller 3.5). */
export function envelopeBytesOf(envelope: DsseEnvelope): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      payloadType: envelope.payloadType,
      payload: base64Of(envelope.payload),
      signatures: envelope.signatures.map(({ keyid, signature }) => ({ keyid, sig: base64Of(signature) })),
    }),
  );
}

/**
 * Parses an envelope that somebody else may have written (DSSE 1.0, envelope). Both base64 alphabets are read, members that DSSE does
 * not know are ignored. What two readers could read differently is refused: a member twice, a known name in other letters
 * (Go's decoder folds case), base64 with white space. Throws `dsse.malformed` and the `json.*` codes.
 */
export function openEnvelope(bytes: Uint8Array, maxBytes: number = maxEnvelopeBytes): DsseEnvelope {
  const envelope = membersOf(parseStrictJson(bytes, 'the DSSE envelope', maxBytes), 'the envelope', envelopeMembers);
  const { payloadType, signatures } = envelope;
  if (typeof payloadType !== 'string' || payloadType === '') throw malformed('payloadType must be a text');
  if (!Array.isArray(signatures) || signatures.length === 0) throw malformed('signatures must be a list of at least one');
  if (signatures.length > maxSignatures) throw malformed(`it has ${signatures.length} signatures, more than ${maxSignatures}`);
  return {
    payloadType,
    payload: bytesIn(envelope['payload'], 'payload'),
    signatures: signatures.map((signature: Json, index) => signatureOf(signature, `signatures[${index}]`)),
  };
}

const envelopeMembers: readonly string[] = ['payloadType', 'payload', 'signatures'];
const signatureMembers: readonly string[] = ['keyid', 'sig'];

function signatureOf(value: Json, where: string): DsseSignature {
  const { keyid, sig } = membersOf(value, where, signatureMembers);
  if (keyid !== undefined && typeof keyid !== 'string') throw malformed(`${where}.keyid must be a text`);
  const signature = bytesIn(sig, `${where}.sig`);
  if (signature.length === 0) throw malformed(`${where}.sig is empty`);
  return { keyid: keyid ?? '', signature };
}

function membersOf(value: Json, where: string, known: readonly string[]): Record<string, Json | undefined> {
  if (!isObject(value)) throw malformed(`${where} must be an object`);
  for (const name of Object.keys(value)) {
    const meant = known.find((candidate) => candidate !== name && folded(candidate) === folded(name));
    if (meant !== undefined) throw malformed(`${where} has a member "${name}", which some readers take for "${meant}"`);
  }
  return Object.fromEntries(known.map((name) => [name, Object.hasOwn(value, name) ? value[name] : undefined]));
}

/** Folds as Go's encoding/json does: upper case first, so that the long s and the Kelvin sign meet `s` and `k`. */
function folded(name: string): string {
  return name.toUpperCase().toLowerCase();
}

function bytesIn(value: Json | undefined, where: string): Uint8Array {
  const bytes = typeof value === 'string' ? bytesOfBase64(value) : undefined;
  if (bytes === undefined) throw malformed(`${where} must be canonical base64`);
  return bytes;
}

function malformed(reason: string): TerminalError {
  return new TerminalError('dsse.malformed', `Cannot read the DSSE envelope: ${reason}`);
}
