import type { X509Certificate } from 'node:crypto';
import { paeOf } from '../model/dsse.ts';
import { isSignedBy, publicKeyOf, type PublicKey } from '../model/public-key.ts';
import type { Exhibit } from './exhibit.ts';
import type { Blob, CandidateKey } from './policy.ts';
import { isDigestSignedBy } from './prehashed.ts';
import { refused, shown } from './verdict.ts';

/** A key that signed, and the trusted keys that are the same one: several when it is trusted for several times. */
export interface Maker {
  readonly key: PublicKey;
  readonly candidates: readonly CandidateKey[];
}

/**
 * The trusted key that made the signature. A key id that is given must be that of the key: go-securesystemslib skips the signature otherwise,
 * so its readers would find none (sigstore-wire 1.3).
 */
export function makerOf(exhibit: Exhibit, candidates: readonly CandidateKey[], blob: Blob | undefined): Maker {
  const { keyid } = exhibit;
  const maker = candidates.find(({ key }) => isNamed(keyid, key) && isMade(exhibit, key, blob))?.key;
  if (maker) return { key: maker, candidates: candidates.filter(({ key }) => key.pem === maker.pem) };
  const names = candidates.map(({ key }) => key.fingerprint).join(', ');
  const hint = keyid === '' ? '' : `; it says that it was made by "${shown(keyid)}"`;
  throw refused(`the signature was not made by ${names}${hint}`);
}

/** The key of a certificate, which must have made the signature. Whose it is and whether it counts is for other checks. */
export function certifiedKeyOf(exhibit: Exhibit, leaf: X509Certificate, blob: Blob | undefined): PublicKey {
  const key = publicKeyOf(leaf.publicKey);
  if (isNamed(exhibit.keyid, key) && isMade(exhibit, key, blob)) return key;
  throw refused('the signature was not made by the key of its certificate');
}

function isNamed(keyid: string, { fingerprint }: PublicKey): boolean {
  return keyid === '' || keyid === fingerprint;
}

function isMade({ content, signature }: Exhibit, key: PublicKey, blob: Blob | undefined): boolean {
  if (content.kind === 'dsse') return isSignedBy(key, paeOf(content.payloadType, content.payload), signature);
  const payload = content.payload ?? blob?.bytes;
  if (payload !== undefined) return isSignedBy(key, payload, signature);
  if (key.algorithm === 'ed25519') throw refused('an Ed25519 signature of a file cannot be verified by its digest: give the file');
  return blob !== undefined && isDigestSignedBy(key, blob, signature);
}
