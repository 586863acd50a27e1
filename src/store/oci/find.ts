import { payloadTypes } from '../../model/dsse.ts';
import type { Logged } from '../../model/evidence.ts';
import type { Context } from '../../observe/context.ts';
import type { Wanted } from '../store.ts';
import { findBundle } from './find-bundle.ts';
import { findTagged } from './find-tagged.ts';
import type { OciOptions } from './options.ts';
import { routesOf } from './put.ts';
import type { Repository } from './repository.ts';

/**
 * An envelope as `Wanted` describes it, at the first image. With bundles in use both layouts are looked at: the layout may have changed, and one
 * signature is enough for both (P3). Undefined when there is none.
 */
export async function findEnvelope(
  wanted: Wanted,
  repository: Repository,
  layout: OciOptions['layout'],
  ctx: Context,
): Promise<Logged | undefined> {
  const { payload, filing } = wanted;
  const kind = payload.payloadType === payloadTypes.simpleSigning ? 'raw' : 'dsse';
  const [image] = filing.images;
  const routes = routesOf(kind, payload.predicateType, layout === 'tags' ? 'tags' : 'both');
  const tagged = routes.includes('tags') || image === undefined ? await findTagged(wanted, kind, repository, ctx) : undefined;
  const bundled = routes.includes('referrers') && image !== undefined ? await findBundle(wanted, image, repository, ctx) : undefined;
  return bundled === undefined || tagged === undefined ? (bundled ?? tagged) : together(bundled, tagged);
}

/** A bundle has proofs and no chain, a tag a chain and no proofs. */
function together(bundled: Logged, tagged: Logged): Logged {
  if (Buffer.compare(bundled.signature, tagged.signature) !== 0) return bundled;
  const entries = bundled.evidence.entries.length > 0 ? bundled.evidence.entries : tagged.evidence.entries;
  return { ...tagged, evidence: { entries, timestamps: [...bundled.evidence.timestamps, ...tagged.evidence.timestamps] } };
}
