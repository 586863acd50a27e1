import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { KeyPair } from './certificates.ts';
import { serveHttp } from './http-server.ts';

export interface TokenServerOptions {
  /** Its certificate is the `rootcertbundle` of the registry. */
  readonly pair: KeyPair;
  readonly username: string;
  readonly password: string;
  readonly service: string;
  readonly issuer: string;
}

export interface TokenServer extends AsyncDisposable {
  /** The realm for the registry. A name, because clients refuse a realm that is a private address. */
  readonly realm: string;
  /** How many tokens were given out so far. */
  readonly given: () => number;
}

/**
 * The token side of the distribution specification's bearer authentication (distribution `docs/spec/auth/token.md`), ES256 with `x5c`.
 * The one user may do everything, a caller without credentials may pull below `public/`, and wrong credentials get 401.
 */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const key = createPrivateKey(await readFile(options.pair.keyFile));
  const x5c = [new X509Certificate(await readFile(options.pair.certFile)).raw.toString('base64')];
  let given = 0;
  const server = await serveHttp((message, response) => {
    const who = callerOf(message, options);
    if (who === 'stranger') {
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"errors":[{"code":"UNAUTHORIZED"}]}');
      return;
    }
    const url = new URL(message.url ?? '/', 'http://localhost');
    const access = url.searchParams.getAll('scope').flatMap((scope) => accessOf(scope, who));
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: options.issuer,
      aud: options.service,
      sub: who,
      iat: now,
      nbf: now - 5,
      exp: now + 300,
      jti: randomUUID(),
      access,
    };
    const signed = `${base64url({ typ: 'JWT', alg: 'ES256', x5c })}.${base64url(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    given += 1;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token: `${signed}.${signature}`, expires_in: 300, issued_at: new Date(now * 1000).toISOString() }));
  });
  return {
    realm: `http://localhost:${server.port}/token`,
    given: () => given,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}

type Caller = 'user' | 'anonymous' | 'stranger';

function callerOf(message: IncomingMessage, options: TokenServerOptions): Caller {
  const header = message.headers.authorization;
  if (header === undefined) return 'anonymous';
  const expected = `Basic ${Buffer.from(`${options.username}:${options.password}`).toString('base64')}`;
  return header === expected ? 'user' : 'stranger';
}

/** One `scope` parameter, space-separated `type:name:action,action`; a name may hold a port, so it is taken from both ends. */
function accessOf(scope: string, who: Caller): readonly { type: string; name: string; actions: readonly string[] }[] {
  return scope.split(' ').flatMap((part) => {
    const [, type, name, actions] = /^([^:]+):(.+):([^:]*)$/.exec(part) ?? [];
    if (type === undefined || name === undefined || actions === undefined) return [];
    const wanted = actions.split(',');
    const allowed = who === 'user' ? wanted : name.startsWith('public/') ? wanted.filter((action) => action === 'pull') : [];
    return [{ type, name, actions: allowed }];
  });
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
