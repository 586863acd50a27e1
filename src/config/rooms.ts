import type { z } from 'zod';
import { formatNames } from '../format/formats.ts';
import { signers, type SignerName } from '../sign/signers.ts';

// What the schema knows of the rooms' tables: names and the shape of options, nothing else.
export const storeNames = ['oci', 'tekton'] as const;
export type StoreName = (typeof storeNames)[number];

export { formatNames };
export type { SignerName };
export const signerNames: readonly SignerName[] = Object.keys(signers) as SignerName[];
export type SignerOptions = { readonly [Name in SignerName]: z.input<(typeof signers)[Name]['options']> };
