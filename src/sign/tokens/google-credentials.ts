import { sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { TransientError } from '../../errors.ts';
import { orAborted } from '../../http/http.ts';
import type { Context } from '../../observe/context.ts';
import { memberFrom } from './answer.ts';
import type { TokenSource } from './provider.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';
const dependency = 'identity:google-impersonate';

const ServiceAccount = z.object({
  type: z.literal('service_account'),
  client_email: z.string(),
  private_key: z.string(),
  token_uri: z.url({ protocol: /^https?$/ }).default('https://oauth2.googleapis.com/token'),
});
type ServiceAccount = z.output<typeof ServiceAccount>;
/** Workload identity federation: most of it is for Google's library. Programs that it would run for a token are not. */
const External = z.looseObject({
  type: z.literal('external_account'),
  audience: z.string(),
  subject_token_type: z.string(),
  token_url: z.url({ protocol: /^https?$/ }).optional(),
  credential_source: z.looseObject({ environment_id: z.string().optional(), executable: z.undefined().optional() }),
});

/**
 * An access token of Google for a credentials file (`GOOGLE_APPLICATION_CREDENTIALS`): the key of a service account, or the configuration of
 * a federated identity. Throws `sign.google-credentials`, and what `memberFrom` throws.
 */
export async function accessTokenOfFile(file: string, source: TokenSource, ctx: Context): Promise<string> {
  const credentials = z.discriminatedUnion('type', [ServiceAccount, External]).safeParse(await jsonOf(file));
  if (!credentials.success) throw unusable(file, 'want the JSON of a service account, or of an external account without a program');
  const { data } = credentials;
  return data.type === 'service_account' ? await ofServiceAccount(data, file, source, ctx) : await ofFederation(data, file, ctx);
}

/** A JWT signed with the account's key, for an access token (RFC 7523; "Using OAuth 2.0 for Server to Server Applications"). */
async function ofServiceAccount(account: ServiceAccount, file: string, { outward }: TokenSource, ctx: Context): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: account.client_email, scope, aud: account.token_uri, iat: now, exp: now + 600 };
  const signed = [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: `${signed}.${signatureOver(signed, account, file).toString('base64url')}`,
  });
  const call = {
    method: 'POST',
    url: account.token_uri,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: body.toString(),
    dependency,
    dispatcher: outward,
    retries: 2,
  } as const;
  return await memberFrom(call, 'access_token', ctx);
}

function signatureOver(text: string, account: ServiceAccount, file: string): Buffer {
  try {
    return sign('sha256', Buffer.from(text), account.private_key);
  } catch {
    throw unusable(file, 'its private_key is none');
  }
}

async function ofFederation(credentials: z.output<typeof External>, file: string, ctx: Context): Promise<string> {
  try {
    const { ExternalAccountClient } = await import('google-auth-library');
    const client = ExternalAccountClient.fromJSON({ ...credentials, scopes: [scope] } as Parameters<
      typeof ExternalAccountClient.fromJSON
    >[0]);
    const answer = await orAborted(Promise.resolve(client?.getAccessToken()), ctx.signal);
    if (answer?.token) return answer.token;
  } catch (error) {
    ctx.signal.throwIfAborted();
    // The library's errors carry requests with credentials: not even as a cause.
    const { status, code } = (error ?? {}) as { readonly status?: unknown; readonly code?: unknown };
    throw unusable(file, [status, code].map(String).find((text) => /^[A-Z_0-9]{1,40}$/.test(text)) ?? 'no token for what it says');
  }
  throw unusable(file, 'no token for what it says');
}

async function jsonOf(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it is not JSON';
    throw unusable(file, code);
  }
}

function unusable(file: string, reason: string): TransientError {
  return new TransientError('sign.google-credentials', `Cannot get an access token with "${file}": ${reason}`, {
    fix: 'check that GOOGLE_APPLICATION_CREDENTIALS names a valid credentials file of Google, and that its token service can be reached',
  });
}
