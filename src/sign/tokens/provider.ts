import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { TransientError } from '../../errors.ts';
import type { Context } from '../../observe/context.ts';

/**
 * What providers read from the environment, by the names that the tools of the field give it. Handed in: only `config` reads the
 * environment. The values of `SIGSTORE_ID_TOKEN`, `ACTIONS_ID_TOKEN_REQUEST_TOKEN` and `BUILDKITE_AGENT_ACCESS_TOKEN` are secrets.
 */
export const Ambient = z.object({
  SIGSTORE_ID_TOKEN: z.string().optional(),
  SPIFFE_ENDPOINT_SOCKET: z.string().optional(),
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: z.string().optional(),
  ACTIONS_ID_TOKEN_REQUEST_URL: z.string().optional(),
  BUILDKITE_AGENT_ACCESS_TOKEN: z.string().optional(),
  BUILDKITE_AGENT_ENDPOINT: z.string().optional(),
  BUILDKITE_JOB_ID: z.string().optional(),
  /** Host, or host:port, of Google's metadata server, as Google's libraries read it. */
  GCE_METADATA_HOST: z.string().optional(),
  GOOGLE_SERVICE_ACCOUNT_NAME: z.string().optional(),
  GOOGLE_APPLICATION_CREDENTIALS: z.string().optional(),
  /** Base URL of the IAM credentials service, as gcloud reads it. */
  CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: z.string().optional(),
});
export type Ambient = z.output<typeof Ambient>;

/** The names of `Ambient`, for whoever reads the environment. */
export const ambientNames = Object.keys(Ambient.shape) as readonly (keyof Ambient)[];

/** Where tokens come from. */
export interface TokenSource {
  readonly audience: string;
  readonly tokenFile: string | undefined;
  readonly ambient: Ambient;
  /** Connections to services of the internet, through a proxy if there is one. */
  readonly outward: Dispatcher;
  /** Connections to the machine and its surroundings, never through a proxy. */
  readonly direct: Dispatcher;
}

/** One way to get an identity token; a row of the table in `providers.ts`. */
export interface TokenProvider {
  /** What this provider finds without being named: undefined when it can be asked, else what is missing. */
  lacks(source: TokenSource, ctx: Context): Promise<string | undefined>;
  /** The token as it is written there, not looked at yet. Throws coded errors without a piece of any token. */
  fetch(source: TokenSource, ctx: Context): Promise<string>;
}

/** A text that must be there; `sign.token-provider` names it otherwise. */
export function required(name: keyof Ambient, { ambient }: TokenSource): string {
  const value = ambient[name];
  if (value !== undefined && value !== '') return value;
  throw new TransientError('sign.token-provider', `Cannot get an identity token: ${name} is not set`, {
    fix: `set ${name}, or take another provider`,
  });
}

/** `lacks` of a provider that needs these variables. */
export function lacking(names: readonly (keyof Ambient)[], { ambient }: TokenSource): string | undefined {
  const missing = names.filter((name) => ambient[name] === undefined || ambient[name] === '');
  return missing.length === 0 ? undefined : `${missing.join(' and ')} not set`;
}
