import type { Sha256 } from './digest.ts';

/** An image by digest; `repository` is normalised, registry first (`index.docker.io/library/busybox`). */
export interface Image {
  readonly repository: string;
  readonly digest: Sha256;
}

/** What a payload speaks about; also the middle word of the configuration keys `artifacts.<kind>.*`. */
export type ArtifactKind = 'taskrun' | 'pipelinerun' | 'oci';

/** An in-toto subject: `digest` maps algorithm to lower-case hex. */
export interface Subject {
  readonly name: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** A hint that looked like one and was not used: never silent (P5). */
export interface Drop {
  /** Where: `status.results[IMAGE_DIGEST]`. */
  readonly result: string;
  /** The offending value, cut to 200 characters. */
  readonly value: string;
  /** Stable rule name, `room.what`. */
  readonly rule: string;
  /** Why, in words for a developer. */
  readonly why: string;
  readonly fix: string;
}
