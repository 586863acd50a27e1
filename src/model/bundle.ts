import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { base64Of } from './base64.ts';
import { entryJsonOf } from './bundle-entry.ts';
import type { Envelope } from './envelope.ts';
import { noEvidence, type Logged } from './evidence.ts';

/** What we write, and what a layer of a registry that holds a bundle is called. */
export const bundleMediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/**
 * A Sigstore bundle 0.3 of a DSSE envelope, as JSON text (sigstore-wire 4): deterministic, so the same envelope and evidence are the same bytes.
 * A certificate is the leaf alone; without one a key is named by the base64 SHA-256 of its SPKI, which is only a hint. The key id of the envelope
 * is left out, as cosign does, and so are timestamps that are not over the signature. Throws `bundle.kind` for a raw signature, `bundle.proof` for
 * a log entry without proof of inclusion: no reader of this version takes it.
 */
export function bundleOf(envelope: Envelope | Logged): string {
  const { kind, payload, payloadType, signature } = envelope;
  if (kind !== 'dsse') throw wrongKind('a raw signature', 'a DSSE envelope');
  return JSON.stringify({
    mediaType: bundleMediaType,
    verificationMaterial: materialOf(envelope),
    dsseEnvelope: { payload: base64Of(payload), payloadType, signatures: [{ sig: base64Of(signature) }] },
  });
}

/** The same of a raw signature over a payload, which the bundle has only as a SHA-256 digest. Throws `bundle.kind` for a DSSE envelope. */
export function messageBundleOf(envelope: Envelope | Logged): string {
  const { kind, payload, signature } = envelope;
  if (kind !== 'raw') throw wrongKind('a DSSE envelope', 'a signature over a message');
  const digest = createHash('sha256').update(payload).digest('base64');
  return JSON.stringify({
    mediaType: bundleMediaType,
    verificationMaterial: materialOf(envelope),
    messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest }, signature: base64Of(signature) },
  });
}

function materialOf(envelope: Envelope | Logged): object {
  const { entries, timestamps } = 'evidence' in envelope ? envelope.evidence : noEvidence;
  const tlogEntries = entries.map((entry) => {
    if (entry.proof) return entryJsonOf(entry, entry.proof);
    throw new TerminalError(
      'bundle.proof',
      `Cannot bundle the log entry ${entry.logIndex} of "${entry.log}": it has no proof of inclusion`,
      {
        fix: 'ask the log for the entry again',
      },
    );
  });
  const rfc3161Timestamps = timestamps
    .filter(({ over }) => over === 'signature')
    .map(({ response }) => ({ signedTimestamp: base64Of(response) }));
  return {
    ...signatoryOf(envelope),
    ...(tlogEntries.length > 0 && { tlogEntries }),
    ...(rfc3161Timestamps.length > 0 && { timestampVerificationData: { rfc3161Timestamps } }),
  };
}

function signatoryOf({ certificate, publicKey }: Envelope): object {
  if (certificate !== '') return { certificate: { rawBytes: base64Of(new X509Certificate(certificate).raw) } };
  const spki = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  return { publicKey: { hint: createHash('sha256').update(spki).digest('base64') } };
}

function wrongKind(what: string, want: string): TerminalError {
  return new TerminalError('bundle.kind', `Cannot bundle ${what}: this bundle holds ${want}`);
}
