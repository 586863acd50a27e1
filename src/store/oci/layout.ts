import { TerminalError } from '../../errors.ts';
import { at } from '../../model/json.ts';
import { parseSha256, sha256Of, type Sha256 } from '../../model/digest.ts';
import { jsonOf } from './answer.ts';
import {
  digestOf,
  entryOf,
  exclusively,
  folderAt,
  manifestBy,
  prepare,
  readBlob,
  readIndex,
  refName,
  writeBlob,
  writeIndex,
  type Folder,
} from './folder.ts';
import { parseRepository, shownRepository } from './reference.ts';
import { maxReferrers } from './referrer-index.ts';
import {
  descriptorOf,
  manifestTypes,
  type Change,
  type Descriptor,
  type Manifest,
  type Referrer,
  type Repositories,
  type Repository,
} from './repository.ts';

/** Of an entry of `index.json`: the digest that it refers to, so that nobody must read them all. */
const subjectKey = 'chainsmith.subject';

/**
 * Repositories in a folder: their tags are entries of one `index.json`, named `<repository>:<tag>`; what refers to a manifest is an entry
 * without name, for all repositories alike. The folder is made at the first write; until then it is empty. Any number of processes may use it
 * at once, and any may be killed at any instruction. Throws the codes `store.layout.read-only`, `.full`, `.corrupt`, `.locked`, `.io` and
 * `.too-large`.
 */
export function openLayout(path: string, maxBytes: number): Repositories {
  const folder = folderAt(path, maxBytes);
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
  const keepBlob = async (bytes: Uint8Array): Promise<void> => {
    await prepare(folder);
    await writeBlob(folder, bytes);
  };
  return {
    manifest,
    async describe(reference) {
      const found = await manifest(reference);
      return found && descriptorOf(found);
    },
    async resolve(tag) {
      const entry = entryOf(await readIndex(folder), `${prefix}${tag}`);
      return entry && digestOf(folder, entry.digest);
    },
    blob: async ({ digest, size }) => await readBlob(folder, parseSha256(digest), size),
    putBlob: keepBlob,
    ensureBlob: keepBlob,
    async update(tag, change, ctx) {
      const update = { name: `${prefix}${tag}`, current: async () => await manifest(tag), change };
      await exclusively(folder, async () => await updateTag(folder, update), ctx);
    },
    async attach(referrer, ctx) {
      await exclusively(folder, async () => await addReferrer(folder, referrer), ctx);
    },
    referrers: async (subject) => await referrersIn(folder, subject),
  };
}

interface Update {
  /** `<repository>:<tag>` */
  readonly name: string;
  readonly current: () => Promise<Manifest | undefined>;
  readonly change: Change;
}

/** The blobs are on the disk before the index says so. */
async function updateTag(folder: Folder, { name, current, change }: Update): Promise<void> {
  const next = await change(await current());
  if (next === undefined) return;
  await writeBlob(folder, next.bytes);
  const index = await readIndex(folder);
  const descriptor = { mediaType: next.mediaType, size: next.bytes.length, digest: `sha256:${sha256Of(next.bytes)}` };
  const old = entryOf(index, name);
  const entry = { ...old, ...descriptor, annotations: { ...old?.annotations, [refName]: name } };
  const manifests = old === undefined ? [...index.manifests, entry] : index.manifests.map((other) => (other === old ? entry : other));
  await writeIndex(folder, { ...index, manifests });
}

async function addReferrer(folder: Folder, { descriptor, bytes, subject }: Referrer): Promise<void> {
  await writeBlob(folder, bytes);
  const index = await readIndex(folder);
  const digest = `sha256:${descriptor.digest}`;
  if (index.manifests.some((entry) => entry.digest === digest)) return;
  const entry = { ...descriptor, digest, annotations: { ...descriptor.annotations, [subjectKey]: `sha256:${subject}` } };
  await writeIndex(folder, { ...index, manifests: [...index.manifests, entry] });
}

/** Only the manifests themselves say what their subject is; our own entries tell which need no reading. */
async function referrersIn(folder: Folder, subject: Sha256): Promise<readonly Descriptor[]> {
  const { manifests } = await readIndex(folder);
  const wanted = `sha256:${subject}`;
  const candidates = manifests.filter(
    ({ mediaType, annotations }) =>
      manifestTypes.includes(mediaType) && annotations?.[refName] === undefined && (annotations?.[subjectKey] ?? wanted) === wanted,
  );
  if (candidates.length > maxReferrers) throw tooMany(folder, candidates.length);
  const found: Descriptor[] = [];
  for (const { mediaType, digest, artifactType, annotations } of candidates) {
    const manifest = await manifestBy(folder, digestOf(folder, digest), mediaType);
    if (manifest === undefined || !refersTo(manifest, wanted)) continue;
    found.push({ ...descriptorOf(manifest), ...(artifactType !== undefined && { artifactType }), ...(annotations && { annotations }) });
  }
  return found.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
}

function refersTo({ bytes }: Manifest, digest: string): boolean {
  return at(jsonOf(bytes), 'subject', 'digest') === digest;
}

function tooMany(folder: Folder, count: number): TerminalError {
  return new TerminalError(
    'oci.too-many',
    `Cannot list referrers in "${folder.path}": ${count} of its manifests may be some, more than ${maxReferrers}`,
    {
      fix: 'remove manifests that nobody needs',
    },
  );
}
