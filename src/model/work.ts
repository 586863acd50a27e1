import type { ArtifactKind, Drop, Subject, Image } from './artifact.ts';

/**
 * One thing to make of a run: an artifact in a format, for a signer and some stores (design 4.4).
 * `key` is stable: the same run and configuration give the same keys, and the journal knows a work by (run UID, key).
 */
export interface Work {
  readonly key: string;
  readonly shortKey: string;
  readonly artifact: ArtifactKind;
  /** The configured name (`slsa/v2alpha4`). */
  readonly format: string;
  readonly signer: string;
  /** Names of the stores, ascending. */
  readonly stores: readonly string[];
  /** Whether it goes into the transparency log. */
  readonly log: boolean;
  readonly image: Image | undefined;
}

/** What a format made of a run: the bytes to sign, and what a store or a reader wants to know without parsing them. */
export interface Payload {
  readonly payloadType: string;
  readonly predicateType: string | undefined;
  readonly bytes: Uint8Array;
  readonly subjects: readonly Subject[];
  /** Subjects that are images by digest, in order, each once. */
  readonly images: readonly Image[];
  readonly dropped: readonly Drop[];
}
