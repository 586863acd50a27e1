import { TerminalError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import { parseSha256, sha256Of } from '../../model/digest.ts';
import type { Envelope } from '../../model/envelope.ts';
import type { Place, Stored } from '../../model/receipt.ts';
import type { Context } from '../../observe/context.ts';
import { bundleLayerIn, type BundleLayer } from './bundle-manifest.ts';
import { candidatesOf } from './candidates.ts';
import { maxLayers, parseTagManifest, signatureBytesIn, tagOf, type Layer } from './cosign.ts';
import { inOrder } from './parallel.ts';
import { readLayer } from './read.ts';
import type { Descriptor, Repositories, Repository } from './repository.ts';
import { addressOf } from './spot.ts';

/** Blobs that are read at the same time. */
const parallel = 4;

/** All blobs of one list together: as many times what one may have. */
const maxBlobs = 8;

const fix = 'remove attestations or signatures that nobody needs from this image';

/** Where to look, and how much may be read. */
export interface From {
  readonly repositories: Repositories;
  readonly name: string;
  readonly repository: Repository;
  readonly image: Image;
  /** Of one blob. */
  readonly maxBytes: number;
}

/** Bundles first, as every reader prefers them; then the tags. */
export async function listAll(from: From, ctx: Context): Promise<readonly Stored[]> {
  const lists = [
    async () => await listBundles(from, ctx),
    async () => await listTag('dsse', from, ctx),
    async () => await listTag('raw', from, ctx),
  ];
  return (await inOrder(lists, lists.length, async (list) => await list())).flat();
}

async function listBundles(from: From, ctx: Context): Promise<readonly Stored[]> {
  const { image, repositories, name } = from;
  const where = `${repositories.prefix}${name}@sha256:${image.digest}`;
  const candidates = await candidatesOf(image, from.repository, ctx);
  const layers = (await inOrder(candidates, parallel, async (candidate) => await bundleLayerOf(candidate, from, ctx))).filter(
    (found) => found !== undefined,
  );
  demandBytes(
    layers.map(({ layer }) => layer),
    where,
    from,
  );
  const found = await inOrder(layers, parallel, async ({ candidate, layer }) => {
    const body = await from.repository.blob(layer, ctx);
    if (body === undefined) ctx.logger.warn({ store: 'oci', artifact: where, layer: layer.digest }, 'bundle left out: blob missing');
    const address = addressOf({ kind: 'bundle', repository: name, manifest: candidate.digest }, repositories.prefix);
    return body && ({ kind: 'bundle', place: { address, image }, body } as const);
  });
  return found.filter((stored) => stored !== undefined);
}

interface FoundLayer {
  readonly candidate: Descriptor;
  readonly layer: BundleLayer;
}

async function bundleLayerOf(candidate: Descriptor, { repository, image }: From, ctx: Context): Promise<FoundLayer | undefined> {
  const manifest = await repository.manifest(`sha256:${candidate.digest}`, ctx);
  const layer = manifest && bundleLayerIn(manifest, image.digest);
  if (layer !== undefined) return { candidate, layer };
  const fields = { store: 'oci', referrer: `${image.repository}@sha256:${candidate.digest}`, isThere: manifest !== undefined };
  ctx.logger.warn(fields, 'referrer left out: it is no bundle');
  return undefined;
}

async function listTag(kind: Envelope['kind'], from: From, ctx: Context): Promise<readonly Stored[]> {
  const tag = tagOf(from.image.digest, kind);
  const where = `${from.repositories.prefix}${from.name}:${tag}`;
  const manifest = await from.repository.manifest(tag, ctx);
  if (manifest === undefined) return [];
  const { layers } = parseTagManifest(manifest, where);
  if (layers.length > maxLayers) {
    throw new TerminalError('oci.tag-full', `Cannot list "${where}": it has ${layers.length} layers, more than ${maxLayers}`, { fix });
  }
  demandBytes(layers, where, from);
  const found = await inOrder(layers, parallel, async (layer) => {
    const stored = await readLayer(layer, placeOf(layer, tag, from), from.repository, ctx);
    if (stored === undefined)
      ctx.logger.warn({ store: 'oci', tag: where, layer: layer.digest }, 'layer left out: blob missing or kind unknown');
    return stored;
  });
  return found.filter((stored) => stored !== undefined);
}

function demandBytes(blobs: readonly { readonly size: number }[], where: string, { maxBytes }: From): void {
  const total = blobs.reduce((sum, { size }) => sum + size, 0);
  const limit = maxBytes * maxBlobs;
  if (total > limit)
    throw new TerminalError('oci.too-large', `Cannot list "${where}": there are ${total} bytes, more than ${limit}`, { fix });
}

function placeOf(layer: Layer, tag: string, { name, image, repositories }: From): Place {
  const bytes = signatureBytesIn(layer);
  const signature = bytes && sha256Of(bytes);
  return {
    address: addressOf({ kind: 'tag', repository: name, tag, layer: parseSha256(layer.digest), signature }, repositories.prefix),
    image,
  };
}
