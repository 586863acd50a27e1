import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openEnvelope, paeOf } from '../../src/model/dsse.ts';
import { run, type Outcome } from '../servers/command.ts';
import { until } from '../servers/process.ts';
import type { Vault } from '../servers/vault.ts';
import { demand, startCluster, succeeded, newTaskRun, type Cluster, type Controller } from './cluster.ts';

const program = path.join(import.meta.dirname, '../../src/cli/chainsmith.ts');

export async function chainsmith(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Outcome> {
  return await run(process.execPath, [program, ...args], { env });
}

/** `--set` for each. */
export function setFlags(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
}

export interface TestKey {
  readonly privatePem: string;
  readonly publicPem: string;
}

export function newKey(type: 'P-256' | 'Ed25519' = 'P-256'): TestKey {
  const { privateKey, publicKey } = type === 'P-256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

/** A folder with a key in it as `x509.pem`; the public key is beside the folder. */
export async function keyFolder(dir: string, key = newKey()): Promise<TestKey & { readonly publicFile: string }> {
  await mkdir(dir, { recursive: true });
  await writeFile(path.join(dir, 'x509.pem'), key.privatePem);
  await writeFile(`${dir}.pub`, key.publicPem);
  return { ...key, publicFile: `${dir}.pub` };
}

/** Puts files where they are read as the kubelet does it: a new folder, and one rename of the link `..data`. */
export async function mountSecret(dir: string, version: number, files: Readonly<Record<string, string>>): Promise<void> {
  const folder = `..${version}`;
  await mkdir(path.join(dir, folder), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(dir, folder, name), text);
  await symlink(folder, path.join(dir, '..data_tmp'));
  await rename(path.join(dir, '..data_tmp'), path.join(dir, '..data'));
  if (version === 1) for (const name of Object.keys(files)) await symlink(path.join('..data', name), path.join(dir, name));
  else await rm(path.join(dir, `..${version - 1}`), { recursive: true });
}

/** The newest public key of a key in a Vault. */
export async function vaultKey(vault: Vault, name: string): Promise<string> {
  const { data } = await vault.call('GET', `transit/keys/${name}`);
  const { keys, latest_version: latest } = data as { keys: Record<string, { public_key: string }>; latest_version: number };
  return keys[String(latest)]?.public_key ?? assert.fail('no public key');
}

export type Annotations = Readonly<Record<string, string>>;

/** The DSSE envelopes on a run, by their short keys. */
export function envelopesOn(annotations: Annotations): ReadonlyMap<string, Uint8Array> {
  const prefix = 'chains.tekton.dev/signature-taskrun-';
  const found = Object.entries(annotations).filter(([name]) => name.startsWith(prefix));
  return new Map(found.map(([name, text]) => [name.slice(prefix.length), Buffer.from(text, 'base64')]));
}

/** The names of those whose keys verify the signature of an envelope. */
export function signersOf(envelope: Uint8Array, keys: Readonly<Record<string, string>>): readonly string[] {
  const { payloadType, payload, signatures } = openEnvelope(envelope);
  return Object.entries(keys)
    .filter(([, pem]) => signatures.every(({ signature }) => verify('sha256', paeOf(payloadType, payload), pem, signature)))
    .map(([name]) => name);
}

/** What the log of a process says: its lines that are JSON. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly run?: string;
  readonly code?: string;
  readonly err?: {
    readonly code?: string;
    readonly message: string;
    readonly fix?: string;
    readonly parts?: readonly { readonly code: string; readonly message: string }[];
  };
}

export function linesOf(log: string): readonly LogLine[] {
  return log.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []));
}

const runsIn = (namespace: string): string => `/apis/tekton.dev/v1/namespaces/${namespace}/taskruns`;
const configMap = '/api/v1/namespaces/tekton-chains/configmaps/chains-config';

interface Completion {
  readonly namespace?: string;
  readonly metadata?: object;
  readonly image?: { readonly repository: string; readonly digest: string };
}

/** A cluster whose controller is configured by its ConfigMap, and everything that it says. */
export interface Signing extends AsyncDisposable {
  readonly cluster: Cluster;
  /** Makes the namespaces. */
  readonly namespaces: (...names: readonly string[]) => Promise<void>;
  /** Starts the controller, or starts it again; `kill -9` ends the one before. */
  readonly restart: (flags?: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Controller>;
  readonly stop: () => Promise<void>;
  /** Everything that all controllers said. */
  readonly log: () => Promise<string>;
  /** Sets the data of the ConfigMap to these values. With a controller, `want` is what it must say of it. */
  readonly configure: (values: Readonly<Record<string, string>>, want?: 'applied' | 'refused') => Promise<void>;
  /** Waits until the log has said it so many times more than at the time of the call of `work`. */
  readonly after: (text: string, work: () => Promise<void>, withinMs?: number) => Promise<void>;
  /** Creates a TaskRun and completes it. */
  readonly complete: (name: string, completion?: Completion) => Promise<void>;
  readonly annotations: (name: string, namespace?: string) => Promise<Annotations>;
  /** Waits until it is marked signed, and gives its annotations. */
  readonly signed: (name: string, namespace?: string, withinMs?: number) => Promise<Annotations>;
}

export async function startSigning(data: Readonly<Record<string, string>>): Promise<Signing> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster(data, false));
  const logFile = path.join(cluster.dir, 'controller.log');
  await writeFile(logFile, '');
  let controller: Controller | undefined;
  let keys = Object.keys(data);
  const stop = async (): Promise<void> => await controller?.[Symbol.asyncDispose]();
  stack.defer(stop);
  const log = async (): Promise<string> => await readFile(logFile, 'utf8');
  const countOf = async (text: string): Promise<number> => (await log()).split(text).length - 1;
  const after: Signing['after'] = async (text, work, withinMs = 60_000) => {
    const before = await countOf(text);
    await work();
    await until(`the log to say "${text}"`, withinMs, async () => (await countOf(text)) > before);
  };
  const annotations: Signing['annotations'] = async (name, namespace = 'ci') => {
    const run = await demand(cluster.api.call('GET', `${runsIn(namespace)}/${name}`), 'read a run');
    return (run as { metadata: { annotations?: Annotations } }).metadata.annotations ?? {};
  };
  const life = stack.move();
  return {
    cluster,
    async namespaces(...names) {
      for (const name of names) await demand(cluster.api.call('POST', '/api/v1/namespaces', { metadata: { name } }), 'make a namespace');
    },
    async restart(flags = [], env = {}) {
      await stop();
      controller = await cluster.startController(flags, { logFile, env });
      return controller;
    },
    stop,
    log,
    after,
    async configure(values, want) {
      const cleared = Object.fromEntries(keys.map((key) => [key, null]));
      keys = Object.keys(values);
      const set = async (): Promise<void> =>
        void (await demand(cluster.api.call('PATCH', configMap, { data: { ...cleared, ...values } }), 'configure'));
      if (want === undefined) await set();
      else await after(`configuration ${want}`, set);
    },
    async complete(name, { namespace = 'ci', metadata = {}, image } = {}) {
      const made = newTaskRun(name) as { readonly metadata: object };
      const run = { ...made, metadata: { ...made.metadata, ...metadata } };
      await demand(cluster.api.call('POST', runsIn(namespace), run), 'create a run');
      await demand(cluster.api.call('PATCH', `${runsIn(namespace)}/${name}/status`, succeeded(image)), 'complete a run');
    },
    annotations,
    async signed(name, namespace = 'ci', withinMs = 90_000) {
      const isSigned = async (): Promise<boolean> => (await annotations(name, namespace))['chains.tekton.dev/signed'] === 'true';
      await until(`${namespace}/${name} to be signed`, withinMs, isSigned).catch(async (cause: unknown) => {
        const lines = (await log()).split('\n').filter((line) => line.includes(`"${namespace}/${name}"`));
        throw new Error(`${namespace}/${name} is not signed: ${lines.slice(-3).join('\n')}`, { cause });
      });
      return await annotations(name, namespace);
    },
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
}
