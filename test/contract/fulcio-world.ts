import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { TransientError } from '../../src/errors.ts';
import type { Context } from '../../src/observe/context.ts';
import { fulcio as kind, openWith } from '../../src/sign/fulcio.ts';
import type { Signer, SignerMeans } from '../../src/sign/signer.ts';
import { parseTrustedRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import type { KeyPair } from '../servers/certificates.ts';
import { startCtLog, type CtLog } from '../servers/ct-log.ts';
import { startFulcio, type Fulcio, type FulcioOptions } from '../servers/fulcio.ts';
import { serveHttp } from '../servers/http-server.ts';
import { startOidcIssuer, type OidcIssuer, type TokenClaims } from '../servers/oidc-issuer.ts';
import { scratch } from '../servers/scratch.ts';
import { trustedRootOf } from '../servers/trusted-root.ts';

export type Wishes = Readonly<Record<string, unknown>>;

/** A Fulcio with a CT log, an issuer of ServiceAccount tokens, a token file, a clock to turn, and every line that was logged. */
export interface World extends AsyncDisposable {
  readonly issuer: OidcIssuer;
  readonly ctLog: CtLog;
  readonly fulcio: Fulcio;
  readonly dir: string;
  readonly tokenFile: string;
  readonly trustedRootJson: string;
  readonly root: TrustedRoot;
  readonly ctx: Context;
  readonly log: () => string;
  /** Milliseconds that the clock of the signer is ahead of the real one. */
  skewMs: number;
  /** Puts a new token into the file. */
  readonly newToken: (claims?: TokenClaims) => Promise<string>;
  /** With the token file, unless the wishes say otherwise. */
  readonly open: (wishes?: Wishes, root?: TrustedRoot) => Promise<Signer>;
  /** How many certificates the CA has issued. */
  readonly issued: () => number;
}

export interface WorldOptions {
  /** In place of the world's own issuer. */
  readonly issuer?: FulcioOptions['issuer'];
  readonly intermediate?: boolean;
  /** Whether the CA asks the CT log. */
  readonly isLogged?: boolean;
}

export async function startWorld({ isLogged = true, ...options }: WorldOptions = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('keyless'));
  const issuer = stack.use(await startOidcIssuer());
  const ctLog = stack.use(await startCtLog());
  const fulcio = stack.use(await startFulcio({ issuer, ...(isLogged && { ctLog }), ...options }));
  const trustedRootJson = trustedRootOf({ ctLogs: [ctLog], certificateAuthorities: [fulcio] });
  const root = parseTrustedRoot(Buffer.from(trustedRootJson), 'the test');
  const lines: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const ctx: Context = { signal: new AbortController().signal, logger };
  const tokenFile = path.join(dir, 'token');
  const life = stack.move();
  const world: World = {
    issuer,
    ctLog,
    fulcio,
    dir,
    tokenFile,
    trustedRootJson,
    root,
    ctx,
    skewMs: 0,
    log: () => lines.join(''),
    issued: () => ctLog.given(),
    async newToken(claims = {}) {
      const token = issuer.token(claims);
      await writeFile(tokenFile, `${token}\n`);
      return token;
    },
    async open(wishes = {}, trusted = root) {
      const parsed = kind.options.parse({ address: fulcio.url, tokenFile, ...wishes });
      return await openWith(parsed, meansOf(trusted), { now: () => Date.now() + world.skewMs }, ctx);
    },
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
  await world.newToken();
  return world;
}

export function meansOf(root: TrustedRoot): SignerMeans {
  return {
    trust: async () => await Promise.resolve(root),
    secret: async () => await Promise.reject(new Error('no signer without a key in a Secret reads one')),
  };
}

/** An error as an operator meets it: code, what follows, and the message. */
export interface Failure {
  readonly code: string;
  readonly dependency: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly message: string;
  readonly fix: string | undefined;
  /** Everything about it that anybody could print. */
  readonly shown: string;
}

export async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof TransientError)) throw new Error(`want a transient error, got ${inspect(error)}`);
  const { code, dependency, retryAfterMs, message, fix } = error;
  return { code, dependency, retryAfterMs, message, fix, shown: inspect(error, { depth: 20, showHidden: true }) };
}

export interface EllipticIssuer extends AsyncDisposable {
  readonly url: string;
  readonly token: (claims: Readonly<Record<string, unknown>>) => string;
  /** Nobody answers until `start`; the keys stay. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
}

/** An issuer that signs with ES256, as SPIRE does, and says of its tokens what it is told. */
export async function startEllipticIssuer(): Promise<EllipticIssuer> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const documents = (url: string): Readonly<Record<string, unknown>> => ({
    '/.well-known/openid-configuration': {
      issuer: url,
      jwks_uri: `${url}/keys`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    },
    '/keys': { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: '1', alg: 'ES256', use: 'sig' }] },
  });
  const serve = async (port: number) =>
    await serveHttp((message, response) => {
      const found = documents(`http://${message.headers.host}`)[message.url ?? ''];
      response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(found ?? {}));
    }, port);
  let server = await serve(0);
  const { port } = server;
  const url = `http://127.0.0.1:${port}`;
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    url,
    token(claims) {
      const now = Math.floor(Date.now() / 1000);
      const signed = `${part({ typ: 'JWT', alg: 'ES256', kid: '1' })}.${part({ iss: url, aud: 'sigstore', iat: now, exp: now + 600, ...claims })}`;
      const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
    async stop() {
      await server[Symbol.asyncDispose]();
    },
    async start() {
      server = await serve(port);
    },
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

export interface TlsFront extends AsyncDisposable {
  readonly url: string;
}

/** Speaks TLS for a server that does not, as an ingress would. */
export async function startTlsFront(pair: KeyPair, url: string): Promise<TlsFront> {
  const { hostname: host, port } = new URL(url);
  const sockets = new Set<net.Socket>();
  const server = tls.createServer({ cert: await readFile(pair.certFile), key: await readFile(pair.keyFile) }, (client) => {
    const upstream = net.connect({ host, port: Number(port) });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .once('close', () => {
          client.destroy();
          upstream.destroy();
        });
    }
    client.pipe(upstream).pipe(client);
  });
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Cannot speak TLS: the socket has no port');
  return {
    url: `https://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await once(server.close(), 'close');
    },
  };
}
