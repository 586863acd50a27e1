import { sign as signBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { TerminalError, TransientError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import { demandInTime } from './certificates.ts';
import type { SigningKey } from './key-file.ts';
import { materialOf, type KeyMaterial } from './key-material.ts';
import { filePlace, memberNames, type KeyPlace, type PartName } from './key-place.ts';
import { secretPlace } from './secret-place.ts';
import type { Signer, SignerKind, SignerMeans } from './signer.ts';

const file = z.string().min(1);
/**
 * One key file wherever it is, with its certificate; or a Secret, read through the API server; or the folder of a mounted Secret like Chains'
 * `signing-secrets`. A password is used byte for byte.
 */
const Options = z.union([
  z.strictObject({
    keyFile: file,
    passwordFile: file.optional(),
    password: z.string().optional(),
    certificateFile: file.optional(),
    chainFile: file.optional(),
  }),
  z.strictObject({ secret: z.strictObject({ namespace: file, name: file }) }),
  z.strictObject({ directory: file.default('/etc/signing-secrets') }),
]);
type Options = z.output<typeof Options>;
export type X509Options = Options;

/**
 * A key at hand, in the order of Tekton Chains (chains-controller 3.1): `x509.pem`, `cosign.key` with `cosign.password`, then `tls.key` with
 * `tls.crt`. The first one that is there counts: one that cannot be used is an error, never a reason to try the next. `cert.pem` and
 * `chain.pem` beside it go into what is signed; with `keys.json` beside it, signatures of the keys before it are its own, too.
 * Throws `sign.no-key`, `sign.secret-forbidden`, and what `materialOf` throws, none with a piece of a key or password.
 */
export const x509 = {
  options: Options,
  open: async (options, means, ctx) => {
    ctx.signal.throwIfAborted();
    const place = placeOf(options, means);
    const parts = await place.read(ctx);
    const material = await materialOf(parts, Date.now());
    if (material === undefined) throw noKey(options);
    return signerOf(material, { ...parts, place });
  },
} satisfies SignerKind<typeof Options>;

/** Where the key of these options lies. */
export function placeOf(options: X509Options, means: SignerMeans): KeyPlace {
  if ('secret' in options) return secretPlace(options.secret, means);
  if ('directory' in options) return filePlace(new Map(memberNames.map((name) => [name, join(options.directory, name)])));
  return namedPlace(options);
}

/** Files that were named one by one must be there. */
function namedPlace(options: Extract<Options, { readonly keyFile: string }>): KeyPlace {
  const { keyFile, passwordFile, password, certificateFile, chainFile } = options;
  const named = { key: keyFile, password: passwordFile, 'cert.pem': certificateFile, 'chain.pem': chainFile };
  const files = Object.entries(named).flatMap(([name, path]) => (path === undefined ? [] : [[name as PartName, path] as const]));
  const place = filePlace(new Map(files));
  return {
    mark: place.mark,
    async read(ctx) {
      const parts = await place.read(ctx);
      for (const [name, path] of files) if (parts.part(name) === undefined) throw noFile(path);
      if (password === undefined) return parts;
      const given = { file: 'password', bytes: Buffer.from(password) };
      return { ...parts, part: (name) => (name === 'password' ? given : parts.part(name)) };
    },
  };
}

interface Reading {
  readonly place: KeyPlace;
  readonly mark: string;
  readonly digest: string;
}

function signerOf(material: KeyMaterial, { place, mark, digest }: Reading): Signer & { readonly publicKey: string } {
  const { key, certificates, ring } = material;
  const { pem } = key.publicKey;
  const signWith = signingOf(key);
  const own = new Set([pem, ...ring.map(({ publicKey }) => publicKey)]);
  let seen = mark;
  return {
    publicKey: pem,
    async sign(bytes, ctx) {
      ctx.signal.throwIfAborted();
      if (certificates) demandInTime(certificates, Date.now());
      const signature = await signWith(bytes);
      return {
        signature,
        publicKey: pem,
        key: key.publicKey,
        certificate: certificates?.certificate ?? '',
        chain: certificates?.chain ?? '',
      };
    },
    owns: async (signatory) => own.has(signatory.publicKey),
    async isCurrent(ctx) {
      const now = await looked(ctx, async () => {
        const there = await place.mark(ctx);
        return there === seen ? { mark: there, digest } : await place.read(ctx);
      });
      if (now === 'unknown') return true;
      if (now?.digest !== digest) return false;
      seen = now.mark;
      return true;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** undefined: what is there cannot be used, which opening it will say. `unknown`: it could not be looked at just now, which is no change. */
async function looked<T>(ctx: Context, look: () => Promise<T>): Promise<T | 'unknown' | undefined> {
  try {
    return await look();
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!(error instanceof TransientError)) return undefined;
    ctx.logger.debug({ err: error }, 'cannot look whether the key has changed');
    return 'unknown';
  }
}

function signingOf({ privateKey, publicKey: { algorithm }, digest }: SigningKey): (bytes: Uint8Array) => Promise<Uint8Array> {
  const input = { key: privateKey, dsaEncoding: 'der' } as const;
  // P-256 and Ed25519 take 40 µs, no more than handing the work to a thread would; the others are 10 to 40 times slower.
  const isQuick = algorithm === 'ecdsa-p256' || algorithm === 'ed25519';
  return isQuick ? async (bytes) => signBytes(digest, bytes, input) : async (bytes) => await signInThread(digest, bytes, input);
}

const signInThread = promisify<string | undefined, Uint8Array, { key: SigningKey['privateKey']; dsaEncoding: 'der' }, Buffer>(signBytes);

function noFile(path: string): TerminalError {
  return new TerminalError('sign.no-key', `Cannot find "${path}": there is no such file`, {
    fix: 'check the path, or make a key with "chainsmith keys generate"',
  });
}

function noKey(options: Options): TerminalError {
  if ('keyFile' in options) return noFile(options.keyFile);
  const where = 'secret' in options ? `the Secret "${options.secret.namespace}/${options.secret.name}"` : `"${options.directory}"`;
  return new TerminalError('sign.no-key', `Cannot find a signing key in ${where}: looked for x509.pem, cosign.key and tls.key`, {
    fix: 'make one with "chainsmith keys generate", or mount the Secret with the key there',
  });
}
