import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { parseSha256, sha256Of, type Sha256 } from '../../model/digest.ts';
import { jsonOf } from './answer.ts';
import { isThere, makeFolder, sweep, writeWhole } from './durable.ts';
import { fileLock, type FileLock } from './file-lock.ts';
import { folderError } from './folder-error.ts';
import { parseRepository, shownRepository } from './reference.ts';
import type { Change, Manifest, Repositories, Repository } from './repository.ts';

/** image-spec, annotations: what a tag is called in a layout folder. */
const refName = 'org.opencontainers.image.ref.name';
const indexType = 'application/vnd.oci.image.index.v1+json';
const layoutVersion = '1.0.0';

/** Others may keep their images in the same folder: what we do not know stays as it is. */
const Entry = z.looseObject({
  mediaType: z.string(),
  size: z.int().nonnegative(),
  digest: z.string(),
  annotations: z.record(z.string(), z.string()).optional(),
});
const Index = z.looseObject({ schemaVersion: z.literal(2), mediaType: z.string().optional(), manifests: z.array(Entry) });
type Index = z.output<typeof Index>;
const Marker = z.looseObject({ imageLayoutVersion: z.literal(layoutVersion) });

/** One layout folder (image-spec, image layout): `oci-layout`, `index.json`, `blobs/sha256/<hex>`; `.tmp` and `.lock` are ours. */
interface Folder {
  readonly path: string;
  readonly blobs: string;
  readonly scratch: string;
  readonly index: string;
  readonly marker: string;
  readonly maxBytes: number;
  readonly lock: FileLock;
}

/**
 * Repositories in a folder: their tags are entries of one `index.json`, named `<repository>:<tag>`. The folder is made at the first write;
 * until then it is empty. Any number of processes may use it at once, and any may be killed at any instruction. Throws the codes
 * `store.layout.read-only`, `.full`, `.corrupt`, `.locked`, `.io` and `.too-large`.
 */
export function openLayout(path: string, maxBytes: number): Repositories {
  const folder: Folder = {
    path,
    blobs: join(path, 'blobs', 'sha256'),
    scratch: join(path, '.tmp'),
    index: join(path, 'index.json'),
    marker: join(path, 'oci-layout'),
    maxBytes,
    lock: fileLock(join(path, '.lock')),
  };
  return {
    prefix: `oci:${path}:`,
    repository: (name) => layoutRepository(folder, name === '' ? '' : `${shownRepository(parseRepository(name))}:`),
    async [Symbol.asyncDispose]() {
      await folder.lock[Symbol.asyncDispose]();
    },
  };
}

function layoutRepository(folder: Folder, prefix: string): Repository {
  const manifest = async (reference: string): Promise<Manifest | undefined> => {
    if (reference.startsWith('sha256:')) return await manifestBy(folder, parseSha256(reference), undefined);
    const entry = entryOf(await readIndex(folder), `${prefix}${reference}`);
    return entry && (await manifestBy(folder, digestOf(folder, entry.digest), entry.mediaType));
  };
  return {
    manifest,
    async resolve(tag) {
      const entry = entryOf(await readIndex(folder), `${prefix}${tag}`);
      return entry && digestOf(folder, entry.digest);
    },
    blob: async ({ digest, size }) => await readBlob(folder, parseSha256(digest), size),
    putBlob: async (bytes) => await writeBlob(folder, bytes),
    async update(tag, change, ctx) {
      await prepare(folder);
      await folder.lock.hold(
        async () => await updateTag(folder, { name: `${prefix}${tag}`, current: async () => await manifest(tag), change }),
        ctx,
      );
    },
  };
}

/** The folder and its parts; harmless to do again. */
async function prepare(folder: Folder): Promise<void> {
  for (const part of [folder.blobs, folder.scratch]) await makeFolder(part);
}

interface Update {
  /** `<repository>:<tag>` */
  readonly name: string;
  readonly current: () => Promise<Manifest | undefined>;
  readonly change: Change;
}

/** Under the lock: what was read is still true when it is written. The blobs are on the disk before the index says so. */
async function updateTag(folder: Folder, { name, current, change }: Update): Promise<void> {
  if (!(await isThere(folder.marker))) await begin(folder);
  const next = await change(await current());
  if (next === undefined) return;
  await writeBlob(folder, next.bytes);
  const index = await readIndex(folder);
  const descriptor = { mediaType: next.mediaType, size: next.bytes.length, digest: `sha256:${sha256Of(next.bytes)}` };
  const old = entryOf(index, name);
  const entry = { ...old, ...descriptor, annotations: { ...old?.annotations, [refName]: name } };
  const manifests = old === undefined ? [...index.manifests, entry] : index.manifests.map((other) => (other === old ? entry : other));
  await writeWhole(folder.index, folder.scratch, jsonBytes({ ...index, manifests }));
}

/** The marker comes last: a folder without it was never finished, a folder with it has an index. */
async function begin(folder: Folder): Promise<void> {
  await sweep(folder.scratch);
  if (!(await isThere(folder.index))) {
    await writeWhole(folder.index, folder.scratch, jsonBytes({ schemaVersion: 2, mediaType: indexType, manifests: [] }));
  }
  await writeWhole(folder.marker, folder.scratch, jsonBytes({ imageLayoutVersion: layoutVersion }));
}

async function readIndex(folder: Folder): Promise<Index> {
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

function entryOf(index: Index, name: string): Index['manifests'][number] | undefined {
  return index.manifests.find(({ annotations }) => annotations?.[refName] === name);
}

async function manifestBy(folder: Folder, digest: Sha256, mediaType: string | undefined): Promise<Manifest | undefined> {
  const bytes = await readBlob(folder, digest, undefined);
  if (bytes === undefined) return undefined;
  const json = jsonOf(bytes);
  const own = typeof json === 'object' && json !== null && 'mediaType' in json ? json['mediaType'] : undefined;
  return { mediaType: mediaType ?? (typeof own === 'string' ? own : ''), digest, bytes };
}

async function readBlob(folder: Folder, digest: Sha256, size: number | undefined): Promise<Uint8Array | undefined> {
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
async function writeBlob(folder: Folder, bytes: Uint8Array): Promise<void> {
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

function digestOf(folder: Folder, text: string): Sha256 {
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
