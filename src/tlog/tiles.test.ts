import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { isIncluded, leafHashOf } from '../trust/merkle.ts';
import { entriesIn, inclusionPath, tileAt, tilePath, type ReadTile, type Tile } from './tiles.ts';

describe('tilePath', () => {
  // The examples of C2SP tlog-tiles are among them.
  const rows: readonly { readonly tile: Tile; readonly want: string }[] = [
    { tile: { level: 0, index: 0, width: 256 }, want: 'tile/0/000' },
    { tile: { level: 0, index: 7, width: 1 }, want: 'tile/0/007.p/1' },
    { tile: { level: 1, index: 999, width: 256 }, want: 'tile/1/999' },
    { tile: { level: 0, index: 1000, width: 256 }, want: 'tile/0/x001/000' },
    { tile: { level: 'entries', index: 1_234_067, width: 256 }, want: 'tile/entries/x001/x234/067' },
    { tile: { level: 'entries', index: 1_234_067, width: 255 }, want: 'tile/entries/x001/x234/067.p/255' },
    { tile: { level: 2, index: 35_184_372_088_831, width: 256 }, want: 'tile/2/x035/x184/x372/x088/831' },
  ];
  for (const { tile, want } of rows) {
    it(`is ${want}`, () => {
      assert.equal(tilePath(tile), want);
    });
  }
});

describe('tileAt', () => {
  it('is full before the end of a row, and as wide as what is left at the end', () => {
    assert.deepEqual(tileAt('entries', 255, 600), { level: 'entries', index: 0, width: 256 });
    assert.deepEqual(tileAt('entries', 512, 600), { level: 'entries', index: 2, width: 88 });
    assert.deepEqual(tileAt(1, 1, 2), { level: 1, index: 0, width: 2 });
  });
});

describe('entriesIn', () => {
  const bundle = Buffer.from('0003616263' + '0000' + '0101' + '61'.repeat(257), 'hex');

  it('gives each entry by the length before it', () => {
    const entries = entriesIn(bundle, 3)?.map((entry) => Buffer.from(entry).toString());

    assert.deepEqual(entries, ['abc', '', 'a'.repeat(257)]);
  });

  for (const { name, bytes, width } of [
    { name: 'more entries than the tile has', bytes: bundle, width: 2 },
    { name: 'fewer', bytes: bundle, width: 4 },
    { name: 'a cut entry', bytes: bundle.subarray(0, -1), width: 3 },
    { name: 'a cut length', bytes: Buffer.from('000161' + '00', 'hex'), width: 2 },
  ]) {
    it(`refuses ${name}`, () => {
      assert.equal(entriesIn(bytes, width), undefined);
    });
  }
});

/** A log of `size` leaves by brute force: every hash of every level, so its tiles, and its root by the recursion of RFC 6962 2.1. */
function logOf(size: number): {
  readonly read: ReadTile;
  readonly leaf: (index: number) => Uint8Array;
  readonly rows: readonly Uint8Array[][];
} {
  const leaf = (index: number): Uint8Array => Buffer.from(`leaf ${index}`);
  const rows = [Array.from({ length: size }, (_, index) => leafHashOf(leaf(index)))];
  for (let row = rows[0] ?? []; row.length > 1;) {
    row = Array.from({ length: Math.floor(row.length / 2) }, (_, place) => nodeOf(row[2 * place], row[2 * place + 1]));
    rows.push(row);
  }
  return {
    leaf,
    rows,
    read: async ({ level, index, width }) => {
      const row = rows[Number(level) * 8] ?? [];
      const tile = row.slice(index * 256, index * 256 + width);
      assert.equal(tile.length, width, `tile ${level}/${index} of ${width} does not exist`);
      // Partial tiles are there only where the log ends.
      assert.ok(width === 256 || row.length === index * 256 + width);
      return Buffer.concat(tile);
    },
  };
}

function nodeOf(left: Uint8Array = Buffer.alloc(0), right: Uint8Array = Buffer.alloc(0)): Uint8Array {
  return createHash('sha256')
    .update(Buffer.concat([Uint8Array.of(1), left, right]))
    .digest();
}

/** RFC 6962 2.1. */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0] ?? assert.fail();
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeOf(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

describe('inclusionPath', () => {
  it('leads every leaf of every small tree to its root', async () => {
    for (let size = 1; size <= 40; size += 1) {
      const log = logOf(size);
      const root = rootOf(log.rows[0] ?? []);
      for (let index = 0; index < size; index += 1) {
        const path = await inclusionPath(index, size, log.read);
        assert.ok(isIncluded(log.leaf(index), index, size, path, root), `leaf ${index} of ${size}`);
      }
    }
  });

  // Around the widths of tiles: full ones, tiles of tiles, and partial ones at the end.
  for (const size of [255, 256, 257, 511, 513, 1000, 65_537, 66_049]) {
    it(`crosses tiles in a tree of ${size}`, async () => {
      const log = logOf(size);
      const root = rootOf(log.rows[0] ?? []);
      for (const index of new Set([0, 1, 100, 254, 255, 256, size - 2, size - 1].filter((index) => index >= 0 && index < size))) {
        const path = await inclusionPath(index, size, log.read);
        assert.ok(isIncluded(log.leaf(index), index, size, path, root), `leaf ${index} of ${size}`);
      }
    });
  }

  it('reads each tile once', async () => {
    const log = logOf(66_049);
    const seen: string[] = [];

    await inclusionPath(300, 66_049, async (tile) => {
      seen.push(tilePath(tile));
      return await log.read(tile);
    });

    assert.deepEqual(seen, ['tile/1/001.p/2', 'tile/0/258.p/1', 'tile/1/000', 'tile/0/001']);
  });
});
