import { createHash, X509Certificate } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { expectTag, oidOf, partsOf, readDer, recoded, tags, type Der } from './der.ts';
import { findPath, linkOf, type Link } from './path.ts';
import { isSame, isSignatureOf } from './signature.ts';
import { digestIn, malformed, parseTimestamp, type TimestampResponse } from './timestamp-response.ts';
import { isWithin, type TrustedAuthority, type TrustedRoot } from './trusted-root.ts';
import { authorityOf, extensionIds } from './x509.ts';

/**
 * The time of an RFC 3161 response (DER of the whole TimeStampResp) that an authority of `root` made over `over` (sigstore-wire 6.4): imprint,
 * signed attributes, signature, and a certificate for nothing but timestamps with a path to the authority, everything valid at that time. An
 * authority whose leaf `root` lists has no other. Throws `trust.timestamp-*`.
 */
export function checkTimestamp(response: Uint8Array, over: Uint8Array, root: TrustedRoot): Date {
  return recoded('trust.timestamp-malformed', () => check(response, over, root));
}

function check(response: Uint8Array, over: Uint8Array, root: TrustedRoot): Date {
  const timestamp = parseTimestamp(response);
  const { imprint, time } = timestamp;
  if (!isSame(createHash(imprint.digest).update(over).digest(), imprint.value)) throw refused('imprint', 'it is over other bytes');
  const given = timestamp.certificates.map(certificateOf);
  const authorities = root.timestampAuthorities.filter(({ validFor }) => isWithin(validFor, time));
  // A response with certificates has its signer's among them: sigstore-go takes no other.
  const candidates = given.length > 0 ? given : authorities.flatMap(({ chain }) => chain);
  const signer = candidates.find((certificate) => isSigner(linkOf(certificate), timestamp));
  if (signer === undefined) {
    throw refused('untrusted', `the certificate of its signer is neither in it nor that of an authority trusted at ${time.toISOString()}`);
  }
  const leaf = linkOf(signer);
  checkAttributes(leaf, timestamp);
  checkSignature(leaf, timestamp);
  findPath({
    leaf,
    intermediates: given,
    authorities: authorities.filter((authority) => mayHave(authority, leaf)),
    at: time,
    purpose: 'timeStamping',
    code: 'trust.timestamp',
  });
  checkPurpose(leaf);
  return time;
}

const attributeIds = {
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificate: '1.2.840.113549.1.9.16.2.12',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
} as const;
const what = 'the timestamp';

function isSigner({ parts }: Link, { signer: { id } }: TimestampResponse): boolean {
  if ('issuer' in id) return isSame(parts.issuer, id.issuer) && isSame(parts.serial, id.serial);
  const keyId = parts.extensions.get(extensionIds.subjectKeyId);
  return keyId !== undefined && isSame(expectTag(readDer(keyId.value, what), tags.octetString, what).value, id.keyId);
}

/** A root that lists the leaf means that one, and not another of the same authority. */
function mayHave({ chain }: TrustedAuthority, leaf: Link): boolean {
  const [first] = chain;
  if (first === undefined) return false;
  return authorityOf(linkOf(first).parts).isAuthority || isSame(first.raw, leaf.certificate.raw);
}

/** RFC 5652 11.1 and 11.2, RFC 3161 2.4.2 with RFC 5816: what was signed is this TSTInfo, by this certificate. */
function checkAttributes(leaf: Link, { signer: { attributes, digest }, info }: TimestampResponse): void {
  const contentType = attributes.get(attributeIds.contentType);
  if (contentType === undefined || oidOf(contentType, what) !== '1.2.840.113549.1.9.16.1.4') {
    throw malformed('its signature does not cover the type of its content');
  }
  const messageDigest = expectTag(attributes.get(attributeIds.messageDigest), tags.octetString, what).value;
  if (!isSame(messageDigest, createHash(digest).update(info).digest())) throw refused('signature', 'its signature is over another content');
  const certificateHash = hashOfCertificate(attributes, leaf.certificate.raw);
  if (!isSame(certificateHash.logged, certificateHash.actual)) throw refused('signature', 'it was signed with another certificate');
}

/** ESSCertIDv2 with SHA-256 unless it says otherwise, or the older ESSCertID, which has SHA-1 and only says which certificate is meant. */
function hashOfCertificate(
  attributes: ReadonlyMap<string, Der>,
  raw: Uint8Array,
): { readonly logged: Uint8Array; readonly actual: Uint8Array } {
  const newer = attributes.get(attributeIds.signingCertificateV2);
  const older = attributes.get(attributeIds.signingCertificate);
  const [list] = partsOf(newer ?? older, tags.sequence, what);
  const [first, second] = partsOf(partsOf(list, tags.sequence, what)[0], tags.sequence, what);
  const names = newer !== undefined && first?.tag === tags.sequence;
  const digest = newer === undefined ? 'sha1' : names ? digestIn(first) : 'sha256';
  return { logged: expectTag(names ? second : first, tags.octetString, what).value, actual: createHash(digest).update(raw).digest() };
}

function checkSignature({ certificate }: Link, { signer }: TimestampResponse): void {
  const { publicKey } = certificate;
  const isKind = publicKey.asymmetricKeyType === (signer.isRsa ? 'rsa' : 'ec');
  if (!isKind || !isSignatureOf(publicKey, signer.signed, signer.signature, signer.signatureDigest ?? signer.digest)) {
    throw refused('signature', 'its signature is not that of its certificate');
  }
}

/** RFC 3161 2.3: the purpose is critical, and the only one. `findPath` saw that it is there. */
function checkPurpose({ parts }: Link): void {
  const extension = parts.extensions.get(extensionIds.extendedKeyUsage);
  const purposes = extension === undefined ? [] : partsOf(readDer(extension.value, what), tags.sequence, what);
  if (extension?.isCritical !== true || purposes.length !== 1) {
    throw refused('purpose', 'the certificate of its signer is not for timestamps alone');
  }
}

function certificateOf(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw malformed('it has a certificate that cannot be read', error);
  }
}

function refused(reason: string, text: string): TerminalError {
  return new TerminalError(`trust.timestamp-${reason}`, `Cannot trust a timestamp: ${text}`);
}
