import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { TerminalError, TransientError, type CodedError } from '../../errors.ts';
import type { Context } from '../../observe/context.ts';
import { fetchJwtSvid } from '../spiffe.ts';
import type { Access } from './access.ts';
import { trouble } from './failure.ts';
import type { Place } from './key.ts';
import { vaultTroubleOf, type Said, type VaultApi } from './vault-api.ts';

/** A token, and for how long: `ttlMs` is Infinity for one that does not end, or of which that is not known. */
export interface Lease {
  readonly token: string;
  readonly ttlMs: number;
  readonly isRenewable: boolean;
}

/** Where tokens come from. */
export interface TokenSource {
  /** A login gives as many tokens as it takes; what is configured is the only one there is. */
  readonly isLogin: boolean;
  acquire(api: VaultApi, ctx: Context): Promise<Lease>;
  /** Whether `acquire` would give another token than last time, by a look at a file. */
  hasChanged(): Promise<boolean>;
}

/**
 * The first that is configured, in the order of Tekton Chains (chains-controller 3.4.1 and 3.4.2), whose OIDC token wins over a plain one and
 * whose OIDC file is only looked at without a plain one; Kubernetes and AppRole, which it does not have, come before the environment.
 */
export function tokenSourceOf({ auth, ambient }: Access, place: Place): TokenSource {
  const { spire, oidc, kubernetes, approle } = auth;
  if (spire?.sock !== undefined) {
    const options = { address: spire.sock, audience: spire.audience ?? '' };
    if (options.audience === '') throw unset('spire.audience', 'the audience that the role in Vault wants');
    return login(place, `auth/${mountOf(oidc?.path ?? 'jwt')}/login`, async (ctx) => ({
      role: oidc?.role ?? '',
      jwt: await fetchJwtSvid(options, ctx),
    }));
  }
  if (auth.tokenPath !== undefined) return tokenFile(auth.tokenPath, place);
  if (auth.token !== undefined) return plainToken(auth.token, 'signers.kms.auth.token', place);
  if (oidc?.path !== undefined && oidc.role !== undefined) return jwtFile(place, oidc.path, oidc.role, oidc.tokenPath);
  if (kubernetes?.role !== undefined) return jwtFile(place, kubernetes.path ?? 'kubernetes', kubernetes.role, kubernetes.tokenPath);
  if (approle?.roleIdPath !== undefined) {
    const { roleIdPath, secretIdPath } = approle;
    return login(place, `auth/${mountOf(approle.path ?? 'approle')}/login`, async () => ({
      role_id: await fileText(roleIdPath, 'AppRole role id', place),
      // A role may be bound to addresses instead (bind_secret_id=false).
      ...(secretIdPath !== undefined && { secret_id: await fileText(secretIdPath, 'AppRole secret id', place) }),
    }));
  }
  const token = ambient.VAULT_TOKEN ?? ambient.BAO_TOKEN;
  if (token !== undefined) return plainToken(token, 'VAULT_TOKEN', place);
  if (ambient.homeTokenFile !== undefined) return tokenFile(ambient.homeTokenFile, place);
  throw new TerminalError('sign.kms-credential', `Cannot sign with "${place.key}": there is no way to log in`, {
    fix: 'configure signers.kms.auth.token-path, oidc.path and oidc.role, kubernetes.role, approle.role-id-path or spire.sock',
  });
}

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** Kubernetes and JWT authentication take the same two fields (Vault API, auth/jwt and auth/kubernetes). */
function jwtFile(place: Place, path: string, role: string, file: string = serviceAccountToken): TokenSource {
  // Read at each login: the kubelet renews a projected token.
  return login(place, `auth/${mountOf(path)}/login`, async () => ({ role, jwt: await fileText(file, 'OIDC token', place) }));
}

const Login = z.object({
  auth: z.object({ client_token: z.string().min(1), lease_duration: z.number(), renewable: z.boolean().default(false) }),
});

function login(place: Place, path: string, bodyOf: (ctx: Context) => Promise<Readonly<Record<string, string>>>): TokenSource {
  return {
    isLogin: true,
    hasChanged: async () => false,
    async acquire(api, ctx) {
      const body = await bodyOf(ctx);
      const { role: _, ...secrets } = body;
      const said = await api.ask({ method: 'POST', path, body, secrets: Object.values(secrets) }, ctx);
      const parsed = Login.safeParse(said.body);
      if (said.status >= 300 || !parsed.success) throw loginFailure(said, path, place);
      const { client_token: token, lease_duration: seconds, renewable } = parsed.data.auth;
      return { token: usable(token, path, place), ttlMs: seconds > 0 ? seconds * 1000 : Infinity, isRenewable: renewable };
    },
  };
}

