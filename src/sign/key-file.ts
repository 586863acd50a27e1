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

export type KeyForm = 'pkcs8' | 'cosign';

const forms: Readonly<Record<string, KeyForm>> = {
  'PRIVATE KEY': 'pkcs8',
  'ENCRYPTED SIGSTORE PRIVATE KEY': 'cosign',
  'ENCRYPTED COSIGN PRIVATE KEY': 'cosign',
};

/** How to mend a file with another PEM type; FILE stands for its name. */
const mends: Readonly<Record<string, string>> = {
  'EC PRIVATE KEY': 'convert it with "openssl pkcs8 -topk8 -nocrypt -in FILE -out x509.pem"',
  'EC PARAMETERS': 'convert it with "openssl pkcs8 -topk8 -nocrypt -in FILE -out x509.pem"',
  'RSA PRIVATE KEY': 'encrypt it as cosign does with "cosign import-key-pair --key FILE" and use the cosign.key that it writes',
  'ENCRYPTED PRIVATE KEY': 'decrypt it with "openssl pkcs8 -in FILE -out x509.pem", or make a cosign key with "chainsmith keys generate"',
  'OPENSSH PRIVATE KEY': 'convert it with "ssh-keygen -p -m PKCS8 -N \'\' -f FILE"',
  'PUBLIC KEY': 'give the private half of the key: signing needs it',
  CERTIFICATE: 'give the private key: a certificate cannot sign',
};

/** The form of a key file by its first PEM block. Throws `sign.key-format`. */
export function keyFormOf(key: KeyText): KeyForm {
  const { type, hasHeaders } = blockOf(key);
  const form = hasHeaders ? undefined : forms[type];
  if (form !== undefined) return form;
  const fix = mends[type] ?? 'make a key with "chainsmith keys generate"';
  const found = hasHeaders ? `an encrypted "${type}"` : `of type "${type}"`;
  throw badFormat(
    key.file,
    `its first PEM block is ${found}, want "PRIVATE KEY" or "ENCRYPTED SIGSTORE PRIVATE KEY"`,
    fix.replaceAll('FILE', key.file),
  );
}

/**
 * Unencrypted PKCS #8, ECDSA only, SHA-256 whatever the curve: what Tekton Chains takes as `x509.pem` (chains-controller 3.2.1).
 * Throws `sign.key-format` and `sign.key-type`.
 */
export function readPkcs8Key(key: KeyText): SigningKey {
  const signingKey = signingKeyOf(blockOf(key).bytes, key.file);
  if (signingKey.publicKey.algorithm.startsWith('ecdsa')) return { ...signingKey, digest: 'sha256' };
  throw new TerminalError(
    'sign.key-type',
    `Cannot use "${key.file}": an unencrypted key must be ECDSA, not ${signingKey.publicKey.algorithm}`,
    {
      fix: `encrypt it with "cosign import-key-pair --key ${key.file}" and use the cosign.key that it writes, or make an ECDSA P-256 key with "chainsmith keys generate"`,
    },
  );
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
      return ofSupportedSize(signingKeyOf(opened.pkcs8, key.file), key.file);
  }
}

/** A new ECDSA P-256 key: the one that every verifier and log takes. */
export async function generateSigningKey(): Promise<KeyObject> {
  return (await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })).privateKey;
}

/** The key as cosign writes and reads it (sigstore-wire 2.1), encrypted with the password as it is, byte for byte. */
export async function writeCosignKey(privateKey: KeyObject, password: Uint8Array): Promise<string> {
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  return pemOf('ENCRYPTED SIGSTORE PRIVATE KEY', await sealContainer(pkcs8, password));
}

function blockOf({ file, text }: KeyText): PemBlock {
  const block = firstPemBlock(text);
  if (block) return block;
  throw badFormat(file, 'it holds no PEM block', 'make a key with "chainsmith keys generate"');
}

function signingKeyOf(pkcs8: Uint8Array, file: string): SigningKey {
  const privateKey = privateKeyOf(pkcs8, file);
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

/** No cause: what OpenSSL says of a damaged key is of no use to a reader, and is made of the key. */
function privateKeyOf(pkcs8: Uint8Array, file: string): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  } catch {
    throw badFormat(file, 'its PEM block does not hold a PKCS #8 key', `look at it with "openssl pkey -noout -text -in ${file}"`);
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
