import { TerminalError } from '../errors.ts';
import { isList, isObject, textAt, type Json, type JsonObject } from './json.ts';
import { parsePublicKey } from './public-key.ts';
import { parseStrictJson } from './strict-json.ts';

/** A public key whose signatures count, and when they were made. Only `parseKeyRing` and `ringKeyOf` make one. */
export interface RingKey {
  /** `SHA256:…`, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  /** SPKI PEM in its canonical form. */
  readonly publicKey: string;
  /** The configured name of the signer; empty text when nobody said. */
  readonly signer: string;
  /** Both ends included; no end: still. The start is 1970 when nobody wrote down when it began. */
  readonly validFor: { readonly start: Date; readonly end: Date | undefined };
}

/** The start of a key that signed before anybody kept a ring. */
export const unknownStart = new Date(0);

/** A thousand RSA-4096 keys have some 1.1 MB, more than a Secret can hold (1 MiB). */
const maxKeys = 1000;
const maxBytes = 2 * 1024 * 1024;
/** The last three are for readers: what `keys list --json` says besides. */
const keyMembers = ['fingerprint', 'publicKey', 'signer', 'validFor', 'algorithm', 'firstSigned', 'lastSigned'] as const;

/** Throws `key.format` and `key.type` for a public key that is none. */
export function ringKeyOf(publicKey: string, signer: string, validFor: RingKey['validFor']): RingKey {
  const { fingerprint, pem } = parsePublicKey(publicKey);
  return { fingerprint, publicKey: pem, signer, validFor };
}

/**
 * Parses a key ring: `{ "keys": [ { "fingerprint", "publicKey", "signer", "validFor": { "start", "end" } } ] }`, only `publicKey` (SPKI PEM)
 * mandatory, times as RFC 3339 in UTC. A member that is not known is refused, because a misspelt end would make a key good for ever; so is
 * a fingerprint of another key, and a key that stands there twice. `where` names the text in errors. Throws `key.ring`.
 */
export function parseKeyRing(bytes: Uint8Array, where: string): readonly RingKey[] {
  const document = jsonOf(bytes, where);
  const keys = isObject(document) && Object.keys(document).length === 1 ? document['keys'] : undefined;
  if (!isList(keys)) throw wrong(where, 'want {"keys": […]}, and nothing beside');
  if (keys.length > maxKeys) throw wrong(where, `it has more than ${maxKeys} keys`);
  const ring = keys.map((key, index) => keyOf(key, `${where}: keys.${index}`));
  const twice = ring.find(({ fingerprint }, index) => ring.findIndex((other) => other.fingerprint === fingerprint) !== index);
  if (twice !== undefined) throw wrong(where, `the key ${twice.fingerprint} stands there twice`);
  return ring;
}

/** The ring as text that `parseKeyRing` reads, with final newline. */
export function keyRingJsonOf(keys: readonly RingKey[]): string {
  return `${JSON.stringify({ keys: keys.map(ringKeyJsonOf) }, undefined, 2)}\n`;
}

/** One key of it. */
export function ringKeyJsonOf({ fingerprint, publicKey, signer, validFor: { start, end } }: RingKey): object {
  const validFor = { start: start.toISOString(), ...(end && { end: end.toISOString() }) };
  return { fingerprint, publicKey, signer, validFor };
}

/**
 * The ring when a new key takes over at `at`. The old one counts until `overlapMs` later, because who signs learns of the new one a while
 * after; undefined: without an end, for the time until it is sure that the new one is there. Keys that ended before stay as they are; one that comes back begins where it began.
 */
export function rotatedRing(ring: readonly RingKey[], change: Rotation): readonly RingKey[] {
  const { from, to, signer, at, overlapMs } = change;
  const end = overlapMs === undefined ? undefined : new Date(at.getTime() + overlapMs);
  const startOf = (key: string): Date | undefined => ring.find(({ publicKey }) => publicKey === key)?.validFor.start;
  const old = ringKeyOf(from, signer, { start: startOf(from) ?? unknownStart, end });
  const next = ringKeyOf(to, signer, { start: startOf(to) ?? at, end: undefined });
  const others = ring.filter(({ fingerprint }) => fingerprint !== old.fingerprint && fingerprint !== next.fingerprint);
  return [next, old, ...others].slice(0, maxKeys);
}

export interface Rotation {
  /** SPKI PEM of the key that goes. */
  readonly from: string;
  /** SPKI PEM of the key that comes. */
  readonly to: string;
  readonly signer: string;
  readonly at: Date;
  readonly overlapMs: number | undefined;
}

function keyOf(key: Json, where: string): RingKey {
  if (!isObject(key)) throw wrong(where, 'want an object');
  demandKnown(key, keyMembers, where);
  const given = validityOf(key['validFor'], where);
  const ringKey = ringKeyIn(key, given, where);
  const fingerprint = textAt(key, 'fingerprint');
  if (fingerprint !== '' && fingerprint !== ringKey.fingerprint) {
    throw wrong(where, `its fingerprint is that of another key: its own is ${ringKey.fingerprint}`);
  }
  return ringKey;
}

function ringKeyIn(key: JsonObject, validFor: RingKey['validFor'], where: string): RingKey {
  try {
    return ringKeyOf(textAt(key, 'publicKey'), textAt(key, 'signer'), validFor);
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    throw wrong(where, `publicKey: ${error.message}`);
  }
}

function validityOf(validFor: Json | undefined, where: string): RingKey['validFor'] {
  if (validFor === undefined) return { start: unknownStart, end: undefined };
  if (!isObject(validFor)) throw wrong(where, 'validFor: want an object');
  demandKnown(validFor, ['start', 'end'], where);
  const start = validFor['start'] === undefined ? unknownStart : timeOf(validFor['start'], where);
  const end = validFor['end'] === undefined ? undefined : timeOf(validFor['end'], where);
  if (end !== undefined && end < start) throw wrong(where, 'it ends before it starts');
  return { start, end };
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

function timeOf(text: Json, where: string): Date {
  const time = typeof text === 'string' && rfc3339.test(text) ? new Date(text) : undefined;
  if (time === undefined || Number.isNaN(time.getTime())) throw wrong(where, 'want times as 2026-01-31T12:00:00Z');
  return time;
}

function demandKnown(object: JsonObject, members: readonly string[], where: string): void {
  const unknown = Object.keys(object).find((name) => !members.includes(name));
  if (unknown !== undefined) throw wrong(where, `it has a member "${unknown.slice(0, 50)}", which no ring has`);
}

function jsonOf(bytes: Uint8Array, where: string): Json {
  try {
    return parseStrictJson(bytes, 'it', maxBytes);
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    throw wrong(where, error.message.replace('Cannot read it: ', ''));
  }
}

function wrong(where: string, reason: string): TerminalError {
  return new TerminalError('key.ring', `Cannot read the key ring "${where}": ${reason}`, {
    fix: 'write it anew with "chainsmith keys list --json"',
  });
}
