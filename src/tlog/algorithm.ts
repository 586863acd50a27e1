import { createHash, verify } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { paeOf } from '../model/dsse.ts';
import type { Envelope } from '../model/envelope.ts';
import { keyAlgorithms, type KeyAlgorithm, type PublicKey } from '../model/public-key.ts';

/** What a signature was made over: a digest of the bytes, or (Ed25519) the bytes themselves. */
export type SignedOver = 'sha256' | 'sha384' | 'sha512' | 'bytes';

/** The bytes that the signature of an envelope covers. */
export function signedBytesOf({ kind, payloadType, payload }: Envelope): Uint8Array {
  return kind === 'dsse' ? paeOf(payloadType, payload) : payload;
}

/** Of the digests that such a key may sign with the one that was used (model/public-key.ts says why there are several). Throws `tlog.bad-signature`. */
export function signedOver(key: PublicKey, bytes: Uint8Array, signature: Uint8Array): SignedOver {
  const found = candidatesOf(key.algorithm).find((candidate) => {
    return verify(candidate === 'bytes' ? undefined : candidate, bytes, { key: key.object, dsaEncoding: 'der' }, signature);
  });
  if (found !== undefined) return found;
  throw new TerminalError('tlog.bad-signature', `Cannot log an envelope: its signature does not verify under its key ${key.fingerprint}`);
}

/** The usual one first. */
export function candidatesOf(algorithm: KeyAlgorithm): readonly SignedOver[] {
  const { digests } = keyAlgorithms[algorithm];
  return digests.length === 0 ? ['bytes'] : digests;
}

export function hashOf(algorithm: Exclude<SignedOver, 'bytes'>, bytes: Uint8Array): Uint8Array {
  return createHash(algorithm).update(bytes).digest();
}
