import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { orderedText } from '../model/json-text.ts';
import type { Run } from '../model/run.ts';
import { parseManifest, type ManifestRun, type Problem } from './manifest.ts';
import { listRunFiles, reasonOf, stampOf } from './run-listing.ts';
import { slimOf } from './slim.ts';

export interface RunFile {
  readonly file: string;
  readonly runs: readonly FileRun[];
  /** What is about the whole file is said of its first line. */
  readonly problems: readonly Problem[];
}

/** `digest` tells versions of one run apart, whatever its resourceVersion says. */
export interface FileRun extends Run {
  readonly line: number;
  readonly digest: string;
}

/** What was read, and what it was when it was read. */
export interface Reading extends RunFile {
  /** As in a listing; empty when the file was changed while it was read. */
  readonly stamp: string;
  readonly characters: number;
  /** The same for the same content. */
  readonly contentDigest: string;
}

/** A list of 2 000 runs of 16 KB. */
const maxFileBytes = 32 * 1024 ** 2;

/**
 * The runs of files and folders, in the order given, a file at a time; `-` is standard input. What cannot be read or understood is a problem of its file
 * and stops nothing. Folders are read as `listRunFiles` says.
 */
export async function* readRuns(paths: readonly string[], stdin: AsyncIterable<Uint8Array> = process.stdin): AsyncGenerator<RunFile> {
  for (const path of paths) {
    if (path === '-') {
      yield await readStdin(stdin);
      continue;
    }
    const { files, unknown } = await listRunFiles(path);
    for (const { path: file, reason } of unknown) yield broken(file, reason);
    for (const { path: file } of files) {
      try {
        const { runs, problems } = await readRunFile(file);
        yield { file, runs, problems };
      } catch (error) {
        yield broken(file, reasonOf(error));
      }
    }
  }
}

/** Reads one file. Throws what the file system throws; everything about the content is a problem. */
export async function readRunFile(file: string): Promise<Reading> {
  await using handle = await open(file, 'r');
  const found = await handle.stat({ bigint: true });
  const stamp = stampOf(found);
  if (!found.isFile()) return { ...broken(file, 'it is no file'), stamp, characters: 0, contentDigest: '' };
  if (found.size > maxFileBytes) return { ...broken(file, tooLarge), stamp, characters: 0, contentDigest: 'too large' };
  const bytes = await handle.readFile();
  const isSteady = stampOf(await handle.stat({ bigint: true })) === stamp;
  const contentDigest = createHash('sha256').update(bytes).digest('base64');
  return { ...runsIn(file, bytes), stamp: isSteady ? stamp : '', characters: bytes.length, contentDigest };
}

const tooLarge = `it is larger than ${maxFileBytes / 1024 ** 2} MiB`;

async function readStdin(stdin: AsyncIterable<Uint8Array>): Promise<RunFile> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxFileBytes) return broken('-', tooLarge);
  }
  return runsIn('-', Buffer.concat(chunks));
}

function runsIn(file: string, bytes: Uint8Array): RunFile {
  const text = textOf(bytes);
  if (text === undefined) return broken(file, 'it is no text in UTF-8');
  if (text.trim() === '') return broken(file, 'it is empty');
  const manifest = parseManifest(text);
  const problems: Problem[] = [...manifest.problems];
  const runs: FileRun[] = [];
  for (const found of manifest.objects) {
    const run = runOf(found);
    if (typeof run === 'string') problems.push({ line: found.line, column: 1, message: run });
    else runs.push(run);
  }
  return { file, runs, problems };
}

function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** A file seldom has a resourceVersion: the digest takes its place, so that a changed run looks changed. */
function runOf({ kind, object, given, line }: ManifestRun): FileRun | string {
  try {
    const digest = createHash('sha256').update(orderedText(object)).digest('hex').slice(0, 32);
    const parsed = slimOf(object, kind);
    if (parsed.kind === 'malformed') return parsed.why;
    const slim = { ...parsed.run, resourceVersion: parsed.run.resourceVersion || digest };
    const { namespace, name, uid } = slim;
    return { kind, namespace, name, uid, slim, object: given, line, digest };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function broken(file: string, message: string): RunFile {
  return { file, runs: [], problems: [{ line: 1, column: 1, message }] };
}
