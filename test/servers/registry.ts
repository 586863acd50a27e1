import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeCa, makeServerCertificate, type KeyPair } from './certificates.ts';
import { startServer, type RunningServer } from './process.ts';
import { scratch } from './scratch.ts';
import { startTokenServer, type TokenServer } from './token-server.ts';
import { findTool, type ToolName } from './tools.ts';

export interface RegistryOptions {
  /** `basic` answers Basic, `token` Bearer with a token server of its own; default `none`. */
  readonly auth?: 'none' | 'basic' | 'token';
  readonly tls?: boolean;
}

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, what image references begin with. */
  readonly host: string;
  /** Scheme and host, without a slash at the end. */
  readonly url: string;
  readonly pid: number;
  /** PEM of the CA, with `tls`. */
  readonly caFile?: string;
  /** With `auth`: what it takes, and a folder with a `config.json` that has it. */
  readonly username?: string;
  readonly password?: string;
  readonly dockerConfigDir?: string;
  /** How many tokens the token server gave, with `auth: 'token'`. */
  readonly tokensGiven?: () => number;
  readonly log: () => string;
}

const username = 'chainsmith';
const password = 'registry-password-4b1d';
/** bcrypt, the only kind that distribution takes, of `password`; a constant, as Node has no bcrypt. */
const htpasswd = `${username}:$2y$05$abcdefghijklmnopqrstuuDE7RtCjSTcyAc7/kjgLLMwlq8X.coyq\n`;
const issuer = 'chainsmith-test-issuer';
const service = 'chainsmith-test-registry';

/** distribution 3, in memory: no referrers API (404), so clients need the fallback tag. */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const file = await findTool('registry');
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('registry'));
  const ca = options.tls === true ? await makeCa(dir, 'ca') : undefined;
  const pair = ca && (await makeServerCertificate(dir, 'server', ca));
  const tokens = options.auth === 'token' ? stack.use(await tokenServer(dir)) : undefined;
  const auth = await authConfig(dir, options, tokens);
  const config = path.join(dir, 'config.json');
  const scheme = pair === undefined ? 'http' : 'https';
  const server = stack.use(
    await startServer({
      name: 'registry',
      file,
      ports: 1,
      args: async ([port]) => {
        await writeFile(config, JSON.stringify({ ...configOf(port, pair), ...auth }));
        return ['serve', config];
      },
      env: { OTEL_TRACES_EXPORTER: 'none' },
      readyUrl: ([port]) => `${scheme}://127.0.0.1:${port}/v2/`,
      isReady: (status) => status === (tokens === undefined && options.auth !== 'basic' ? 200 : 401),
    }),
  );
  const host = `127.0.0.1:${server.ports[0]}`;
  return {
    ...handleOf(server, scheme, stack.move()),
    ...(ca && { caFile: ca.certFile }),
    ...('auth' in auth && { username, password, dockerConfigDir: await dockerConfig(dir, host) }),
    ...(tokens && { tokensGiven: tokens.given }),
  };
}

/** ociregistry, in memory: the referrers API with `OCI-Subject`, filters and annotations; no authentication, no TLS. */
export async function startOciRegistry(): Promise<Registry> {
  return await startPlain('ociregistry', (port) => [`127.0.0.1:${port}`]);
}

/** go-containerregistry's, in memory: a referrers API without `OCI-Subject`, filters and annotations, in no order; no authentication, no TLS. */
export async function startRefRegistry(): Promise<Registry> {
  return await startPlain('refregistry', (port) => [`127.0.0.1:${port}`]);
}

/** `crane registry`, in memory: no referrers API (404); no authentication, no TLS. */
export async function startCraneRegistry(): Promise<Registry> {
  return await startPlain('crane', (port) => ['registry', 'serve', '--address', `127.0.0.1:${port}`]);
}

async function startPlain(tool: ToolName, args: (port: number | undefined) => readonly string[]): Promise<Registry> {
  const server = await startServer({
    name: tool,
    file: await findTool(tool),
    ports: 1,
    args: ([port]) => args(port),
    readyUrl: ([port]) => `http://127.0.0.1:${port}/v2/`,
    isReady: (status) => status === 200,
  });
  return handleOf(server, 'http', server);
}

function handleOf(server: RunningServer, scheme: string, life: AsyncDisposable): Registry {
  const host = `127.0.0.1:${server.ports[0]}`;
  return {
    host,
    url: `${scheme}://${host}`,
    pid: server.pid,
    log: server.log,
    [Symbol.asyncDispose]: async () => {
      await life[Symbol.asyncDispose]();
    },
  };
}

/** distribution reads YAML, of which JSON is a part. */
function configOf(port: number | undefined, pair: KeyPair | undefined): Record<string, unknown> {
  return {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { inmemory: {}, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, ...(pair && { tls: { certificate: pair.certFile, key: pair.keyFile } }) },
  };
}

async function authConfig(dir: string, options: RegistryOptions, tokens: TokenServer | undefined): Promise<Record<string, unknown>> {
  if (tokens !== undefined) {
    return { auth: { token: { realm: tokens.realm, service, issuer, rootcertbundle: path.join(dir, 'token.crt') } } };
  }
  if (options.auth !== 'basic') return {};
  const file = path.join(dir, 'htpasswd');
  await writeFile(file, htpasswd);
  return { auth: { htpasswd: { realm: 'chainsmith-test', path: file } } };
}

async function tokenServer(dir: string): Promise<TokenServer> {
  return await startTokenServer({ pair: await makeCa(dir, 'token'), username, password, service, issuer });
}

/** A folder as `DOCKER_CONFIG` names it. */
async function dockerConfig(dir: string, host: string): Promise<string> {
  const folder = path.join(dir, 'docker');
  await mkdir(folder);
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  await writeFile(path.join(folder, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
  return folder;
}
