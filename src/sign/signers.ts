import { fulcio } from './fulcio.ts';
import { kms } from './kms.ts';
import type { SignerKind } from './signer.ts';
import { x509 } from './x509.ts';

/** One row for each kind of signer. Which names of signers mean which is for the configuration to say. */
export const signers = { x509, kms, fulcio } satisfies Record<string, SignerKind>;
export type SignerName = keyof typeof signers;
