import type { Image } from './artifact.ts';
import type { RunId } from './run.ts';

/**
 * What is signed, once per work: the payload, its signature, and what a store needs to know to file it.
 * `dsse`: the signature covers the PAE of the payload, `body` is the DSSE envelope as JSON bytes.
 * `raw`: the signature covers the payload itself (simple signing), `body` is the raw signature.
 * `body` is serialised once: the same bytes go to every log and store (sigstore-wire 0, decision 6).
 */
export interface Envelope {
  readonly kind: 'dsse' | 'raw';
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly body: Uint8Array;
  /** SPKI PEM of the key that signed. */
  readonly publicKey: string;
  /** PEM leaf and chain; empty text without a certificate. */
  readonly certificate: string;
  readonly chain: string;
  readonly filing: Filing;
}

/** Where an envelope belongs, whatever the store. */
export interface Filing {
  readonly run: RunId;
  /** `taskrun-<uid>`, `pipelinerun-<uid>`, or the first 12 hex digits of an image's digest (chains-provenance 10.3). */
  readonly shortKey: string;
  readonly predicateType: string | undefined;
  /** The images this envelope speaks about, in subject order, each once. */
  readonly images: readonly Image[];
}
