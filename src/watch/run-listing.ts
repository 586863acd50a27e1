import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';

/** A file that may hold runs. */
export interface Listed {
  readonly path: string;
  /** Changes whenever the file is written, replaced or touched. */
  readonly stamp: string;
  /** Milliseconds since the epoch, as the file system says it. */
  readonly changedAt: number;
}

export interface Listing {
  /** Ascending by path. */
  readonly files: readonly Listed[];
  readonly folders: readonly string[];
  readonly unknown: readonly Unknown[];
}

/** What could not be looked at or into. When it `isThere`, nothing is known of it now, which is not the same as that it is gone. */
export interface Unknown {
  readonly path: string;
  readonly reason: string;
  readonly isThere: boolean;
}

const extensions: ReadonlySet<string> = new Set(['.yaml', '.yml', '.json']);
const maxDepth = 32;
const maxFiles = 20_000;

/**
 * The files of a folder and its subfolders that end in `.yaml`, `.yml` or `.json`, or the one file that `root` is, whatever its name. What begins with
 * a dot is passed over: editors and copying programs put unfinished files there. Links are followed, each folder once. Throws nothing.
 */
export async function listRunFiles(root: string): Promise<Listing> {
  const walk: Walk = { files: [], folders: [], unknown: [], seen: new Set() };
  await look(resolve(root), 0, walk);
  return { ...walk, files: walk.files.slice(0, maxFiles).toSorted((one, other) => (one.path < other.path ? -1 : 1)) };
}

interface Walk {
  readonly files: Listed[];
  readonly folders: string[];
  readonly unknown: Unknown[];
  /** Real paths of folders, so that a circle of links ends. */
  readonly seen: Set<string>;
}

async function look(path: string, depth: number, walk: Walk): Promise<void> {
  try {
    const found = await stat(path, { bigint: true });
    if (found.isDirectory()) {
      await lookInto(path, depth, walk);
    } else if (depth > 0 && !extensions.has(extname(path).toLowerCase())) {
      return;
    } else if (!found.isFile()) {
      walk.unknown.push({ path, reason: 'it is neither a file nor a folder', isThere: true });
    } else {
      if (walk.files.length === maxFiles)
        walk.unknown.push({ path, reason: `it and what follows are more than ${maxFiles} files`, isThere: true });
      walk.files.push({ path, stamp: stampOf(found), changedAt: Number(found.mtimeMs) });
    }
  } catch (error) {
    const isThere = codeOf(error) !== 'ENOENT';
    // A file that went between the listing and the look is no news; a link to nothing is.
    const isLink = !isThere && (await lstat(path).catch(() => undefined)) !== undefined;
    if (isThere || isLink || depth === 0) walk.unknown.push({ path, reason: reasonOf(error), isThere });
  }
}

async function lookInto(path: string, depth: number, walk: Walk): Promise<void> {
  const real = await realpath(path);
  if (walk.seen.has(real)) return;
  walk.seen.add(real);
  if (depth >= maxDepth) {
    walk.unknown.push({ path, reason: `it is nested deeper than ${maxDepth} folders`, isThere: true });
    return;
  }
  walk.folders.push(path);
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).toSorted();
  for (const name of names) if (walk.files.length <= maxFiles) await look(join(path, name), depth + 1, walk);
}

interface Stat {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: Stat): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** Why the file system said no, in words. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist, or is a link to nothing',
    EACCES: 'reading it is not permitted',
    EPERM: 'reading it is not permitted',
    ELOOP: 'its links go in a circle',
    EISDIR: 'it is a folder',
  };
  return words[code] ?? (error instanceof Error ? error.message : String(error));
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
