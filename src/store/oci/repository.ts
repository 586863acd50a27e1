import type { Sha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';

/** Signatures and images are manifests or indexes, of OCI or Docker. */
export const manifestTypes: readonly string[] = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
export const indexType = 'application/vnd.oci.image.index.v1+json';
export const manifestType = 'application/vnd.oci.image.manifest.v1+json';

export interface Manifest {
  readonly mediaType: string;
  readonly digest: Sha256;
  readonly bytes: Uint8Array;
  /** As the registry gave it, for `If-Match`. */
  readonly etag?: string;
}

/** What points to a manifest (image-spec, descriptor). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Sha256;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A manifest that speaks of another one, its subject. `descriptor` is its own, with what a list of referrers must show of it. */
export interface Referrer {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly subject: Sha256;
}

/** What a tag should point to next, given what it points to now; undefined when it is right as it is. May be asked again. */
export type Change = (current: Manifest | undefined) => Promise<{ readonly mediaType: string; readonly bytes: Uint8Array } | undefined>;

/**
 * One repository, in a registry or in a layout folder. What is not there is undefined; what could not be looked at is an error.
 * Everything read is checked against its digest.
 */
export interface Repository {
  /** By tag, or by `sha256:` digest. */
  manifest(reference: string, ctx: Context): Promise<Manifest | undefined>;
  /** The same without reading it if possible: media type, digest and size only. */
  describe(reference: string, ctx: Context): Promise<Descriptor | undefined>;
  /** Digest of what a tag points to, without reading it if possible. */
  resolve(tag: string, ctx: Context): Promise<Sha256 | undefined>;
  blob(layer: { readonly digest: string; readonly size: number }, ctx: Context): Promise<Uint8Array | undefined>;
  /** Keeps a blob that is most likely new: it is sent without asking, which would cost as much as half of the sending. */
  putBlob(bytes: Uint8Array, ctx: Context): Promise<void>;
  /** Keeps a blob that is most likely there: it is asked for, and not sent again. */
  ensureBlob(bytes: Uint8Array, ctx: Context): Promise<void>;
  /** Read, change, write and look again, one caller at a time for each tag. Other processes may interfere: then it is done again. */
  update(tag: string, change: Change, ctx: Context): Promise<void>;
  /** Keeps a manifest under its digest, and sees to it that who asks for what refers to its subject is told of it. Its blobs must be there. */
  attach(referrer: Referrer, ctx: Context): Promise<void>;
  /** What refers to a manifest, ascending by digest. Not every registry gives artifact types and annotations, or right ones. */
  referrers(subject: Sha256, ctx: Context): Promise<readonly Descriptor[]>;
}

/** `pull` is asked for reading, `pull,push` for writing: a token server may refuse the second to a reader. */
export type Actions = 'pull' | 'pull,push';

/** Somewhere that has repositories. */
export interface Repositories extends AsyncDisposable {
  /** `name` is `registry/path`. Throws `oci.reference`. */
  repository(name: string, actions: Actions): Repository;
  /** Stands before the repository in addresses: empty text for a registry, `oci:<folder>:` for a layout. */
  readonly prefix: string;
}

export function descriptorOf({ mediaType, digest, bytes }: Manifest): Descriptor {
  return { mediaType, digest, size: bytes.length };
}
