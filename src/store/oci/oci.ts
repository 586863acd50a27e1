import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import type { Envelope } from '../../model/envelope.ts';
import type { Place, Receipt } from '../../model/receipt.ts';
import type { Context } from '../../observe/context.ts';
import type { OpenStore, StoreKind } from '../store.ts';
import { openRegistries } from './client.ts';
import { addressOf, appended, contentOf, isSame, layerOf, parseTagManifest, spotFor, spotOf, type Spot } from './cosign.ts';
import { openCredentials } from './credentials.ts';
import { findEnvelope } from './find.ts';
import { openLayout } from './layout.ts';
import { inOrder } from './parallel.ts';
import { readSpot } from './read.ts';
import { parseRepository, shownRepository } from './reference.ts';
import type { Repositories } from './repository.ts';

export const OciOptions = z.strictObject({
  /** `registry/repository` that takes everything, instead of the image's own (`storage.oci.repository`). */
  repository: z.string().refine(isRepository, 'want registry/repository, without tag and digest').optional(),
  insecure: z.boolean().default(false),
  /** An OCI image-layout folder instead of registries. */
  directory: z.string().min(1).optional(),
  /** Docker configuration: the file, or the folder that has it. Nothing else is looked at. */
  dockerConfig: z.string().min(1).optional(),
  caFile: z.string().min(1).optional(),
  layout: z.literal('tags').default('tags'),
  maxResponseBytes: z
    .int()
    .positive()
    .default(32 * 1024 * 1024),
  proxy: z.strictObject({ http: z.string().optional(), https: z.string().optional(), except: z.string().optional() }).optional(),
});
export type OciOptions = z.output<typeof OciOptions>;

/** Images of one run that are written at the same time. */
const parallel = 8;

/** Signatures and attestations as layers of cosign's tags beside the image (chains-controller 5.3, layout `dsse`). */
export const oci = {
  options: OciOptions,
  async open(options, ctx): Promise<OpenStore> {
    const repositories = await openRepositories(options, ctx);
    return {
      proof: 'read-back',
      put: async (envelope, ctx) => await put(envelope, { repositories, options }, ctx),
      async get(receipt, ctx) {
        return await inOrder(receipt.places, parallel, async (place) => {
          const spot = spotOf(place.address, repositories.prefix);
          return await readSpot(spot, place, repositories.repository(spot.repository, 'pull'), ctx);
        });
      },
      async find(wanted, ctx) {
        const [image] = wanted.filing.images;
        if (image === undefined && options.directory === undefined) return undefined;
        const repository = repositories.repository(targetOf(image, options), 'pull');
        return await findEnvelope(wanted, repository, ctx);
      },
      async [Symbol.asyncDispose]() {
        await repositories[Symbol.asyncDispose]();
      },
    };
  },
} satisfies StoreKind<typeof OciOptions>;

/** Registries, or the layout folder in their place. */
export async function openRepositories(options: OciOptions, ctx: Context): Promise<Repositories> {
  const { directory, insecure, caFile, proxy, maxResponseBytes: maxBytes } = options;
  if (directory !== undefined) return openLayout(directory, maxBytes);
  return await openRegistries({ credentials: openCredentials(options.dockerConfig), insecure, caFile, maxBytes, proxy }, ctx);
}

/** The repository that keeps what is about this image: its own unless one is configured; empty text for what is about none. */
export function targetOf(image: Image | undefined, options: OciOptions): string {
  if (image === undefined) return '';
  return shownRepository(parseRepository(options.repository ?? image.repository));
}

interface Target {
  readonly repositories: Repositories;
  readonly options: OciOptions;
}

async function put(envelope: Envelope, target: Target, ctx: Context): Promise<Receipt> {
  const { images } = envelope.filing;
  const receipt = { store: 'oci', annotations: {} };
  if (images.length > 0) {
    const places = await inOrder(images, parallel, async (image) => await putAt(image, envelope, target, ctx));
    return { ...receipt, places, note: undefined };
  }
  if (target.options.directory === undefined || envelope.kind === 'raw') {
    return { ...receipt, places: [], note: 'it is about no image, so there is no place for it in a registry' };
  }
  return { ...receipt, places: [await putAt(undefined, envelope, target, ctx)], note: undefined };
}

async function putAt(image: Image | undefined, envelope: Envelope, { repositories, options }: Target, ctx: Context): Promise<Place> {
  const spot = spotFor(image, envelope, targetOf(image, options));
  const repository = repositories.repository(spot.repository, 'pull,push');
  const layer = layerOf(envelope);
  const where = shownTag(spot, repositories.prefix);
  await repository.update(
    spot.tag,
    async (there) => {
      const current = there && parseTagManifest(there, where);
      if (current?.layers.some((other) => isSame(other, layer)) === true) return undefined;
      const next = appended(current, layer, where);
      await Promise.all([repository.putBlob(contentOf(envelope), ctx), repository.putBlob(next.config, ctx)]);
      return next;
    },
    ctx,
  );
  return { address: addressOf(spot, repositories.prefix), image };
}

function shownTag({ repository, tag }: Spot, prefix: string): string {
  return `${prefix}${repository === '' ? tag : `${repository}:${tag}`}`;
}

function isRepository(text: string): boolean {
  try {
    parseRepository(text);
    return true;
  } catch (error) {
    if (error instanceof TerminalError) return false;
    throw error;
  }
}
