import type { Image } from '../../model/artifact.ts';
import type { Place } from '../../model/receipt.ts';
import type { OpenStore, StoreKind } from '../store.ts';
import { findEnvelope } from './find.ts';
import { inTime, type Limit } from './in-time.ts';
import { openRepositories } from './open.ts';
import { OciOptions, targetOf } from './options.ts';
import { inOrder } from './parallel.ts';
import { putEnvelope } from './put.ts';
import { readPlace } from './read.ts';

/** Places of one receipt that are read at the same time. */
const parallel = 8;

/** A registry that answers takes milliseconds for each image, and eight are written at a time. */
const timeoutMs = { base: 60_000, each: 1_000 } as const;

/**
 * Signatures and attestations beside the image: as layers of cosign's tags (chains-controller 5.3, layout `dsse`), as Sigstore bundles that refer
 * to it (sigstore-wire 3.5), or both. Whatever is asked of it ends within a minute and a second for each image: `oci.timeout`.
 */
export const oci = {
  options: OciOptions,
  async open(options, ctx): Promise<OpenStore> {
    const repositories = await openRepositories(options, ctx);
    return {
      proof: 'read-back',
      async put(envelope, ctx) {
        const limit = limitOf('store', envelope.filing.images, options);
        return await inTime(limit, ctx, async (ctx) => await putEnvelope(envelope, { repositories, options }, ctx));
      },
      async get({ places }, ctx) {
        const limit = limitOf('read back', places.map(imageOf), options);
        return await inTime(limit, ctx, async (ctx) => {
          return await inOrder(places, parallel, async (place) => await readPlace(place, repositories, ctx));
        });
      },
      async find(wanted, ctx) {
        const [image] = wanted.filing.images;
        if (image === undefined && options.directory === undefined) return undefined;
        const repository = repositories.repository(targetOf(image, options), 'pull');
        const limit = limitOf('look for', [image], options);
        return await inTime(limit, ctx, async (ctx) => await findEnvelope(wanted, repository, options.layout, ctx));
      },
      async [Symbol.asyncDispose]() {
        await repositories[Symbol.asyncDispose]();
      },
    };
  },
} satisfies StoreKind<typeof OciOptions>;

function imageOf({ image }: Place): Image | undefined {
  return image;
}

function limitOf(verb: string, images: readonly (Image | undefined)[], options: OciOptions): Limit {
  const name = options.directory ?? options.repository ?? images[0]?.repository ?? '';
  const registry = options.directory === undefined ? (name.split('/')[0] ?? '') : name;
  const ms = timeoutMs.base + timeoutMs.each * images.length;
  return { ms, code: 'oci.timeout', action: `${verb} what belongs to "${name}"`, dependency: `oci:${registry}` };
}
