import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseSha256 } from '../../model/digest.ts';
import { addressOf, spotOf } from './spot.ts';

const hex = 'ab'.repeat(32);

describe('addressOf', () => {
  const digest = fc.stringMatching(/^[0-9a-f]{64}$/).map(parseSha256);

  it('is read back by spotOf', () => {
    const tags = fc.record(
      {
        kind: fc.constant('tag' as const),
        repository: fc.constantFrom('', 'r.example/a', '[::1]:5000/a/b', 'localhost:5000/x'),
        tag: fc.constantFrom('taskrun-u.att', `sha256-${hex}.sig`),
        layer: digest,
        signature: fc.option(digest, { nil: undefined }),
      },
      { noNullPrototype: true },
    );
    const bundles = fc.record(
      {
        kind: fc.constant('bundle' as const),
        repository: fc.constantFrom('r.example/a', '[::1]:5000/a/b', 'localhost:5000/x'),
        manifest: digest,
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.oneof(tags, bundles), fc.constantFrom('', 'oci:/a b:c/d:', 'oci:.chainsmith/layout:'), (there, prefix) => {
        assert.deepEqual(spotOf(addressOf(there, prefix), prefix), there);
      }),
    );
  });

  it('shows registry, repository, tag and layer', () => {
    const layer = parseSha256(hex);

    assert.equal(
      addressOf({ kind: 'tag', repository: 'r:5/a', tag: 't.att', layer, signature: undefined }, ''),
      `r:5/a:t.att@sha256:${hex}`,
    );
    assert.equal(
      addressOf({ kind: 'tag', repository: '', tag: 't.att', layer, signature: layer }, 'oci:d:'),
      `oci:d:t.att@sha256:${hex}#${hex}`,
    );
    assert.equal(addressOf({ kind: 'bundle', repository: 'r:5/a', manifest: layer }, ''), `r:5/a@sha256:${hex}#bundle`);
  });

  for (const address of [
    '',
    'r/a:t',
    `r/a:t@sha256:${hex}x`,

    `@sha256:${hex}#bundle`,
    `oci:other:r/a b:t@sha256:${hex}`,
  ]) {
    it(`refuses "${address}"`, () => assert.throws(() => spotOf(address, ''), { code: 'store.oci.address' }));
  }

  it('refuses a place in another folder', () => {
    assert.throws(() => spotOf(`oci:one:r/a:t@sha256:${hex}`, 'oci:two:'), { code: 'store.oci.address' });
  });
});
