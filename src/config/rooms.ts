import type { z } from 'zod';
import { formatNames } from '../format/formats.ts';
import type { signers, SignerName } from '../sign/signers.ts';
import { ambientNames } from '../sign/tokens/provider.ts';
import { providerNames } from '../sign/tokens/providers.ts';
import { stores, type StoreName } from '../store/stores.ts';

// What the schema knows of the rooms' tables: names and the shape of options, nothing else.
export { ambientNames, formatNames, providerNames };
export type { StoreName };
export const storeNames: readonly StoreName[] = Object.keys(stores) as StoreName[];

export type StoreOptions = { readonly [Name in StoreName]: Readonly<z.input<(typeof stores)[Name]['options']>> };
/** A row of the table of signers, and what it is opened with. */
export type SignerChoice = {
  readonly [Name in SignerName]: { readonly kind: Name; readonly options: Readonly<z.input<(typeof signers)[Name]['options']>> };
}[SignerName];

/** `registry/repository`, as the store itself checks it. */
export const OciRepository = stores.oci.options.shape.repository;
