import { X509Certificate } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import type { Envelope } from '../model/envelope.ts';
import type { LogEntry } from '../model/evidence.ts';
import { firstPemBlock } from '../model/pem.ts';
import { parsePublicKey, publicKeyOf, type PublicKey } from '../model/public-key.ts';
import { checkEntry, checkEntryBody, type EntryClaim } from '../trust/entry.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { hashOf, signedBytesOf, signedOver, type SignedOver } from './algorithm.ts';
import { refusalOf, type EntryKind } from './refusal.ts';

/** What an envelope says that goes into a log. */
export interface Claim {
  readonly envelope: Envelope;
  /** Of the certificate when there is one. */
  readonly key: PublicKey;
  /** DER of the leaf. */
  readonly certificate: Uint8Array | undefined;
  /** What the signature covers. */
  readonly bytes: Uint8Array;
  readonly over: SignedOver;
}

/** Throws `tlog.bad-signature`, and `tlog.certificate` for a text that is no certificate. */
export function claimOf(envelope: Envelope): Claim {
  const certificate = certificateIn(envelope.certificate);
  const key = certificate === undefined ? parsePublicKey(envelope.publicKey) : publicKeyOf(certificate.publicKey);
  const bytes = signedBytesOf(envelope);
  return { envelope, key, certificate: certificate?.raw, bytes, over: signedOver(key, bytes, envelope.signature) };
}

function certificateIn(pem: string): X509Certificate | undefined {
  if (pem === '') return undefined;
  try {
    return new X509Certificate(Buffer.from(firstPemBlock(pem)?.bytes ?? []));
  } catch (error) {
    throw new TerminalError('tlog.certificate', 'Cannot log an envelope: its certificate cannot be read', { cause: error });
  }
}

/** Refuses here what the log would refuse there, with a better reason. Throws `tlog.key`. */
export function expectTaken({ key, over }: Claim, log: string, entry: EntryKind): void {
  const reason = refusalOf(key, { log, entry, over });
  if (reason === undefined) return;
  throw new TerminalError('tlog.key', `Cannot log an envelope: ${reason}`, {
    fix: 'sign with an ECDSA P-256 key, which every log takes',
  });
}

/**
 * Gives the entry back when a verifier that believes `trust` would take it for this very envelope (sigstore-wire 4.3, 5.7): nothing that a
 * log says counts before. Throws the `trust.*` codes.
 */
export function checkedEntry(entry: LogEntry, claim: Claim, trust: TrustedRoot): LogEntry {
  checkEntry(entry, trust);
  checkEntryBody(entry, entryClaimOf(claim));
  return entry;
}

function entryClaimOf({ envelope, key, certificate, over }: Claim): EntryClaim {
  const { kind, payload, payloadType, body, signature } = envelope;
  const digest = over === 'bytes' ? undefined : { algorithm: over, value: hashOf(over, payload) };
  return {
    content: kind === 'dsse' ? { kind, payload, payloadType, body } : { kind: 'message', payload, digest },
    signature,
    publicKey: key,
    certificate,
  };
}
