import { TerminalError } from '../errors.ts';

/** One DER value. `raw` are its own bytes, as they came: what was signed is never encoded again. */
export interface Der {
  /** The identifier octet: class, constructed bit and number (X.690 8.1.2). */
  readonly tag: number;
  readonly value: Uint8Array;
  readonly raw: Uint8Array;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[number]`, constructed: what is tagged explicitly, and implicit sequences and sets. */
export function contextTag(number: number): number {
  return 0xa0 | number;
}

/** More children than any certificate, timestamp or SCT list of ours has. */
const maxChildren = 1024;

/** The one value that these bytes are. Throws `trust.der`: nothing is read that DER does not allow, nor bytes after it. */
export function readDer(bytes: Uint8Array, what: string): Der {
  const first = valueAt(bytes, 0, what);
  if (first.raw.length !== bytes.length) throw wrong(what, 'it goes on after its end');
  return first;
}

/** What a constructed value, or an octet string around DER, has inside. */
export function childrenOf(parent: Der, what: string): readonly Der[] {
  const children: Der[] = [];
  for (let at = 0; at < parent.value.length;) {
    const child = valueAt(parent.value, at, what);
    if (children.push(child) > maxChildren) throw wrong(what, `it has more than ${maxChildren} parts`);
    at += child.raw.length;
  }
  return children;
}

/** The same, of a value that must have this tag; undefined is a part that is missing. */
export function partsOf(parent: Der | undefined, tag: number, what: string): readonly Der[] {
  return childrenOf(expectTag(parent, tag, what), what);
}

export function expectTag(der: Der | undefined, tag: number, what: string): Der {
  if (der === undefined) throw wrong(what, 'a part is missing');
  if (der.tag !== tag) throw wrong(what, `want tag 0x${tag.toString(16)}, found 0x${der.tag.toString(16)}`);
  return der;
}

/** Dotted text of an object identifier (X.690 8.19). */
export function oidOf(der: Der | undefined, what: string): string {
  const { value } = expectTag(der, tags.oid, what);
  const arcs: bigint[] = [];
  let arc = 0n;
  let isFirst = true;
  for (const octet of value) {
    if (isFirst && octet === 0x80) throw wrong(what, 'an object identifier is padded');
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    isFirst = octet < 0x80;
    if (!isFirst) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const [head, ...rest] = arcs;
  if (head === undefined || !isFirst || value.length > 64) throw wrong(what, 'an object identifier is cut off');
  const top = head < 80n ? head / 40n : 2n;
  return [top, head - top * 40n, ...rest].join('.');
}

/** A whole number that is small: versions, status codes, path lengths. */
export function smallIntegerOf(der: Der | undefined, what: string): number {
  const { value } = expectTag(der, tags.integer, what);
  const [first = 0x80, second = 0x80] = value;
  if (value.length === 0 || value.length > 4 || first >= 0x80 || (first === 0 && value.length > 1 && second < 0x80)) {
    throw wrong(what, 'a number is negative, too large or padded');
  }
  return value.reduce((sum, octet) => sum * 256 + octet, 0);
}

export function booleanOf(der: Der | undefined, what: string): boolean {
  const { value } = expectTag(der, tags.boolean, what);
  if (value.length !== 1 || (value[0] !== 0 && value[0] !== 0xff)) throw wrong(what, 'a truth value is neither 0x00 nor 0xff');
  return value[0] === 0xff;
}

/** Which bits of a named bit list are set, the first one first (X.690 11.2). */
export function bitsOf(der: Der | undefined, what: string): readonly boolean[] {
  const { value } = expectTag(der, tags.bitString, what);
  const [unused = 8, ...octets] = value;
  if (unused > 7 || (octets.length === 0 && unused > 0)) throw wrong(what, 'a bit string has an impossible length');
  return octets.flatMap((octet) => Array.from({ length: 8 }, (_, bit) => (octet & (0x80 >> bit)) !== 0));
}

/** UTCTime or GeneralizedTime, in UTC with seconds; a fraction only where DER allows one (X.690 11.7, RFC 5280 4.1.2.5). */
export function timeOf(der: Der | undefined, what: string): Date {
  const tag = der?.tag === tags.utcTime ? tags.utcTime : tags.generalizedTime;
  const text = Buffer.from(expectTag(der, tag, what).value).toString('latin1');
  const match = (tag === tags.utcTime ? utcTime : generalizedTime).exec(text);
  if (match === null) throw wrong(what, 'a time is not one of DER');
  const [, year = '', month, day, hour, minute, second, fraction = ''] = match;
  const fullYear = year.length === 4 ? year : `${Number(year) < 50 ? '20' : '19'}${year}`;
  const iso = `${fullYear}-${month}-${day}T${hour}:${minute}:${second}`;
  const time = new Date(`${iso}${fraction.slice(0, 4).padEnd(fraction === '' ? 0 : 4, '0')}Z`);
  // The 31st of February is parsed as a day of March, or not at all.
  if (Number.isNaN(time.getTime()) || time.toISOString().slice(0, 19) !== iso) throw wrong(what, 'a time is no time');
  return time;
}

const utcTime = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const generalizedTime = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{0,8}[1-9])?Z$/;

/** Encodes a value of which only the length is to be written: SCTs are over a certificate without one extension (RFC 6962 3.2). */
export function derOf(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 | octets.length, ...octets];
  return Buffer.concat([Uint8Array.from(head), ...parts]);
}

/** Gives what cannot be read the code of the place where it stands. */
export function recoded<T>(code: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TerminalError) || error.code !== 'trust.der') throw error;
    throw new TerminalError(code, error.message, { cause: error });
  }
}

function valueAt(bytes: Uint8Array, at: number, what: string): Der {
  const [tag, first] = bytes.subarray(at, at + 2);
  if (tag === undefined || first === undefined) throw wrong(what, 'it is cut off');
  if ((tag & 0x1f) === 0x1f || tag === 0) throw wrong(what, `it has a tag of a kind that is not used here, 0x${tag.toString(16)}`);
  const count = first < 0x80 ? 0 : first & 0x7f;
  const octets = bytes.subarray(at + 2, at + 2 + count);
  if (first === 0x80 || count > 4 || octets.length < count) throw wrong(what, 'a length is indefinite, too long or cut off');
  const length = count === 0 ? first : octets.reduce((sum, octet) => sum * 256 + octet, 0);
  if (count > 0 && (length < 0x80 || octets[0] === 0)) throw wrong(what, 'a length is not written in the shortest way');
  const start = at + 2 + count;
  if (start + length > bytes.length) throw wrong(what, 'it is cut off');
  return { tag, value: bytes.subarray(start, start + length), raw: bytes.subarray(at, start + length) };
}

function wrong(what: string, reason: string): TerminalError {
  return new TerminalError('trust.der', `Cannot read ${what}: ${reason}`);
}
