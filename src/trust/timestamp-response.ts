import { TerminalError } from '../errors.ts';
import { childrenOf, contextTag, expectTag, oidOf, partsOf, readDer, smallIntegerOf, tags, timeOf, type Der } from './der.ts';
import type { Digest } from './signature.ts';

/** A TimeStampResp taken apart (RFC 3161 2.4.2, RFC 5652 5). Nothing in it is believed before `checkTimestamp`. */
export interface TimestampResponse {
  readonly time: Date;
  /** Bytes of the integer, as DER has them: the request's are compared with it. */
  readonly nonce: Uint8Array | undefined;
  readonly policy: string;
  readonly imprint: { readonly digest: Digest; readonly value: Uint8Array };
  /** DER of TSTInfo, which is what `messageDigest` is of. */
  readonly info: Uint8Array;
  /** DER of each certificate that came with it. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: TimestampSigner;
}

export interface TimestampSigner {
  /** Name, DER, and serial number, or the subject key id. */
  readonly id: { readonly issuer: Uint8Array; readonly serial: Uint8Array } | { readonly keyId: Uint8Array };
  /** What `messageDigest` was made with. */
  readonly digest: Digest;
  /** What the signature is over: the attributes as a SET (RFC 5652 5.4). */
  readonly signed: Uint8Array;
  readonly attributes: ReadonlyMap<string, Der>;
  /** Undefined when the signature's name does not say it, as with plain `rsaEncryption`: then it is `digest`. */
  readonly signatureDigest: Digest | undefined;
  readonly isRsa: boolean;
  readonly signature: Uint8Array;
}

const maxBytes = 64 * 1024;
const what = 'the timestamp';
/** `[0]`, primitive: a subject key id. */
const keyIdTag = 0x80;
const ids = { signedData: '1.2.840.113549.1.7.2', timestampInfo: '1.2.840.113549.1.9.16.1.4' } as const;

const digests: Readonly<Record<string, Digest>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
/** RFC 5758 3.2, RFC 8017 A.2.4, RFC 3279 2.3.1 and 2.3.5: the two last leave the digest to the digest algorithm. */
const signatures: Readonly<Record<string, { readonly digest: Digest | undefined; readonly isRsa: boolean }>> = {
  '1.2.840.10045.4.3.2': { digest: 'sha256', isRsa: false },
  '1.2.840.10045.4.3.3': { digest: 'sha384', isRsa: false },
  '1.2.840.10045.4.3.4': { digest: 'sha512', isRsa: false },
  '1.2.840.113549.1.1.11': { digest: 'sha256', isRsa: true },
  '1.2.840.113549.1.1.12': { digest: 'sha384', isRsa: true },
  '1.2.840.113549.1.1.13': { digest: 'sha512', isRsa: true },
  '1.2.840.113549.1.1.1': { digest: undefined, isRsa: true },
  '1.2.840.10045.2.1': { digest: undefined, isRsa: false },
};

/**
 * Takes a response apart, strictly: granted, one signer, no unsigned guesswork. Throws `trust.timestamp-refused` when the authority did not
 * grant it, `trust.timestamp-malformed` for everything that RFC 3161 and DER do not allow.
 */
export function parseTimestamp(response: Uint8Array): TimestampResponse {
  if (response.length > maxBytes) throw malformed(`it has ${response.length} bytes, more than ${maxBytes}`);
  try {
    return read(response);
  } catch (error) {
    if (error instanceof TerminalError && error.code !== 'trust.der') throw error;
    throw malformed(error instanceof Error ? error.message : String(error), error);
  }
}

/** Digest of an AlgorithmIdentifier: SHA-256, SHA-384 or SHA-512, never less. */
export function digestIn(algorithm: Der | undefined): Digest {
  const oid = oidOf(partsOf(algorithm, tags.sequence, what)[0], what);
  const digest = digests[oid];
  if (digest === undefined) throw malformed(`it uses the digest ${oid}, which is not trusted`);
  return digest;
}

export function malformed(reason: string, cause?: unknown): TerminalError {
  return new TerminalError('trust.timestamp-malformed', `Cannot read a timestamp: ${reason}`, { cause });
}

