import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import type { KeyPair } from './certificates.ts';

/** What the other side does from now on. Bytes are of the answer; modes apply to new connections and to the next bytes of open ones. */
export type Fault =
  /** Everything goes through unchanged. */
  | { readonly kind: 'none' }
  /** Nobody listens: connections are refused, open ones are cut. */
  | { readonly kind: 'refuse' }
  /** Connections are taken, nothing is ever said. */
  | { readonly kind: 'hang' }
  /** Every request gets this status, 429 and 503 with `Retry-After` in seconds when given. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: number; readonly body?: string }
  /** The connection ends after so many bytes of the answer. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** 200 with a body that has nothing to do with the question. */
  | { readonly kind: 'lie'; readonly body: string; readonly contentType?: string }
  /** The answer comes `bytes` at a time, every `everyMs`. */
  | { readonly kind: 'drip'; readonly bytes: number; readonly everyMs: number };

export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly url: string;
  /** Connections that arrived so far. */
  readonly connections: () => number;
  readonly set: (fault: Fault) => Promise<void>;
}

interface State {
  fault: Fault;
  connections: number;
  readonly sockets: Set<Socket>;
}

/**
 * Stands between us and the real thing. Everything is done to bytes, so without `pair` TLS passes through as it is, and `status`
 * and `lie` (HTTP/1.1) make sense for plain HTTP only; with `pair`, the proxy speaks TLS on both sides, with that certificate to us.
 * `target` is `host:port` on loopback.
 */
export async function startFaultProxy(target: string, pair?: KeyPair): Promise<FaultProxy> {
  const state: State = { fault: { kind: 'none' }, connections: 0, sockets: new Set() };
  const { hostname: host, port } = new URL(`tcp://${target}`);
  const to = { host, port: Number(port) };
  // Whom we reach on loopback is not the question here.
  const upstream = (): Socket => tracked(pair ? tls.connect({ ...to, rejectUnauthorized: false }) : net.connect(to), state);
  const onClient = (client: Socket): void => {
    state.connections += 1;
    serve(tracked(client, state), upstream, state.fault);
  };
  const identity = pair && { cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile) };
  const create = (): Server => (identity ? tls.createServer(identity, onClient) : net.createServer(onClient));
  let server = await listening(create(), 0);
  const own = portOf(server);
  return {
    host: `127.0.0.1:${own}`,
    url: `${pair ? 'https' : 'http'}://127.0.0.1:${own}`,
    connections: () => state.connections,
    async set(fault) {
      const wasOpen = state.fault.kind !== 'refuse';
      state.fault = fault;
      // Kept-alive connections would go on under the old fault.
      for (const socket of state.sockets) socket.destroy();
      if (fault.kind === 'refuse' && wasOpen) await closed(server);
      if (fault.kind !== 'refuse' && !wasOpen) server = await listening(create(), own);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of state.sockets) socket.destroy();
      if (server.listening) await closed(server);
    },
  };
}

async function listening(server: Server, port: number): Promise<Server> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function closed(server: Server): Promise<void> {
  await once(server.close(), 'close');
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Cannot start the fault proxy: it has no port');
  return address.port;
}

function tracked(socket: Socket, state: State): Socket {
  state.sockets.add(socket);
  socket.once('close', () => state.sockets.delete(socket));
  return socket.on('error', () => socket.destroy());
}

function serve(client: Socket, upstream: () => Socket, fault: Fault): void {
  switch (fault.kind) {
    case 'refuse':
      client.destroy();
      return;
    case 'hang':
      client.resume();
      return;
    case 'status':
      answerAll(client, statusAnswer(fault));
      return;
    case 'lie':
      answerAll(client, httpAnswer(200, fault.body, { 'content-type': fault.contentType ?? 'application/json' }));
      return;
    case 'none':
      join(client, upstream(), (chunk) => client.write(chunk));
      return;
    case 'truncate': {
      let left = fault.bytes;
      join(client, upstream(), (chunk) => {
        if (chunk.length < left) client.write(chunk);
        else client.end(chunk.subarray(0, left));
        left -= Math.min(left, chunk.length);
      });
      return;
    }
    case 'drip':
      drip(client, upstream(), fault);
      return;
  }
}

/** Both directions; what comes back goes through `onAnswer`. The end of one side is the end of both. */
function join(client: Socket, upstream: Socket, onAnswer: (chunk: Buffer) => void): void {
  client.pipe(upstream);
  upstream.on('data', onAnswer);
  upstream.once('end', () => client.end());
  upstream.once('close', () => client.destroySoon());
  client.once('close', () => upstream.destroy());
}

function drip(client: Socket, upstream: Socket, fault: Extract<Fault, { kind: 'drip' }>): void {
  let waiting = Buffer.alloc(0);
  const timer = setInterval(() => {
    client.write(waiting.subarray(0, fault.bytes));
    waiting = waiting.subarray(fault.bytes);
    if (waiting.length === 0 && upstream.readableEnded) client.end();
  }, fault.everyMs);
  client.pipe(upstream);
  upstream.on('data', (chunk: Buffer) => (waiting = Buffer.concat([waiting, chunk])));
  client.once('close', () => {
    clearInterval(timer);
    upstream.destroy();
  });
}

/** Answers once the head of a request is there, and closes: enough for one request per connection. */
function answerAll(client: Socket, answer: string): void {
  let head = '';
  client.on('data', (chunk: Buffer) => {
    if (head.includes('\r\n\r\n')) return;
    head = (head + chunk.toString('latin1')).slice(-65_536);
    if (head.includes('\r\n\r\n')) client.end(answer);
  });
}

function statusAnswer(fault: Extract<Fault, { kind: 'status' }>): string {
  const headers = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
  return httpAnswer(fault.status, fault.body ?? '', headers);
}

function httpAnswer(status: number, body: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' });
  return `HTTP/1.1 ${status} Fault\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}
