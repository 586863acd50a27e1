import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';

/** A server of our own on 127.0.0.1, for what needs no program. */
export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/** Listens at once; `port` 0 takes a free one. */
export async function serveHttp(listener: RequestListener, port = 0): Promise<HttpServer> {
  const server = createServer(listener);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Cannot serve HTTP: the socket has no port');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      // A second time: it is closed, and would say so never again.
      if (!server.listening) return;
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

/** The whole body of a request. */
export async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
