import { aws } from './aws.ts';
import { azure } from './azure.ts';
import { gcp } from './gcp.ts';
import type { KmsKind } from './key.ts';
import { vault } from './vault.ts';

/** One row for each scheme of a key reference. What they need of others is loaded when a key is opened, not before. */
export const providers = {
  awskms: aws,
  azurekms: azure,
  gcpkms: gcp,
  hashivault: vault,
  openbao: vault,
} as const satisfies Record<string, KmsKind>;
