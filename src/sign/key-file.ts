import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { TerminalError } from '../errors.ts';
import { firstPemBlock, pemOf, type PemBlock } from '../model/pem.ts';
import { publicKeyOf, type PublicKey } from '../model/public-key.ts';
import { openContainer, sealContainer } from './cosign-key.ts';

/** A private key that can sign, and how it does. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
  /** undefined for Ed25519, which hashes by itself. */
  readonly digest: 'sha256' | 'sha384' | 'sha512' | undefined;
}

/** What a key file is called in errors, and its text. */
export interface KeyText {
  readonly file: string;
  readonly text: string;
}

/** `plain`: a private key as it is. `cosign`: encrypted as cosign does. */
export type KeyForm = 'plain' | 'cosign';

type PlainType = 'pkcs8' | 'sec1' | 'pkcs1';
const plainTypes: Readonly<Record<string, PlainType>> = {
  'PRIVATE KEY': 'pkcs8',
  'EC PRIVATE KEY': 'sec1',
  'RSA PRIVATE KEY': 'pkcs1',
};
const cosignTypes: readonly string[] = ['ENCRYPTED SIGSTORE PRIVATE KEY', 'ENCRYPTED COSIGN PRIVATE KEY'];

const decrypt =
  'decrypt it with "openssl pkey -in FILE -out x509.pem", or encrypt what that writes as cosign does with "cosign import-key-pair --key x509.pem"';
/** How to mend a file with another PEM type; FILE stands for its name. */
const mends: Readonly<Record<string, string>> = {
  'ENCRYPTED PRIVATE KEY': decrypt,
  'EC PRIVATE KEY': decrypt,
  'RSA PRIVATE KEY': decrypt,
  'OPENSSH PRIVATE KEY': 'convert it with "ssh-keygen -p -m PKCS8 -N \'\' -f FILE"',
  'PUBLIC KEY': 'give the private half of the key: signing needs it',
  CERTIFICATE: 'give the private key: a certificate cannot sign',
};

/** The form of a key file by its first PEM block. Throws `sign.key-format`. */
export function keyFormOf(key: KeyText): KeyForm {
  const { type, hasHeaders } = blockOf(key);
  if (!hasHeaders && plainTypes[type] !== undefined) return 'plain';
  if (!hasHeaders && cosignTypes.includes(type)) return 'cosign';
  const fix = mends[type] ?? 'make a key with "chainsmith keys generate"';
  const found = hasHeaders ? `an encrypted "${type}"` : `of type "${type}"`;
  throw badFormat(
    key.file,
    `its first PEM block is ${found}, want "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY" or "ENCRYPTED SIGSTORE PRIVATE KEY"`,
    fix.replaceAll('FILE', key.file),
  );
}

/**
 * An unencrypted key: PKCS #8, SEC1 or PKCS #1; ECDSA, RSA of 2048, 3072 or 4096 bits, Ed25519. ECDSA signs with SHA-256 whatever the curve,
 * as Tekton Chains does with `x509.pem` (chains-controller 3.2.1), and as cosign and sigstore-js verify unless told otherwise
 * (sigstore-wire 2.4). Throws `sign.key-format` and `sign.key-type`.
 */
export function readPlainKey(key: KeyText): SigningKey {
  const { type, bytes } = blockOf(key);
  const signingKey = ofSupportedSize(signingKeyOf({ bytes, type: plainTypes[type] ?? 'pkcs8' }, key.file), key.file);
  return signingKey.digest === undefined ? signingKey : { ...signingKey, digest: 'sha256' };
}

/**
 * A key that cosign or `keys generate` encrypted (chains-controller 3.2.2): ECDSA with the digest of its curve, RSA of 2048, 3072 or 4096
 * bits with SHA-256, Ed25519. Unlike Tekton Chains, Ed25519 signs in its plain form: nothing verifies the pre-hashed one (sigstore-wire 2.4).
 * Throws `sign.password`, `sign.key-format` and `sign.key-type`.
 */
export async function readCosignKey(key: KeyText, password: Uint8Array): Promise<SigningKey> {
  const { bytes } = blockOf(key);
  const opened = await openContainer(bytes, password);
  switch (opened.kind) {
    case 'malformed':
      throw badFormat(key.file, opened.reason, 'restore the file, or make a key with "chainsmith keys generate"');
    case 'wrong-password':
      throw new TerminalError('sign.password', `Cannot decrypt "${key.file}": the password is wrong, or the file is damaged`, {
        fix: await passwordFix(bytes, password),
      });
    case 'opened':
      return ofSupportedSize(signingKeyOf({ bytes: opened.pkcs8, type: 'pkcs8' }, key.file), key.file);
  }
}

const generate = promisify(generateKeyPair);

