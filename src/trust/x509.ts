import type { X509Certificate } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { bitsOf, booleanOf, contextTag, childrenOf, oidOf, partsOf, readDer, smallIntegerOf, tags, timeOf, type Der } from './der.ts';

/** What of a certificate OpenSSL does not tell, or tells as text only (RFC 5280 4.1). */
export interface CertificateParts {
  readonly serial: Uint8Array;
  /** Names, DER: compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly signatureAlgorithm: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly extensions: ReadonlyMap<string, Extension>;
  /** The parts of the signed half, in order; the extensions are the last. */
  readonly signed: readonly Der[];
}

export interface Extension {
  readonly isCritical: boolean;
  /** What is in its octet string. */
  readonly value: Uint8Array;
  readonly der: Der;
}

export const extensionIds = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
  sctList: '1.3.6.1.4.1.11129.2.4.2',
} as const;

/** Uses of a key that an extended key usage may name (RFC 5280 4.2.1.12). */
export const purposes = { codeSigning: '1.3.6.1.5.5.7.3.3', timeStamping: '1.3.6.1.5.5.7.3.8', any: '2.5.29.37.0' } as const;

/** Throws `trust.certificate-malformed` for what OpenSSL took and DER or RFC 5280 do not allow: an extension twice, a padded length. */
export function partsOfCertificate(certificate: X509Certificate): CertificateParts {
  try {
    return read(certificate.raw);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TerminalError('trust.certificate-malformed', `Cannot read the certificate of "${shownName(certificate)}": ${reason}`, {
      cause: error,
    });
  }
}

/** Who a certificate speaks of, in one line. */
export function shownName({ subject, subjectAltName }: X509Certificate): string {
  return (subject || subjectAltName || 'nobody').replaceAll('\n', ', ').slice(0, 200);
}

/** The object identifiers of an extended key usage; undefined without one. */
export function purposesOf({ extensions }: CertificateParts): readonly string[] | undefined {
  const extension = extensions.get(extensionIds.extendedKeyUsage);
  return extension && partsOf(readDer(extension.value, usage), tags.sequence, usage).map((oid) => oidOf(oid, usage));
}

export interface Authority {
  readonly isAuthority: boolean;
  /** How many certificates of authorities may stand between it and the leaf. */
  readonly pathLength: number | undefined;
}

export function authorityOf({ extensions }: CertificateParts): Authority {
  const extension = extensions.get(extensionIds.basicConstraints);
  if (extension === undefined) return { isAuthority: false, pathLength: undefined };
  const parts = partsOf(readDer(extension.value, constraints), tags.sequence, constraints);
  const isAuthority = parts[0]?.tag === tags.boolean && booleanOf(parts[0], constraints);
  const length = parts.find(({ tag }) => tag === tags.integer);
  return { isAuthority, pathLength: length && smallIntegerOf(length, constraints) };
}

/** Whether the key may be used so; a certificate without a key usage allows everything (RFC 5280 4.2.1.3). */
export function mayUse({ extensions }: CertificateParts, use: 'digitalSignature' | 'keyCertSign'): boolean {
  const extension = extensions.get(extensionIds.keyUsage);
  if (extension === undefined) return true;
  return bitsOf(readDer(extension.value, usage), usage)[use === 'digitalSignature' ? 0 : 5] ?? false;
}

const what = 'the certificate';
const usage = 'its key usage';
const constraints = 'its basic constraints';

function read(raw: Uint8Array): CertificateParts {
  const [tbs, algorithm] = partsOf(readDer(raw, what), tags.sequence, what);
  const signed = partsOf(tbs, tags.sequence, what);
  if (signed[0]?.tag !== contextTag(0)) throw new Error('it is not of version 3');
  const [serial, inner, issuer, validity, subject, spki] = signed.slice(1);
  const [notBefore, notAfter] = partsOf(validity, tags.sequence, what);
  if (serial?.tag !== tags.integer || issuer === undefined || subject === undefined || spki === undefined)
    throw new Error('a part is missing');
  const signatureAlgorithm = oidOf(partsOf(algorithm, tags.sequence, what)[0], what);
  if (oidOf(partsOf(inner, tags.sequence, what)[0], what) !== signatureAlgorithm) throw new Error('it names two signature algorithms');
  const last = signed.at(-1);
  return {
    serial: serial.value,
    issuer: issuer.raw,
    subject: subject.raw,
    notBefore: timeOf(notBefore, what),
    notAfter: timeOf(notAfter, what),
    signatureAlgorithm,
    spki: spki.raw,
    extensions: last?.tag === contextTag(3) ? extensionsIn(last) : new Map(),
    signed,
  };
}

function extensionsIn(der: Der): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const extension of partsOf(childrenOf(der, what)[0], tags.sequence, what)) {
    const [id, second, third] = partsOf(extension, tags.sequence, what);
    const oid = oidOf(id, what);
    const isCritical = second?.tag === tags.boolean && booleanOf(second, what);
    const octets = second?.tag === tags.boolean ? third : second;
    if (octets?.tag !== tags.octetString) throw new Error(`its extension ${oid} has no value`);
    if (extensions.has(oid)) throw new Error(`it has the extension ${oid} twice`);
    extensions.set(oid, { isCritical, value: octets.value, der: extension });
  }
  return extensions;
}
