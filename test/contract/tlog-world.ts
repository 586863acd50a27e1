import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { Envelope } from '../../src/model/envelope.ts';
import { CodedError } from '../../src/errors.ts';
import type { Log, LogKind } from '../../src/tlog/log.ts';
import { logs } from '../../src/tlog/logs.ts';
import { parseTrustedRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { trustedRootOf, type TrustMaterial } from '../servers/trusted-root.ts';
import { attestationOf, ctx, imageOf, signatureOf, type Key } from './store-world.ts';

/** How a key signs; none for Ed25519. */
export type Digest = 'sha256' | 'sha384' | 'sha512' | undefined;

export function keyOf(privateKey: KeyObject, publicKey: KeyObject, digest: Digest): Key {
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (bytes) => sign(digest, bytes, { key: privateKey, dsaEncoding: 'der' }),
  };
}

export function ecKey(namedCurve: 'P-256' | 'P-384' | 'P-521', digest: Digest): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return keyOf(privateKey, publicKey, digest);
}

export function rsaKey(modulusLength: number): Key {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return keyOf(privateKey, publicKey, 'sha256');
}

export function edKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return keyOf(privateKey, publicKey, undefined);
}

export const p256 = ecKey('P-256', 'sha256');

/** Something to log; another name, another payload. */
export function envelopeOf(kind: Envelope['kind'], name: string, key: Key = p256): Envelope {
  const image = imageOf('registry.example/app', name);
  return kind === 'dsse' ? attestationOf([image], name, key) : signatureOf(image, key);
}

export function trustIn(material: TrustMaterial): TrustedRoot {
  return parseTrustedRoot(Buffer.from(trustedRootOf(material)), 'the test');
}

/** A log by its generation, opened as configuration would. */
export async function openLog(version: 1 | 2, options: Readonly<Record<string, unknown>>, trust: TrustedRoot): Promise<Log> {
  const row: LogKind = logs[`rekor-v${version}`];
  return await row.open(row.options.parse(options), trust, ctx);
}

/** `code: message`, with the fix when there is one. */
export async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error('Cannot fail: it went well');
}
