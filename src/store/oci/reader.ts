import { TerminalError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import type { Stored } from '../../model/receipt.ts';
import type { Context } from '../../observe/context.ts';
import { childrenOf } from './children.ts';
import { inTime, type Limit } from './in-time.ts';
import { listAll } from './list.ts';
import { openRepositories } from './open.ts';
import { targetOf, type OciOptions } from './options.ts';
import { parseReference, shownRepository } from './reference.ts';

/** Looks at images as anybody may, whoever signed them. */
export interface Reader extends AsyncDisposable {
  /** The image behind a reference; a tag (`latest` when there is none) is asked for, a digest is not. Throws `oci.reference`, `oci.not-found`. */
  resolve(reference: string, ctx: Context): Promise<Image>;
  /**
   * Every signature and attestation of an image: bundles, ascending by the digest of their manifests; then the layers of cosign's tags,
   * attestations first, in the order in which they were added. What is of a kind that we do not know is logged and left out. Throws `oci.too-many`
   * for more than 1000 bundles, `oci.tag-full` for more than 1000 layers at a tag, `oci.too-large` for too many bytes, `oci.list-timeout`.
   */
  list(image: Image, ctx: Context): Promise<readonly Stored[]>;
  /**
   * The manifests below an image index, as `childrenOf` has them, from the image's own repository whatever takes the signatures. None for an
   * image, and none for what a layout folder does not have: folders of ours hold signatures, not images. Throws `oci.index-timeout` after 60 s.
   */
  children(image: Image, ctx: Context): Promise<readonly Image[]>;
}

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
      return await inTime(limitOf('list', image), ctx, async (ctx) => await listAll(from, ctx));
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
      return await inTime(limitOf('children', image), ctx, async (ctx) => await childrenOf(image, repository, ctx));
    },
    async [Symbol.asyncDispose]() {
      await repositories[Symbol.asyncDispose]();
    },
  };
}

const deadlines = {
  /** The children of one image, all levels together. */
  children: { ms: 60_000, code: 'oci.index-timeout', action: 'look for children of' },
  list: { ms: 120_000, code: 'oci.list-timeout', action: 'list signatures and attestations of' },
} as const;

function limitOf(name: keyof typeof deadlines, { repository, digest }: Image): Limit {
  const { ms, code, action } = deadlines[name];
  return { ms, code, action: `${action} "${repository}@sha256:${digest}"`, dependency: `oci:${repository.split('/')[0]}` };
}
