import { TransientError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import type { Envelope } from '../../model/envelope.ts';
import type { Logged } from '../../model/evidence.ts';
import type { Place, Receipt } from '../../model/receipt.ts';
import type { Context } from '../../observe/context.ts';
import { emptyConfig, imageSignatureType, packed } from './bundle-manifest.ts';
import { contentOf, layerOf, parseTagManifest, withLayer } from './cosign.ts';
import { targetOf, type OciOptions } from './options.ts';
import { inOrder } from './parallel.ts';
import type { Descriptor, Repositories } from './repository.ts';
import { addressOf, tagSpotFor } from './spot.ts';

/** Where an envelope can go: a layer of cosign's tags, or a bundle that refers to the image. */
export type Route = 'tags' | 'referrers';

export interface Target {
  readonly repositories: Repositories;
  readonly options: OciOptions;
}

/** Images of one run that are written at the same time. */
const parallel = 8;

/**
 * A raw signature has no bundle that cosign could check, and the statement that signs an image in its place means something in bundles only
 * (decisions/0010); for all other envelopes the layout says.
 */
export function routesOf(kind: Envelope['kind'], predicateType: string | undefined, layout: OciOptions['layout']): readonly Route[] {
  if (kind === 'raw') return layout === 'referrers' ? [] : ['tags'];
  if (predicateType === imageSignatureType) return ['referrers'];
  return layout === 'both' ? ['tags', 'referrers'] : [layout];
}

/** At every image, by every route, each tried whatever becomes of the others. */
export async function putEnvelope(envelope: Logged, target: Target, ctx: Context): Promise<Receipt> {
  const { kind, filing } = envelope;
  const { layout, directory } = target.options;
  const receipt = { store: 'oci', annotations: {}, note: undefined };
  if (filing.images.length === 0) {
    if (directory !== undefined && kind === 'dsse') return { ...receipt, places: [await putAtTag(undefined, envelope, target, ctx)] };
    return { ...receipt, places: [], note: 'it is about no image, so there is no place for it in a registry' };
  }
  const routes = routesOf(kind, filing.predicateType, layout);
  if (routes.length === 0) {
    return { ...receipt, places: [], note: 'it is a signature without envelope, which the layout "referrers" has no place for' };
  }
  const ways = filing.images.flatMap((image) => routes.map((route) => ({ image, route })));
  const puts = { tags: putAtTag, referrers: putAsReferrer } as const satisfies Record<Route, unknown>;
  const places = await inOrder(ways, parallel, async ({ image, route }) => await puts[route](image, envelope, target, ctx));
  return { ...receipt, places };
}

async function putAtTag(image: Image | undefined, envelope: Logged, { repositories, options }: Target, ctx: Context): Promise<Place> {
  const spot = tagSpotFor(image, envelope, targetOf(image, options));
  const repository = repositories.repository(spot.repository, 'pull,push');
  const layer = layerOf(envelope);
  const where = `${repositories.prefix}${spot.repository === '' ? spot.tag : `${spot.repository}:${spot.tag}`}`;
  await repository.update(
    spot.tag,
    async (there) => {
      const next = withLayer(there && parseTagManifest(there, where), layer, where);
      if (next === undefined) return undefined;
      await Promise.all([repository.putBlob(contentOf(envelope), ctx), repository.putBlob(next.config, ctx)]);
      return next;
    },
    ctx,
  );
  return { address: addressOf(spot, repositories.prefix), image };
}

async function putAsReferrer(image: Image, envelope: Logged, { repositories, options }: Target, ctx: Context): Promise<Place> {
  const name = targetOf(image, options);
  const repository = repositories.repository(name, 'pull,push');
  const { bundle, referrer } = packed(envelope, await subjectOf(image, repositories, ctx));
  await Promise.all([repository.putBlob(bundle, ctx), repository.ensureBlob(emptyConfig, ctx)]);
  await repository.attach(referrer, ctx);
  return { address: addressOf({ kind: 'bundle', repository: name, manifest: referrer.descriptor.digest }, repositories.prefix), image };
}

/** From the image's own repository, whatever takes the bundle: media type and size are a part of what the bundle refers to. */
async function subjectOf({ repository, digest }: Image, repositories: Repositories, ctx: Context): Promise<Descriptor> {
  const subject = await repositories.repository(repository, 'pull').describe(`sha256:${digest}`, ctx);
  if (subject !== undefined) return subject;
  const where = `${repositories.prefix}${repository}@sha256:${digest}`;
  throw new TransientError('oci.no-subject', `Cannot attach a bundle to "${where}": there is no such image`, {
    fix:
      repositories.prefix === ''
        ? 'push the image before the run ends, or set storage.oci.layout to "tags", which needs no image'
        : 'put the image into the folder first ("cosign save --dir"), or set storage.oci.layout to "tags", which needs no image',
  });
}
