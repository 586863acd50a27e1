import { TerminalError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import type { Context } from '../../observe/context.ts';
import { mayBeBundle } from './bundle-manifest.ts';
import type { Descriptor, Repository } from './repository.ts';

/** As many as a tag may have layers. Each costs two requests. */
const maxCandidates = 1_000;
/** The distribution specification has registries take manifests of 4 MiB at least; that of a bundle has two kilobytes. */
const maxManifestBytes = 4 * 1024 * 1024;

/** What refers to an image and may be a bundle. Throws `oci.too-many` for more than 1000: so many cannot be looked at, and none must be passed over. */
export async function candidatesOf(image: Image, repository: Repository, ctx: Context): Promise<readonly Descriptor[]> {
  const all = await repository.referrers(image.digest, ctx);
  const candidates = all.filter((descriptor) => mayBeBundle(descriptor) && descriptor.size <= maxManifestBytes);
  if (candidates.length < all.length) {
    const where = `${image.repository}@sha256:${image.digest}`;
    ctx.logger.debug({ store: 'oci', artifact: where, others: all.length - candidates.length }, 'referrers left out: of other types');
  }
  if (candidates.length <= maxCandidates) return candidates;
  const reason = `${candidates.length} referrers may be bundles, more than ${maxCandidates}`;
  throw new TerminalError('oci.too-many', `Cannot look for bundles of "${image.repository}@sha256:${image.digest}": ${reason}`, {
    fix: 'remove attestations or signatures that nobody needs from this image',
  });
}
