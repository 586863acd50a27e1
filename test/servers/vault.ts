import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { request } from 'undici';
import { z } from 'zod';
import { startServer, until, type RunningServer } from './process.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

/** A Vault with storage in a folder, so that keys outlive a restart, unsealed, with an audit log. The root token may do everything. */
export interface Vault extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly rootToken: string;
  /** One call as root; throws when the status is not a good one. Gives the JSON of the answer, an empty object without. */
  readonly call: (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object) => Promise<VaultAnswer>;
  /** Makes a key in the engine `transit`, or in `mount`. */
  readonly makeKey: (name: string, type: string, mount?: string) => Promise<void>;
  readonly rotate: (name: string) => Promise<void>;
  /** A token with the policy `sign`, which may read and use every key. */
  readonly token: (options?: TokenOptions) => Promise<string>;
  /** A role that gives tokens with the policy `sign`, at `auth/approle`. */
  readonly appRole: (name: string, options?: TokenOptions) => Promise<{ readonly roleId: string; readonly secretId: string }>;
  /** How many requests to a path that ends like this the audit log has. */
  readonly count: (pathEnd: string) => Promise<number>;
  /** Stops it, does `meanwhile`, and starts it again on the same port with the same data, unsealed. */
  readonly restart: (meanwhile?: () => Promise<void>) => Promise<void>;
}

export interface TokenOptions {
  /** Vault's durations: `5s`. */
  readonly ttl?: string;
  readonly maxTtl?: string;
  /** Default `sign`. */
  readonly policies?: readonly string[];
}

const Answer = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  auth: z.looseObject({ client_token: z.string() }).nullish(),
  keys_base64: z.array(z.string()).optional(),
  root_token: z.string().optional(),
});
type VaultAnswer = z.output<typeof Answer>;

const signPolicy = `
path "+/keys/+" { capabilities = ["read"] }
path "+/sign/*" { capabilities = ["update"] }
`;

export async function startVault(): Promise<Vault> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('vault'));
  await mkdir(path.join(dir, 'data'));
  let server = await launch(dir, 1);
  stack.defer(async () => {
    await server[Symbol.asyncDispose]();
  });
  const host = `127.0.0.1:${server.ports[0]}`;
  const url = `http://${host}`;
  const { keys_base64: [key = ''] = [], root_token: rootToken = '' } = await ask(url, 'PUT', 'sys/init', '', {
    secret_shares: 1,
    secret_threshold: 1,
  });
  const unseal = async (): Promise<void> => {
    await ask(url, 'PUT', 'sys/unseal', '', { key });
    await until('Vault to become active', 10_000, async () => (await request(`${url}/v1/sys/health`)).statusCode === 200);
  };
  await unseal();
  const call: Vault['call'] = async (method, where, body) => await ask(url, method, where, rootToken, body);
  const auditLog = path.join(dir, 'audit.log');
  await call('PUT', 'sys/audit/file', { type: 'file', options: { file_path: auditLog } });
  await call('POST', 'sys/mounts/transit', { type: 'transit' });
  await call('POST', 'sys/auth/approle', { type: 'approle' });
  await call('PUT', 'sys/policies/acl/sign', { policy: signPolicy });
  const life = stack.move();
  return {
    url,
    host,
    rootToken,
    call,
    async makeKey(name, type, mount = 'transit') {
      await call('POST', `${mount}/keys/${name}`, { type });
    },
    async rotate(name) {
      await call('POST', `transit/keys/${name}/rotate`);
    },
    async token({ ttl = '1h', maxTtl, policies = ['sign'] } = {}) {
      const answer = await call('POST', 'auth/token/create', { policies, ttl, ...(maxTtl !== undefined && { explicit_max_ttl: maxTtl }) });
      return answer.auth?.client_token ?? '';
    },
    async appRole(name, { ttl = '1h', maxTtl, policies = ['sign'] } = {}) {
      const role = { token_policies: policies, token_ttl: ttl, ...(maxTtl !== undefined && { token_max_ttl: maxTtl }) };
      await call('POST', `auth/approle/role/${name}`, role);
      const { data: roleData } = await call('GET', `auth/approle/role/${name}/role-id`);
      const { data: secretData } = await call('POST', `auth/approle/role/${name}/secret-id`);
      return { roleId: String(roleData?.['role_id']), secretId: String(secretData?.['secret_id']) };
    },
    count: async (pathEnd) => await countIn(auditLog, pathEnd),
    async restart(meanwhile) {
      await server[Symbol.asyncDispose]();
      await meanwhile?.();
      server = await launch(dir, server.ports);
      await unseal();
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

async function launch(dir: string, ports: number | readonly number[]): Promise<RunningServer> {
  return await startServer({
    name: 'vault',
    file: await findTool('vault'),
    ports,
    args: async ([port]) => {
      const config = {
        storage: { file: { path: path.join(dir, 'data') } },
        listener: { tcp: { address: `127.0.0.1:${port}`, tls_disable: true } },
        api_addr: `http://127.0.0.1:${port}`,
        disable_mlock: true,
      };
      const file = path.join(dir, 'vault.json');
      await writeFile(file, JSON.stringify(config));
      return ['server', `-config=${file}`];
    },
    readyUrl: ([port]) => `http://127.0.0.1:${port}/v1/sys/health`,
    // Not initialised yet, or sealed: both are at home.
    isReady: (status) => status === 501 || status === 503,
    readyWithinMs: 30_000,
  });
}

async function ask(
  url: string,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  where: string,
  token: string,
  body?: object,
): Promise<VaultAnswer> {
  const headers = { 'x-vault-token': token, 'content-type': 'application/json' };
  const answer = await request(`${url}/v1/${where}`, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`Cannot ${method} ${where}: ${answer.statusCode} ${text.trim()}`);
  return Answer.parse(text === '' ? {} : JSON.parse(text));
}

const Entry = z.object({ type: z.string(), request: z.object({ path: z.string().default('') }) });

async function countIn(auditLog: string, pathEnd: string): Promise<number> {
  const lines = (await readFile(auditLog, 'utf8')).trimEnd().split('\n');
  const entries = lines.map((line) => Entry.parse(JSON.parse(line)));
  return entries.filter(({ type, request: { path: where } }) => type === 'request' && where.endsWith(pathEnd)).length;
}
