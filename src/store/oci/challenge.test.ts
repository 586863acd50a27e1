import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { joinScopes, parseChallenges } from './challenge.ts';

describe('parseChallenges', () => {
  const bearer = { kind: 'bearer', realm: 'https://auth.example/token', service: undefined, scopes: [] };
  const table = [
    { header: 'Basic realm="x"', want: [{ kind: 'basic' }] },
    { header: 'basic', want: [{ kind: 'basic' }] },
    { header: 'Bearer realm="https://auth.example/token"', want: [bearer] },
    {
      header: 'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push repository:c:pull"',
      want: [{ ...bearer, service: 'r.example', scopes: ['repository:a/b:pull,push', 'repository:c:pull'] }],
    },
    { header: 'bearer  Service=s , error="invalid_token", REALM=https://auth.example/token', want: [{ ...bearer, service: 's' }] },
    { header: 'Bearer realm="https://auth.example/token", Basic realm="x"', want: [bearer, { kind: 'basic' }] },
    { header: 'Negotiate, Basic realm="a \\"quoted\\", comma"', want: [{ kind: 'basic' }] },
    { header: 'Bearer service="s"', want: [] },
    { header: '', want: [] },
    { header: '"', want: [] },
  ];
  for (const { header, want } of table) {
    it(`reads ${header === '' ? 'nothing' : header}`, () => assert.deepEqual(parseChallenges(header), want));
  }

  it('ends for any text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'Bearer realm="\\,= a'.split('')) }),
        (text) => parseChallenges(text).length <= text.length,
      ),
    );
  });
});

describe('joinScopes', () => {
  it('joins the actions of one resource and keeps the others', () => {
    const scopes = ['repository:a:pull,push', 'repository:a:pull', 'repository:host:5000/a:pull', 'repository:a:delete', 'aws'];

    assert.deepEqual(joinScopes(scopes), ['repository:a:pull,push,delete', 'repository:host:5000/a:pull', 'aws']);
  });
});
