import { oci } from './oci/oci.ts';
import type { StoreKind } from './store.ts';
import { tekton } from './tekton.ts';

export const stores = { oci, tekton } as const satisfies Record<string, StoreKind>;
export type StoreName = keyof typeof stores;
