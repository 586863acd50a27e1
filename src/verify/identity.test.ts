import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { demandIdentity } from './identity.ts';

const found = { san: 'https://kubernetes.io/namespaces/team/serviceaccounts/builder', issuer: 'https://issuer.example' };

describe('demandIdentity', () => {
  const taken = [
    { name: 'both exactly', wanted: found },
    { name: 'a pattern of the whole', wanted: { ...found, san: /https:\/\/kubernetes\.io\/namespaces\/team\/serviceaccounts\/[a-z]+/ } },
    { name: 'alternatives, each of the whole', wanted: { ...found, issuer: /https:\/\/other\.example|https:\/\/issuer\.example/u } },
    { name: 'a pattern with anchors of its own', wanted: { ...found, issuer: /^https:\/\/issuer\.example$/ } },
    { name: 'a pattern that looked elsewhere before', wanted: { ...found, issuer: stale() } },
  ];
  for (const { name, wanted } of taken) {
    it(`takes ${name}`, () => {
      demandIdentity(found, wanted);
    });
  }

  const refused = [
    { name: 'a part of the name', wanted: { ...found, san: 'https://kubernetes.io/namespaces/team/serviceaccounts/build' } },
    { name: 'other letters', wanted: { ...found, issuer: 'https://ISSUER.example' } },
    { name: 'a pattern of the beginning', wanted: { ...found, san: /https:\/\/kubernetes\.io\/namespaces\/team/ } },
    { name: 'a pattern of the end', wanted: { ...found, issuer: /issuer\.example/ } },
    { name: 'one alternative of the beginning', wanted: { ...found, issuer: /https:\/\/issuer|x/ } },
    { name: 'a pattern of a line', wanted: { ...found, issuer: /^example$/m }, text: 'https://issuer\nexample\n' },
    { name: 'another issuer', wanted: { ...found, issuer: 'https://other.example' } },
    { name: 'a name that is too long', wanted: { san: /.*/, issuer: /.*/ }, text: 'x'.repeat(5000) },
    { name: 'a name that is empty', wanted: { san: /.*/, issuer: /.*/ }, text: '' },
  ];
  for (const { name, wanted, text } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => demandIdentity({ ...found, ...(text !== undefined && { issuer: text }) }, wanted), { code: 'verify.refused' });
    });
  }
});

/** Global patterns go on where they ended. */
function stale(): RegExp {
  const pattern = /https:\/\/issuer\.example/g;
  pattern.test(found.issuer);
  return pattern;
}
