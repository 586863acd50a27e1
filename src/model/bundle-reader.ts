import { X509Certificate } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { entryIn, entryMembers } from './bundle-entry.ts';
import type { DsseEnvelope } from './dsse.ts';
import type { LogEntry } from './evidence.ts';
import { messageOf, type Message } from './proto-json.ts';
import { parseStrictJson } from './strict-json.ts';

/** A bundle as it was read. Nothing in it is believed: no signature, proof, promise or timestamp was looked at. */
export interface ParsedBundle {
  readonly version: '0.1' | '0.2' | '0.3';
  readonly content: BundleContent;
  readonly key: BundleKey;
  /** At most 32, each log and index once; `log` is empty text. */
  readonly entries: readonly LogEntry[];
  /** RFC 3161 responses, DER, at most 32, each once. */
  readonly timestamps: readonly Uint8Array[];
}

export type BundleContent =
  /** With exactly one signature. */
  | { readonly kind: 'dsse'; readonly envelope: DsseEnvelope }
  /** `value` is as long as the algorithm has it. */
  | { readonly kind: 'message'; readonly digest: MessageDigest; readonly signature: Uint8Array };

export interface MessageDigest {
  readonly algorithm: 'sha256' | 'sha384' | 'sha512';
  readonly value: Uint8Array;
}

export type BundleKey =
  /** DER of certificates that can be read, none of the chain self-signed; the chain is empty in a bundle 0.3. */
  | { readonly kind: 'certificate'; readonly leaf: Uint8Array; readonly chain: readonly Uint8Array[] }
  | { readonly kind: 'publicKey'; readonly hint: string };

/** 16 MiB of payload in base64, its evidence and framing. */
export const maxBundleBytes = 32 * 1024 * 1024;

const versions: Readonly<Record<string, ParsedBundle['version']>> = {
  'application/vnd.dev.sigstore.bundle+json;version=0.1': '0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2': '0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3': '0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json': '0.3',
};

const limits = { tlogEntries: 32, rfc3161Timestamps: 32, certificates: 16 } as const;
const digestBytes = { sha256: 32, sha384: 48, sha512: 64 } as const;

/**
 * Reads a bundle that a stranger may have written, as strictly as Go's protojson and sigstore-go together (sigstore-wire 4). `where` names it in
 * errors. Throws `bundle.version`, `bundle.malformed`, `bundle.bounds` (too many of something), `bundle.duplicate`, `bundle.certificate`,
 * `bundle.proof` (a log entry lacks what its version demands), and the `json.*` codes.
 */
export function parseBundle(bytes: Uint8Array, where: string, maxBytes: number = maxBundleBytes): ParsedBundle {
  const fail = (path: string, reason: string): TerminalError => refusal('malformed', where, `${path === '' ? 'it' : path}: ${reason}`);
  const json = parseStrictJson(bytes, `the bundle "${where}"`, maxBytes);
  const bundle = messageOf(json, '', ['mediaType', 'verificationMaterial', 'dsseEnvelope', 'messageSignature'], fail);
  const mediaType = bundle.text('mediaType') ?? '';
  const version = Object.hasOwn(versions, mediaType) ? versions[mediaType] : undefined;
  if (version === undefined) throw refusal('version', where, `its media type is "${mediaType.slice(0, 100)}", want 0.1, 0.2 or 0.3`);
  const material = bundle.message('verificationMaterial', [...keyMembers, 'tlogEntries', 'timestampVerificationData']);
  if (material === undefined) throw fail('verificationMaterial', 'it is missing');
  return {
    version,
    content: contentIn(bundle),
    key: keyIn(material, version, where),
    entries: entriesIn(material, version, where),
    timestamps: timestampsIn(material, where),
  };
}

function contentIn(bundle: Message): BundleContent {
  if (bundle.has('dsseEnvelope') === bundle.has('messageSignature'))
    throw bundle.refuse('', 'want exactly one of dsseEnvelope and messageSignature');
  const envelope = bundle.message('dsseEnvelope', ['payload', 'payloadType', 'signatures']);
  if (envelope !== undefined) return { kind: 'dsse', envelope: envelopeIn(envelope) };
  const message = bundle.message('messageSignature', ['messageDigest', 'signature']);
  const digest = message?.message('messageDigest', ['algorithm', 'digest']);
  const signature = message?.bytes('signature');
  if (digest === undefined || signature === undefined) throw bundle.refuse('messageSignature', 'messageDigest and signature must be there');
  const name = digest.choice('algorithm', { SHA2_256: 1, SHA2_384: 2, SHA2_512: 3 });
  if (name === undefined) throw digest.refuse('algorithm', 'want SHA2_256, SHA2_384 or SHA2_512');
  const algorithm = ({ SHA2_256: 'sha256', SHA2_384: 'sha384', SHA2_512: 'sha512' } as const)[name];
  const value = digest.bytes('digest');
  if (value?.length !== digestBytes[algorithm]) throw digest.refuse('digest', `it must have ${digestBytes[algorithm]} bytes`);
  return { kind: 'message', digest: { algorithm, value }, signature };
}

