import type { z } from 'zod';
import { formatNames } from '../format/formats.ts';
import { signers, type SignerName } from '../sign/signers.ts';
import { stores, type StoreName } from '../store/stores.ts';

// What the schema knows of the rooms' tables: names and the shape of options, nothing else.
export { formatNames };
export type { SignerName, StoreName };
export const storeNames: readonly StoreName[] = Object.keys(stores) as StoreName[];
export const signerNames: readonly SignerName[] = Object.keys(signers) as SignerName[];

export type StoreOptions = { readonly [Name in StoreName]: Readonly<z.input<(typeof stores)[Name]['options']>> };
export type SignerOptions = { readonly [Name in SignerName]: Readonly<z.input<(typeof signers)[Name]['options']>> };

/** `registry/repository`, as the store itself checks it. */
export const OciRepository = stores.oci.options.shape.repository;
