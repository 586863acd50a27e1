import { serve as listen } from '@hono/node-server';
import { Hono } from 'hono';
import type { AddressInfo } from 'node:net';
import { TerminalError } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';

/** What the probes ask. Each gives undefined when all is well, else the reason in words. */
export interface Health {
  /** Not alive: the process cannot mend itself and should be restarted. */
  dead(): string | undefined;
  /** Not ready: it does not yet, or does not now, see what happens in the cluster. */
  unready(): string | undefined;
}

/** `/metrics`, and `/healthz` and `/readyz` (200 `ok`, else 503 and the reason); `/health` and `/readiness` as Tekton Chains calls them. */
export function handlerOf(metrics: Metrics, health: Health): (request: Request) => Response | Promise<Response> {
  const app = new Hono();
  const probe = (why: string | undefined): Response => new Response(`${why ?? 'ok'}\n`, { status: why === undefined ? 200 : 503 });
  for (const path of ['/healthz', '/health']) app.get(path, () => probe(health.dead()));
  for (const path of ['/readyz', '/readiness']) app.get(path, () => probe(health.unready()));
  app.get('/metrics', async () => {
    const { text, contentType } = await metrics.scrape();
    return new Response(text, { headers: { 'content-type': contentType } });
  });
  return async (request) => await app.fetch(request);
}

export interface Listening extends AsyncDisposable {
  readonly port: number;
}

/**
 * Listens on `address` (`host:port`, port 0 for any). Throws `serve.address` when the text is no address, `serve.listen` when it is taken
 * or not allowed.
 */
export async function serve(address: string, fetch: (request: Request) => Response | Promise<Response>): Promise<Listening> {
  const parts = /^(.*):(\d{1,5})$/.exec(address);
  const [host, port] = [parts?.[1]?.replace(/^\[|\]$/g, ''), Number(parts?.[2])];
  if (host === undefined || !(port <= 65535)) {
    throw new TerminalError('serve.address', `Cannot listen on "${address}": want host:port`, { fix: 'give for instance 127.0.0.1:9090' });
  }
  const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
  const server = listen({ fetch, hostname: host === '' ? '0.0.0.0' : host, port }, resolve);
  server.once('error', (cause: Error) =>
    reject(
      new TerminalError('serve.listen', `Cannot listen on "${address}": ${cause.message}`, {
        cause,
        fix: 'give another address with --listen',
      }),
    ),
  );
  const { port: actual } = await promise;
  return {
    port: actual,
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed.promise;
    },
  };
}
