import { sign as signBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { keyFormOf, readCosignKey, readPkcs8Key, type KeyText, type SigningKey } from './key-file.ts';
import type { Signer, SignerKind } from './signer.ts';

/** The folder of a Secret like Chains' `signing-secrets`, or one key file wherever it is. A password is used byte for byte. */
const Options = z.union([
  z.strictObject({ keyFile: z.string().min(1), passwordFile: z.string().min(1).optional(), password: z.string().optional() }),
  z.strictObject({ directory: z.string().min(1).default('/etc/signing-secrets') }),
]);
type Options = z.output<typeof Options>;

/**
 * A key from a file, in the order of Tekton Chains (chains-controller 3.1): `x509.pem`, then `cosign.key` with `cosign.password`. A file that
 * is there and cannot be used is an error, never a reason to try the next. Throws `sign.no-key`, `sign.key-unreadable`, `sign.key-format`,
 * `sign.key-type` and `sign.password`, none with a piece of a key or password.
 */
export const x509 = {
  options: Options,
  open: async (options, _means, ctx) => {
    ctx.signal.throwIfAborted();
    return signerOf(await keyOf(options), options);
  },
} satisfies SignerKind<typeof Options>;

async function keyOf(options: Options): Promise<SigningKey> {
  return 'keyFile' in options ? await openFile(options) : await openDirectory(options.directory);
}

async function openDirectory(directory: string): Promise<SigningKey> {
  const pkcs8 = await readIfThere(join(directory, 'x509.pem'));
  if (pkcs8 !== undefined) return await openKey(pkcs8, 'pkcs8', undefined);
  const cosign = await readIfThere(join(directory, 'cosign.key'));
  if (cosign !== undefined) return await openKey(cosign, 'cosign', await readIfThere(join(directory, 'cosign.password')));
  throw new TerminalError('sign.no-key', `Cannot find a signing key in "${directory}": looked for x509.pem and cosign.key`, {
    fix: 'make one with "chainsmith keys generate", or mount the Secret with the key there',
  });
}

async function openFile(options: Extract<Options, { readonly keyFile: string }>): Promise<SigningKey> {
  const key = await readIfThere(options.keyFile);
  if (key === undefined) throw noFile(options.keyFile);
  if (options.password !== undefined) return await openKey(key, undefined, { file: 'password', bytes: Buffer.from(options.password) });
  if (options.passwordFile === undefined) return await openKey(key, undefined, undefined);
  const password = await readIfThere(options.passwordFile);
  if (password === undefined) throw noFile(options.passwordFile);
  return await openKey(key, undefined, password);
}

/** `want` is the form that the file's name promises; undefined when any will do. */
async function openKey(file: FileBytes, want: 'pkcs8' | 'cosign' | undefined, password: FileBytes | undefined): Promise<SigningKey> {
  const key: KeyText = { file: file.file, text: file.bytes.toString('latin1') };
  const form = keyFormOf(key);
  if (want !== undefined && form !== want) throw misnamed(key.file, form);
  if (form === 'pkcs8') return readPkcs8Key(key);
  if (password === undefined) {
    throw new TerminalError('sign.password', `Cannot decrypt "${key.file}": there is no password for it`, {
      fix: 'put the password into cosign.password beside it (an empty file for an empty password)',
    });
  }
  return await readCosignKey(key, password.bytes);
}

function signerOf(key: SigningKey, options: Options): Signer & { readonly publicKey: string } {
  const { publicKey, privateKey, digest } = key;
  const input = { key: privateKey, dsaEncoding: 'der' } as const;
  // P-256 and Ed25519 take 40 µs, no more than handing the work to a thread would; the others are 10 to 40 times slower.
  const isQuick = publicKey.algorithm === 'ecdsa-p256' || publicKey.algorithm === 'ed25519';
  return {
    publicKey: publicKey.pem,
    sign: async (bytes, ctx) => {
      ctx.signal.throwIfAborted();
      const signature = isQuick ? signBytes(digest, bytes, input) : await signInThread(digest, bytes, input);
      return { signature, publicKey: publicKey.pem, certificate: '', chain: '' };
    },
    owns: async (signatory) => signatory.publicKey === publicKey.pem,
    isCurrent: async () => {
      const now = await keyOf(options).catch(() => undefined);
      return now?.publicKey.pem === publicKey.pem;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

const signInThread = promisify<string | undefined, Uint8Array, { key: SigningKey['privateKey']; dsaEncoding: 'der' }, Buffer>(signBytes);

interface FileBytes {
  readonly file: string;
  readonly bytes: Buffer;
}

/** The largest key, RSA of 4096 bits in a cosign container, has some 5 KB. */
const maxFileBytes = 64 * 1024;

/** undefined when there is no such file: what is there and cannot be read is an error (`sign.key-unreadable`). */
async function readIfThere(file: string): Promise<FileBytes | undefined> {
  try {
    await using handle = await open(file, constants.O_RDONLY);
    const buffer = Buffer.alloc(maxFileBytes + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead > maxFileBytes) {
      throw new TerminalError('sign.key-format', `Cannot use "${file}": it is larger than ${maxFileBytes} bytes, so it is no key`);
    }
    return { file, bytes: buffer.subarray(0, bytesRead) };
  } catch (error) {
    if (error instanceof TerminalError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    if (code === 'ENOENT') return undefined;
    throw new TerminalError('sign.key-unreadable', `Cannot read "${file}": ${code}`, {
      cause: error,
      fix: 'make it a plain file that the user of this process may read (fsGroup and defaultMode of the volume)',
    });
  }
}

function noFile(file: string): TerminalError {
  return new TerminalError('sign.no-key', `Cannot find "${file}": there is no such file`, {
    fix: 'check the path, or make a key with "chainsmith keys generate"',
  });
}

function misnamed(file: string, form: 'pkcs8' | 'cosign'): TerminalError {
  const [is, fix] =
    form === 'cosign'
      ? ['an encrypted cosign key', 'name it cosign.key and put its password into cosign.password']
      : ['an unencrypted key', `name it x509.pem, or encrypt it with "cosign import-key-pair --key ${file}"`];
  return new TerminalError('sign.key-format', `Cannot use "${file}": its PEM block holds ${is}, which this name does not promise`, { fix });
}
