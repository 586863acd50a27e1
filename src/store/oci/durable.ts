import { randomUUID } from 'node:crypto';
import { access, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { folderError } from './folder-error.ts';

/** A write takes seconds; what is older was left behind by a process that was killed. */
const abandonedAfterMs = 60 * 60 * 1000;

/**
 * Writes a file so that it is there whole or not at all, even when the machine stops: temporary file in `scratch` (on the same disk), fsync,
 * rename, fsync of the folder.
 */
export async function writeWhole(file: string, scratch: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(scratch, randomUUID());
  try {
    {
      await using handle = await open(temporary, 'wx', 0o644);
      await handle.writeFile(bytes);
      await handle.sync();
    }
    await rename(temporary, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw folderError('write', file, error);
  }
}

export async function makeFolder(path: string): Promise<void> {
  try {
    const made = await mkdir(path, { recursive: true });
    if (made !== undefined) await syncFolder(dirname(made));
  } catch (error) {
    throw folderError('make folder', path, error);
  }
}

export async function isThere(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw folderError('look for', file, error);
  }
}

/** Removes temporary files of processes that were killed. */
export async function sweep(scratch: string): Promise<void> {
  try {
    for (const name of await readdir(scratch)) {
      const file = join(scratch, name);
      if (Date.now() - (await stat(file)).mtimeMs > abandonedAfterMs) await rm(file, { force: true });
    }
  } catch (error) {
    throw folderError('clean up', scratch, error);
  }
}

/** Windows has no fsync of a folder, and does not need it. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(path, 'r');
  await handle.sync();
}
