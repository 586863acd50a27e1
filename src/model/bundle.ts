import { createHash, createPublicKey } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { base64Of } from './base64.ts';
import type { Envelope } from './envelope.ts';

/**
 * A Sigstore bundle 0.3 as JSON text: a DSSE envelope that a key signed and no log has seen (sigstore-wire 4.5). The key id is left out, as
 * cosign does; the hint is the base64 SHA-256 of the SPKI. Members in the order of the specification. Throws `bundle.kind` for a raw signature.
 */
export function bundleOf({ kind, payload, payloadType, signature, publicKey }: Envelope): string {
  if (kind !== 'dsse') throw new TerminalError('bundle.kind', 'Cannot bundle a raw signature: a bundle holds a DSSE envelope');
  const spki = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  return JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: createHash('sha256').update(spki).digest('base64') } },
    dsseEnvelope: { payload: base64Of(payload), payloadType, signatures: [{ sig: base64Of(signature) }] },
  });
}
