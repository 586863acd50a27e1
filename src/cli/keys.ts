import { Buffer } from 'node:buffer';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { TerminalError } from '../errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { publicKeyOf } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { generateSigningKey, writeCosignKey } from '../sign/key-file.ts';
import type { SignerMeans } from '../sign/signer.ts';
import { x509 } from '../sign/x509.ts';
import { newCommand, plain, type Io } from './io.ts';
import { parseSecretName, writeKeySecret } from './key-secret.ts';

/** How `keys generate --k8s` reaches a cluster. */
export type OpenKube = (ctx: Context) => Promise<Pick<KubeClient, 'call'> & AsyncDisposable>;

/** `chainsmith keys generate|public`. */
export function keysCommand(io: Io, openKube: OpenKube): Command {
  const keys = newCommand(io, 'keys').description('make a signing key, or show the public half of one');
  keys.addCommand(
    newCommand(io, 'generate')
      .description('make an ECDSA P-256 key, encrypted as cosign does; the password comes from COSIGN_PASSWORD or is asked for')
      .option('--output-key-prefix <prefix>', 'write <prefix>.key and <prefix>.pub', 'cosign')
      .option('--k8s <namespace/secret>', 'write to this Secret instead of files: cosign.key, cosign.password, cosign.pub')
      .option('--no-password', 'encrypt with the empty password')
      .option('--force', 'replace a key that is already there', false)
      .action(async (options: GenerateOptions) => {
        await generate(options, openKube, io);
      }),
  );
  keys.addCommand(
    newCommand(io, 'public')
      .description('print the public key (SPKI PEM) of a signing key')
      .option('--key <file>', 'a key file: PKCS #8 or cosign.key; its password comes from --password-file or COSIGN_PASSWORD')
      .option('--password-file <file>', 'the password of --key, byte for byte')
      .option('--directory <dir>', 'a folder with x509.pem, or cosign.key and cosign.password (default: /etc/signing-secrets)')
      .action(async (options: PublicOptions) => {
        await showPublic(options, io);
      }),
  );
  return keys;
}

interface GenerateOptions {
  readonly outputKeyPrefix: string;
  readonly k8s?: string;
  readonly password: boolean;
  readonly force: boolean;
}

async function generate(options: GenerateOptions, openKube: OpenKube, io: Io): Promise<void> {
  const ctx = io.context();
  const secret = options.k8s === undefined ? undefined : parseSecretName(options.k8s);
  const password = options.password ? await passwordFrom(io, ctx) : Buffer.alloc(0);
  const key = await generateSigningKey();
  const encrypted = Buffer.from(await writeCosignKey(key, password));
  const publicKey = publicKeyOf(key);
  const publicPem = Buffer.from(publicKey.pem);
  if (secret === undefined) {
    const files = { key: `${options.outputKeyPrefix}.key`, publicKey: `${options.outputKeyPrefix}.pub` };
    await writeFiles({ [files.key]: encrypted, [files.publicKey]: publicPem }, options.force);
    io.stderr.write(`wrote ${plain(files.key)} and ${plain(files.publicKey)}\n`);
  } else {
    await using kube = await openKube(ctx);
    const data = { 'cosign.key': encrypted, 'cosign.password': password, 'cosign.pub': publicPem };
    await writeKeySecret(kube, { ...secret, data, isForced: options.force }, ctx);
    io.stderr.write(`wrote cosign.key, cosign.password and cosign.pub to the Secret ${secret.namespace}/${secret.name}\n`);
  }
  io.stderr.write(`key ${publicKey.fingerprint}\n`);
  io.end(0);
}

/** `COSIGN_PASSWORD` counts when it is set, even to nothing, as with cosign. A password that is typed is typed twice. */
async function passwordFrom(io: Io, ctx: Context): Promise<Buffer> {
  const given = io.env['COSIGN_PASSWORD'];
  if (given !== undefined) return Buffer.from(given);
  if (io.askSecret === undefined) {
    throw new TerminalError('cli.password', 'Cannot ask for a password: there is no terminal', {
      fix: 'set COSIGN_PASSWORD, or give --no-password',
    });
  }
  const once = await io.askSecret('Password for the private key: ', ctx.signal);
  const again = await io.askSecret('The same again: ', ctx.signal);
  if (once !== again) throw new TerminalError('cli.password', 'Cannot use the password: the two are not the same');
  return Buffer.from(once);
}

interface PublicOptions {
  readonly key?: string;
  readonly passwordFile?: string;
  readonly directory?: string;
}

/** A key file needs nothing of this. */
const noMeans = async (): Promise<never> => await Promise.reject(new TerminalError('cli.usage', 'Cannot use more than a key file here'));
const means: SignerMeans = { trust: noMeans, secret: noMeans };

async function showPublic({ key, passwordFile, directory }: PublicOptions, io: Io): Promise<void> {
  if (key !== undefined && directory !== undefined) throw new TerminalError('cli.usage', 'Cannot use --key and --directory together');
  if (key === undefined && passwordFile !== undefined) throw new TerminalError('cli.usage', 'Cannot use --password-file without --key');
  const password = io.env['COSIGN_PASSWORD'];
  const options = x509.options.parse({
    ...(directory !== undefined && { directory }),
    ...(key !== undefined && { keyFile: key, ...(passwordFile === undefined ? password !== undefined && { password } : { passwordFile }) }),
  });
  await using signer = await x509.open(options, means, io.context());
  io.stdout.write(signer.publicKey);
  io.end(0);
}

/**
 * Writes each file whole or not at all, readable to its owner only where it is a `.key`. Without `isForced` a file that is there is left
 * alone: a hard link, unlike a rename, fails then, whoever made it in the meantime. Throws `cli.key-exists` and `cli.write`.
 */
async function writeFiles(files: Readonly<Record<string, Uint8Array>>, isForced: boolean): Promise<void> {
  const drafts: { readonly file: string; readonly draft: string }[] = [];
  try {
    for (const [file, bytes] of Object.entries(files)) {
      const draft = join(dirname(file), `.chainsmith-${process.pid}-${drafts.length}.tmp`);
      await using handle = await open(draft, 'wx', file.endsWith('.key') ? 0o600 : 0o644);
      drafts.push({ file, draft });
      await handle.writeFile(bytes);
      await handle.sync();
    }
    const placed: string[] = [];
    for (const { file, draft } of drafts) {
      if (isForced) await rename(draft, file);
      else await place(draft, file, placed);
      placed.push(file);
    }
  } catch (error) {
    if (error instanceof TerminalError) throw error;
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new TerminalError('cli.write', `Cannot write "${Object.keys(files).join('", "')}": ${reason}`, {
      cause: error,
      fix: 'check that the folder exists and can be written',
    });
  } finally {
    for (const { draft } of drafts) await rm(draft, { force: true });
  }
}

/** What was placed before is taken away again: a private key without its public half would stand in the way of the next try. */
async function place(draft: string, file: string, placed: readonly string[]): Promise<void> {
  try {
    await link(draft, file);
  } catch (error) {
    for (const other of placed) await rm(other, { force: true });
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    throw new TerminalError('cli.key-exists', `Cannot write "${file}": it is already there`, {
      fix: 'give another --output-key-prefix, or replace it with --force',
      cause: error,
    });
  }
}
