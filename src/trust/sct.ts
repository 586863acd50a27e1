import { TerminalError } from '../errors.ts';
import { expectTag, readDer, tags } from './der.ts';
import type { Digest } from './signature.ts';

/** A signed certificate timestamp (RFC 6962 3.2): a log's promise to publish a certificate. */
export interface Sct {
  readonly logId: Uint8Array;
  readonly time: Date;
  readonly extensions: Uint8Array;
  readonly digest: Digest;
  readonly signature: Uint8Array;
}

/** What the log saw: the certificate before it had SCTs, and SHA-256 of the key that issued it. */
export interface Precertificate {
  readonly issuerKeyHash: Uint8Array;
  readonly signed: Uint8Array;
}

const maxScts = 32;

/** The list in the certificate's extension 1.3.6.1.4.1.11129.2.4.2: an octet string around TLS vectors (RFC 6962 3.3). Throws `trust.sct`. */
export function parseSctList(extension: Uint8Array): readonly Sct[] {
  const reader = new Reader(expectTag(readDer(extension, 'a list of SCTs'), tags.octetString, 'a list of SCTs').value);
  const list = new Reader(reader.vector());
  reader.expectEnd();
  const scts: Sct[] = [];
  while (!list.isAtEnd()) {
    if (scts.push(sctOf(new Reader(list.vector()))) > maxScts) throw malformed(`it has more than ${maxScts}`);
  }
  return scts;
}

/** What a log signs (RFC 6962 3.2): `digitally-signed struct` with a `precert_entry`. */
export function signedBytesOf({ time, extensions }: Sct, { issuerKeyHash, signed }: Precertificate): Uint8Array {
  const head = Buffer.alloc(12);
  // Version 0, signature type 0, eight bytes of milliseconds, entry type 1.
  head.writeBigUInt64BE(BigInt(time.getTime()), 2);
  head.writeUInt16BE(1, 10);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(signed.length);
  const tail = Buffer.alloc(2);
  tail.writeUInt16BE(extensions.length);
  return Buffer.concat([head, issuerKeyHash, size.subarray(1), signed, tail, extensions]);
}

/** RFC 5246 7.4.1.4.1: `sha256(4)`, `sha384(5)`, `sha512(6)`; the signature is of the key, so its kind (1 RSA, 3 ECDSA) says nothing more. */
const digests: Readonly<Record<number, Digest>> = { 4: 'sha256', 5: 'sha384', 6: 'sha512' };

function sctOf(reader: Reader): Sct {
  const [version] = reader.take(1);
  const logId = reader.take(32);
  const milliseconds = Buffer.from(reader.take(8)).readBigUInt64BE();
  const extensions = reader.vector();
  const [hash = 0] = reader.take(2);
  const signature = reader.vector();
  reader.expectEnd();
  const digest = digests[hash];
  if (version !== 0 || digest === undefined) throw malformed(`it has the version ${version} or the hash ${hash}, which are not used here`);
  // The last millisecond that a date can have.
  if (milliseconds > 8_640_000_000_000_000n) throw malformed('its time is none');
  return { logId, time: new Date(Number(milliseconds)), extensions, digest, signature };
}

/** Reads TLS structures (RFC 5246 4) from the front. */
class Reader {
  #rest: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#rest = bytes;
  }
  take(count: number): Uint8Array {
    if (this.#rest.length < count) throw malformed('it is cut off');
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return taken;
  }
  /** Two bytes of length, and as many bytes. */
  vector(): Uint8Array {
    return this.take(Buffer.from(this.take(2)).readUInt16BE());
  }
  isAtEnd(): boolean {
    return this.#rest.length === 0;
  }
  expectEnd(): void {
    if (!this.isAtEnd()) throw malformed('it goes on after its end');
  }
}

function malformed(reason: string): TerminalError {
  return new TerminalError('trust.sct', `Cannot read the SCTs of a certificate: ${reason}`);
}
