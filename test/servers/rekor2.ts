import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { request } from 'undici';
import { bodyOf, serveHttp } from './http-server.ts';
import { flags, startServer, type RunningServer } from './process.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

export interface Rekor2Options {
  /** Of the log; default P-256. The two have log ids of different kinds. */
  readonly key?: 'P-256' | 'Ed25519';
  /** How long an entry waits for the next checkpoint; default 200. */
  readonly checkpointIntervalMs?: number;
}

/** A Rekor 2 log. Its url is that of an operator who serves both sides under one name: entries are posted there, and tiles are read. */
export interface Rekor2 extends AsyncDisposable {
  readonly version: 2;
  /** `http://localhost:PORT`: verifiers want the host of the trusted root to be the origin of the log. */
  readonly url: string;
  readonly origin: 'localhost';
  readonly publicKeyPem: string;
  readonly pid: () => number;
  /** How many entries the log has, as its checkpoint says. */
  readonly size: () => Promise<number>;
  /** How many entries were posted, those that the log refused or had already included. */
  readonly posts: () => number;
  /** Nobody answers at the url until `start`, which goes on with the same log and the same url. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly log: () => string;
}

const origin = 'localhost';
/** What a static server of the log's folder has (c2sp tlog-tiles). */
const readable = /^\/api\/v2\/(checkpoint|tile\/(?:entries|\d+)(?:\/x?\d{3})+(?:\.p\/\d+)?)$/;

export async function startRekor2(options: Rekor2Options = {}): Promise<Rekor2> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('rekor2'));
  const { publicKey, privateKey } =
    options.key === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(path.join(dir, 'signer.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  const storage = path.join(dir, 'log');
  let posts = 0;
  let server: RunningServer;
  const listener = (message: IncomingMessage, response: ServerResponse): void => {
    if (message.method === 'POST') posts += 1;
    const file = message.method === 'GET' ? readable.exec(message.url ?? '')?.[1] : undefined;
    const answer = file === undefined ? pass(message, response, server.ports[0]) : serve(path.join(storage, file), response);
    // Whoever asked went away, or the log did: an operator's front says so.
    answer.catch(() => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  };
  const launch = async (): Promise<RunningServer> => await startLog(dir, storage, options.checkpointIntervalMs ?? 200);
  server = await launch();
  stack.defer(async () => {
    await server[Symbol.asyncDispose]();
  });
  let front = await serveHttp(listener);
  stack.defer(async () => {
    await front[Symbol.asyncDispose]();
  });
  const { port } = front;
  const life = stack.move();
  return {
    version: 2,
    url: `http://${origin}:${port}`,
    origin,
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    size: async () => sizeOf(await readFile(path.join(storage, 'checkpoint'), 'utf8')),
    pid: () => server.pid,
    posts: () => posts,
    log: () => server.log(),
    async stop() {
      await front[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
    async start() {
      server = await launch();
      front = await serveHttp(listener, port);
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

async function startLog(dir: string, storage: string, checkpointIntervalMs: number): Promise<RunningServer> {
  return await startServer({
    name: 'rekor-tiles',
    file: await findTool('rekor-tiles'),
    ports: 3,
    args: ([http, grpc, metrics]) => [
      'serve',
      ...flags({
        'http-address': '127.0.0.1',
        'http-port': String(http),
        'grpc-address': '127.0.0.1',
        'grpc-port': String(grpc),
        'http-metrics-port': String(metrics),
        hostname: origin,
        'storage-dir': storage,
        'signer-filepath': path.join(dir, 'signer.pem'),
        'checkpoint-interval': `${checkpointIntervalMs}ms`,
        'batch-max-age': '50ms',
      }),
    ],
    readyUrl: ([http]) => `http://127.0.0.1:${http}/healthz`,
    isReady: (status, body) => status === 200 && body.includes('SERVING'),
  });
}

/** The second line of a checkpoint (c2sp tlog-checkpoint). */
function sizeOf(checkpoint: string): number {
  return Number(checkpoint.split('\n')[1]);
}

async function serve(file: string, response: ServerResponse): Promise<void> {
  const bytes = await readFile(file).catch(() => undefined);
  response.writeHead(bytes === undefined ? 404 : 200, { 'content-type': 'application/octet-stream' }).end(bytes);
}

async function pass(message: IncomingMessage, response: ServerResponse, port: number | undefined): Promise<void> {
  const body = await bodyOf(message);
  const answer = await request(`http://127.0.0.1:${port}${message.url}`, {
    method: message.method === 'POST' ? 'POST' : 'GET',
    headers: { 'content-type': message.headers['content-type'] ?? 'application/json' },
    body: message.method === 'POST' ? body : null,
  });
  const index = answer.headers['x-log-index'];
  response.writeHead(answer.statusCode, {
    'content-type': String(answer.headers['content-type'] ?? 'application/json'),
    ...(index !== undefined && { 'x-log-index': index }),
  });
  response.end(Buffer.from(await answer.body.arrayBuffer()));
}
