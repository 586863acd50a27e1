import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { parseSha256, type Sha256 } from '../../model/digest.ts';
import { jsonOf } from './answer.ts';
import { indexType, type Descriptor } from './repository.ts';

/** More referrers than any image has. */
export const maxReferrers = 10_000;
/** The distribution specification has registries take manifests of 4 MiB at least; a descriptor of ours has about 450 bytes. */
const maxIndexed = 4_000;

/** Somebody else may have written it: what we do not know is kept as it is. */
const Entry = z.looseObject({
  mediaType: z.string(),
  digest: z.string(),
  size: z.int().nonnegative(),
  artifactType: z.string().nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
});
/** Go writes an empty list as null. */
const Index = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  manifests: z
    .array(Entry)
    .nullish()
    .transform((list) => list ?? []),
});
export type ReferrerIndex = z.output<typeof Index>;

/** An index of referrers, from the API or behind a fallback tag; a text says why it is none. */
export function parseIndex(bytes: Uint8Array): ReferrerIndex | string {
  const json = jsonOf(bytes);
  if (json === undefined) return 'it is not JSON';
  const parsed = Index.safeParse(json);
  if (parsed.success)
    return (parsed.data.mediaType ?? indexType) === indexType ? parsed.data : `it is a "${parsed.data.mediaType?.slice(0, 100)}"`;
  const [issue] = parsed.error.issues;
  return `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'malformed'}`;
}

/** What can be fetched: entries with a digest of another kind are nothing that we could check. */
export function descriptorsIn({ manifests }: ReferrerIndex): readonly Descriptor[] {
  return manifests.flatMap(({ mediaType, digest, size, artifactType, annotations }) =>
    /^sha256:[0-9a-f]{64}$/.test(digest)
      ? [{ mediaType, digest: parseSha256(digest), size, ...(artifactType && { artifactType }), ...(annotations && { annotations }) }]
      : [],
  );
}

/** The tag that lists referrers where the registry does not (distribution-spec, referrers tag schema). */
export function fallbackTagOf(subject: Sha256): string {
  return `sha256-${subject}`;
}

/**
 * The index with one more descriptor, with its annotations; undefined when it has it. What is there stays, in its order. Throws
 * `oci.manifest` for what is no index (it is not ours to overwrite) and `oci.tag-full`.
 */
export function listed(current: Uint8Array | undefined, descriptor: Descriptor, where: string): Uint8Array | undefined {
  const index = current === undefined ? { schemaVersion: 2, mediaType: indexType, manifests: [] } : parseIndex(current);
  if (typeof index === 'string') {
    throw new TerminalError('oci.manifest', `Cannot list referrers at "${where}": ${index}`, {
      fix: 'see who wrote this tag; delete it if it holds no list of referrers',
    });
  }
  const digest = `sha256:${descriptor.digest}`;
  if (index.manifests.some((entry) => entry.digest === digest)) return undefined;
  if (index.manifests.length >= maxIndexed) {
    throw new TerminalError('oci.tag-full', `Cannot add to "${where}": it lists ${index.manifests.length} referrers already`, {
      fix: 'remove referrers that nobody needs',
    });
  }
  return Buffer.from(JSON.stringify({ ...index, mediaType: indexType, manifests: [...index.manifests, { ...descriptor, digest }] }));
}
