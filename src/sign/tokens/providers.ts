import { CodedError, TransientError } from '../../errors.ts';
import { orAborted } from '../../http/http.ts';
import { within, type Context } from '../../observe/context.ts';
import { buildkite } from './buildkite.ts';
import { environment } from './environment.ts';
import { defaultTokenFile, file } from './file.ts';
import { github } from './github.ts';
import { googleImpersonate, googleWorkload } from './google.ts';
import { mendable } from './mendable.ts';
import type { TokenProvider, TokenSource } from './provider.ts';
import { spiffe } from './spiffe.ts';
import { readToken, type IdentityToken } from './token.ts';

/** The names of Tekton Chains (chains-controller 3.3), in the order in which cosign asks them when none is named. */
export const providers = {
  'github-actions': github,
  'buildkite-agent': buildkite,
  envvar: environment,
  filesystem: file,
  'filesystem-custom-path': file,
  'google-workload-identity': googleWorkload,
  'google-impersonate': googleImpersonate,
  spiffe,
} satisfies Record<string, TokenProvider>;
export type ProviderName = keyof typeof providers;
export const providerNames = Object.keys(providers) as readonly ProviderName[];

/** Whom to ask, and what the token must say. */
export interface TokenRequest extends TokenSource {
  /** Undefined: every one that has what it needs, until one gives a token that will do. */
  readonly provider: ProviderName | undefined;
  readonly issuer: string | undefined;
  /** How long one provider may take; default 10 s. */
  readonly deadlineMs?: number;
}

/**
 * An identity token that looks usable at `now` (milliseconds since the epoch), never out of an interactive login. Throws
 * `sign.token-provider` when there is nobody to ask, `sign.token-timeout`, and what providers and `readToken` throw; of several providers an
 * `AggregateError`. Everything is transient: runs wait until it is mended.
 */
export async function obtainToken(request: TokenRequest, now: () => number, ctx: Context): Promise<IdentityToken> {
  const names = await candidates(request, ctx);
  const errors: unknown[] = [];
  for (const name of names) {
    try {
      const text = await fetched(name, request, ctx);
      return readToken(text, { audience: request.audience, issuer: request.issuer, from: originOf(name, request) }, now());
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!(error instanceof CodedError)) throw error;
      errors.push(mendable(error));
    }
  }
  throw errors[0] instanceof Error && errors.length === 1
    ? errors[0]
    : new AggregateError(errors, 'Cannot get an identity token from any provider');
}

/** chains-controller 3.3: a file that is configured is taken unless another provider is named. */
async function candidates(request: TokenRequest, ctx: Context): Promise<readonly ProviderName[]> {
  const { provider, tokenFile } = request;
  if (provider !== undefined) return [provider];
  if (tokenFile !== undefined) return ['filesystem-custom-path'];
  const found: ProviderName[] = [];
  const lacks: string[] = [];
  for (const name of providerNames) {
    // The same file as `filesystem`, as long as no other is configured.
    if (name === 'filesystem-custom-path') continue;
    const lack = await bounded(name, request, async (limited) => await providers[name].lacks(request, limited), ctx);
    if (lack === undefined) found.push(name);
    else lacks.push(`${name}: ${lack}`);
  }
  if (found.length > 0) return found;
  throw new TransientError('sign.token-provider', `Cannot get an identity token: no provider has what it needs (${lacks.join('; ')})`, {
    fix: `mount a projected ServiceAccount token with the audience "${request.audience}" at ${defaultTokenFile}, or configure where tokens are`,
  });
}

function originOf(name: ProviderName, { tokenFile = defaultTokenFile }: TokenRequest): string {
  return providers[name] === file ? `"${tokenFile}"` : `provider "${name}"`;
}

async function fetched(name: ProviderName, request: TokenRequest, ctx: Context): Promise<string> {
  return await bounded(name, request, async (limited) => await providers[name].fetch(request, limited), ctx);
}

async function bounded<T>(name: ProviderName, request: TokenRequest, work: (ctx: Context) => Promise<T>, ctx: Context): Promise<T> {
  const { deadlineMs = 10_000 } = request;
  return await within(deadlineMs, ctx, async (limited) => {
    try {
      // A file system may hang, too, and cannot be told to stop.
      return await orAborted(work(limited), limited.signal);
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!limited.signal.aborted || error instanceof CodedError) throw error;
      throw new TransientError('sign.token-timeout', `Cannot get an identity token: provider "${name}" gave none within ${deadlineMs} ms`, {
        dependency: `identity:${name}`,
        fix: 'check what the provider asks, or take another one',
      });
    }
  });
}
