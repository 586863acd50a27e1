import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { serveHttp } from './http-server.ts';

/** A key of a TUF repository. */
export interface TufKey {
  readonly id: string;
  /** As `root.json` lists it. */
  readonly listed: unknown;
  readonly privateKey: KeyObject;
}

/** One state of the repository; `publish` makes the next of it. */
export interface TufEdition {
  readonly versions: Readonly<Record<TufRoleName, number>>;
  /** ISO times. */
  readonly expires: Readonly<Record<TufRoleName, string>>;
  /** All of them must sign a root, and they are what it names. */
  readonly rootKeys: readonly TufKey[];
  /** Who signs this root, when not those it names. */
  readonly rootSigners?: readonly TufKey[];
  /** For timestamp, snapshot and targets. */
  readonly onlineKey: TufKey;
  readonly targets: Readonly<Record<string, string>>;
}

export type TufRoleName = 'root' | 'timestamp' | 'snapshot' | 'targets';

/** A TUF repository over HTTP, with consistent snapshots (audit-and-trust 3.2). */
export interface TufMirror extends AsyncDisposable {
  readonly url: string;
  /** Text of `1.root.json`: what a client begins with. */
  readonly firstRoot: string;
  readonly edition: () => TufEdition;
  /** Everything signed anew: versions go up by one, but for the root's and those that are given. */
  readonly publish: (change: Omit<Partial<TufEdition>, 'versions' | 'expires'> & TufDates) => void;
  /** What is served, by path without the first slash; a test may change it. */
  readonly files: Map<string, Buffer>;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Nobody answers at the url any more. */
  readonly stop: () => Promise<void>;
}

export interface TufDates {
  readonly versions?: Partial<TufEdition['versions']>;
  readonly expires?: Partial<TufEdition['expires']>;
}

/** Ed25519, as `tuf-on-ci` and `@tufjs/models` name it. */
export function newTufKey(): TufKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const hex = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex');
  const listed = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } };
  return { id: createHash('sha256').update(canonical(listed)).digest('hex'), listed, privateKey };
}

export async function startTufMirror(targets: Readonly<Record<string, string>>): Promise<TufMirror> {
  const files = new Map<string, Buffer>();
  const asked: string[] = [];
  const later = new Date(Date.now() + 24 * 60 * 60 * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  let edition: TufEdition = {
    versions: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
    expires: { root: later, timestamp: later, snapshot: later, targets: later },
    rootKeys: [newTufKey(), newTufKey()],
    onlineKey: newTufKey(),
    targets,
  };
  write(edition, files);
  const server = await serveHttp((request, response) => {
    const path = (request.url ?? '/').slice(1);
    asked.push(path);
    const file = files.get(path);
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    firstRoot: files.get('1.root.json')?.toString() ?? '',
    edition: () => edition,
    publish({ versions, expires, ...change }) {
      const { rootSigners: _, ...before } = edition;
      const { root, timestamp, snapshot, targets: inTargets } = edition.versions;
      const next = { root, timestamp: timestamp + 1, snapshot: snapshot + 1, targets: inTargets + 1 };
      edition = { ...before, ...change, versions: { ...next, ...versions }, expires: { ...edition.expires, ...expires } };
      write(edition, files);
    },
    files,
    asked,
    async stop() {
      await server[Symbol.asyncDispose]();
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Puts the files of an edition in place, the timestamp last. Older roots stay. */
function write({ versions, expires, rootKeys, rootSigners = rootKeys, onlineKey, targets }: TufEdition, files: Map<string, Buffer>): void {
  const common = (role: TufRoleName) => ({ _type: role, spec_version: '1.0.31', version: versions[role], expires: expires[role] });
  const online = { keyids: [onlineKey.id], threshold: 1 };
  const root = {
    ...common('root'),
    consistent_snapshot: true,
    keys: Object.fromEntries([...rootKeys, onlineKey].map(({ id, listed }) => [id, listed])),
    roles: {
      root: { keyids: rootKeys.map(({ id }) => id), threshold: rootKeys.length },
      timestamp: online,
      snapshot: online,
      targets: online,
    },
  };
  const inTargets = Object.entries(targets).map(([name, text]) => [name, describe(Buffer.from(text))] as const);
  const targetsFile = signed({ ...common('targets'), targets: Object.fromEntries(inTargets) }, [onlineKey]);
  const meta = (role: TufRoleName, file: Buffer) => ({ [`${role}.json`]: { version: versions[role], ...describe(file) } });
  const snapshotFile = signed({ ...common('snapshot'), meta: meta('targets', targetsFile) }, [onlineKey]);
  files.set(`${versions.root}.root.json`, signed(root, rootSigners));
  for (const [name, { hashes }] of inTargets) files.set(`targets/${hashes.sha256}.${name}`, Buffer.from(targets[name] ?? ''));
  files.set(`${versions.targets}.targets.json`, targetsFile);
  files.set(`${versions.snapshot}.snapshot.json`, snapshotFile);
  files.set('timestamp.json', signed({ ...common('timestamp'), meta: meta('snapshot', snapshotFile) }, [onlineKey]));
}

function describe(bytes: Buffer): { readonly length: number; readonly hashes: { readonly sha256: string } } {
  return { length: bytes.length, hashes: { sha256: createHash('sha256').update(bytes).digest('hex') } };
}

function signed(content: unknown, keys: readonly TufKey[]): Buffer {
  const bytes = Buffer.from(canonical(content));
  const signatures = keys.map(({ id, privateKey }) => ({ keyid: id, sig: sign(null, bytes, privateKey).toString('hex') }));
  return Buffer.from(JSON.stringify({ signatures, signed: content }));
}

/** Canonical JSON of the OLPC: names sorted, no white space. Nothing here needs an escape. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
