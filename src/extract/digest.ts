import { trim } from './trim.ts';

/** A digest text as hints carry it, normalised: algorithm in lower case, hex without white space around it. */
export interface NamedDigest {
  readonly algorithm: string;
  readonly hex: string;
}

/** Algorithm names and the number of hex digits each wants (chains-provenance 3.3). */
const lengths = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
  ['sha1', 40],
]);
const lowerHex = /^[a-f0-9]*$/;

/** Parses `algorithm:hex`. A string says why it is none. */
export function parseDigest(text: string): NamedDigest | string {
  const pieces = text.split(':');
  const [left, right] = pieces;
  if (pieces.length !== 2 || left === undefined || right === undefined) return 'want <algorithm>:<hex>, with exactly one colon';
  const algorithm = trim(left).toLowerCase();
  const hex = trim(right);
  const length = lengths.get(algorithm);
  if (length === undefined) return `"${algorithm.slice(0, 40)}" is none of ${[...lengths.keys()].join(', ')}`;
  if (!lowerHex.test(hex)) return 'the part after the colon is not lower-case hex';
  if (hex.length !== length) return `${algorithm} has ${length} hex digits, this has ${hex.length}`;
  return { algorithm, hex };
}

/** A digest map of one entry; the algorithm comes from outside, so it is defined, never assigned. */
export function digestMap(algorithm: string, hex: string): Readonly<Record<string, string>> {
  return Object.fromEntries([[algorithm, hex]]);
}