function read(response: Uint8Array): TimestampResponse {
  const [info, token, ...rest] = partsOf(readDer(response, what), tags.sequence, what);
  const status = smallIntegerOf(partsOf(info, tags.sequence, what)[0], what);
  // Also 1, granted with modifications, is refused: sigstore-go takes no such response.
  if (status > 0 || token === undefined || rest.length > 0) {
    throw new TerminalError('trust.timestamp-refused', `Cannot use a timestamp: the authority did not grant it, its status is ${status}`);
  }
  const [type, wrapped] = partsOf(token, tags.sequence, what);
  expectId(type, ids.signedData);
  const [signedData] = partsOf(wrapped, contextTag(0), what);
  const [version, listed, content, ...optional] = partsOf(signedData, tags.sequence, what);
  if (smallIntegerOf(version, what) !== 3) throw malformed('its signed data is not of version 3');
  const [contentType, octets] = partsOf(content, tags.sequence, what);
  expectId(contentType, ids.timestampInfo);
  const encoded = expectTag(partsOf(octets, contextTag(0), what)[0], tags.octetString, what).value;
  const certificates = optional.length > 1 ? expectTag(optional[0], contextTag(0), what) : undefined;
  if (optional.length > 2) throw malformed('it has parts that are not used here');
  const signers = partsOf(optional.at(-1), tags.set, what);
  if (signers.length !== 1) throw malformed(`it has ${signers.length} signers, want one`);
  return {
    ...readInfo(encoded),
    info: encoded,
    certificates: certificates === undefined ? [] : childrenOf(certificates, what).map(({ raw }) => raw),
    signer: readSigner(signers[0], partsOf(listed, tags.set, what).map(digestIn)),
  };
}

/** TSTInfo (RFC 3161 2.4.2). An extension that is critical would change what it means. */
function readInfo(encoded: Uint8Array): Pick<TimestampResponse, 'time' | 'nonce' | 'policy' | 'imprint'> {
  const [version, policy, imprint, serial, time, ...optional] = partsOf(readDer(encoded, what), tags.sequence, what);
  if (smallIntegerOf(version, what) !== 1) throw malformed('it is not of version 1');
  expectTag(serial, tags.integer, what);
  expectTag(time, tags.generalizedTime, what);
  const [algorithm, hashed] = partsOf(imprint, tags.sequence, what);
  const extensions = optional.find(({ tag }) => tag === contextTag(1));
  for (const extension of extensions === undefined ? [] : childrenOf(extensions, what)) {
    if (partsOf(extension, tags.sequence, what)[1]?.tag === tags.boolean) throw malformed('it has a critical extension');
  }
  return {
    time: timeOf(time, what),
    policy: oidOf(policy, what),
    imprint: { digest: digestIn(algorithm), value: expectTag(hashed, tags.octetString, what).value },
    nonce: optional.find(({ tag }) => tag === tags.integer)?.value,
  };
}

/** SignerInfo (RFC 5652 5.3). */
function readSigner(signer: Der | undefined, listed: readonly Digest[]): TimestampSigner {
  const [version, id, digestAlgorithm, attributes, signatureAlgorithm, signature] = partsOf(signer, tags.sequence, what);
  // Who names the key writes version 3, who names the certificate version 1.
  if (smallIntegerOf(version, what) !== (id?.tag === keyIdTag ? 3 : 1)) throw malformed('its signer is of another version than it looks');
  const digest = digestIn(digestAlgorithm);
  if (!listed.includes(digest)) throw malformed('it does not list the digest of its signer');
  const list = partsOf(attributes, contextTag(0), what);
  const oid = oidOf(partsOf(signatureAlgorithm, tags.sequence, what)[0], what);
  const algorithm = signatures[oid];
  if (algorithm === undefined) throw malformed(`it is signed with the algorithm ${oid}, which is not trusted`);
  // The implicit tag stands in the message, the one of a SET is what was signed.
  const signed = Uint8Array.from(expectTag(attributes, contextTag(0), what).raw);
  signed[0] = tags.set;
  return {
    id: readId(id),
    digest,
    signed,
    attributes: readAttributes(list),
    signatureDigest: algorithm.digest,
    isRsa: algorithm.isRsa,
    signature: expectTag(signature, tags.octetString, what).value,
  };
}

function readId(id: Der | undefined): TimestampSigner['id'] {
  if (id?.tag === keyIdTag) return { keyId: id.value };
  const [issuer, serial] = partsOf(id, tags.sequence, what);
  return { issuer: expectTag(issuer, tags.sequence, what).raw, serial: expectTag(serial, tags.integer, what).value };
}

/** Each has one value, and stands once (RFC 5652 11). */
function readAttributes(list: readonly Der[]): ReadonlyMap<string, Der> {
  const attributes = new Map<string, Der>();
  for (const attribute of list) {
    const [type, set] = partsOf(attribute, tags.sequence, what);
    const oid = oidOf(type, what);
    const [value, ...more] = partsOf(set, tags.set, what);
    if (value === undefined || more.length > 0 || attributes.has(oid)) throw malformed(`its attribute ${oid} has not exactly one value`);
    attributes.set(oid, value);
  }
  return attributes;
}

function expectId(der: Der | undefined, id: string): void {
  const found = oidOf(der, what);
  if (found !== id) throw malformed(`its content is of the type ${found}, want ${id}`);
}