/** What can be made, by the names that `keys generate --type` takes. */
export const keyTypes = {
  'ecdsa-p256': async () => (await generate('ec', { namedCurve: 'P-256' })).privateKey,
  'ecdsa-p384': async () => (await generate('ec', { namedCurve: 'P-384' })).privateKey,
  'ecdsa-p521': async () => (await generate('ec', { namedCurve: 'P-521' })).privateKey,
  'rsa-2048': async () => (await generate('rsa', { modulusLength: 2048 })).privateKey,
  'rsa-3072': async () => (await generate('rsa', { modulusLength: 3072 })).privateKey,
  'rsa-4096': async () => (await generate('rsa', { modulusLength: 4096 })).privateKey,
  ed25519: async () => (await generate('ed25519')).privateKey,
} as const satisfies Record<string, () => Promise<KeyObject>>;
export type KeyType = keyof typeof keyTypes;

/** A new key; ECDSA P-256 unless told otherwise: the one that every verifier and log takes. */
export async function generateSigningKey(type: KeyType = 'ecdsa-p256'): Promise<KeyObject> {
  return await keyTypes[type]();
}

/** What `generateSigningKey` would have to be told to make another one like it. */
export function keyTypeOf({ privateKey, publicKey: { algorithm } }: SigningKey): KeyType {
  if (algorithm !== 'rsa') return algorithm;
  const bits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
  return bits >= 4096 ? 'rsa-4096' : bits >= 3072 ? 'rsa-3072' : 'rsa-2048';
}

/** The key as it is: PKCS #8, PEM, unencrypted. */
export function writePlainKey(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The key as cosign writes and reads it (sigstore-wire 2.1), encrypted with the password as it is, byte for byte. */
export async function writeCosignKey(privateKey: KeyObject, password: Uint8Array): Promise<string> {
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  return pemOf('ENCRYPTED SIGSTORE PRIVATE KEY', await sealContainer(pkcs8, password));
}

/** `openssl ecparam -genkey` writes the curve in a block of its own before the key, which names it again. */
const parametersEnd = '-----END EC PARAMETERS-----';

function blockOf({ file, text }: KeyText): PemBlock {
  const first = firstPemBlock(text);
  const block = first?.type === 'EC PARAMETERS' ? firstPemBlock(text.slice(text.indexOf(parametersEnd) + parametersEnd.length)) : first;
  if (block) return block;
  throw badFormat(file, 'it holds no PEM block', 'make a key with "chainsmith keys generate"');
}

function signingKeyOf(der: PlainKey, file: string): SigningKey {
  const privateKey = privateKeyOf(der, file);
  try {
    const publicKey = publicKeyOf(privateKey);
    return { privateKey, publicKey, digest: usualDigests[publicKey.algorithm] };
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    throw new TerminalError('sign.key-type', `Cannot use "${file}": ${error.message}`, {
      fix: 'make an ECDSA P-256 key with "chainsmith keys generate"',
      cause: error,
    });
  }
}

const usualDigests = {
  'ecdsa-p256': 'sha256',
  'ecdsa-p384': 'sha384',
  'ecdsa-p521': 'sha512',
  rsa: 'sha256',
  ed25519: undefined,
} as const;

interface PlainKey {
  readonly bytes: Uint8Array;
  readonly type: PlainType;
}
const standards = { pkcs8: 'PKCS #8', sec1: 'SEC1', pkcs1: 'PKCS #1' } as const;

/** No cause: what OpenSSL says of a damaged key is of no use to a reader, and is made of the key. */
function privateKeyOf({ bytes, type }: PlainKey, file: string): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(bytes), format: 'der', type });
  } catch {
    throw badFormat(
      file,
      `its PEM block does not hold a ${standards[type]} key`,
      `look at it with "openssl pkey -noout -text -in ${file}"`,
    );
  }
}

function ofSupportedSize(key: SigningKey, file: string): SigningKey {
  const bits = key.privateKey.asymmetricKeyDetails?.modulusLength;
  if (bits === undefined || [2048, 3072, 4096].includes(bits)) return key;
  throw new TerminalError('sign.key-type', `Cannot use "${file}": its RSA key has ${bits} bits, want 2048, 3072 or 4096`, {
    fix: 'make an ECDSA P-256 key with "chainsmith keys generate"',
  });
}

/** A newline at the end of the password file is the usual mistake. It is not trimmed, as neither Chains nor cosign would, but it is named. */
async function passwordFix(container: Uint8Array, password: Uint8Array): Promise<string> {
  const trimmed = Buffer.from(password)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  if (trimmed.length === password.length)
    return 'give the password with which the key was made, byte for byte, without a newline at its end';
  const opened = await openContainer(container, Buffer.from(trimmed, 'latin1'));
  return opened.kind === 'opened'
    ? 'remove the trailing newline from the password: without it the key opens ("printf %s", not "echo")'
    : 'give the password with which the key was made; the one given also ends with a newline, which counts';
}

function badFormat(file: string, reason: string, fix: string): TerminalError {
  return new TerminalError('sign.key-format', `Cannot use "${file}" as a signing key: ${reason}`, { fix });
}
