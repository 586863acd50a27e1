import { X509Certificate } from 'node:crypto';
import type { Envelope } from '../../model/envelope.ts';
import { isSignedBy, parsePublicKey, publicKeyOf } from '../../model/public-key.ts';
import type { Wanted } from '../store.ts';

/** What may be an envelope of ours: what was signed, and what is said of who signed. */
export interface Claim extends Pick<Envelope, 'signature' | 'certificate'> {
  /** What the signature must cover. */
  readonly signed: Uint8Array;
}

/** The key that signed, if it did and its holder is ours: that of the certificate, or else the one that was named. */
export async function signatoryOf({ signed, signature, certificate }: Claim, wanted: Wanted): Promise<string | undefined> {
  const publicKey = certificate === '' ? wanted.publicKey : keyOfCertificate(certificate);
  if (publicKey === undefined || !isSignedBy(parsePublicKey(publicKey), signed, signature)) return undefined;
  return (await wanted.owns({ publicKey, certificate })) ? publicKey : undefined;
}

/** Others write here, too: a certificate that is none, or of a key that we do not know, is not ours. */
function keyOfCertificate(pem: string): string | undefined {
  try {
    return publicKeyOf(new X509Certificate(pem).publicKey).pem;
  } catch {
    return undefined;
  }
}
