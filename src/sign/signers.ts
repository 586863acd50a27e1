import type { SignerKind } from './signer.ts';
import { x509 } from './x509.ts';

/** One row for each kind of signer; the names are the values of `artifacts.<kind>.signer`. */
export const signers = { x509 } satisfies Record<string, SignerKind>;
export type SignerName = keyof typeof signers;
