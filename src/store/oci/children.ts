import { z } from 'zod';
import { TerminalError, TransientError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import { isList, isObject } from '../../model/json.ts';
import { parseSha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';
import { jsonOf } from './answer.ts';
import type { Manifest, Repository } from './repository.ts';

const indexTypes: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const imageTypes: readonly string[] = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** Indexes within indexes: tools make one level, some registries' mirrors two. */
const maxDepth = 4;
/** Manifests below one image, at all levels together. */
const maxChildren = 64;
/** One index; the distribution specification has registries take manifests of 4 MiB at least. */
const maxIndexBytes = 4 * 1024 * 1024;

const Descriptor = z.looseObject({ mediaType: z.string(), digest: z.string(), size: z.int().nonnegative() });
const Index = z.looseObject({ schemaVersion: z.literal(2), manifests: z.array(Descriptor) });
type Descriptor = z.output<typeof Descriptor>;

/**
 * The manifests below an image index, nested indexes and what is below those included, in the order of the index, each once; none for an image.
 * What a descriptor names is taken as it stands and only read when it is an index. Throws `oci.no-image` (transient) when a manifest is not
 * there, `oci.index` for what is no index, `oci.index-bounds` for one that is too large, and what the repository throws.
 */
export async function childrenOf(image: Image, repository: Repository, ctx: Context): Promise<readonly Image[]> {
  const found = new Map<string, Image>();
  let level: readonly Image[] = [image];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth >= maxDepth) throw tooLarge(image, `it has indexes within indexes more than ${maxDepth} deep`);
    const next: Image[] = [];
    for (const index of level) {
      for (const descriptor of descriptorsOf(await read(index, repository, ctx), index)) {
        const child = childOf(descriptor, image, ctx);
        if (child === undefined || found.has(child.digest)) continue;
        found.set(child.digest, child);
        if (found.size > maxChildren) throw tooLarge(image, `it has more than ${maxChildren} manifests`);
        if (!indexTypes.includes(descriptor.mediaType)) continue;
        if (descriptor.size > maxIndexBytes) throw tooLarge(child, `it has ${descriptor.size} bytes, more than ${maxIndexBytes}`);
        next.push(child);
      }
    }
    level = next;
  }
  return [...found.values()];
}

async function read(image: Image, repository: Repository, ctx: Context): Promise<Manifest> {
  const manifest = await repository.manifest(`sha256:${image.digest}`, ctx);
  if (manifest !== undefined) return manifest;
  throw new TransientError('oci.no-image', `Cannot look for children of "${nameOf(image)}": the registry does not have it`, {
    fix: 'push it again, or set artifacts.oci.recursive to "false" if images may go before they are signed',
  });
}

/** By what it is, not by what the registry calls it: the digest fixes the content, and nothing fixes a header. */
function descriptorsOf({ bytes }: Manifest, image: Image): readonly Descriptor[] {
  const body = jsonOf(bytes);
  if (!isObject(body)) throw malformed(image, 'it is no JSON object');
  const type = body['mediaType'];
  const isIndex = typeof type === 'string' ? indexTypes.includes(type) : isList(body['manifests']);
  const isImage = body['config'] !== undefined || body['layers'] !== undefined;
  if (isImage && (isIndex || body['manifests'] !== undefined)) throw malformed(image, 'it says that it is an index and an image');
  if (!isIndex) return [];
  if (bytes.length > maxIndexBytes) throw tooLarge(image, `it has ${bytes.length} bytes, more than ${maxIndexBytes}`);
  const parsed = Index.safeParse(body);
  if (parsed.success) return parsed.data.manifests;
  const [issue] = parsed.error.issues;
  throw malformed(image, `${issue?.path.join('.') ?? 'it'}: ${issue?.message ?? 'malformed'}`);
}

/** undefined for what nobody pulls as an image, or what no tag of ours can name: it is told and left out. */
function childOf({ mediaType, digest }: Descriptor, parent: Image, ctx: Context): Image | undefined {
  const isManifest = indexTypes.includes(mediaType) || imageTypes.includes(mediaType);
  if (isManifest && /^sha256:[0-9a-f]{64}$/.test(digest)) return { repository: parent.repository, digest: parseSha256(digest) };
  const child = { digest: digest.slice(0, 200), mediaType: mediaType.slice(0, 200) };
  ctx.logger.warn({ store: 'oci', artifact: nameOf(parent), child }, 'child of an index left out: no manifest with a SHA-256 digest');
  return undefined;
}

function nameOf({ repository, digest }: Image): string {
  return `${repository}@sha256:${digest}`;
}

function malformed(image: Image, reason: string): TerminalError {
  return new TerminalError('oci.index', `Cannot read image index "${nameOf(image)}": ${reason}`, {
    fix: 'see what made this image, or set artifacts.oci.recursive to "false"',
  });
}

function tooLarge(image: Image, reason: string): TerminalError {
  return new TerminalError('oci.index-bounds', `Cannot attest the children of "${nameOf(image)}": ${reason}`, {
    fix: 'split the index, or set artifacts.oci.recursive to "false"',
  });
}
