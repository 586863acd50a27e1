import { randomUUID } from 'node:crypto';
import { chmod, chown, link, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TerminalError } from '../errors.ts';

/**
 * Writes each file whole or not at all, readable to its owner only where it is a `.key`. Without `isForced` a file that is there is left
 * alone: a hard link, unlike a rename, fails then, whoever made it in the meantime. Throws `cli.key-exists` and `cli.write`.
 */
export async function writeFiles(files: Readonly<Record<string, Uint8Array>>, isForced: boolean): Promise<void> {
  const drafts: Draft[] = [];
  try {
    for (const [file, bytes] of Object.entries(files)) await draftOf({ file, bytes, mode: file.endsWith('.key') ? 0o600 : 0o644 }, drafts);
    const placed: string[] = [];
    for (const { file, draft } of drafts) {
      if (isForced) await rename(draft, file);
      else await place(draft, file, placed);
      placed.push(file);
    }
  } catch (error) {
    throw writeError(error, Object.keys(files));
  } finally {
    for (const { draft } of drafts) await rm(draft, { force: true });
  }
}

/** Puts a new content in the place of a file in one step, with the mode and the owner of the old one. Throws `cli.write`. */
export async function replaceFile(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const drafts: Draft[] = [];
  try {
    const draft = await draftOf({ file, bytes, mode }, drafts);
    const old = await stat(file).catch(() => undefined);
    if (old !== undefined) {
      await chmod(draft, old.mode & 0o777);
      // Only root may give a file away; for anyone else it stays theirs, as every file they write.
      await chown(draft, old.uid, old.gid).catch(() => undefined);
    }
    await rename(draft, file);
    await using folder = await open(dirname(file));
    await folder.sync();
  } catch (error) {
    throw writeError(error, [file]);
  } finally {
    for (const { draft } of drafts) await rm(draft, { force: true });
  }
}

interface Draft {
  readonly file: string;
  readonly draft: string;
}

/** Into `drafts` goes what must be taken away afterwards, also when the disk is full. */
async function draftOf(
  { file, bytes, mode }: { readonly file: string; readonly bytes: Uint8Array; readonly mode: number },
  drafts: Draft[],
): Promise<string> {
  const draft = join(dirname(file), `.chainsmith-${process.pid}-${randomUUID()}.tmp`);
  await using handle = await open(draft, 'wx', mode);
  drafts.push({ file, draft });
  await handle.writeFile(bytes);
  await handle.sync();
  return draft;
}

function writeError(error: unknown, files: readonly string[]): TerminalError {
  if (error instanceof TerminalError) return error;
  const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new TerminalError('cli.write', `Cannot write "${files.join('", "')}": ${reason}`, {
    cause: error,
    fix: 'check that the folder exists and can be written',
  });
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

/** One rotation of a folder at a time. Throws `cli.key-busy`, and `cli.write`. */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const file = join(folder, '.chainsmith-rotate.lock');
  try {
    await using handle = await open(file, 'wx', 0o600);
    await handle.writeFile(`${process.pid}\n`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw writeError(error, [file]);
    throw new TerminalError('cli.key-busy', `Cannot rotate the key in "${folder}": "${file}" says that another rotation is under way`, {
      fix: 'wait until it is over, or remove the file when nothing is',
      cause: error,
    });
  }
  return { [Symbol.asyncDispose]: async () => await rm(file, { force: true }) };
}
