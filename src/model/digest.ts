import { createHash } from 'node:crypto';
import { TerminalError } from '../errors.ts';

declare const brand: unique symbol;
/** Lowercase hex SHA-256: 64 characters, no `sha256:` before it. Only `parseSha256` and `sha256Of` make one. */
export type Sha256 = string & { readonly [brand]: 'Sha256' };

export function parseSha256(text: string): Sha256 {
  const hex = text.startsWith('sha256:') ? text.slice(7) : text;
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    throw new TerminalError('digest.malformed', `Cannot parse digest "${text.slice(0, 200)}": want 64 lower-case hex characters`);
  }
  return hex as Sha256;
}

export function sha256Of(bytes: Uint8Array): Sha256 {
  return createHash('sha256').update(bytes).digest('hex') as Sha256;
}
