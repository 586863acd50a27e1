import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pathOf, rootOf } from '../../test/contract/trust-log.ts';
import { isIncluded, leafHashOf } from './merkle.ts';

const tree = fc.integer({ min: 1, max: 70 }).chain((size) => fc.record({ size: fc.constant(size), index: fc.nat(size - 1) }));

function treeOf(size: number): { readonly leaves: readonly Uint8Array[]; readonly hashes: readonly Uint8Array[] } {
  const leaves = Array.from({ length: size }, (_, at) => Buffer.from(`leaf ${at}`));
  return { leaves, hashes: leaves.map(leafHashOf) };
}

describe('isIncluded', () => {
  it('finds every leaf of every tree by the path that RFC 9162 defines', () => {
    fc.assert(
      fc.property(tree, ({ size, index }) => {
        const { leaves, hashes } = treeOf(size);

        return isIncluded(leaves[index] ?? Buffer.alloc(0), index, size, pathOf(hashes, index), rootOf(hashes));
      }),
    );
  });

  it('refuses another leaf, a path that is longer, shorter or changed, and a place outside of the tree', () => {
    fc.assert(
      fc.property(tree, fc.nat(), ({ size, index }, pick) => {
        const { leaves, hashes } = treeOf(size);
        const [leaf, path, root] = [leaves[index] ?? Buffer.alloc(0), pathOf(hashes, index), rootOf(hashes)];
        const bent = path.map((hash, at) => (at === pick % path.length ? Buffer.from(hash).fill(pick % 2 === 0 ? 0 : 1) : hash));

        return ![
          isIncluded(Buffer.from('another'), index, size, path, root),
          isIncluded(leaf, index, size, [...path, root], root),
          path.length > 0 && isIncluded(leaf, index, size, path.slice(0, -1), root),
          path.length > 0 && isIncluded(leaf, index, size, bent, root),
          isIncluded(leaf, size, size, path, root),
          isIncluded(leaf, -1, size, path, root),
          isIncluded(leaf, index, size, path, Buffer.alloc(32)),
          isIncluded(
            leaf,
            index,
            size,
            path.map((hash) => hash.subarray(1)),
            root,
          ) && path.length > 0,
        ].includes(true);
      }),
    );
  });

  it('does not take an inner node for a leaf', () => {
    const { hashes } = treeOf(4);
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = hashes;

    assert.equal(isIncluded(Buffer.concat([first, second]), 0, 2, [rootOf(hashes.slice(2))], rootOf(hashes)), false);
  });
});
