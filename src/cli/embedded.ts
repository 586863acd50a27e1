import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.ts';
import type { Layer } from '../config/layers.ts';
import { publicKeyOf } from '../model/public-key.ts';
import { generateSigningKey, writeCosignKey } from '../sign/key-file.ts';
import { layerOfFile } from './settings.ts';

/** Relative to this file in a checkout and in an image alike. */
const file = fileURLToPath(new URL('../../config/embedded.yaml', import.meta.url));

/**
 * What a command outside of a cluster begins with. `all`: everything, for `start`. `places`: only where things are, so that what is made is
 * what the same configuration makes in a cluster.
 */
export async function embeddedLayer(which: 'all' | 'places'): Promise<Layer> {
  const layer = { ...(await layerOfFile(file)), name: 'embedded' };
  if (which === 'all') return layer;
  return { ...layer, entries: new Map([...layer.entries].filter(([key]) => !key.endsWith('.format'))) };
}

/** The folder of the signing key; undefined when the signer `x509` has its key elsewhere. */
export function keyFolderOf({ signers }: Config): string | undefined {
  const own = signers.get('x509');
  return own?.kind === 'x509' && 'directory' in own.options ? own.options.directory : undefined;
}

/**
 * Makes a cosign-compatible key with an empty password in the embedded key folder, unless there is one, or the configuration has its keys
 * elsewhere. Gives whether it made one.
 */
export async function ensureEmbeddedKey(config: Config): Promise<boolean> {
  const folder = keyFolderOf(config);
  if (folder === undefined || folder !== resolve('.chainsmith/keys')) return false;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    // Of two that start at the same time one makes the key.
    await writeFile(join(folder, 'cosign.password'), '', { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
  const key = await generateSigningKey();
  await writeFile(join(folder, 'cosign.pub'), publicKeyOf(key).pem);
  await writeFile(join(folder, 'cosign.key.new'), await writeCosignKey(key, Buffer.alloc(0)), { mode: 0o600 });
  await rename(join(folder, 'cosign.key.new'), join(folder, 'cosign.key'));
  return true;
}
