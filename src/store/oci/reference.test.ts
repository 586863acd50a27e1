import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TerminalError } from '../../errors.ts';
import { parseReference, parseRepository, shownRepository } from './reference.ts';

const hex = '0123456789abcdef'.repeat(4);

describe('parseReference', () => {
  const read = [
    { text: 'busybox', repository: 'index.docker.io/library/busybox' },
    { text: 'docker.io/busybox', repository: 'index.docker.io/library/busybox' },
    { text: 'registry-1.docker.io/team/app:v1', repository: 'index.docker.io/team/app', tag: 'v1' },
    { text: 'team/app', repository: 'index.docker.io/team/app' },
    { text: 'localhost/app', repository: 'localhost/app' },
    { text: 'localhost:5000/app:v1', repository: 'localhost:5000/app', tag: 'v1' },
    { text: '127.0.0.1:5000/a/b/c', repository: '127.0.0.1:5000/a/b/c' },
    { text: '[::1]:5000/app:v1', repository: '[::1]:5000/app', tag: 'v1' },
    { text: 'GHCR.io/team/app', repository: 'ghcr.io/team/app' },
    { text: `ghcr.io/team/app@sha256:${hex}`, repository: 'ghcr.io/team/app', digest: hex },
    { text: `ghcr.io/team/app:v1.2_3-x@sha256:${hex}`, repository: 'ghcr.io/team/app', tag: 'v1.2_3-x', digest: hex },
    { text: 'r.example/a__b/c--d/e.f', repository: 'r.example/a__b/c--d/e.f' },
  ];
  for (const { text, repository, tag, digest } of read) {
    it(`reads ${text}`, () => {
      const reference = parseReference(text);

      assert.deepEqual(
        { ...reference, shown: shownRepository(reference) },
        { ...parseRepository(repository), tag, digest, shown: repository },
      );
    });
  }

  const refused = [
    { name: 'nothing', text: '' },
    { name: 'a path that climbs', text: 'r.example/a/../b' },
    { name: 'upper case', text: 'r.example/App' },
    { name: 'an empty component', text: 'r.example//app' },
    { name: 'a query', text: 'r.example/app?x=1' },
    { name: 'a scheme', text: 'https://r.example/app' },
    { name: 'white space', text: 'r.example/app v1' },
    { name: 'another algorithm', text: `r.example/app@sha512:${hex}${hex}` },
    { name: 'a short digest', text: 'r.example/app@sha256:abc' },
    { name: 'two digests', text: `r.example/app@sha256:${hex}@sha256:${hex}` },
    { name: 'an empty tag', text: 'r.example/app:' },
    { name: 'a long tag', text: `r.example/app:${'a'.repeat(129)}` },
    { name: 'a port out of range', text: 'r.example:65536/app' },
    { name: 'a port that is none', text: 'r.example:http/app' },
    { name: 'a long repository', text: `r.example/${'a'.repeat(256)}` },
  ];
  for (const { name, text } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseReference(text), { name: 'TerminalError', code: 'oci.reference' });
    });
  }

  it('does not show a password that was pasted in', () => {
    assert.throws(
      () => parseReference('https://me:hunter2@r.example/app'),
      (error: Error) => !error.message.includes('hunter2'),
    );
  });

  it('never lets a path out of /v2/', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab.:/-_@%?#\\ '.split('')) }), (text) => {
        let path: string;
        try {
          ({ path } = parseReference(text));
        } catch (error) {
          assert.ok(error instanceof TerminalError);
          return;
        }
        assert.equal(new URL(`https://r.example/v2/${path}/manifests/x`).href, `https://r.example/v2/${path}/manifests/x`);
      }),
    );
  });
});

describe('parseRepository', () => {
  it('refuses a tag', () => {
    assert.throws(() => parseRepository('r.example/app:v1'), { code: 'oci.reference' });
  });
});
