import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Agent, request } from 'undici';
import { parse } from 'yaml';
import { output } from './command.ts';
import { flags, startServer, until, type RunningServer } from './process.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

export interface ApiServerOptions {
  /** Who did what, one JSON object a line, at the level Metadata. */
  readonly auditLog?: boolean;
}

/** What the API server said: its status, and the object (or `Status`) in it; a text when it is not JSON. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** etcd and kube-apiserver with RBAC and Tekton's run kinds, and nothing else: no controllers, no nodes. */
export interface ApiServer extends AsyncDisposable {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  readonly caFile: string;
  readonly caPem: string;
  /** In the group `system:masters`. */
  readonly adminToken: string;
  /** A kubeconfig file of the administrator. */
  readonly kubeconfig: string;
  readonly dir: string;
  readonly auditLogPath?: string;
  readonly pids: () => readonly number[];
  /** One call as the administrator; the body goes as JSON, a PATCH as a merge patch unless `contentType` says otherwise. */
  readonly call: (method: Method, path: string, body?: unknown, contentType?: string) => Promise<ApiAnswer>;
  /** A token of a ServiceAccount, which is created when it is not there, as is its namespace. */
  readonly serviceAccountToken: (namespace: string, name: string) => Promise<string>;
  /** Kills kube-apiserver, does `meanwhile`, and starts it again on the same port and the same etcd. */
  readonly restart: (meanwhile?: () => Promise<void>) => Promise<void>;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const crds = path.join(import.meta.dirname, 'crds');
const auditPolicy = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules: [{ level: 'Metadata' }] };

