import { verify, type KeyObject } from 'node:crypto';

export type Digest = 'sha256' | 'sha384' | 'sha512';

/** Whether `signature` (ASN.1 DER for ECDSA, PKCS #1 v1.5 for RSA) over `bytes` is this key's. Ed25519 has no digest of its own. */
export function isSignatureOf(key: KeyObject, bytes: Uint8Array, signature: Uint8Array, digest: Digest | undefined): boolean {
  const isEdwards = key.asymmetricKeyType === 'ed25519';
  return verify(isEdwards ? undefined : (digest ?? digestOf(key)), bytes, { key, dsaEncoding: 'der' }, signature);
}

/** The digest that goes with a key when nothing says otherwise (sigstore-wire 2.4). */
function digestOf(key: KeyObject): Digest {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === 'secp384r1' ? 'sha384' : curve === 'secp521r1' ? 'sha512' : 'sha256';
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
