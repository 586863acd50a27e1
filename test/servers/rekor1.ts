import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { request } from 'undici';
import { missingPostgres, startPostgres, type Postgres } from './postgres.ts';
import { flags, startServer, type RunningServer } from './process.ts';
import { scratch } from './scratch.ts';
import { findTool, missing } from './tools.ts';

/** A Rekor 1 log: rekor-server over Trillian over PostgreSQL. No search by hash, and no store of attestations. */
export interface Rekor1 extends AsyncDisposable {
  readonly version: 1;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly publicKeyPem: string;
  /** How many entries the log has. */
  readonly size: () => Promise<number>;
  /** Of rekor-server. */
  readonly pid: () => number;
  /** Nobody answers at the url until `start`, which goes on with the same log, key and url. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly log: () => string;
}

/** Why there can be no Rekor 1, for `{ skip: await missingRekor1() }`. */
export async function missingRekor1(): Promise<string | false> {
  const reasons = [await missing('rekor-server', 'trillian-log-server', 'trillian-log-signer'), await missingPostgres()];
  const said = reasons.filter((reason) => reason !== false);
  return said.length > 0 && said.join('; ');
}

/** Ready in about two seconds; share one between the tests of a file. */
export async function startRekor1(): Promise<Rekor1> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('rekor1'));
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(path.join(dir, 'signer.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  const postgres = stack.use(await startPostgres());
  await postgres.load(path.join(import.meta.dirname, 'trillian.sql'));
  const trillian = stack.use(await startTrillian('trillian-log-server', postgres));
  stack.use(await startTrillian('trillian-log-signer', postgres));
  const launch = async (ports: number | readonly number[], tree: string): Promise<RunningServer> =>
    await startLog(dir, trillian.ports[0] ?? 0, ports, tree);
  // Tree 0 makes a new one.
  let server = await launch(1, '0');
  stack.defer(async () => {
    await server[Symbol.asyncDispose]();
  });
  const { ports } = server;
  const url = `http://127.0.0.1:${ports[0]}`;
  const { treeID } = await logInfo(url);
  const life = stack.move();
  return {
    version: 1,
    url,
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    size: async () => (await logInfo(url)).treeSize,
    pid: () => server.pid,
    log: () => server.log(),
    async stop() {
      await server[Symbol.asyncDispose]();
    },
    async start() {
      server = await launch(ports, treeID);
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

async function startTrillian(name: 'trillian-log-server' | 'trillian-log-signer', postgres: Postgres): Promise<RunningServer> {
  const isSigner = name === 'trillian-log-signer';
  return await startServer({
    name,
    file: await findTool(name),
    ports: 2,
    args: ([rpc, http]) =>
      flags({
        storage_system: 'postgresql',
        // pgx takes the host from the query only.
        postgresql_uri: `postgresql:///test?host=127.0.0.1&port=${postgres.port}&user=test`,
        quota_system: 'noop',
        rpc_endpoint: `127.0.0.1:${rpc}`,
        http_endpoint: `127.0.0.1:${http}`,
        ...(isSigner && { force_master: 'true', sequencer_interval: '50ms' }),
      }),
    readyUrl: ([, http]) => `http://127.0.0.1:${http}/healthz`,
    isReady: (status) => status === 200,
    stop: 'kill',
  });
}

async function startLog(dir: string, trillian: number, ports: number | readonly number[], tree: string): Promise<RunningServer> {
  return await startServer({
    name: 'rekor-server',
    file: await findTool('rekor-server'),
    ports,
    args: ([port]) => [
      'serve',
      ...flags({
        'rekor_server.address': '127.0.0.1',
        port: String(port),
        'rekor_server.hostname': 'localhost',
        'rekor_server.signer': path.join(dir, 'signer.pem'),
        'trillian_log_server.address': '127.0.0.1',
        'trillian_log_server.port': String(trillian),
        'trillian_log_server.tlog_id': tree,
        // Both switch the search index off, for which it would need Redis.
        enable_retrieve_api: 'false',
        enabled_api_endpoints: endpoints.join(),
      }),
    ],
    readyUrl: ([port]) => `http://127.0.0.1:${port}/ping`,
    isReady: (status) => status === 200,
  });
}

const endpoints = [
  'getLogInfo',
  'getPublicKey',
  'getLogProof',
  'createLogEntry',
  'getLogEntryByIndex',
  'getLogEntryByUUID',
  'searchLogQuery',
];

async function logInfo(url: string): Promise<{ readonly treeID: string; readonly treeSize: number }> {
  const answer = await request(`${url}/api/v1/log`);
  return (await answer.body.json()) as { readonly treeID: string; readonly treeSize: number };
}
