import { X509Certificate } from 'node:crypto';
import { parseBundle, type ParsedBundle } from '../model/bundle-reader.ts';
import { entryOfLogBundle, responseOfTimestampText } from '../model/cosign-annotations.ts';
import { openEnvelope, payloadTypes, type DsseEnvelope } from '../model/dsse.ts';
import type { LogEntry } from '../model/evidence.ts';
import type { Material, Stored } from '../model/receipt.ts';
import type { SignedContent } from '../trust/entry.ts';
import { demand, refused, shown, type Check } from './verdict.ts';

/** A timestamp response, and what it must be over. */
export interface Stamp {
  readonly response: Uint8Array;
  readonly over: Uint8Array;
}

/** One signature with everything that stands beside it, in whatever form it was stored. Nothing of it is believed yet. */
export interface Exhibit {
  readonly content: SignedContent;
  readonly signature: Uint8Array;
  /** Of the envelope; empty text where there is no place for one. */
  readonly keyid: string;
  readonly isBundle: boolean;
  /** Undefined when a key signed that has none. */
  readonly certificate: (() => Certified) | undefined;
  readonly entries: () => readonly LogEntry[];
  /** Whether there are stamps at all. */
  readonly isStamped: boolean;
  readonly stamps: () => readonly Stamp[];
}

export interface Certified {
  readonly leaf: X509Certificate;
  /** What an issuer may be among, and nothing that is trusted. Of bundles none: there the trusted root has the whole path, as sigstore-go wants it. */
  readonly intermediates: readonly X509Certificate[];
}

/** What was stored, read. `expected` is what a read-back wants to find. */
export function exhibitOf(stored: Stored, maxBytes: number, expected: Uint8Array | undefined, check: Check): Exhibit {
  switch (stored.kind) {
    case 'dsse': {
      check('size', () => demandSize(stored.body, maxBytes));
      if (expected) check('same-bytes', () => demandSame(stored.body, expected));
      const envelope = check('encoding', () => openEnvelope(stored.body, maxBytes));
      return ofEnvelope(envelope, stored.body, besideOf(stored.material, stored.place.address, stored.body), check);
    }
    case 'raw': {
      const { payload, signature, material, place } = stored;
      check('size', () => [payload, signature].forEach((bytes) => demandSize(bytes, maxBytes)));
      if (expected) check('same-bytes', () => demandSame(signature, expected));
      const content = { kind: 'message', payload, digest: undefined } as const;
      return { content, signature, keyid: '', ...besideOf(material, place.address, signature) };
    }
    case 'bundle': {
      check('size', () => demandSize(stored.body, maxBytes));
      if (expected) check('same-bytes', () => demandSame(stored.body, expected));
      const bundle = check('bundle', () => parseBundle(stored.body, stored.place.address, maxBytes));
      return ofBundle(bundle, check);
    }
  }
}

type Beside = Omit<Exhibit, 'content' | 'signature' | 'keyid'>;

function ofBundle({ content, key, entries, timestamps }: ParsedBundle, check: Check): Exhibit {
  const besideOf = (signature: Uint8Array): Beside => ({
    isBundle: true,
    // The bytes are those of a certificate, with nothing behind them: the parser has seen to that.
    certificate: key.kind === 'certificate' ? () => ({ leaf: new X509Certificate(key.leaf), intermediates: [] }) : undefined,
    entries: () => entries,
    isStamped: timestamps.length > 0,
    stamps: () => timestamps.map((response) => ({ response, over: signature })),
  });
  if (content.kind === 'message') {
    const { digest, signature } = content;
    return { content: { kind: 'message', payload: undefined, digest }, signature, keyid: '', ...besideOf(signature) };
  }
  const [first] = content.envelope.signatures;
  return ofEnvelope(content.envelope, undefined, besideOf(first?.signature ?? new Uint8Array()), check);
}

function ofEnvelope(
  { payloadType, payload, signatures }: DsseEnvelope,
  body: Uint8Array | undefined,
  beside: Beside,
  check: Check,
): Exhibit {
  check('payload-type', () =>
    demand(payloadType === payloadTypes.inToto, `the payload type is "${shown(payloadType)}", want "${payloadTypes.inToto}"`),
  );
  const { signature, keyid } = check('one-signature', () => {
    const [first, ...more] = signatures;
    if (first === undefined || more.length > 0) throw refused(`the envelope has ${signatures.length} signatures, want exactly one`);
    return first;
  });
  return { content: { kind: 'dsse', payloadType, payload, body }, signature, keyid, ...beside };
}

/** What annotations say. A timestamp at a tag is over the layer of an attestation, and over the signature of an image (sigstore-wire 3.1). */
function besideOf({ certificate, chain, logBundle, timestamp }: Material, where: string, stamped: Uint8Array): Beside {
  return {
    isBundle: false,
    certificate: certificate === '' ? undefined : () => certifiedBy(certificate, chain),
    entries: () => (logBundle === '' ? [] : [entryOfLogBundle(logBundle, where)]),
    isStamped: timestamp !== '',
    stamps: () => (timestamp === '' ? [] : [{ response: responseOfTimestampText(timestamp, where), over: stamped }]),
  };
}

function certifiedBy(certificate: string, chain: string): Certified {
  const [leaf] = certificatesIn(certificate);
  if (leaf === undefined) throw refused('its certificate is no PEM block of a certificate');
  return { leaf, intermediates: certificatesIn(chain) };
}

/** A chain of ours has two or three. */
const maxCertificates = 16;
const maxPemCharacters = 256 * 1024;

function certificatesIn(pem: string): readonly X509Certificate[] {
  demand(pem.length <= maxPemCharacters, `its certificates have more than ${maxPemCharacters} characters`);
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  demand(blocks.length <= maxCertificates, `it has ${blocks.length} certificates, more than ${maxCertificates}`);
  return blocks.map((block) => new X509Certificate(block));
}

function demandSize(bytes: Uint8Array, maxBytes: number): void {
  demand(bytes.length > 0, 'it is empty');
  demand(bytes.length <= maxBytes, `it has ${bytes.length} bytes, more than ${maxBytes}`);
}

function demandSame(bytes: Uint8Array, expected: Uint8Array): void {
  demand(Buffer.compare(bytes, expected) === 0, 'the bytes are not those that were stored');
}
