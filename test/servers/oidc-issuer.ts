import { generateKeyPair, randomUUID, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { serveHttp } from './http-server.ts';

export interface TokenClaims {
  /** Default: that of the ServiceAccount, as Kubernetes has it. */
  readonly sub?: string;
  /** Default `sigstore`. */
  readonly aud?: string;
  /** Default 600; a negative one gives a token that is over. */
  readonly expiresInSeconds?: number;
  /** Whose token it is: gives `sub` and the claim object of a bound token. Default `default/default`, unless there is a `sub`. */
  readonly kubernetes?: { readonly namespace: string; readonly serviceAccount: string };
  /** Goes with `email_verified: true`. */
  readonly email?: string;
}

/** An OpenID Connect issuer that gives a token to whoever asks in this process. */
export interface OidcIssuer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, the `iss` of its tokens. */
  readonly url: string;
  readonly token: (claims?: TokenClaims) => string;
  /** How often its discovery document was read. */
  readonly discoveries: () => number;
}

/** RS256, because cosign takes a token of another algorithm on its command line for the name of a file. */
export async function startOidcIssuer(): Promise<OidcIssuer> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const kid = randomUUID();
  let discoveries = 0;
  const server = await serveHttp((message, response) => {
    const url = `http://127.0.0.1:${server.port}`;
    if (message.url === '/.well-known/openid-configuration') discoveries += 1;
    const documents: Readonly<Record<string, unknown>> = {
      '/.well-known/openid-configuration': {
        issuer: url,
        jwks_uri: `${url}/keys`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      },
      '/keys': { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] },
    };
    const found = documents[message.url ?? ''];
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(found ?? {}));
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    token(claims = {}) {
      const signed = `${base64url({ typ: 'JWT', alg: 'RS256', kid })}.${base64url(payloadOf(url, claims))}`;
      return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
    },
    discoveries: () => discoveries,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Members as a bound ServiceAccount token has them. */
function payloadOf(issuer: string, claims: TokenClaims): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const expiresIn = claims.expiresInSeconds ?? 600;
  const account = claims.kubernetes ?? (claims.sub === undefined ? { namespace: 'default', serviceAccount: 'default' } : undefined);
  return {
    iss: issuer,
    aud: claims.aud ?? 'sigstore',
    iat: now + Math.min(0, expiresIn - 1),
    nbf: now + Math.min(0, expiresIn - 1),
    exp: now + expiresIn,
    jti: randomUUID(),
    sub: claims.sub ?? `system:serviceaccount:${account?.namespace}:${account?.serviceAccount}`,
    ...(account && {
      'kubernetes.io': { namespace: account.namespace, serviceaccount: { name: account.serviceAccount, uid: randomUUID() } },
    }),
    ...(claims.email !== undefined && { email: claims.email, email_verified: true }),
  };
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
