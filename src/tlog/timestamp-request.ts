import { derOf, tags } from '../trust/der.ts';

/** `id-sha256` and no parameters, as a DER AlgorithmIdentifier (RFC 5754 2.2; NULL as every client writes it). */
const sha256 = Buffer.from('300d06096086480165030402010500', 'hex');
const version1 = Buffer.from('020101', 'hex');
const yes = Buffer.from('0101ff', 'hex');

/** A TimeStampReq (RFC 3161 2.4.1), DER: SHA-256 imprint, nonce, and the certificates wanted in the answer, because verifiers then have the leaf. */
export function timestampRequestOf(imprint: Uint8Array, nonce: Uint8Array): Uint8Array {
  const messageImprint = derOf(tags.sequence, sha256, derOf(tags.octetString, imprint));
  return derOf(tags.sequence, version1, messageImprint, derOf(tags.integer, integerOf(nonce)), yes);
}

/** A number that is not negative, in as few bytes as DER wants (X.690 8.3.2). */
export function integerOf(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  const significant = start < 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return (significant[0] ?? 0) >= 0x80 ? Buffer.concat([Uint8Array.of(0), significant]) : significant;
}
