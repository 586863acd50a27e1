import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { parseSha256, sha256Of, type Sha256 } from '../../model/digest.ts';
import { jsonOf } from './answer.ts';
import { isThere, makeFolder, sweep, writeWhole } from './durable.ts';
import { fileLock, type FileLock } from './file-lock.ts';
import { folderError } from './folder-error.ts';
import type { Context } from '../../observe/context.ts';
import { indexType, type Manifest } from './repository.ts';

/** image-spec, annotations: what a tag is called in a layout folder. */
export const refName = 'org.opencontainers.image.ref.name';
const layoutVersion = '1.0.0';

/** Others may keep their images in the same folder: what we do not know stays as it is. */
const Entry = z.looseObject({
  mediaType: z.string(),
  size: z.int().nonnegative(),
  digest: z.string(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
const Index = z.looseObject({ schemaVersion: z.literal(2), mediaType: z.string().optional(), manifests: z.array(Entry) });
export type Index = z.output<typeof Index>;
const Marker = z.looseObject({ imageLayoutVersion: z.literal(layoutVersion) });

/** One layout folder (image-spec, image layout): `oci-layout`, `index.json`, `blobs/sha256/<hex>`; `.tmp` and `.lock` are ours. */
export interface Folder {
  readonly path: string;
  readonly blobs: string;
  readonly scratch: string;
  readonly index: string;
  readonly marker: string;
  readonly maxBytes: number;
  readonly lock: FileLock;
}

export function folderAt(path: string, maxBytes: number): Folder {
  return {
    path,
    blobs: join(path, 'blobs', 'sha256'),
    scratch: join(path, '.tmp'),
    index: join(path, 'index.json'),
    marker: join(path, 'oci-layout'),
    maxBytes,
    lock: fileLock(join(path, '.lock')),
  };
}

/** The folder and its parts; harmless to do again. */
export async function prepare(folder: Folder): Promise<void> {
  for (const part of [folder.blobs, folder.scratch]) await makeFolder(part);
}

/** Under the lock, in a folder that is there: what was read is still true when it is written. */
export async function exclusively(folder: Folder, work: () => Promise<void>, ctx: Context): Promise<void> {
  await prepare(folder);
  await folder.lock.hold(async () => {
    if (!(await isThere(folder.marker))) await begin(folder);
    await work();
  }, ctx);
}

export async function writeIndex(folder: Folder, index: Index): Promise<void> {
  await writeWhole(folder.index, folder.scratch, jsonBytes(index));
}

/** The marker comes last: a folder without it was never finished, a folder with it has an index. */
async function begin(folder: Folder): Promise<void> {
  await sweep(folder.scratch);
  if (!(await isThere(folder.index))) {
    await writeIndex(folder, { schemaVersion: 2, mediaType: indexType, manifests: [] });
  }
  await writeWhole(folder.marker, folder.scratch, jsonBytes({ imageLayoutVersion: layoutVersion }));
}

export async function readIndex(folder: Folder): Promise<Index> {
  const marker = await readOptional(folder.marker);
  if (marker === undefined) return { schemaVersion: 2, manifests: [] };
  if (!Marker.safeParse(jsonOf(marker)).success) throw corrupt(folder.marker, `want {"imageLayoutVersion":"${layoutVersion}"}`);
  const bytes = await readOptional(folder.index);
  if (bytes === undefined) throw corrupt(folder.index, 'it is not there');
  const json = jsonOf(bytes);
  if (json === undefined) throw corrupt(folder.index, 'it is not JSON');
  const parsed = Index.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw corrupt(folder.index, `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'malformed'}`);
}

export function entryOf(index: Index, name: string): Index['manifests'][number] | undefined {
  return index.manifests.find(({ annotations }) => annotations?.[refName] === name);
}

export async function manifestBy(folder: Folder, digest: Sha256, mediaType: string | undefined): Promise<Manifest | undefined> {
  const bytes = await readBlob(folder, digest, undefined);
  if (bytes === undefined) return undefined;
  const json = jsonOf(bytes);
  const own = typeof json === 'object' && json !== null && 'mediaType' in json ? json['mediaType'] : undefined;
  return { mediaType: mediaType ?? (typeof own === 'string' ? own : ''), digest, bytes };
}

export async function readBlob(folder: Folder, digest: Sha256, size: number | undefined): Promise<Uint8Array | undefined> {
  const file = join(folder.blobs, digest);
  const found = await stat(file).catch(absent(file));
  if (found === undefined) return undefined;
  if (found.size > folder.maxBytes) {
    throw new TerminalError('store.layout.too-large', `Cannot read "${file}": it has ${found.size} bytes, more than ${folder.maxBytes}`, {
      fix: 'raise limits.response-bytes if such blobs are expected',
    });
  }
  const bytes = await readOptional(file);
  if (bytes === undefined) return undefined;
  if (size !== undefined && bytes.length !== size) throw corrupt(file, `it has ${bytes.length} bytes, want ${size}`);
  if (sha256Of(bytes) !== digest) throw corrupt(file, 'its content has another digest than its name');
  return bytes;
}

/** A blob is never half there, so one that is there and has the right size needs no writing. */
export async function writeBlob(folder: Folder, bytes: Uint8Array): Promise<void> {
  const file = join(folder.blobs, sha256Of(bytes));
  const found = await stat(file).catch(absent(file));
  if (found?.size === bytes.length) return;
  await writeWhole(file, folder.scratch, bytes);
}

async function readOptional(file: string): Promise<Uint8Array | undefined> {
  return await readFile(file).catch(absent(file));
}

function absent(file: string): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw folderError('read', file, error);
  };
}

export function digestOf(folder: Folder, text: string): Sha256 {
  if (!/^sha256:[0-9a-f]{64}$/.test(text)) throw corrupt(folder.index, `it names the digest "${text.slice(0, 100)}"`);
  return parseSha256(text);
}

function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function corrupt(file: string, reason: string): TerminalError {
  return new TerminalError('store.layout.corrupt', `Cannot read "${file}": ${reason}`, {
    fix: 'restore the file from a backup, or name another folder in storage.oci.directory; nothing was overwritten',
  });
}
