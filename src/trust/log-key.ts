import { createHash, type KeyObject } from 'node:crypto';
import { isSame } from './signature.ts';

/** SubjectPublicKeyInfo, DER. */
export function spkiOf(key: KeyObject): Uint8Array {
  return key.export({ type: 'spki', format: 'der' });
}

/** Name of a key's kind in protobuf-specs (sigstore-wire 2.4); undefined for a size of RSA that has none. */
export function keyDetailsOf(key: KeyObject): string | undefined {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return keyDetails[namedCurve ?? modulusLength ?? key.asymmetricKeyType ?? ''];
}

const keyDetails: Readonly<Record<string, string>> = {
  prime256v1: 'PKIX_ECDSA_P256_SHA_256',
  secp384r1: 'PKIX_ECDSA_P384_SHA_384',
  secp521r1: 'PKIX_ECDSA_P521_SHA_512',
  2048: 'PKIX_RSA_PKCS1V15_2048_SHA256',
  3072: 'PKIX_RSA_PKCS1V15_3072_SHA256',
  4096: 'PKIX_RSA_PKCS1V15_4096_SHA256',
  ed25519: 'PKIX_ED25519',
};
/** Every kind of log key that we verify with. The old name for RSA says nothing of the size. */
export const knownKeyDetails: readonly string[] = [...Object.values(keyDetails), 'PKIX_RSA_PKCS1V5'];

/** Name of a Rekor 2 log: the host name of its URL, without the port (sigstore-wire 4.3, 6.5). */
export function originOf(baseUrl: string): string {
  return new URL(baseUrl).hostname;
}

/** The id of a Rekor 1 or certificate transparency log: SHA-256 of its key (sigstore-wire 5.3, RFC 6962 3.2). */
export function logIdOf(key: KeyObject): Uint8Array {
  return sha256(spkiOf(key));
}

/** The id of a log that signs notes: what the C2SP key id is the beginning of (sigstore-wire 5.8, C2SP signed-note). */
export function noteIdOf(key: KeyObject, origin: string): Uint8Array {
  const spki = spkiOf(key);
  const head = Buffer.from(`${origin}\n`);
  // The last 32 bytes of an Ed25519 SPKI are the key itself.
  if (key.asymmetricKeyType === 'ed25519') return sha256(Buffer.concat([head, Buffer.from([1]), spki.subarray(-32)]));
  if (key.asymmetricKeyType === 'rsa') return sha256(Buffer.concat([head, Buffer.from('\xffPKIX-RSA-PKCS#1v1.5', 'latin1'), spki]));
  return sha256(spki);
}

/** Whether a log of this key and URL may have this id: any other never meets an entry. */
export function isLogId(id: Uint8Array, key: KeyObject, baseUrl: string): boolean {
  return isSame(id, logIdOf(key)) || isSame(id, noteIdOf(key, originOf(baseUrl)));
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
