import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { request } from 'undici';
import { parseAllDocuments } from 'yaml';
import { startApiServer, type ApiServer } from '../servers/apiserver.ts';
import { run } from '../servers/command.ts';
import { startServer, type RunningServer } from '../servers/process.ts';
import { scratch } from '../servers/scratch.ts';

const root = path.join(import.meta.dirname, '../..');
const systemNamespace = 'tekton-chains';
const serviceAccount = 'tekton-chains-controller';

/** A cluster in which our manifests stand, and where the controller of this checkout can be started as its Pod would be. */
export interface Cluster extends AsyncDisposable {
  readonly api: ApiServer;
  readonly dir: string;
  /** PEM file of the key that the Secret holds. */
  readonly publicKey: string;
  /** Starts the controller as its own process, with the ServiceAccount's token, the Secret as files, and the same name each time. */
  startController(flags?: readonly string[], how?: How): Promise<Controller>;
}

export interface How {
  /** Name of the Pod, which is who it is among others; default `controller-0`. */
  readonly identity?: string;
  /** The program, default that of the checkout as it is. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where everything that it writes goes, beside the end of it that `log` has. */
  readonly logFile?: string;
}

export interface Controller extends RunningServer {
  /** The text of `/metrics`. */
  metrics(): Promise<string>;
}

/** Applies the manifests as they are, but for the ConfigMap's data, and fills the Secret with a key that `chainsmith keys generate` made. */
export async function startCluster(data: Readonly<Record<string, string>>, auditLog = true): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await startApiServer({ auditLog }));
  const { dir } = stack.use(await scratch('cluster'));
  for (const object of await manifestsOf(path.join(root, 'manifests'))) await apply(api, object);
  await demand(api.call('PATCH', `/api/v1/namespaces/${systemNamespace}/configmaps/chains-config`, { data }), 'set the configuration');
  const publicKey = await fillSecret(api, dir);
  const pod = await podFiles(api, dir);
  const life = stack.move();
  return {
    api,
    dir,
    publicKey,
    startController: async (flags = [], how = {}) => await startController(api, { ...pod, dir, flags, ...how }),
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** In the order of the kustomization, which is left out itself. */
async function manifestsOf(folder: string): Promise<readonly Manifest[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));
  const objects = new Map<string, Manifest[]>();
  for (const file of files) {
    const documents = parseAllDocuments(await readFile(path.join(folder, file), 'utf8'));
    objects.set(
      file,
      documents.map((document) => document.toJS() as Manifest),
    );
  }
  const [kustomization] = objects.get('kustomization.yaml') ?? [];
  const listed = (kustomization as unknown as { resources: readonly string[] }).resources;
  return listed.flatMap((file) => objects.get(file) ?? []);
}

const plurals: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  ConfigMap: 'configmaps',
  Secret: 'secrets',
  Service: 'services',
};

async function apply(api: ApiServer, object: Manifest): Promise<void> {
  const { apiVersion, kind, metadata } = object;
  const base = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const plural = plurals[kind] ?? `${kind.toLowerCase()}s`;
  const within = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  const url = `${base}${within}/${plural}/${metadata.name}?fieldManager=kubectl&force=true`;
  await demand(api.call('PATCH', url, object, 'application/apply-patch+yaml'), `apply ${kind} ${metadata.name}`);
}

export async function demand(answer: ReturnType<ApiServer['call']>, what: string): Promise<unknown> {
  const { status, body } = await answer;
  if (status < 200 || status > 299) throw new Error(`Cannot ${what}: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** By the command that the README names, against the real API server. */
async function fillSecret(api: ApiServer, dir: string): Promise<string> {
  const cli = [path.join(root, 'src/cli/chainsmith.ts'), 'keys', 'generate', '--k8s', `${systemNamespace}/signing-secrets`];
  const env = { ...process.env, KUBECONFIG: api.kubeconfig, COSIGN_PASSWORD: 'pw' };
  const { code, stderr } = await run(process.execPath, cli, { env });
  if (code !== 0) throw new Error(`Cannot generate the key: ${stderr}`);
  const secret = (await demand(api.call('GET', `/api/v1/namespaces/${systemNamespace}/secrets/signing-secrets`), 'read the Secret')) as {
    data: Record<string, string>;
  };
  const keys = path.join(dir, 'signing-secrets');
  await mkdir(keys);
  for (const [name, value] of Object.entries(secret.data)) await writeFile(path.join(keys, name), Buffer.from(value, 'base64'));
  return path.join(keys, 'cosign.pub');
}

/** What the kubelet would mount: token, CA and namespace of the ServiceAccount. */
async function podFiles(api: ApiServer, dir: string): Promise<{ readonly account: string }> {
  const account = path.join(dir, 'serviceaccount');
  await mkdir(account);
  await writeFile(path.join(account, 'token'), await api.serviceAccountToken(systemNamespace, serviceAccount));
  await writeFile(path.join(account, 'ca.crt'), api.caPem);
  await writeFile(path.join(account, 'namespace'), systemNamespace);
  return { account };
}

async function startController(
  api: ApiServer,
  pod: { readonly account: string; readonly dir: string; readonly flags: readonly string[] } & How,
): Promise<Controller> {
  const { hostname, port } = new URL(api.url);
  const { identity = 'controller-0' } = pod;
  const server = await startServer({
    name: 'controller',
    file: process.execPath,
    ports: 1,
    args: ([listen]) => {
      const program = [
        '--max-semi-space-size=2',
        pod.program ?? path.join(root, 'src/cli/chainsmith.ts'),
        'controller',
        '--listen',
        `127.0.0.1:${listen}`,
      ];
      const journal = `journal.url=sqlite://${path.join(pod.dir, identity, 'journal.db')}`;
      const keys = `signers.x509.directory=${path.join(pod.dir, 'signing-secrets')}`;
      return [...program, '--service-account-dir', pod.account, '--set', journal, '--set', keys, ...pod.flags];
    },
    env: {
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      SYSTEM_NAMESPACE: systemNamespace,
      POD_NAME: identity,
      PATH: process.env['PATH'] ?? '',
      ...pod.env,
    },
    readyUrl: ([listen]) => `http://127.0.0.1:${listen}/readyz`,
    isReady: (status) => status === 200,
    stop: 'kill',
    ...(pod.logFile !== undefined && { logFile: pod.logFile }),
  });
  const metrics = async (): Promise<string> => await (await request(`http://127.0.0.1:${server.ports[0]}/metrics`)).body.text();
  return { ...server, metrics };
}

