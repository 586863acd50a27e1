import type { Sha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';

export interface Manifest {
  readonly mediaType: string;
  readonly digest: Sha256;
  readonly bytes: Uint8Array;
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
  /** Digest of what a tag points to, without reading it if possible. */
  resolve(tag: string, ctx: Context): Promise<Sha256 | undefined>;
  blob(layer: { readonly digest: string; readonly size: number }, ctx: Context): Promise<Uint8Array | undefined>;
  /** Keeps a blob; one that is already there is not sent again. */
  putBlob(bytes: Uint8Array, ctx: Context): Promise<void>;
  /** Read, change, write and look again, one caller at a time for each tag. Other processes may interfere: then it is done again. */
  update(tag: string, change: Change, ctx: Context): Promise<void>;
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
