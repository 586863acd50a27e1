import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { request } from 'undici';
import { makeCa } from '../servers/certificates.ts';
import { output } from '../servers/command.ts';
import { bodyOf, serveHttp } from '../servers/http-server.ts';
import { startServer, type RunningServer } from '../servers/process.ts';
import type { Rekor1 } from '../servers/rekor1.ts';
import type { Rekor2 } from '../servers/rekor2.ts';
import { newTaskRun, succeeded } from './cluster.ts';

export const cli = path.join(import.meta.dirname, '../../src/cli/chainsmith.ts');

/** Something that was posted, as it passed. */
export interface Post {
  readonly at: number;
  readonly body: string;
  /** Of the answer, once there is one. */
  status: number | undefined;
}

/** Stands before a server, counts what is posted, and holds it or its answer as long as a test wants: a promise of `false` cuts the connection. */
export interface Gate extends AsyncDisposable {
  readonly host: string;
  readonly posts: readonly Post[];
  beforePost: (post: Post) => Promise<boolean>;
  afterPost: (post: Post) => Promise<boolean>;
}

const open = async (): Promise<boolean> => await Promise.resolve(true);

export async function startGate(target: string): Promise<Gate> {
  const posts: Post[] = [];
  const server = await serveHttp((message, response) => {
    const pass = async (): Promise<void> => {
      const body = await bodyOf(message);
      const post: Post = { at: performance.now(), body: body.toString('latin1'), status: undefined };
      const isPost = message.method === 'POST';
      if (isPost) posts.push(post);
      if (isPost && !(await gate.beforePost(post))) return void message.socket.destroy();
      const headers = { 'content-type': message.headers['content-type'] ?? 'application/json' };
      const answer = await request(target + message.url, { method: isPost ? 'POST' : 'GET', headers, body: isPost ? body : null });
      const said = Buffer.from(await answer.body.arrayBuffer());
      post.status = answer.statusCode;
      if (isPost && !(await gate.afterPost(post))) return void message.socket.destroy();
      const kept = ['content-type', 'location', 'x-log-index'].map((name) => [name, answer.headers[name]] as const);
      response.writeHead(answer.statusCode, Object.fromEntries(kept.filter(([, value]) => value !== undefined))).end(said);
    };
    pass().catch(() => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  });
  const gate: Gate = {
    host: `127.0.0.1:${server.port}`,
    posts,
    beforePost: open,
    afterPost: open,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
  return gate;
}

/** A folder with a key and a place for runs, and the settings that make a controller work on it. */
export interface Place {
  readonly keys: string;
  readonly runs: string;
  readonly journal: string;
  readonly settings: Readonly<Record<string, string>>;
}

export async function newPlace(dir: string, settings: Readonly<Record<string, string>>): Promise<Place> {
  const [keys, runs, journal] = [path.join(dir, 'keys'), path.join(dir, 'runs'), path.join(dir, 'journal.db')];
  for (const folder of [keys, runs]) await mkdir(folder, { recursive: true });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(path.join(keys, 'x509.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  return {
    keys,
    runs,
    journal,
    settings: {
      'artifacts.taskrun.storage': 'oci',
      'artifacts.taskrun.format': 'slsa/v2alpha4',
      'artifacts.pipelinerun.storage': 'oci',
      'artifacts.pipelinerun.format': 'slsa/v2alpha4',
      'signers.x509.directory': keys,
      'retry.max-delay': '1s',
      'lanes.backfill.since': '8760h',
      'transparency.enabled': 'true',
      ...settings,
    },
  };
}

export function flagsOf({ settings, journal }: Place): readonly string[] {
  return Object.entries({ 'journal.url': `sqlite://${journal}`, ...settings }).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
}

/** Its end is a SIGKILL. */
export async function startController(place: Place): Promise<RunningServer> {
  return await startServer({
    name: 'controller',
    file: process.execPath,
    ports: 1,
    args: ([port]) => [cli, 'controller', '--source', `dir:${place.runs}`, '--listen', `127.0.0.1:${port}`, ...flagsOf(place)],
    readyUrl: ([port]) => `http://127.0.0.1:${port}/readyz`,
    isReady: (status) => status === 200,
    readyWithinMs: 40_000,
    stop: 'kill',
  });
}

export interface Dropped {
  readonly name: string;
  readonly repository: string;
  /** Without `sha256:`. */
  readonly hex: string;
}

interface More {
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of an image that is there: bundles refer to what is there only. */
  readonly hex?: string;
}

/** A completed TaskRun with an image of its own: two works, its statement and the image's signature. */
export async function dropRun(place: Place, registry: string, name: string, more: More = {}): Promise<Dropped> {
  const { annotations = {}, hex = sha256(Buffer.from(name)) } = more;
  const dropped: Dropped = { name, repository: `${registry}/ci/app`, hex };
  const made = newTaskRun(name) as { readonly metadata: object };
  const run = {
    ...made,
    metadata: { ...made.metadata, annotations },
    ...succeeded({ repository: dropped.repository, digest: `sha256:${hex}` }),
  };
  await putFile(path.join(place.runs, `${name}.json`), JSON.stringify(run));
  return dropped;
}

/** In one step: nobody sees half of it. */
export async function putFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

export interface Layer {
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

/** What stands in cosign's tag of an image; nothing when there is no such tag. */
export async function layersAt(registry: string, { hex }: Dropped, suffix: 'att' | 'sig'): Promise<readonly Layer[]> {
  const base = `http://${registry}/v2/ci/app`;
  const manifest = await request(`${base}/manifests/sha256-${hex}.${suffix}`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  });
  const json = await manifest.body.text();
  if (manifest.statusCode === 404) return [];
  const { layers } = JSON.parse(json) as { layers: readonly { digest: string; annotations?: Record<string, string> }[] };
  return await Promise.all(
    layers.map(async ({ digest, annotations = {} }) => {
      const blob = await request(`${base}/blobs/${digest}`);
      return { digest, annotations, bytes: Buffer.from(await blob.body.arrayBuffer()) };
    }),
  );
}

/** The Sigstore bundles that refer to an image, in a registry without referrers API. */
export async function bundlesAt(registry: string, { hex }: Dropped): Promise<readonly Bundle[]> {
  const base = `http://${registry}/v2/ci/app`;
  const read = async <T>(url: string, accept: string): Promise<T> => (await (await request(url, { headers: { accept } })).body.json()) as T;
  const index = 'application/vnd.oci.image.index.v1+json';
  const { manifests = [] } = await read<{ manifests?: readonly { digest: string }[] }>(`${base}/manifests/sha256-${hex}`, index);
  return await Promise.all(
    manifests.map(async ({ digest }) => {
      const manifest = 'application/vnd.oci.image.manifest.v1+json';
      const { layers } = await read<{ layers: readonly { digest: string }[] }>(`${base}/manifests/${digest}`, manifest);
      return await read<Bundle>(`${base}/blobs/${layers[0]?.digest}`, '*/*');
    }),
  );
}

/** What of a bundle tests look at. */
export interface Bundle {
  readonly verificationMaterial: {
    readonly tlogEntries?: readonly { readonly logIndex: string; readonly canonicalizedBody: string }[];
    readonly timestampVerificationData?: { readonly rfc3161Timestamps?: readonly { readonly signedTimestamp: string }[] };
  };
  readonly dsseEnvelope: { readonly payload: string; readonly payloadType: string };
}

/** `attestations/signatures` of each, for instance `1/1`. */
export async function countsOf(registry: string, runs: readonly Dropped[]): Promise<readonly string[]> {
  const count = async (run: Dropped, suffix: 'att' | 'sig') => (await layersAt(registry, run, suffix)).length;
  return await Promise.all(runs.map(async (run) => `${await count(run, 'att')}/${await count(run, 'sig')}`));
}

export interface Told {
  readonly index: number;
  readonly body: { readonly kind: string; readonly apiVersion: string; readonly spec: unknown };
}

/** What cosign's annotation says of the entry of a Rekor 1. */
export function toldBy({ annotations }: Layer): Told | undefined {
  const text = annotations['dev.sigstore.cosign/bundle'];
  if (text === undefined) return undefined;
  const { Payload } = JSON.parse(text) as { Payload: { body: string; logIndex: number } };
  return { index: Payload.logIndex, body: JSON.parse(Buffer.from(Payload.body, 'base64').toString('utf8')) as Told['body'] };
}

/** The body of an entry as Rekor 1 gives it under the URL of the annotation `chains.tekton.dev/transparency`. */
export async function entryUnder(url: string): Promise<Told> {
  const answer = await request(url);
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`Cannot read ${url}: ${answer.statusCode} ${text}`);
  const [entry] = Object.values(JSON.parse(text) as Record<string, { body: string; logIndex: number }>);
  if (entry === undefined) throw new Error(`Cannot read ${url}: it holds no entry`);
  return { index: entry.logIndex, body: JSON.parse(Buffer.from(entry.body, 'base64').toString('utf8')) as Told['body'] };
}

/** The hash, in hex, that an entry of Rekor 1 has of what it is about: the envelope of a `dsse`, the payload of a `hashedrekord`. */
export function hashIn({ body }: Told): string {
  const spec = body.spec as { envelopeHash?: { value: string }; data?: { hash: { value: string } } };
  return spec.envelopeHash?.value ?? spec.data?.hash.value ?? '';
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** How often each run was tried and found wanting, not counting what was no fault of its own: from the journal of a controller that has ended. */
export function attemptsIn({ journal }: Place): Readonly<Record<string, number>> {
  const db = new DatabaseSync(journal, { readOnly: true });
  try {
    const rows = db.prepare('select name, attempts from run').all() as { name: string; attempts: number }[];
    return Object.fromEntries(rows.map(({ name, attempts }) => [name, attempts]));
  } finally {
    db.close();
  }
}

/** A log under another address, for a trusted root: that of Rekor 2 must have the log's origin as its host. */
export function logAt(
  rekor: Rekor1 | Rekor2,
  host: string,
): { readonly url: string; readonly publicKeyPem: string; readonly origin?: string } {
  const url = `http://${host.replace('127.0.0.1', rekor.version === 2 ? 'localhost' : '127.0.0.1')}`;
  return { url, publicKeyPem: rekor.publicKeyPem, ...(rekor.version === 2 && { origin: rekor.origin }) };
}

/** A CA that says itself how long its certificates live: openssl does so only as `ca`, with a database. */
export interface ShortCa {
  /** PEM of a certificate for the key in this file, good from a minute ago for so many seconds from now. */
  certify(keyFile: string, seconds: number): Promise<string>;
}

export async function makeShortCa(dir: string): Promise<ShortCa> {
  const ca = await makeCa(dir, 'short-ca');
  const file = (name: string): string => path.join(dir, name);
  await writeFile(file('index.txt'), '');
  const sections = {
    ca: { default_ca: 'it' },
    it: { database: file('index.txt'), new_certs_dir: dir, default_md: 'sha256', policy: 'any', unique_subject: 'no', rand_serial: 'yes' },
    any: { commonName: 'supplied' },
    leaf: { keyUsage: 'critical,digitalSignature', extendedKeyUsage: 'codeSigning', basicConstraints: 'critical,CA:FALSE' },
  };
  const lines = Object.entries(sections).flatMap(([name, values]) => [
    `[${name}]`,
    ...Object.entries(values).map(([key, value]) => `${key}=${value}`),
  ]);
  await writeFile(file('ca.cnf'), lines.join('\n'));
  return {
    async certify(keyFile, seconds) {
      await output('openssl', ['req', '-new', '-key', keyFile, '-subj', '/CN=signer', '-out', file('leaf.csr')]);
      const times = ['-startdate', opensslTime(-60), '-enddate', opensslTime(seconds)];
      const by = ['-cert', ca.certFile, '-keyfile', ca.keyFile, '-extensions', 'leaf', '-config', file('ca.cnf')];
      await output('openssl', ['ca', '-batch', '-notext', '-in', file('leaf.csr'), '-out', file('leaf.pem'), ...by, ...times]);
      return await readFile(file('leaf.pem'), 'utf8');
    },
  };
}

/** GeneralizedTime, so many seconds from now. */
function opensslTime(seconds: number): string {
  return new Date(Date.now() + seconds * 1_000).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
}

/** As Tekton creates it: no status yet. */
export function newPipelineRun(name: string): object {
  return { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', metadata: { name }, spec: { pipelineRef: { name: 'release' } } };
}

export function withAnnotations(object: object, annotations: Readonly<Record<string, string>>): object {
  const { metadata = {} } = object as { metadata?: object };
  return { ...object, metadata: { ...metadata, annotations } };
}