function envelopeIn(envelope: Message): DsseEnvelope {
  const payloadType = envelope.text('payloadType');
  if (payloadType === undefined) throw envelope.refuse('payloadType', 'it is missing');
  const [message, ...more] = envelope.messages('signatures', ['sig', 'keyid']);
  if (message === undefined || more.length > 0) throw envelope.refuse('signatures', 'want exactly one');
  const signature = message.bytes('sig');
  if (signature === undefined) throw message.refuse('sig', 'it is missing');
  const payload = envelope.bytes('payload') ?? new Uint8Array();
  return { payloadType, payload, signatures: [{ keyid: message.text('keyid') ?? '', signature }] };
}

const keyMembers: readonly string[] = ['publicKey', 'x509CertificateChain', 'certificate'];

function keyIn(material: Message, version: ParsedBundle['version'], where: string): BundleKey {
  if (keyMembers.filter((name) => material.has(name)).length !== 1)
    throw material.refuse(keyMembers.join(', '), 'want exactly one of these');
  const publicKey = material.message('publicKey', ['hint']);
  if (publicKey) return { kind: 'publicKey', hint: publicKey.text('hint') ?? '' };
  const single = material.message('certificate', ['rawBytes']);
  if (single) return { kind: 'certificate', leaf: certificateIn(single, where).raw, chain: [] };
  if (version === '0.3') throw material.refuse('x509CertificateChain', 'a bundle 0.3 has the certificate alone');
  const list = material.message('x509CertificateChain', ['certificates'])?.messages('certificates', ['rawBytes']) ?? [];
  demandAtMost(list.length, 'certificates', where);
  const [leaf, ...chain] = list.map((each) => certificateIn(each, where));
  if (leaf === undefined) throw material.refuse('x509CertificateChain', 'it is empty');
  if (chain.some(isSelfSigned)) throw refusal('certificate', where, 'its chain has a root certificate, which only the reader may choose');
  return { kind: 'certificate', leaf: leaf.raw, chain: chain.map(({ raw }) => raw) };
}

function certificateIn(message: Message, where: string): X509Certificate {
  const bytes = message.bytes('rawBytes');
  if (bytes === undefined) throw message.refuse('rawBytes', 'it is missing');
  const certificate = readCertificate(bytes);
  // Node takes PEM as well, and reads only what it needs.
  if (certificate && Buffer.compare(certificate.raw, bytes) === 0) return certificate;
  throw refusal('certificate', where, `${message.path}.rawBytes is no DER certificate`);
}

function readCertificate(bytes: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}

function entriesIn(material: Message, version: ParsedBundle['version'], where: string): readonly LogEntry[] {
  const messages = material.messages('tlogEntries', entryMembers);
  demandAtMost(messages.length, 'tlogEntries', where);
  const entries = messages.map(entryIn);
  for (const { logIndex, promise, proof } of entries) {
    if (version === '0.1' && promise === undefined)
      throw refusal('proof', where, `log entry ${logIndex} has no promise, and version 0.1 wants it`);
    if (version !== '0.1' && proof === undefined)
      throw refusal('proof', where, `log entry ${logIndex} has no inclusion proof, and version ${version} wants it`);
  }
  demandDistinct(
    entries.map(({ logId, logIndex }) => `${Buffer.from(logId).toString('hex')} ${logIndex}`),
    'log entry',
    where,
  );
  return entries;
}

function timestampsIn(material: Message, where: string): readonly Uint8Array[] {
  const data = material.message('timestampVerificationData', ['rfc3161Timestamps']);
  const messages = data?.messages('rfc3161Timestamps', ['signedTimestamp']) ?? [];
  demandAtMost(messages.length, 'rfc3161Timestamps', where);
  const responses = messages.map((message) => {
    const response = message.bytes('signedTimestamp');
    if (response === undefined) throw message.refuse('signedTimestamp', 'it is missing');
    return response;
  });
  demandDistinct(
    responses.map((response) => Buffer.from(response).toString('base64')),
    'timestamp',
    where,
  );
  return responses;
}

function demandAtMost(count: number, name: keyof typeof limits, where: string): void {
  if (count > limits[name]) throw refusal('bounds', where, `it has ${count} ${name}, more than ${limits[name]}`);
}

/** One log or authority that is counted twice would vouch twice. */
function demandDistinct(keys: readonly string[], what: string, where: string): void {
  if (new Set(keys).size !== keys.length) throw refusal('duplicate', where, `it has the same ${what} twice`);
}

function refusal(what: string, where: string, reason: string): TerminalError {
  return new TerminalError(`bundle.${what}`, `Cannot read the bundle "${where}": ${reason}`);
}