export interface Asked {
  /** How many requests the controller's ServiceAccount made. */
  readonly requests: number;
  /** Those that the API server refused for want of permission. */
  readonly forbidden: readonly string[];
}

/** What the audit log says of the controller's ServiceAccount. */
export async function askedOf(api: ApiServer): Promise<Asked> {
  const lines = (await readFile(api.auditLogPath ?? '', 'utf8')).split('\n').filter((line) => line !== '');
  const events = lines.map(
    (line) => JSON.parse(line) as { user: { username: string }; verb: string; requestURI: string; responseStatus?: { code: number } },
  );
  const ours = events.filter(({ user }) => user.username === `system:serviceaccount:${systemNamespace}:${serviceAccount}`);
  const forbidden = ours
    .filter(({ responseStatus }) => responseStatus?.code === 403)
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`);
  return { requests: ours.length, forbidden };
}

/** Pushes the smallest image there is, unique by its text; gives its digest with `sha256:` before it. */
export async function pushTinyImage(registry: string, repository: string, text: string): Promise<string> {
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] }, config: { Labels: { text } } }),
  );
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const url = `http://${registry}/v2/${repository}`;
  const begun = await request(`${url}/blobs/uploads/`, { method: 'POST' });
  await begun.body.dump();
  const location = new URL(String(begun.headers['location']), url);
  location.searchParams.set('digest', digest);
  await put(location.href, config, 'application/octet-stream');
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', size: config.length, digest },
      layers: [],
    }),
  );
  const name = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  await put(`${url}/manifests/${name}`, manifest, 'application/vnd.oci.image.manifest.v1+json');
  return name;
}

async function put(url: string, body: Buffer, type: string): Promise<void> {
  const { statusCode, body: answer } = await request(url, { method: 'PUT', body, headers: { 'content-type': type } });
  const text = await answer.text();
  if (statusCode !== 201) throw new Error(`Cannot put ${url}: ${statusCode} ${text}`);
}

/** The layers of a tag; none when there is no such tag. */
export async function layersOf(registry: string, repository: string, tag: string): Promise<readonly { readonly digest: string }[]> {
  const { statusCode, body } = await request(`http://${registry}/v2/${repository}/manifests/${tag}`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  });
  if (statusCode === 404) {
    await body.dump();
    return [];
  }
  return ((await body.json()) as { layers: readonly { digest: string }[] }).layers;
}

/** A TaskRun as Tekton creates it: no status yet. */
export function newTaskRun(name: string, owner?: { readonly name: string; readonly uid: string; readonly task: string }): object {
  return {
    apiVersion: 'tekton.dev/v1',
    kind: 'TaskRun',
    metadata: {
      name,
      ...(owner && {
        labels: { 'tekton.dev/pipelineRun': owner.name, 'tekton.dev/pipelineTask': owner.task },
        ownerReferences: [{ apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', name: owner.name, uid: owner.uid, controller: true }],
      }),
    },
    spec: { serviceAccountName: 'builder', taskRef: { name: 'build' }, params: [{ name: 'nonce', value: randomUUID() }] },
  };
}

/** The status of a run that has just succeeded, with results that name an image when there is one. */
export function succeeded(image: { readonly repository: string; readonly digest: string } | undefined, more: object = {}): object {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const results = image && [
    { name: 'IMAGE_URL', type: 'string', value: image.repository },
    { name: 'IMAGE_DIGEST', type: 'string', value: image.digest },
  ];
  return {
    status: {
      startTime: now,
      completionTime: now,
      conditions: [{ type: 'Succeeded', status: 'True', reason: 'Succeeded', lastTransitionTime: now }],
      ...(results && { results }),
      ...more,
    },
  };
}
