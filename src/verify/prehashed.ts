import { constants, publicDecrypt } from 'node:crypto';
import { keyAlgorithms, type KeyAlgorithm, type PublicKey } from '../model/public-key.ts';
import { childrenOf, expectTag, readDer, tags } from '../trust/der.ts';

/** Digests of one file, as many as are known. */
export type Digests = Readonly<Partial<Record<'sha256' | 'sha384' | 'sha512', string>>>;

/**
 * Whether `signature` was made by this key over the file that has these digests (hex), of which only that of the key's algorithm is needed.
 * Node verifies nothing that it has not hashed itself, so ECDSA is done here (FIPS 186-5 6.4.2): with public numbers only, where time tells
 * nobody anything. Never true of Ed25519, whose signatures are over the bytes.
 */
export function isDigestSignedBy(key: PublicKey, digests: Digests, signature: Uint8Array): boolean {
  const candidates: readonly (keyof Digests)[] = keyAlgorithms[key.algorithm].digests;
  return candidates.some((algorithm) => {
    const digest = digests[algorithm];
    if (digest === undefined) return false;
    const bytes = Buffer.from(digest, 'hex');
    return key.algorithm === 'rsa' ? isRsaSignature(key, bytes, signature) : isEcdsaSignature(key, bytes, signature);
  });
}

/** RFC 8017 9.2: what a PKCS #1 v1.5 signature opens to, for SHA-256. */
const sha256Info = Buffer.from('3031300d060960864801650304020105000420', 'hex');

function isRsaSignature(key: PublicKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const bytes = (key.object.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  if (signature.length !== bytes) return false;
  try {
    const opened = publicDecrypt({ key: key.object, padding: constants.RSA_PKCS1_PADDING }, signature);
    return Buffer.compare(opened, Buffer.concat([sha256Info, digest])) === 0;
  } catch {
    // Its padding is not that of a signature by this key.
    return false;
  }
}

/** y² = x³ − 3x + b over the integers modulo p; a generator of order n (SP 800-186 3.2.1; b is not needed to add points). */
interface Curve {
  readonly p: bigint;
  readonly n: bigint;
  readonly generator: Point;
}
/** Jacobian: (x / z², y / z³). Where z is 0 is infinity. */
type Point = readonly [bigint, bigint, bigint];
const infinity: Point = [1n, 1n, 0n];

const curves: Readonly<Partial<Record<KeyAlgorithm, Curve>>> = {
  'ecdsa-p256': {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    generator: [
      0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
      0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
      1n,
    ],
  },
  'ecdsa-p384': {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    generator: [
      0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
      0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
      1n,
    ],
  },
  'ecdsa-p521': {
    p: 2n ** 521n - 1n,
    n: 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    generator: [
      0x00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
      0x011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650n,
      1n,
    ],
  },
};

function isEcdsaSignature(key: PublicKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const curve = curves[key.algorithm];
  if (curve === undefined) return false;
  const { p, n, generator } = curve;
  const [r, s] = numbersOf(signature);
  if (r <= 0n || s <= 0n || r >= n || s >= n) return false;
  const jwk = key.object.export({ format: 'jwk' });
  const own: Point = [numberOf(Buffer.from(jwk.x ?? '', 'base64url')), numberOf(Buffer.from(jwk.y ?? '', 'base64url')), 1n];
  // Digests are never longer than the order of the curves that go with them, but for SHA-256 and shorter ones they may be as long.
  const z = numberOf(digest) % n;
  const w = inverse(s, n);
  const [x, , depth] = sumOf([(z * w) % n, (r * w) % n], [generator, own], p);
  return depth !== 0n && ((x * inverse(depth * depth, p)) % p) % n === r;
}

/** ECDSA-Sig-Value, in DER and nothing else (RFC 3279 2.2.3). */
function numbersOf(signature: Uint8Array): readonly [bigint, bigint] {
  const parts = childrenOf(expectTag(readDer(signature, 'the signature'), tags.sequence, 'the signature'), 'the signature');
  const [r, s] = parts.map((part) => {
    const { value } = expectTag(part, tags.integer, 'the signature');
    const [first = 0x80, second = 0x80] = value;
    // Negative, or longer than it must be.
    if (first >= 0x80 || (first === 0 && value.length > 1 && second < 0x80)) return 0n;
    return numberOf(value);
  });
  return parts.length === 2 && r !== undefined && s !== undefined ? [r, s] : [0n, 0n];
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
}

/** a·A + b·B, bit by bit from the top, with the doublings shared. */
function sumOf([a, b]: readonly [bigint, bigint], [A, B]: readonly [Point, Point], p: bigint): Point {
  const table = [infinity, A, B, add(A, B, p)] as const;
  let sum: Point = infinity;
  for (let bit = BigInt(Math.max(a.toString(2).length, b.toString(2).length)); bit >= 0n; bit -= 1n) {
    sum = double(sum, p);
    const index = Number(((a >> bit) & 1n) + 2n * ((b >> bit) & 1n));
    sum = add(sum, table[index] ?? infinity, p);
  }
  return sum;
}

/** "dbl-2001-b" of the Explicit-Formulas Database, for a = −3. */
function double([x, y, z]: Point, p: bigint): Point {
  const delta = (z * z) % p;
  const gamma = (y * y) % p;
  const beta = (x * gamma) % p;
  const alpha = modulo(3n * (x - delta) * (x + delta), p);
  const x3 = modulo(alpha * alpha - 8n * beta, p);
  const z3 = modulo((y + z) * (y + z) - gamma - delta, p);
  return [x3, modulo(alpha * (4n * beta - x3) - 8n * gamma * gamma, p), z3];
}

/** "add-2007-bl", and the cases that it leaves out. */
function add(first: Point, second: Point, p: bigint): Point {
  const [x1, y1, z1] = first;
  const [x2, y2, z2] = second;
  if (z1 === 0n) return second;
  if (z2 === 0n) return first;
  const [zz1, zz2] = [(z1 * z1) % p, (z2 * z2) % p];
  const [u1, u2] = [(x1 * zz2) % p, (x2 * zz1) % p];
  const [s1, s2] = [(y1 * z2 * zz2) % p, (y2 * z1 * zz1) % p];
  const [h, r] = [modulo(u2 - u1, p), modulo(2n * (s2 - s1), p)];
  if (h === 0n) return r === 0n ? double(first, p) : infinity;
  const i = (4n * h * h) % p;
  const [j, v] = [(h * i) % p, (u1 * i) % p];
  const x3 = modulo(r * r - j - 2n * v, p);
  return [x3, modulo(r * (v - x3) - 2n * s1 * j, p), modulo(2n * z1 * z2 * h, p)];
}

/** By the extended Euclidean algorithm; `value` is not a multiple of the prime. */
function inverse(value: bigint, prime: bigint): bigint {
  let [older, newer] = [prime, modulo(value, prime)];
  let [before, after] = [0n, 1n];
  while (newer !== 0n) {
    const quotient = older / newer;
    [older, newer] = [newer, older - quotient * newer];
    [before, after] = [after, before - quotient * after];
  }
  return modulo(before, prime);
}

function modulo(value: bigint, by: bigint): bigint {
  const rest = value % by;
  return rest < 0n ? rest + by : rest;
}
