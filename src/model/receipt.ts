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

/** What a store gave back for one place: the bytes of an envelope, as any consumer would get them. */
export type Stored =
  | { readonly kind: 'dsse'; readonly place: Place; readonly body: Uint8Array }
  | { readonly kind: 'raw'; readonly place: Place; readonly payload: Uint8Array; readonly signature: Uint8Array };
