import { TerminalError, TransientError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import type { Envelope } from '../../model/envelope.ts';
import { parseSha256, sha256Of } from '../../model/digest.ts';
import type { Place, Stored } from '../../model/receipt.ts';
import { within, type Context } from '../../observe/context.ts';
import { childrenOf } from './children.ts';
import { addressOf, maxLayers, parseTagManifest, signatureBytesIn, tagOf, type Layer } from './cosign.ts';
import { openRepositories, targetOf, type OciOptions } from './oci.ts';
import { inOrder } from './parallel.ts';
import { readLayer } from './read.ts';
import { parseReference, shownRepository } from './reference.ts';
import type { Repositories, Repository } from './repository.ts';

/** Looks at images as anybody may, whoever signed them. */
export interface Reader extends AsyncDisposable {
  /** The image behind a reference; a tag (`latest` when there is none) is asked for, a digest is not. Throws `oci.reference`, `oci.not-found`. */
  resolve(reference: string, ctx: Context): Promise<Image>;
  /**
   * Every signature and attestation of an image, attestations first, in the order in which they were added. Layers of kinds that we do not
   * know are logged and left out. Throws `oci.tag-full` for more than 1000 layers at a tag, `oci.too-large` for too many bytes.
   */
  list(image: Image, ctx: Context): Promise<readonly Stored[]>;
  /**
   * The manifests below an image index, as `childrenOf` has them, from the image's own repository whatever takes the signatures. None for an
   * image, and none for what a layout folder does not have: folders of ours hold signatures, not images. Throws `oci.index-timeout` after 60 s.
   */
  children(image: Image, ctx: Context): Promise<readonly Image[]>;
}

const parallel = 4;

/** All blobs of one list together: eight times what one may have. */
const maxLists = 8;

export async function openReader(options: OciOptions, ctx: Context): Promise<Reader> {
  const repositories = await openRepositories(options, ctx);
  return {
    async resolve(text, ctx) {
      const reference = parseReference(text);
      const repository = shownRepository(reference);
      if (reference.digest !== undefined) return { repository, digest: reference.digest };
      const tag = reference.tag ?? 'latest';
      const digest = await repositories.repository(repository, 'pull').resolve(tag, ctx);
      if (digest !== undefined) return { repository, digest };
      throw new TerminalError('oci.not-found', `Cannot find image "${repositories.prefix}${repository}:${tag}": there is no such tag`, {
        fix: 'check the name, or give the image by digest',
      });
    },
    async list(image, ctx) {
      const name = targetOf(image, options);
      const from = { repositories, name, repository: repositories.repository(name, 'pull'), image, maxBytes: options.maxResponseBytes };
      const found = await inOrder(['dsse', 'raw'] as const, 2, async (kind) => await listTag(kind, from, ctx));
      return found.flat();
    },
    async children(image, ctx) {
      const { directory } = options;
      const repository = repositories.repository(image.repository, 'pull');
      if (directory !== undefined && (await repository.manifest(`sha256:${image.digest}`, ctx)) === undefined) {
        ctx.logger.info(
          { store: 'oci', artifact: `${image.repository}@sha256:${image.digest}` },
          'no children: the folder has no such image',
        );
        return [];
      }
      return await inTime(image, ctx, async (ctx) => await childrenOf(image, repository, ctx));
    },
    async [Symbol.asyncDispose]() {
      await repositories[Symbol.asyncDispose]();
    },
  };
}

/** The children of one image, all levels together. */
const childrenTimeoutMs = 60_000;

async function inTime<T>(image: Image, ctx: Context, work: (ctx: Context) => Promise<T>): Promise<T> {
  let inner: AbortSignal | undefined;
  try {
    return await within(childrenTimeoutMs, ctx, async (limited) => {
      inner = limited.signal;
      return await work(limited);
    });
  } catch (cause) {
    if (ctx.signal.aborted || inner?.aborted !== true) throw cause;
    const where = `${image.repository}@sha256:${image.digest}`;
    const reason = `it took longer than ${childrenTimeoutMs / 1000} s`;
    throw new TransientError('oci.index-timeout', `Cannot look for children of "${where}": ${reason}`, { cause });
  }
}

interface From {
  readonly repositories: Repositories;
  readonly name: string;
  readonly repository: Repository;
  readonly image: Image;
  readonly maxBytes: number;
}

async function listTag(kind: Envelope['kind'], from: From, ctx: Context): Promise<readonly Stored[]> {
  const tag = tagOf(from.image.digest, kind);
  const where = `${from.repositories.prefix}${from.name}:${tag}`;
  const manifest = await from.repository.manifest(tag, ctx);
  if (manifest === undefined) return [];
  const { layers } = parseTagManifest(manifest, where);
  demandBounds(layers, where, from.maxBytes * maxLists);
  const found = await inOrder(layers, parallel, async (layer) => {
    const stored = await readLayer(layer, placeOf(layer, tag, from), from.repository, ctx);
    if (stored === undefined)
      ctx.logger.warn({ store: 'oci', tag: where, layer: layer.digest }, 'layer left out: blob missing or kind unknown');
    return stored;
  });
  return found.filter((stored) => stored !== undefined);
}

function demandBounds(layers: readonly Layer[], where: string, maxBytes: number): void {
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  const fix = 'remove attestations or signatures that nobody needs from this tag';
  if (layers.length > maxLayers) {
    throw new TerminalError('oci.tag-full', `Cannot list "${where}": it has ${layers.length} layers, more than ${maxLayers}`, { fix });
  }
  if (total > maxBytes)
    throw new TerminalError('oci.too-large', `Cannot list "${where}": its layers have ${total} bytes, more than ${maxBytes}`, { fix });
}

function placeOf(layer: Layer, tag: string, { name, image, repositories }: From): Place {
  const bytes = signatureBytesIn(layer);
  const signature = bytes && sha256Of(bytes);
  return { address: addressOf({ repository: name, tag, layer: parseSha256(layer.digest), signature }, repositories.prefix), image };
}
