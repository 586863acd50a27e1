import type { Image } from './artifact.ts';

/** One thing that a store holds: enough to read it back. `address` is the store's own (`registry/repo:tag@layer`). */
export interface Place {
  readonly address: string;
  readonly image: Image | undefined;
}

/** A store's word that an envelope is kept. `places` is empty when there was nothing to keep, and `note` says why. */
export interface Receipt {
  readonly store: string;
  readonly places: readonly Place[];
  readonly note: string | undefined;
  /** What the run's own object must carry: only the `tekton` store has any, and only `record` writes them. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** What stands beside a signature in a tag or an annotation, as it was read and not looked at yet; empty text for what is not there. */
export interface Material {
  /** PEM. */
  readonly certificate: string;
  readonly chain: string;
  /** cosign's `dev.sigstore.cosign/bundle`: JSON with the entry of a Rekor 1 (sigstore-wire 3.2). */
  readonly logBundle: string;
  /** cosign's `dev.sigstore.cosign/rfc3161timestamp`: JSON with a timestamp response. */
  readonly timestamp: string;
}

export const noMaterial: Material = { certificate: '', chain: '', logBundle: '', timestamp: '' };

/** What a store gave back for one place: the bytes of an envelope, or of a Sigstore bundle (JSON), as any consumer would get them. */
export type Stored =
  | { readonly kind: 'dsse'; readonly place: Place; readonly body: Uint8Array; readonly material: Material }
  | {
      readonly kind: 'raw';
      readonly place: Place;
      readonly payload: Uint8Array;
      readonly signature: Uint8Array;
      readonly material: Material;
    }
  | { readonly kind: 'bundle'; readonly place: Place; readonly body: Uint8Array };
