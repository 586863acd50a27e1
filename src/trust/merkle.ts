import { createHash } from 'node:crypto';
import { isSame } from './signature.ts';

/** SHA-256 of a leaf (RFC 9162 2.1.1). */
export function leafHashOf(leaf: Uint8Array): Uint8Array {
  return sha256(Buffer.from([0]), leaf);
}

/**
 * Whether `leaf` is at `index` of the tree of `size` leaves with this root hash (RFC 9162 2.1.3.2). `index` and `size` are safe integers.
 * More hashes or fewer than the place in the tree needs are refused, so a path has one spelling.
 */
export function isIncluded(leaf: Uint8Array, index: number, size: number, hashes: readonly Uint8Array[], root: Uint8Array): boolean {
  if (index < 0 || index >= size) return false;
  let place = BigInt(index);
  let last = BigInt(size) - 1n;
  let hash = leafHashOf(leaf);
  for (const sibling of hashes) {
    if (last === 0n || sibling.length !== 32) return false;
    if (place % 2n === 1n || place === last) {
      hash = nodeHashOf(sibling, hash);
      while (place % 2n === 0n && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      hash = nodeHashOf(hash, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n && isSame(hash, root);
}

function nodeHashOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Buffer.from([1]), left, right);
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
