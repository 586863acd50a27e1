import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fullName, parseReference } from './reference.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('parseReference', () => {
  const repositories = {
    'gcr.io/foo/bar': 'gcr.io/foo/bar',
    'gcr.io/foo/bar:v1': 'gcr.io/foo/bar',
    foo: 'index.docker.io/library/foo',
    'foo:v1': 'index.docker.io/library/foo',
    'docker.io/foo': 'index.docker.io/library/foo',
    'index.docker.io/foo': 'index.docker.io/library/foo',
    'docker.io/library/foo': 'index.docker.io/library/foo',
    'foo/bar': 'index.docker.io/foo/bar',
    'localhost/foo': 'localhost/foo',
    'localhost:5000/foo:t': 'localhost:5000/foo',
    'reg:5000/foo': 'reg:5000/foo',
    'reg:5000': 'index.docker.io/library/reg',
    'gcr.io': 'index.docker.io/library/gcr.io',
    'https://gcr.io/foo/bar': 'https://gcr.io/foo/bar',
    'oci://gcr.io/foo': 'oci://gcr.io/foo',
    'git+https://h/x.git': 'git+https://h/x.git',
    's3://b/f': 's3://b/f',
    'maven-test-0.1.1.jar': 'index.docker.io/library/maven-test-0.1.1.jar',
    '/foo/bar': 'index.docker.io//foo/bar',
    'gcr.io:/foo': 'gcr.io:/foo',
    'GCR.IO/foo': 'GCR.IO/foo',
    '[::1]:5000/foo': '[::1]:5000/foo',
    'r\u00e9g.io/foo': 'r\u00e9g.io/foo',
  };
  for (const [base, repository] of Object.entries(repositories)) {
    it(`reads ${base}`, () => {
      assert.deepEqual(parseReference(base, digest), { repository, digest: digest.slice(7) });
    });
  }

  const refused = ['', 'a', 'gcr.io/a', 'gcr.io/', 'gcr.io/Foo', 'foo bar', 'foo:', 'gcr.io/x:', 'pkg:npm/foo', 'gcr.io:abc/foo'];
  for (const base of [...refused, 'com.x:y:31.0.pom', 'a@b', 'g{.io/foo', 'g%20.io/foo', `foo/${'a'.repeat(255)}`]) {
    it(`refuses ${base.slice(0, 40)}`, () => {
      assert.equal(typeof parseReference(base, digest), 'string');
    });
  }
  for (const bad of ['', 'sha256:', digest.slice(0, -1), `${digest}0`, digest.toUpperCase(), ` ${digest}`, `sha512:${'a'.repeat(128)}`]) {
    it(`refuses the digest "${bad.slice(0, 40)}"`, () => {
      assert.equal(typeof parseReference('gcr.io/foo/bar', bad), 'string');
    });
  }
  it('reads its own full name again', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9.:/_-]{1,30}$/), (base) => {
        const image = parseReference(base, digest);
        // A name that ends like a tag, or hides one, is not stable; a registry with a path is.
        if (typeof image === 'string' || image.repository.slice(image.repository.indexOf('/')).includes(':')) return;
        assert.deepEqual(parseReference(fullName(image).slice(0, -digest.length - 1), digest), image);
      }),
    );
  });
});
