import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { send, shownUrl, type Answer, type Call } from '../../http/http.ts';
import type { Context } from '../../observe/context.ts';
import { jsonOf, nonsense, refusal } from './answer.ts';
import { joinScopes, parseChallenges, type Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import type { Credential } from './docker-config.ts';
import { keyedMutex } from './mutex.ts';
import { isPrivateLiteral } from './reach.ts';
import { shownRepository, type RepositoryName } from './reference.ts';
import type { Actions } from './repository.ts';

/** For whom an `Authorization` header is: `base` is the registry's origin. */
export interface Access {
  readonly name: RepositoryName;
  readonly actions: Actions;
  readonly base: string;
}

/** Anonymous until challenged, then Basic or Bearer as the registry asks; what it asked for is remembered (sigstore-wire 3.9). */
export interface Authorizer {
  /** What to send at first, from what is known; undefined for nothing. */
  header(access: Access, ctx: Context): Promise<string | undefined>;
  /** What to send after a 401 with this `WWW-Authenticate` to what was `sent`; undefined when there is nothing better. */
  answer(access: Access, header: string, sent: string | undefined, ctx: Context): Promise<string | undefined>;
}

export interface AuthorizerOptions {
  readonly credentials: Credentials;
  readonly dispatcher: Dispatcher;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Token {
  readonly header: string;
  readonly staleAt: number;
}
type Bearer = Extract<Challenge, { kind: 'bearer' }>;

/** Repositories come from runs, so what is remembered of them is limited; forgetting costs a request. */
const maxRemembered = 2_000;

/** A credential helper is a program, too dear to run for every request; a refused password is looked up anew at once. */
const basicLifeMs = 5 * 60 * 1000;

/** Default of the token specification. */
const defaultLifeSeconds = 60;

export function openAuthorizer({ credentials, dispatcher, now }: AuthorizerOptions): Authorizer {
  const schemes = new Map<string, Challenge>();
  const tokens = new Map<string, Token>();
  const mutex = keyedMutex();

  const bearer = async (access: Access, challenge: Bearer, ctx: Context): Promise<string> => {
    const credential = await credentials.of(access.name, ctx);
    if (credential?.kind === 'registry-token') return `Bearer ${credential.token}`;
    const token = await fetchToken({ access, challenge, credential, dispatcher }, ctx);
    // A tenth earlier than it ends, so that a token does not die on its way.
    remember(tokens, keyOf(access), { header: `Bearer ${token.value}`, staleAt: now() + token.lifeSeconds * 900 });
    return `Bearer ${token.value}`;
  };

  const basic = async (access: Access, ctx: Context): Promise<string | undefined> => {
    const credential = await credentials.of(access.name, ctx);
    if (credential?.kind !== 'basic') return undefined;
    const header = basicOf(credential.username, credential.password);
    remember(tokens, keyOf(access), { header, staleAt: now() + basicLifeMs });
    return header;
  };

  /** One look-up at a time for each repository, and who waited finds what it gave. `useless` is what was just refused. */
  const obtain = async (access: Access, challenge: Challenge, useless: string | undefined, ctx: Context): Promise<string | undefined> =>
    await mutex.run(keyOf(access), async () => {
      const token = tokens.get(keyOf(access));
      if (token !== undefined && token.header !== useless && token.staleAt > now()) return token.header;
      tokens.delete(keyOf(access));
      return challenge.kind === 'basic' ? await basic(access, ctx) : await bearer(access, challenge, ctx);
    });

  return {
    async header(access, ctx) {
      const scheme = schemes.get(access.base);
      return scheme && (await obtain(access, scheme, undefined, ctx));
    },
    async answer(access, header, sent, ctx) {
      const challenges = parseChallenges(header);
      const challenge = challenges.find(({ kind }) => kind === 'bearer') ?? challenges[0];
      if (challenge === undefined) return undefined;
      if (challenge.kind === 'bearer') demandSafeRealm(challenge.realm, access);
      // The scopes were for this repository.
      remember(schemes, access.base, challenge.kind === 'basic' ? challenge : { ...challenge, scopes: [] });
      const next = await obtain(access, challenge, sent, ctx);
      if (next !== sent) return next;
      tokens.delete(keyOf(access));
      return undefined;
    },
  };
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= maxRemembered) map.clear();
  map.set(key, value);
}

function keyOf({ name, actions, base }: Access): string {
  return `${base} ${name.path} ${actions}`;
}

function basicOf(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** A registry says where our password goes. So: https, unless the registry itself is not; and nowhere inside, unless it is the registry. */
function demandSafeRealm(realm: string, { base, name }: Access): void {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  const isSameHost = url?.host === new URL(base).host;
  const reason =
    url === undefined || !/^https?:$/.test(url.protocol)
      ? 'it is not an http or https URL'
      : url.protocol === 'http:' && base.startsWith('https:')
        ? 'it is plain http, and the registry is https'
        : isPrivateLiteral(url.hostname) && !isSameHost
          ? 'it is a private address that is not the registry'
          : undefined;
  if (reason === undefined) return;
  throw new TerminalError('oci.realm', `Cannot ask "${shownUrl(realm)}" for a token for "${shownRepository(name)}": ${reason}`, {
    fix: 'give the token server of the registry an https URL with a host name',
  });
}

const TokenText = z.string().regex(/^[\x21-\x7e]+$/);
const TokenAnswer = z
  .object({ token: TokenText.optional(), access_token: TokenText.optional(), expires_in: z.number().positive().nullish() })
  .transform(({ token, access_token, expires_in }) => ({ value: token ?? access_token, lifeSeconds: expires_in ?? defaultLifeSeconds }));

interface TokenRequest {
  readonly access: Access;
  readonly challenge: Bearer;
  readonly credential: Credential | undefined;
  readonly dispatcher: Dispatcher;
}

async function fetchToken(request: TokenRequest, ctx: Context): Promise<{ readonly value: string; readonly lifeSeconds: number }> {
  const { access, credential } = request;
  const answer = await askForToken(request, ctx);
  const where = shownRepository(access.name);
  const attempt = { action: `get a token (${access.actions}) for`, where, dependency: `oci:${access.name.registry}` };
  if (answer.status !== 200) {
    // Some token servers say 400 or 404 to credentials that they do not like.
    const isDenied = answer.status >= 400 && answer.status < 500 && answer.status !== 429 && answer.status !== 408;
    throw refusal(isDenied ? { ...answer, status: credential ? 403 : 401 } : answer, attempt);
  }
  const parsed = TokenAnswer.safeParse(jsonOf(answer.body));
  if (!parsed.success || parsed.data.value === undefined) throw nonsense(answer, attempt, 'the token server gave no token');
  return { value: parsed.data.value, lifeSeconds: parsed.data.lifeSeconds };
}

/** GET with Basic or anonymous; an identity token is exchanged by POST first, which not every server knows (distribution, OAuth2 variant). */
async function askForToken({ access, challenge, credential, dispatcher }: TokenRequest, ctx: Context): Promise<Answer> {
  const { realm, service } = challenge;
  const scopes = joinScopes([`repository:${access.name.path}:${access.actions}`, ...challenge.scopes]);
  const call = { dependency: `oci:${access.name.registry}`, dispatcher, maxBytes: 1024 * 1024, redirects: 3 };
  if (credential?.kind === 'identity-token') {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'chainsmith', scope: scopes.join(' ') });
    if (service !== undefined) form.set('service', service);
    form.set('refresh_token', credential.token);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    // No redirects: the body is the secret.
    const post: Call = { ...call, method: 'POST', url: realm, headers, body: form.toString(), redirects: 0, retries: 2 };
    const answer = await send(post, ctx);
    if (answer.status !== 404 && answer.status !== 405) return answer;
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const authorization = authorizationOf(credential);
  return await send({ ...call, method: 'GET', url: url.href, headers: authorization === undefined ? {} : { authorization } }, ctx);
}

function authorizationOf(credential: Credential | undefined): string | undefined {
  if (credential?.kind === 'basic') return basicOf(credential.username, credential.password);
  return credential?.kind === 'identity-token' ? basicOf(credential.username, credential.token) : undefined;
}
