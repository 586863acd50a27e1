import { TransientError } from '../../errors.ts';
import { isObject, parseJson, textAt, type Json, type JsonObject } from '../../model/json.ts';

/** An identity token that looks usable from here. Whether it is genuine only the certificate authority can say. */
export interface IdentityToken {
  /** The JWT itself: a secret. It goes to the certificate authority and nowhere else. */
  readonly text: string;
  /** What a new key signs to prove that it is held: the e-mail address when the issuer verified one, else the subject (sigstore-wire 6.3). */
  readonly challenge: string;
}

/** What a token must say. */
export interface Expectation {
  readonly audience: string;
  /** Undefined: whoever the certificate authority believes. */
  readonly issuer: string | undefined;
  /** Where it came from, for messages. */
  readonly from: string;
}

/** Tokens have 1 to 3 KB. */
export const maxTokenBytes = 64 * 1024;

/**
 * Reads the claims of a JWT (RFC 7519), signed with whatever algorithm; white space around it is no part of it (chains-controller 3.3, quirk).
 * What the certificate authority would refuse anyway is found here and named by claim. Throws `sign.token-empty`, `sign.token-malformed`,
 * `sign.token-expired`, `sign.token-audience` and `sign.token-issuer`, all transient: somebody mends it, and runs wait. None has a piece of
 * the token, nor a cause that has.
 */
export function readToken(text: string, expected: Expectation, now: number): IdentityToken {
  const token = text.trim();
  if (token === '') throw bad('empty', expected, 'it is empty', 'have the token written there, or take another provider');
  const claims = claimsOf(token, expected);
  demandTime(claims, expected, now);
  demandAudience(claims, expected);
  const issuer = textAt(claims, 'iss');
  if (expected.issuer !== undefined && issuer !== expected.issuer) {
    const fix = 'take the token from that issuer, or change the configured issuer';
    throw bad('issuer', expected, `its issuer (iss) is "${shown(issuer)}", want "${expected.issuer}"`, fix);
  }
  const challenge = challengeOf(claims);
  if (challenge === '') throw malformed(expected, 'it has no subject (sub)');
  return { text: token, challenge };
}

/** Whether an issuer says `true` or `"true"` (Fulcio reads both). */
function challengeOf(claims: JsonObject): string {
  const verified = claims['email_verified'];
  const email = textAt(claims, 'email');
  return email !== '' && (verified === true || verified === 'true') ? email : textAt(claims, 'sub');
}

function claimsOf(token: string, expected: Expectation): JsonObject {
  if (token.length > maxTokenBytes) throw malformed(expected, `it is longer than ${maxTokenBytes} characters`);
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]*$/.test(part)))
    throw malformed(expected, 'want three base64url parts with dots');
  const [header, claims] = parts.slice(0, 2).map(objectIn);
  if (header === undefined || typeof header['alg'] !== 'string') throw malformed(expected, 'its header is no JOSE header');
  if (claims === undefined) throw malformed(expected, 'its payload is no JSON object');
  return claims;
}

/** Undefined for anything else: the parser's own error would quote the token. */
function objectIn(part: string): JsonObject | undefined {
  try {
    const value: Json = parseJson(Buffer.from(part, 'base64url').toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function demandTime(claims: JsonObject, expected: Expectation, now: number): void {
  const seconds = Number(JSON.stringify(claims['exp']) ?? Number.NaN);
  // The largest time that a Date can hold, in seconds.
  if (!(Math.abs(seconds) <= 8.64e12)) throw malformed(expected, 'it has no time of expiry (exp)');
  if (seconds * 1000 > now) return;
  const fix = 'check that whoever writes the token renews it, and the clock of this machine';
  throw bad('expired', expected, `it expired at ${new Date(seconds * 1000).toISOString()}`, fix);
}

function demandAudience(claims: JsonObject, expected: Expectation): void {
  const claim = claims['aud'];
  const audiences = (Array.isArray(claim) ? (claim as readonly Json[]) : [claim]).filter((one) => typeof one === 'string');
  if (audiences.includes(expected.audience)) return;
  const found = audiences.length === 0 ? 'is missing' : `is "${shown(audiences.join('", "'))}"`;
  const fix = `ask for a token with the audience "${expected.audience}", or change the configured audience`;
  throw bad('audience', expected, `its audience (aud) ${found}, want "${expected.audience}"`, fix);
}

/** A claim is somebody else's text. */
function shown(claim: string): string {
  return claim.replaceAll(/[^\P{C} ]/gu, '?').slice(0, 200);
}

function malformed(expected: Expectation, reason: string): TransientError {
  return bad('malformed', expected, `it is no JWT: ${reason}`, 'give a token of an OpenID Connect issuer, without anything around it');
}

function bad(
  what: 'audience' | 'empty' | 'expired' | 'issuer' | 'malformed',
  { from }: Expectation,
  reason: string,
  fix: string,
): TransientError {
  return new TransientError(`sign.token-${what}`, `Cannot use the identity token from ${from}: ${reason}`, { fix });
}