function loginFailure(said: Said, path: string, place: Place): CodedError {
  const kind = vaultTroubleOf(said);
  const shown = `login at ${path}: ${said.status}${said.reason === '' ? '' : ` "${said.reason}"`}`;
  if (kind === 'busy' || kind === 'unavailable') return trouble(kind, place, shown, said.retryAfterMs);
  if (said.status < 300) return trouble('nonsense', place, shown);
  return new TransientError('sign.kms-login', `Cannot sign with "${place.key}": the ${shown}`, {
    dependency: place.dependency,
    fix: 'check that this authentication method is enabled under this path, and that its role takes what we present',
  });
}

function plainToken(token: string, where: string, place: Place): TokenSource {
  return {
    isLogin: false,
    hasChanged: async () => false,
    acquire: async (api, ctx) => await lookedUp(usable(token.trim(), where, place), api, ctx),
  };
}

/** One trailing newline is removed, as Tekton Chains does; the file may be replaced at any time, say by an agent of Vault. */
function tokenFile(file: string, place: Place): TokenSource {
  let seen = '';
  const look = async (): Promise<string> => {
    const { mtimeMs, ino, size } = await stat(file);
    return `${mtimeMs} ${ino} ${size}`;
  };
  return {
    isLogin: false,
    // A file that is away for a moment is no other token.
    hasChanged: async () =>
      await look().then(
        (now) => now !== seen,
        () => false,
      ),
    async acquire(api, ctx) {
      const now = await look().catch(() => '');
      const token = usable((await fileBytes(file, 'token', place)).replace(/\r?\n$/, ''), file, place);
      seen = now;
      return await lookedUp(token, api, ctx);
    },
  };
}

const Lookup = z.object({ data: z.object({ ttl: z.number(), renewable: z.boolean().default(false) }) });

/** What is left of a token that somebody else made. Its policies may not let it ask: then it is used as it is, until it is refused. */
async function lookedUp(token: string, api: VaultApi, ctx: Context): Promise<Lease> {
  const said = await api.ask({ method: 'GET', path: 'auth/token/lookup-self', token }, ctx);
  const parsed = Lookup.safeParse(said.body);
  if (said.status >= 300 || !parsed.success) return { token, ttlMs: Infinity, isRenewable: false };
  const { ttl, renewable } = parsed.data.data;
  return { token, ttlMs: ttl > 0 ? ttl * 1000 : Infinity, isRenewable: renewable };
}

/** A file's text without white space around it, as Tekton Chains reads OIDC tokens. */
async function fileText(file: string, what: string, place: Place): Promise<string> {
  return usable((await fileBytes(file, what, place)).trim(), file, place);
}

async function fileBytes(file: string, what: string, place: Place): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw credential(place, `the ${what} file "${file}" cannot be read: ${code}`, error);
  }
}

/** What goes into a header must be visible ASCII: anything else is no token, and an HTTP client would quote it in its error. */
function usable(value: string, where: string, place: Place): string {
  if (value === '') throw credential(place, `the token file "${where}" is empty`);
  if (!/^[\x21-\x7e]+$/.test(value))
    throw credential(place, `"${where}" does not hold a token: it has other characters than those of a token`);
  return value;
}

function credential(place: Place, reason: string, cause?: unknown): TransientError {
  return new TransientError('sign.kms-credential', `Cannot sign with "${place.key}": ${reason}`, {
    ...(cause !== undefined && { cause }),
    dependency: place.dependency,
    fix: 'put the credential there: it is read again at the next try',
  });
}

function unset(key: string, what: string): TerminalError {
  return new TerminalError('sign.kms-credential', `Cannot log in: signers.kms.auth.${key} is not set`, { fix: `set it to ${what}` });
}

/** A mount path without the slashes around it, fit for a URL. Throws `sign.kms-address`. */
export function mountOf(path: string): string {
  const mount = path.replaceAll(/^\/+|\/+$/g, '');
  if (/^[\w.-]+(\/[\w.-]+)*$/.test(mount) && !mount.split('/').includes('..')) return mount;
  throw new TerminalError('sign.kms-address', `Cannot use "${path}" as a mount path: want words with slashes between them`, {
    fix: 'give the path as "vault auth list" or "vault secrets list" shows it',
  });
}