/** Ready in about five seconds; share one between the tests of a file, in namespaces of their own. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('apiserver'));
  const adminToken = randomUUID();
  const etcd = stack.use(await startEtcd(dir));
  await writeFile(path.join(dir, 'tokens.csv'), `${adminToken},admin,admin,"system:masters"\n`);
  await writeFile(path.join(dir, 'audit-policy.json'), JSON.stringify(auditPolicy));
  await output('openssl', ['genrsa', '-out', path.join(dir, 'sa.key'), '2048']);
  const start = async (ports: number | readonly number[]): Promise<RunningServer> => await startKube(dir, etcd.ports, ports, options);
  let kube = await start(1);
  stack.defer(async () => {
    await kube[Symbol.asyncDispose]();
  });
  const caFile = path.join(dir, 'certs', 'apiserver.crt');
  const caPem = await readFile(caFile, 'utf8');
  const url = `https://127.0.0.1:${kube.ports[0]}`;
  const agent = new Agent({ connect: { ca: caPem } });
  stack.defer(async () => {
    await agent.destroy();
  });
  const call = callerFor(url, adminToken, agent);
  await applyCrds(call);
  const life = stack.move();
  return {
    url,
    caFile,
    caPem,
    adminToken,
    kubeconfig: await writeKubeconfig(dir, { url, caPem, adminToken }),
    dir,
    ...(options.auditLog === true && { auditLogPath: path.join(dir, 'audit.log') }),
    pids: () => [etcd.pid, kube.pid],
    call,
    serviceAccountToken: async (namespace, name) => await serviceAccountToken(call, namespace, name),
    async restart(meanwhile) {
      await kube[Symbol.asyncDispose]();
      await meanwhile?.();
      kube = await start(kube.ports);
      await untilListable(call);
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

async function startEtcd(dir: string): Promise<RunningServer> {
  return await startServer({
    name: 'etcd',
    file: await findTool('etcd'),
    ports: 2,
    args: ([client, peer]) =>
      flags({
        'data-dir': path.join(dir, 'etcd'),
        'log-level': 'error',
        'unsafe-no-fsync': 'true',
        'listen-client-urls': `http://127.0.0.1:${client}`,
        'advertise-client-urls': `http://127.0.0.1:${client}`,
        'listen-peer-urls': `http://127.0.0.1:${peer}`,
      }),
    readyUrl: ([client]) => `http://127.0.0.1:${client}/health`,
    isReady: (status) => status === 200,
    stop: 'kill',
  });
}

async function startKube(
  dir: string,
  etcdPorts: readonly number[],
  ports: number | readonly number[],
  options: ApiServerOptions,
): Promise<RunningServer> {
  const inDir = (name: string): string => path.join(dir, name);
  await mkdir(inDir('certs'), { recursive: true });
  const audit = options.auditLog === true && { 'audit-policy-file': inDir('audit-policy.json'), 'audit-log-path': inDir('audit.log') };
  return await startServer({
    name: 'kube-apiserver',
    file: await findTool('kube-apiserver'),
    ports,
    args: ([port]) =>
      flags({
        'etcd-servers': `http://127.0.0.1:${etcdPorts[0]}`,
        'secure-port': String(port),
        'bind-address': '127.0.0.1',
        'cert-dir': inDir('certs'),
        'authorization-mode': 'RBAC',
        'token-auth-file': inDir('tokens.csv'),
        'service-account-issuer': `https://127.0.0.1:${port}`,
        'service-account-jwks-uri': `https://127.0.0.1:${port}/openid/v1/jwks`,
        'service-account-signing-key-file': inDir('sa.key'),
        'service-account-key-file': inDir('sa.key'),
        'service-cluster-ip-range': '10.96.0.0/24',
        'endpoint-reconciler-type': 'none',
        ...audit,
      }),
    readyUrl: ([port]) => `https://127.0.0.1:${port}/readyz`,
    isReady: (status, body) => status === 200 && body === 'ok',
    readyWithinMs: 60_000,
    // A graceful stop waits for every watch, minutes.
    stop: 'kill',
  });
}

type Caller = ApiServer['call'];

function callerFor(url: string, token: string, dispatcher: Agent): Caller {
  return async (method, where, body, contentType) => {
    const type = contentType ?? (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json');
    const answer = await request(url + where, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': type },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headersTimeout: 30_000,
    });
    const text = await answer.body.text();
    const isJson = String(answer.headers['content-type']).startsWith('application/json');
    return { status: answer.statusCode, body: isJson ? (JSON.parse(text) as unknown) : text };
  };
}

/** Also waits until each kind can be listed: "Established" comes a moment before the first good answer. */
async function applyCrds(call: Caller): Promise<void> {
  for (const file of await readdir(crds)) {
    const crd: unknown = parse(await readFile(path.join(crds, file), 'utf8'));
    const { status, body } = await call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
    if (status !== 201) throw new Error(`Cannot create ${file}: ${status} ${JSON.stringify(body)}`);
  }
  await untilListable(call);
}

async function untilListable(call: Caller): Promise<void> {
  for (const kind of ['v1/taskruns', 'v1/pipelineruns', 'v1beta1/customruns']) {
    await until(
      `tekton.dev/${kind} to be listed`,
      30_000,
      async () => (await call('GET', `/apis/tekton.dev/${kind}?limit=1`)).status === 200,
    );
  }
}

async function serviceAccountToken(call: Caller, namespace: string, name: string): Promise<string> {
  await created(call, '/api/v1/namespaces', { metadata: { name: namespace } });
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await created(call, accounts, { metadata: { name } });
  const { body } = await call('POST', `${accounts}/${name}/token`, { spec: { expirationSeconds: 3600 } });
  const { status } = body as { readonly status?: { readonly token?: string } };
  if (status?.token === undefined) throw new Error(`Cannot get a token of ${namespace}/${name}: ${JSON.stringify(body)}`);
  return status.token;
}

async function created(call: Caller, where: string, object: unknown): Promise<void> {
  const { status, body } = await call('POST', where, object);
  if (status !== 201 && status !== 409) throw new Error(`Cannot create an object at ${where}: ${status} ${JSON.stringify(body)}`);
}

async function writeKubeconfig(
  dir: string,
  server: { readonly url: string; readonly caPem: string; readonly adminToken: string },
): Promise<string> {
  const file = path.join(dir, 'kubeconfig');
  const ca = Buffer.from(server.caPem).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: server.url, 'certificate-authority-data': ca } }],
    users: [{ name: 'admin', user: { token: server.adminToken } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}
