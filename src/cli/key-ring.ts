import type { KnownKey } from '../journal/journal.ts';
import { ringKeyJsonOf, ringKeyOf, unknownStart, type RingKey } from '../model/key-ring.ts';
import { parsePublicKey } from '../model/public-key.ts';

/** A key as `keys list` shows it. */
export interface ListedKey extends RingKey {
  /** A signer has it now. */
  readonly isInUse: boolean;
  /** What the journal has seen; undefined when it was not asked, or knows nothing of it. */
  readonly signed: { readonly first: Date; readonly last: Date } | undefined;
}

/** Where keys are known from. */
export interface KnownFrom {
  readonly rings: readonly RingKey[];
  /** Public keys (SPKI PEM) of the signers as they are now, with their configured names. */
  readonly current: readonly { readonly publicKey: string; readonly signer: string }[];
  readonly journal: readonly KnownKey[];
}

/**
 * Every key once, those in use first, then by the end of their time. Only a ring says when a key begins and ends: what the journal saw is
 * no bound, because the first and the last of its keys may have signed before it was begun, or beside it.
 */
export function listedKeys({ rings, current, journal }: KnownFrom): readonly ListedKey[] {
  const always: RingKey['validFor'] = { start: unknownStart, end: undefined };
  const all = new Map<string, RingKey>();
  for (const key of rings) all.set(key.fingerprint, merged(all.get(key.fingerprint), key));
  for (const { publicKey, signer } of [...current, ...journal]) {
    const key = ringKeyOf(publicKey, signer, always);
    if (!all.has(key.fingerprint)) all.set(key.fingerprint, key);
  }
  const inUse = new Set(current.map(({ publicKey }) => parsePublicKey(publicKey).fingerprint));
  const listed = [...all.values()].map((key) => ({
    ...key,
    isInUse: inUse.has(key.fingerprint),
    signed: signedOf(journal.filter(({ fingerprint }) => fingerprint === key.fingerprint)),
  }));
  return listed.toSorted(
    (a, b) => Number(b.isInUse) - Number(a.isInUse) || endOf(b) - endOf(a) || (a.fingerprint < b.fingerprint ? -1 : 1),
  );
}

/** A ring that `verify --key-ring` reads, with what is known besides. */
export function listJsonOf(keys: readonly ListedKey[]): string {
  const described = keys.map((key) => ({
    ...ringKeyJsonOf(key),
    algorithm: parsePublicKey(key.publicKey).algorithm,
    ...(key.signed && { firstSigned: key.signed.first.toISOString(), lastSigned: key.signed.last.toISOString() }),
  }));
  return `${JSON.stringify({ keys: described }, undefined, 2)}\n`;
}

/** Of two that are the same the longer time: two signers may have shared a key. */
function merged(one: RingKey | undefined, other: RingKey): RingKey {
  if (one === undefined) return other;
  const start = one.validFor.start < other.validFor.start ? one.validFor.start : other.validFor.start;
  const longer = endOf(one) > endOf(other) ? one : other;
  return { ...one, validFor: { start, end: longer.validFor.end } };
}

function endOf({ validFor: { end } }: RingKey): number {
  return end?.getTime() ?? Number.MAX_SAFE_INTEGER;
}

function signedOf(known: readonly KnownKey[]): ListedKey['signed'] {
  if (known.length === 0) return undefined;
  return {
    first: new Date(Math.min(...known.map(({ firstAt }) => firstAt))),
    last: new Date(Math.max(...known.map(({ lastAt }) => lastAt))),
  };
}
