import { createHash } from 'node:crypto';

/** A file of a tiled log (C2SP tlog-tiles): 256 hashes of level `level`, or 256 entries; the last one of a row may be shorter. */
export interface Tile {
  readonly level: number | 'entries';
  readonly index: number;
  /** How many it holds: 256 for a full one. */
  readonly width: number;
}

/** Hashes or entries in a full tile. */
export const tileWidth = 256;
const tileHeight = 8;
const hashBytes = 32;

/** `tile/<L>/<N>[.p/<W>]`, N in groups of three digits, all but the last with an `x` before it (C2SP tlog-tiles, "Merkle tree"). */
export function tilePath({ level, index, width }: Tile): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/.{3}/g) ?? [];
  const name = groups.map((group, place) => (place === groups.length - 1 ? group : `x${group}`)).join('/');
  return `tile/${level}/${name}${width === tileWidth ? '' : `.p/${width}`}`;
}

/** The tile that has the item `position` of a row with `count` items. */
export function tileAt(level: Tile['level'], position: number, count: number): Tile {
  const index = Math.floor(position / tileWidth);
  return { level, index, width: Math.min(tileWidth, count - index * tileWidth) };
}

/** Entries of a bundle: each with its length, two bytes, before it. Undefined when it does not hold `width` of them, and nothing else. */
export function entriesIn(bundle: Uint8Array, width: number): readonly Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (entries.length < width) {
    const [high, low] = bundle.subarray(at, at + 2);
    if (high === undefined || low === undefined) return undefined;
    const entry = bundle.subarray(at + 2, at + 2 + high * 256 + low);
    if (entry.length !== high * 256 + low) return undefined;
    entries.push(entry);
    at += 2 + entry.length;
  }
  return at === bundle.length ? entries : undefined;
}

/** RFC 6962 2.1. */
function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest();
}

/** Gives the bytes of a tile of hashes: 32 for each that it holds. */
export type ReadTile = (tile: Tile) => Promise<Uint8Array>;

/**
 * The audit path of leaf `index` in the tree of the first `size` leaves, from the leaf's sibling up (RFC 6962 2.1.1), made of what the tiles
 * say: whether it leads to the root is the verifier's question. Reads a tile once, some dozen for the largest logs there are.
 */
export async function inclusionPath(index: number, size: number, read: ReadTile): Promise<readonly Uint8Array[]> {
  const tiles = new Map<string, Promise<Uint8Array>>();
  const readOnce: ReadTile = async (tile) => {
    const path = tilePath(tile);
    const bytes = tiles.get(path) ?? read(tile);
    tiles.set(path, bytes);
    return await bytes;
  };
  const path: Uint8Array[] = [];
  let [begin, end] = [0, size];
  // From the root down; the path is told from the leaf up.
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin);
    const isLeft = index < middle;
    path.unshift(isLeft ? await rangeHash(middle, end, size, readOnce) : await rangeHash(begin, middle, size, readOnce));
    [begin, end] = isLeft ? [begin, middle] : [middle, end];
  }
  return path;
}

/** The largest power of two below `count`, which is 2 or more. */
function splitOf(count: number): number {
  const power = 2 ** Math.floor(Math.log2(count));
  return power === count ? power / 2 : power;
}

/** Merkle tree hash of the leaves from `begin` to before `end`, a range that the recursion of RFC 6962 meets. */
async function rangeHash(begin: number, end: number, size: number, read: ReadTile): Promise<Uint8Array> {
  const count = end - begin;
  const level = Math.log2(count);
  if (Number.isInteger(level)) return await completeHash(level, begin / count, size, read);
  const middle = begin + splitOf(count);
  return nodeHash(await rangeHash(begin, middle, size, read), await rangeHash(middle, end, size, read));
}

/** Node `index` of level `level`, counted from the leaves, of a complete subtree: hashed up from the tile that has its descendants. */
async function completeHash(level: number, index: number, size: number, read: ReadTile): Promise<Uint8Array> {
  const tileLevel = Math.floor(level / tileHeight);
  const count = 2 ** (level % tileHeight);
  const first = index * count;
  const tile = tileAt(tileLevel, first, Math.floor(size / tileWidth ** tileLevel));
  const bytes = await read(tile);
  const offset = (first % tileWidth) * hashBytes;
  let row = Array.from({ length: count }, (_, place) => bytes.subarray(offset + place * hashBytes, offset + (place + 1) * hashBytes));
  while (row.length > 1) row = pairsOf(row);
  return row[0] ?? bytes;
}

function pairsOf(row: readonly Uint8Array[]): Uint8Array[] {
  return row.flatMap((left, place) => {
    const right = row[place + 1];
    return place % 2 === 0 && right !== undefined ? [nodeHash(left, right)] : [];
  });
}
