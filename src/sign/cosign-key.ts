import { randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { z } from 'zod';
import { bytesOfBase64 } from '../model/base64.ts';

/** The container of an encrypted cosign key (sigstore-wire 2.1): scrypt makes 32 bytes of the password, NaCl secretbox does the rest. */
const container = z.object({
  kdf: z.object({
    name: z.literal('scrypt'),
    params: z.object({ N: z.number(), r: z.number(), p: z.number() }),
    salt: z.string(),
  }),
  cipher: z.object({ name: z.literal('nacl/secretbox'), nonce: z.string() }),
  ciphertext: z.string(),
});

/** The only work factors that cosign's readers take, all with r = 8 and p = 1; any other could be an attempt to exhaust our memory. */
const workFactors: readonly number[] = [32_768, 65_536, 131_072];
const workFactorWritten = 65_536;

export type Opened =
  | { readonly kind: 'opened'; readonly pkcs8: Uint8Array }
  /** The password is wrong, or the file was changed: the cipher cannot tell which. */
  | { readonly kind: 'wrong-password' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Opens the JSON that the PEM block of an encrypted key holds. `password` is taken as it is, byte for byte; it may be empty. */
export async function openContainer(json: Uint8Array, password: Uint8Array): Promise<Opened> {
  const parsed = container.safeParse(jsonOf(json));
  if (!parsed.success) return malformed('its content is not the JSON of a cosign key (scrypt and nacl/secretbox)');
  const { kdf, cipher } = parsed.data;
  const { N, r, p } = kdf.params;
  if (!workFactors.includes(N) || r !== 8 || p !== 1) {
    return malformed(`unsupported scrypt parameters (${N}, ${r}, ${p}), want N of ${workFactors.join(', ')} with r = 8 and p = 1`);
  }
  const [salt, nonce, ciphertext] = [kdf.salt, cipher.nonce, parsed.data.ciphertext].map(bytesOfBase64);
  if (!salt || nonce?.length !== 24 || !ciphertext || ciphertext.length < 16) return malformed('its salt, nonce or ciphertext is damaged');
  const key = await derive(password, salt, N);
  try {
    return { kind: 'opened', pkcs8: xsalsa20poly1305(key, nonce).decrypt(ciphertext) };
  } catch {
    return { kind: 'wrong-password' };
  }
}

/** The JSON for a PEM block of type `ENCRYPTED SIGSTORE PRIVATE KEY`, members in the order in which cosign writes them. */
export async function sealContainer(pkcs8: Uint8Array, password: Uint8Array): Promise<Uint8Array> {
  const salt = randomBytes(32);
  const nonce = randomBytes(24);
  const key = await derive(password, salt, workFactorWritten);
  const ciphertext = xsalsa20poly1305(key, nonce).encrypt(pkcs8);
  return Buffer.from(
    JSON.stringify({
      kdf: { name: 'scrypt', params: { N: workFactorWritten, r: 8, p: 1 }, salt: salt.toString('base64') },
      cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
      ciphertext: Buffer.from(ciphertext).toString('base64'),
    }),
  );
}

const scryptAsync = promisify<Uint8Array, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt);

/** scrypt needs 128·N·r bytes and a little more; Node's own limit of 32 MiB is below that for every N here. */
async function derive(password: Uint8Array, salt: Uint8Array, N: number): Promise<Uint8Array> {
  return await scryptAsync(password, salt, 32, { N, r: 8, p: 1, maxmem: 2 * 128 * N * 8 });
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function malformed(reason: string): Opened {
  return { kind: 'malformed', reason };
}
