import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { routesOf } from './put.ts';

const provenance = 'https://slsa.dev/provenance/v1';
const signature = 'https://sigstore.dev/cosign/sign/v1';

describe('routesOf', () => {
  const table = [
    { kind: 'dsse', type: provenance, tags: ['tags'], referrers: ['referrers'], both: ['tags', 'referrers'] },
    { kind: 'dsse', type: signature, tags: ['referrers'], referrers: ['referrers'], both: ['referrers'] },
    { kind: 'raw', type: undefined, tags: ['tags'], referrers: [], both: ['tags'] },
  ] as const;
  for (const { kind, type, ...wanted } of table) {
    it(`takes ${kind} ${type ?? 'without predicate'} where readers of it look`, () => {
      const routes = Object.fromEntries((['tags', 'referrers', 'both'] as const).map((layout) => [layout, routesOf(kind, type, layout)]));

      assert.deepEqual(routes, wanted);
    });
  }
});
