import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CodedError, TransientError } from '../../errors.ts';
import { readToken, type Expectation } from './token.ts';

const now = Date.parse('2026-05-01T12:00:00Z');
const expected: Expectation = { audience: 'sigstore', issuer: undefined, from: 'a test' };
const good = { iss: 'https://issuer.example', aud: 'sigstore', exp: now / 1000 + 60, sub: 'system:serviceaccount:ns:sa' };

function jwtOf(claims: unknown, header: unknown = { alg: 'ES256' }): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.c2lnbmF0dXJl`;
}

function failureOf(text: string, want: Expectation = expected): TransientError {
  try {
    readToken(text, want, now);
  } catch (error) {
    if (error instanceof TransientError) return error;
    throw error;
  }
  throw new Error('it was taken');
}

describe('readToken', () => {
  for (const alg of ['RS256', 'ES256', 'ES384', 'EdDSA', 'PS256']) {
    it(`takes a token that is signed with ${alg}`, () => {
      const text = jwtOf(good, { alg });

      assert.deepEqual(readToken(text, expected, now), { text, challenge: 'system:serviceaccount:ns:sa' });
    });
  }

  it('takes off what stands around it', () => {
    assert.equal(readToken(`\n ${jwtOf(good)}\r\n`, expected, now).text, jwtOf(good));
  });

  const challenges = [
    { name: 'a verified e-mail address', claims: { email: 'a@b.example', email_verified: true }, want: 'a@b.example' },
    { name: 'one that is verified in words', claims: { email: 'a@b.example', email_verified: 'true' }, want: 'a@b.example' },
    { name: 'the subject, not an unverified address', claims: { email: 'a@b.example', email_verified: false }, want: good.sub },
    { name: 'the subject, not an address of which nobody says anything', claims: { email: 'a@b.example' }, want: good.sub },
    { name: 'the subject, not an empty address', claims: { email: '', email_verified: true }, want: good.sub },
  ];
  for (const { name, claims, want } of challenges) {
    it(`has ${name} signed`, () => {
      assert.equal(readToken(jwtOf({ ...good, ...claims }), expected, now).challenge, want);
    });
  }

  it('finds its audience among several, and the issuer that is configured', () => {
    const text = jwtOf({ ...good, aud: ['vault', 'sigstore'] });

    assert.equal(readToken(text, { ...expected, issuer: good.iss }, now).text, text);
  });

  const refused = [
    { name: 'an empty text', text: ' \n', code: 'sign.token-empty', says: 'from a test: it is empty' },
    { name: 'a password', text: 'hunter2-hunter2', code: 'sign.token-malformed', says: 'want three base64url parts' },
    { name: 'two parts', text: 'eyJh.eyJi', code: 'sign.token-malformed', says: 'want three base64url parts' },
    { name: 'two tokens', text: `${jwtOf(good)} ${jwtOf(good)}`, code: 'sign.token-malformed', says: 'want three base64url parts' },
    { name: 'a header that is none', text: `aaaa.${jwtOf(good).split('.')[1]}.cccc`, code: 'sign.token-malformed', says: 'JOSE header' },
    { name: 'a header without algorithm', text: jwtOf(good, {}), code: 'sign.token-malformed', says: 'JOSE header' },
    { name: 'claims that are a list', text: jwtOf([good]), code: 'sign.token-malformed', says: 'no JSON object' },
    { name: 'a token without subject', text: jwtOf({ ...good, sub: undefined }), code: 'sign.token-malformed', says: 'subject (sub)' },
    { name: 'a token without end', text: jwtOf({ ...good, exp: undefined }), code: 'sign.token-malformed', says: 'expiry (exp)' },
    { name: 'an end in words', text: jwtOf({ ...good, exp: 'soon' }), code: 'sign.token-malformed', says: 'expiry (exp)' },
    { name: 'an end that no calendar has', text: jwtOf({ ...good, exp: 1e300 }), code: 'sign.token-malformed', says: 'expiry (exp)' },
    { name: 'what is no end', text: jwtOf({ ...good, exp: null }), code: 'sign.token-malformed', says: 'expiry (exp)' },
    {
      name: 'a token that is too long',
      text: jwtOf({ ...good, pad: 'x'.repeat(70_000) }),
      code: 'sign.token-malformed',
      says: 'longer than',
    },
    {
      name: 'a token that is over',
      text: jwtOf({ ...good, exp: now / 1000 }),
      code: 'sign.token-expired',
      says: 'it expired at 2026-05-01T12:00:00.000Z',
    },
    {
      name: 'a token for somebody else',
      text: jwtOf({ ...good, aud: ['vault', 'https://kubernetes.default.svc'] }),
      code: 'sign.token-audience',
      says: 'its audience (aud) is "vault", "https://kubernetes.default.svc", want "sigstore"',
    },
    { name: 'a token for nobody', text: jwtOf({ ...good, aud: undefined }), code: 'sign.token-audience', says: '(aud) is missing' },
    { name: 'a token for a number', text: jwtOf({ ...good, aud: 7 }), code: 'sign.token-audience', says: '(aud) is missing' },
  ];
  for (const { name, text, code, says } of refused) {
    it(`refuses ${name}`, () => {
      const error = failureOf(text);

      assert.equal(error.code, code);
      assert.equal(error.message.includes(says), true, error.message);
    });
  }

  it('refuses a token of another issuer than the configured one', () => {
    const error = failureOf(jwtOf(good), { ...expected, issuer: 'https://other.example' });

    assert.equal(error.code, 'sign.token-issuer');
    assert.match(error.message, /its issuer \(iss\) is "https:\/\/issuer\.example", want "https:\/\/other\.example"$/);
  });

  it('shows no control characters of a claim', () => {
    assert.match(failureOf(jwtOf({ ...good, aud: 'a\u001b[31m\nb' })).message, /"a\?\[31m\?b"/);
  });

  it('never says a piece of the token, whatever is in it', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), fc.stringMatching(/^[\w-]{0,40}$/), (header, claims, signature) => {
        const parts = [Buffer.from(header).toString('base64url'), Buffer.from(claims).toString('base64url'), `canary${signature}`];
        try {
          readToken(parts.join('.'), expected, now);
        } catch (error) {
          assert.equal(error instanceof CodedError, true);
          const shown = inspect(error, { depth: 10 });
          for (const part of parts) if (part.length > 8) assert.equal(shown.includes(part), false, shown);
        }
      }),
    );
  });
});
