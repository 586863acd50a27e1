import { createHash, createPublicKey, verify as verifySignature, type KeyObject } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { firstPemBlock } from './pem.ts';

type Digest = 'sha256' | 'sha384' | 'sha512';

/** A key type that we sign with and verify. */
interface AlgorithmRow {
  /** Digests a signature may be made over, the usual one first; none for Ed25519, which takes the bytes themselves. */
  readonly digests: readonly Digest[];
  /** The key as SSH encodes it (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4). */
  readonly ssh: (jwk: Jwk) => Uint8Array;
}
type Jwk = ReturnType<KeyObject['export']> & { readonly [member: string]: unknown };

/**
 * sigstore-wire 2.4. P-384 and P-521 have a second digest because Tekton Chains signs with SHA-256 whatever the curve when the key comes
 * from `x509.pem` (chains-controller 3.2.1), and cosign verifies with SHA-256 unless told otherwise.
 */
export const keyAlgorithms = {
  'ecdsa-p256': { digests: ['sha256'], ssh: (jwk) => sshCurve('nistp256', jwk) },
  'ecdsa-p384': { digests: ['sha384', 'sha256'], ssh: (jwk) => sshCurve('nistp384', jwk) },
  'ecdsa-p521': { digests: ['sha512', 'sha256'], ssh: (jwk) => sshCurve('nistp521', jwk) },
  rsa: { digests: ['sha256'], ssh: (jwk) => sshFields('ssh-rsa', sshInteger(jwk['e']), sshInteger(jwk['n'])) },
  ed25519: { digests: [], ssh: (jwk) => sshFields('ssh-ed25519', fromBase64Url(jwk['x'])) },
} as const satisfies Record<string, AlgorithmRow>;
export type KeyAlgorithm = keyof typeof keyAlgorithms;

/** A public key that can verify. Only `parsePublicKey` and `publicKeyOf` make one. */
export interface PublicKey {
  readonly algorithm: KeyAlgorithm;
  /** SPKI PEM in its canonical form: lines of 64 characters, final newline. */
  readonly pem: string;
  /** `SHA256:` and unpadded base64, what `ssh-keygen -l` shows; the `keyid` of Tekton Chains. */
  readonly fingerprint: string;
  readonly object: KeyObject;
}

/** Parses an SPKI PEM. Throws `key.format` for what is not one, `key.type` for a key that we do not verify with. */
export function parsePublicKey(pem: string): PublicKey {
  const block = firstPemBlock(pem);
  if (block?.type !== 'PUBLIC KEY') throw notPublic(block?.type);
  try {
    return publicKeyOf(createPublicKey({ key: Buffer.from(block.bytes), format: 'der', type: 'spki' }));
  } catch (error) {
    if (error instanceof TerminalError) throw error;
    throw new TerminalError('key.format', 'Cannot read the public key: its PEM block does not hold a key', { cause: error });
  }
}

/** Of a private key its public half. Throws `key.type`. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const object = key.type === 'private' ? createPublicKey(key) : key;
  const algorithm = algorithmOf(object);
  const digest = createHash('sha256')
    .update(keyAlgorithms[algorithm].ssh(object.export({ format: 'jwk' }) as Jwk))
    .digest('base64');
  return {
    algorithm,
    pem: object.export({ type: 'spki', format: 'pem' }).toString(),
    fingerprint: `SHA256:${digest.replaceAll('=', '')}`,
    object,
  };
}

/** OpenSSH SHA-256 fingerprint of an SPKI PEM. */
export function keyIdOf(publicKeyPem: string): string {
  return parsePublicKey(publicKeyPem).fingerprint;
}

/** Whether `signature` (ASN.1 DER for ECDSA, PKCS #1 v1.5 for RSA) is over `bytes` and made by this key, with any digest of its algorithm. */
export function isSignedBy(key: PublicKey, bytes: Uint8Array, signature: Uint8Array): boolean {
  const { digests }: AlgorithmRow = keyAlgorithms[key.algorithm];
  const tries: readonly (Digest | undefined)[] = digests.length === 0 ? [undefined] : digests;
  return tries.some((digest) => verifySignature(digest, bytes, { key: key.object, dsaEncoding: 'der' }, signature));
}

const curves: Readonly<Record<string, KeyAlgorithm>> = {
  prime256v1: 'ecdsa-p256',
  secp384r1: 'ecdsa-p384',
  secp521r1: 'ecdsa-p521',
};

function algorithmOf(key: KeyObject): KeyAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return type;
  const curve = type === 'ec' ? curves[details?.namedCurve ?? ''] : undefined;
  if (curve !== undefined) return curve;
  const bits = details?.modulusLength ?? 0;
  // 8192 bits is where Go's verifiers stop, and 2048 the least that anybody still accepts.
  if (type === 'rsa' && bits >= 2048 && bits <= 8192) return type;
  const what = [type, details?.namedCurve, details?.modulusLength].filter((word) => word !== undefined).join(' ');
  throw new TerminalError(
    'key.type',
    `Cannot use a key of type "${what}": want ECDSA P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519`,
    {
      fix: 'use an ECDSA P-256 key: every verifier knows it',
    },
  );
}

const mends: Readonly<Record<string, string>> = {
  CERTIFICATE: 'take the public key out of the certificate with "openssl x509 -pubkey -noout -in FILE"',
  'RSA PUBLIC KEY': 'convert it with "openssl rsa -RSAPublicKey_in -in FILE -pubout"',
  'ENCRYPTED SIGSTORE PRIVATE KEY': 'give the public half (cosign.pub), or make it with "cosign public-key --key FILE"',
  'ENCRYPTED COSIGN PRIVATE KEY': 'give the public half (cosign.pub), or make it with "cosign public-key --key FILE"',
};

function notPublic(type: string | undefined): TerminalError {
  const found = type === undefined ? 'it holds no PEM block' : `its PEM block is "${type}", want "PUBLIC KEY"`;
  const fix =
    mends[type ?? ''] ??
    (type?.endsWith('PRIVATE KEY')
      ? 'make the public half with "openssl pkey -pubout -in FILE"'
      : 'give a file that begins with "-----BEGIN PUBLIC KEY-----"');
  return new TerminalError('key.format', `Cannot read the public key: ${found}`, { fix });
}

function sshCurve(curve: string, jwk: Jwk): Uint8Array {
  const point = Buffer.concat([Buffer.from([4]), fromBase64Url(jwk['x']), fromBase64Url(jwk['y'])]);
  return sshFields(`ecdsa-sha2-${curve}`, Buffer.from(curve), point);
}

/** RFC 4251 5: each field with its length, four bytes, before it. */
function sshFields(type: string, ...fields: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    [Buffer.from(type), ...fields].flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(field.length);
      return [length, field];
    }),
  );
}

/** RFC 4251 5, `mpint`: a zero byte in front when the highest bit is set, so that it stays positive. */
function sshInteger(value: unknown): Uint8Array {
  const bytes = fromBase64Url(value);
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes;
}

function fromBase64Url(value: unknown): Buffer {
  return Buffer.from(typeof value === 'string' ? value : '', 'base64url');
}
