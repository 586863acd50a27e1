import { Buffer } from 'node:buffer';
import { TerminalError } from '../errors.ts';
import { publicKeyOf } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { generateSigningKey, writeCosignKey, type KeyType } from '../sign/key-file.ts';
import { plain, type Io } from './io.ts';
import { writeFiles } from './keys-files.ts';
import type { OpenKube } from './keys-world.ts';
import { parseSecretName, writeKeySecret } from './key-secret.ts';

export interface GenerateOptions {
  readonly type: KeyType;
  readonly outputKeyPrefix: string;
  readonly k8s?: string;
  readonly password: boolean;
  readonly force: boolean;
}

/** `chainsmith keys generate`: a pair of files, or the members of a Secret, as cosign makes them. */
export async function generate(options: GenerateOptions, openKube: OpenKube, io: Io): Promise<void> {
  const ctx = io.context();
  const secret = options.k8s === undefined ? undefined : parseSecretName(options.k8s);
  const password = options.password ? await passwordFrom(io, ctx) : Buffer.alloc(0);
  const key = await generateSigningKey(options.type);
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
export async function passwordFrom(io: Io, ctx: Context): Promise<Buffer> {
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
