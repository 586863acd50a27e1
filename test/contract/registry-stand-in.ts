import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';

/** One request as it came. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Promise so many bytes more than there are, and hang up. */
  readonly missingBytes?: number;
}

export interface StandIn extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly seen: readonly Seen[];
  /** Of each request that was seen, its headers. */
  readonly headers: readonly IncomingHttpHeaders[];
}

/** A server that answers as a test wants; undefined is no answer at all. What registries never do, real ones cannot be asked to. */
export async function standIn(
  reply: (request: Seen, headers: IncomingHttpHeaders) => Reply | undefined,
  tls?: ServerOptions,
): Promise<StandIn> {
  const seen: Seen[] = [];
  const headersSeen: IncomingHttpHeaders[] = [];
  const listener: RequestListener = (message, response) => {
    void requestOf(message).then((request) => {
      seen.push(request);
      headersSeen.push(message.headers);
      const answer = reply(request, message.headers);
      if (answer === undefined) return;
      const { status, headers = {}, body = '', missingBytes } = answer;
      if (missingBytes === undefined) {
        response.writeHead(status, headers).end(body);
        return;
      }
      response.writeHead(status, { ...headers, 'content-length': String(body.length + missingBytes) });
      response.write(body, () => response.destroy());
    });
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Cannot start the stand-in: it has no port');
  return {
    host: `127.0.0.1:${address.port}`,
    seen,
    headers: headersSeen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function requestOf(message: IncomingMessage): Promise<Seen> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  const { method = '', url = '', headers } = message;
  return { method, url, authorization: headers.authorization, body: Buffer.concat(chunks).toString() };
}
