import { createHmac } from 'node:crypto';

const prefix = 'redacted:sha256-salted:';
const whole = /^redacted:sha256-salted:[0-9a-f]{64}$/;

/**
 * What stands in the place of a value that is not published: HMAC-SHA256 of the value, keyed with the salt. The same value has the same
 * marker, so that two runs can be compared; it hides a value of few possibilities only as far as the salt is secret.
 */
export function markerOf(value: string, salt: string): string {
  return prefix + createHmac('sha256', salt).update(value, 'utf8').digest('hex');
}

export function isMarker(text: string): boolean {
  return whole.test(text);
}

/** Does a name, place or digest begin with a marker, so that nothing is left that it could be found by? One in the middle hides a password. */
export function isHidden(text: string): boolean {
  return text.trimStart().startsWith(prefix);
}

/** Is any of it a marker? */
export function holdsMarker(text: string): boolean {
  return text.includes(prefix);
}
