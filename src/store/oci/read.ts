import { TransientError } from '../../errors.ts';
import { sha256Of } from '../../model/digest.ts';
import type { Place, Stored } from '../../model/receipt.ts';
import type { Context } from '../../observe/context.ts';
import { bundleLayerIn } from './bundle-manifest.ts';
import { filings, materialOf, parseTagManifest, signatureBytesIn, type Layer } from './cosign.ts';
import type { Repositories, Repository } from './repository.ts';
import { spotOf, type BundleSpot, type TagSpot } from './spot.ts';

/**
 * Reads one place as a consumer would: the tag, its layer, the blob; or the list of referrers, the manifest, the bundle. Throws
 * `store.oci.missing` when any of them is not there: another writer may have replaced the tag or the list, so the envelope must be put again.
 */
export async function readPlace(place: Place, repositories: Repositories, ctx: Context): Promise<Stored> {
  const spot = spotOf(place.address, repositories.prefix);
  const repository = repositories.repository(spot.repository, 'pull');
  return spot.kind === 'tag' ? await readTag(spot, place, repository, ctx) : await readBundle(spot, place, repository, ctx);
}

async function readTag(spot: TagSpot, place: Place, repository: Repository, ctx: Context): Promise<Stored> {
  const manifest = await repository.manifest(spot.tag, ctx);
  if (manifest === undefined) throw missing(place, 'there is no such tag');
  const { layers } = parseTagManifest(manifest, place.address);
  const layer = layers.find((candidate) => isAt(candidate, spot));
  if (layer === undefined) throw missing(place, `none of the ${layers.length} layers of its tag is the one`);
  const stored = await readLayer(layer, place, repository, ctx);
  if (stored === undefined) throw missing(place, 'its blob is not there');
  return stored;
}

async function readBundle({ manifest: digest }: BundleSpot, place: Place, repository: Repository, ctx: Context): Promise<Stored> {
  const { image } = place;
  if (image === undefined) throw missing(place, 'nobody says which image it refers to');
  const listed = await repository.referrers(image.digest, ctx);
  if (!listed.some((descriptor) => descriptor.digest === digest))
    throw missing(place, `it is none of the ${listed.length} that refer to its image`);
  const manifest = await repository.manifest(`sha256:${digest}`, ctx);
  const layer = manifest && bundleLayerIn(manifest, image.digest);
  const body = layer && (await repository.blob(layer, ctx));
  if (body === undefined) throw missing(place, 'the list of referrers names it, but there is no bundle');
  return { kind: 'bundle', place, body };
}

/** The envelope of a layer; undefined when its blob is not there, or it is of a kind that we do not know. */
export async function readLayer(layer: Layer, place: Place, repository: Repository, ctx: Context): Promise<Stored | undefined> {
  const signature = layer.mediaType === filings.raw.mediaType ? signatureBytesIn(layer) : undefined;
  if (layer.mediaType !== filings.dsse.mediaType && signature === undefined) return undefined;
  const bytes = await repository.blob(layer, ctx);
  if (bytes === undefined) return undefined;
  const material = materialOf(layer);
  return signature === undefined
    ? { kind: 'dsse', place, body: bytes, material }
    : { kind: 'raw', place, payload: bytes, signature, material };
}

function isAt(layer: Layer, { layer: digest, signature }: TagSpot): boolean {
  if (layer.digest !== `sha256:${digest}`) return false;
  if (signature === undefined) return layer.mediaType === filings.dsse.mediaType;
  const bytes = signatureBytesIn(layer);
  return bytes !== undefined && sha256Of(bytes) === signature;
}

function missing({ address }: Place, reason: string): TransientError {
  return new TransientError('store.oci.missing', `Cannot read back "${address}": ${reason}`, {
    fix: 'store it again; if it keeps vanishing, find who else writes or cleans up this tag or its referrers',
  });
}
