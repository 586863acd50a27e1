import type { z } from 'zod';
import type { ArtifactKind } from '../model/artifact.ts';
import { signers, type SignerName } from '../sign/signers.ts';

// What the schema knows of the rooms' tables: names and the shape of options, nothing else.
export const storeNames = ['oci', 'tekton'] as const;
export type StoreName = (typeof storeNames)[number];

export type { SignerName };
export const signerNames: readonly SignerName[] = Object.keys(signers) as SignerName[];
export type SignerOptions = { readonly [Name in SignerName]: z.input<(typeof signers)[Name]['options']> };

/** Every configured name of a format that fits the artifact, aliases included. */
export function formatNamesOf(kind: ArtifactKind): readonly string[] {
  return kind === 'oci' ? ['simplesigning'] : ['in-toto', 'slsa/v1', 'slsa/v2alpha3', 'slsa/v2alpha4'];
}
