import { constants, createECDH, generateKeyPair, privateEncrypt, sign, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

export type CloudKeyType = 'P-256' | 'P-384' | 'P-521' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096' | 'Ed25519';

/** A private key of a stand-in for a cloud's KMS. */
export interface CloudKey {
  readonly publicKey: KeyObject;
  readonly publicPem: string;
  /** Signs a digest as it is: r and s side by side for ECDSA, PKCS #1 v1.5 for RSA; of Ed25519 the message. */
  readonly sign: (input: Uint8Array, digest: 'sha256' | 'sha384' | 'sha512' | undefined) => Buffer;
}

export async function makeCloudKey(type: CloudKeyType): Promise<CloudKey> {
  const { publicKey, privateKey } = await generated(type);
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return {
    publicKey,
    publicPem,
    // Node hashes whatever it is given, so what takes a digest is put together here.
    sign(input, digest) {
      if (digest === undefined) return sign(undefined, input, privateKey);
      if (!(type in curves)) return rsaSignature(input, digest, privateKey);
      return ecdsaSignature(input, type as keyof typeof curves, privateKey);
    },
  };
}

async function generated(type: CloudKeyType): Promise<{ readonly publicKey: KeyObject; readonly privateKey: KeyObject }> {
  if (type === 'Ed25519') return await promisify(generateKeyPair)('ed25519');
  if (type.startsWith('RSA-')) return await promisify(generateKeyPair)('rsa', { modulusLength: Number(type.slice(4)) });
  return await promisify(generateKeyPair)('ec', { namedCurve: type });
}

/** DER of DigestInfo up to the digest (RFC 8017 9.2, note 1). */
const digestInfos = {
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
} as const;

function rsaSignature(input: Uint8Array, digest: keyof typeof digestInfos, key: KeyObject): Buffer {
  const info = Buffer.concat([Buffer.from(digestInfos[digest], 'hex'), input]);
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info);
}

/** Orders of the curves' groups (FIPS 186-4 D.1.2), and the bytes of a coordinate. */
const curves = {
  'P-256': { name: 'prime256v1', size: 32, order: BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551') },
  'P-384': {
    name: 'secp384r1',
    size: 48,
    order: BigInt('0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973'),
  },
  'P-521': {
    name: 'secp521r1',
    size: 66,
    order: BigInt(
      '0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
    ),
  },
} as const;

/** FIPS 186-4 6.4; the multiplication on the curve is that of a Diffie-Hellman key made for this signature alone. */
function ecdsaSignature(digest: Uint8Array, type: keyof typeof curves, key: KeyObject): Buffer {
  const { name, size, order } = curves[type];
  const once = createECDH(name);
  const point = once.generateKeys();
  const k = numberOf(once.getPrivateKey());
  const r = numberOf(point.subarray(1, 1 + size)) % order;
  const d = numberOf(Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url'));
  const s = (inverse(k, order) * (numberOf(digest) + r * d)) % order;
  return Buffer.concat([bytesOf(r, size), bytesOf(s, size)]);
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function bytesOf(value: bigint, size: number): Buffer {
  return Buffer.from(value.toString(16).padStart(size * 2, '0'), 'hex');
}

/** By Euclid; the order of a curve's group is prime. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [low, high] = [value % modulus, modulus];
  let [here, last] = [1n, 0n];
  while (low > 1n) {
    const times = high / low;
    [low, high] = [high - times * low, low];
    [here, last] = [last - times * here, here];
  }
  return ((here % modulus) + modulus) % modulus;
}
