import { z } from 'zod';

/** Empty text is what an unset key of the configuration gives. */
const text = z
  .string()
  .transform((value) => (value === '' ? undefined : value))
  .optional();

/** How to be let in: `signers.kms.auth.*` (chains-controller 2.1 and 3.4). All but `caFile` and `address` matter to Vault and OpenBao only. */
export const Auth = z.strictObject({
  /** URL of the Vault, or of another endpoint for gcpkms. */
  address: text,
  token: text,
  /** A file with the token; wins over `token`, and is read again when it changes. */
  tokenPath: text,
  oidc: z.strictObject({ path: text, role: text, tokenPath: text }).optional(),
  spire: z.strictObject({ sock: text, audience: text }).optional(),
  approle: z.strictObject({ path: text, roleIdPath: text, secretIdPath: text }).optional(),
  kubernetes: z.strictObject({ path: text, role: text, tokenPath: text }).optional(),
  namespace: text,
  /** Mount path of the transit engine, default `transit`. */
  mount: text,
  /** Pins the version to sign with; default the newest at the time of opening. */
  keyVersion: z.int().min(1).optional(),
  /** PEM file with the CAs that the service's certificate may come from. */
  caFile: text,
});

/** What the environment has for those who set nothing: the configuration reads it, and hands it on. Names as the services' own clients have them. */
export const Ambient = z.strictObject({
  VAULT_ADDR: text,
  BAO_ADDR: text,
  VAULT_TOKEN: text,
  BAO_TOKEN: text,
  VAULT_NAMESPACE: text,
  BAO_NAMESPACE: text,
  VAULT_CACERT: text,
  BAO_CACERT: text,
  TRANSIT_SECRET_ENGINE_PATH: text,
  /** Path of `~/.vault-token`, where the command line of Vault leaves its token. */
  homeTokenFile: text,
});

export interface Access {
  readonly auth: z.output<typeof Auth>;
  readonly ambient: z.output<typeof Ambient>;
}
