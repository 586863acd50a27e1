import { createHash } from 'node:crypto';
import { Agent, ProxyAgent, type Dispatcher } from 'undici';
import type { TlsMaterial } from './access.ts';

/** Connections for the credentials of now. A watch lasts minutes, so watches have sockets of their own, on HTTP/1.1. */
export interface Dispatchers extends AsyncDisposable {
  for(tls: TlsMaterial, use: 'call' | 'watch'): Dispatcher;
}

interface Pair {
  readonly key: string;
  readonly call: Dispatcher;
  readonly watch: Dispatcher;
}

/** Without HTTP/2 (a proxy in between) each call in flight takes a socket. Sixteen are enough (design 7). */
const callConnections = 16;
const watchConnections = 64;

/** New TLS material gets new connections; the old ones are closed when their last request has ended. */
export function openDispatchers(): Dispatchers {
  let current: Pair | undefined;
  const draining = new Set<Dispatcher>();
  const retire = ({ call, watch }: Pair): void => {
    for (const dispatcher of [call, watch]) {
      draining.add(dispatcher);
      dispatcher.close().then(
        () => draining.delete(dispatcher),
        () => draining.delete(dispatcher),
      );
    }
  };
  return {
    for(tls, use) {
      const key = keyOf(tls);
      if (current?.key !== key) {
        if (current !== undefined) retire(current);
        current = { key, call: open(tls, 'call'), watch: open(tls, 'watch') };
      }
      return current[use];
    },
    async [Symbol.asyncDispose]() {
      const all = [...draining, ...(current === undefined ? [] : [current.call, current.watch])];
      current = undefined;
      await Promise.all(all.map(async (dispatcher) => await dispatcher.destroy()));
    },
  };
}

function open(tls: TlsMaterial, use: 'call' | 'watch'): Dispatcher {
  const { proxyUrl, ...material } = tls;
  const options = {
    connections: use === 'call' ? callConnections : watchConnections,
    allowH2: use === 'call',
    // The callers' deadlines are shorter; a watch may be silent for a minute between bookmarks.
    headersTimeout: 60_000,
    bodyTimeout: use === 'call' ? 60_000 : 0,
  };
  if (proxyUrl !== undefined) return new ProxyAgent({ ...options, uri: proxyUrl, requestTls: material });
  // A dead peer behind a load balancer is noticed by TCP after some minutes even when we only listen.
  return new Agent({ ...options, connect: { ...material, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 } });
}

function keyOf(tls: TlsMaterial): string {
  const { ca, cert, key, pfx, ...rest } = tls;
  const hash = createHash('sha256').update(JSON.stringify(rest));
  for (const part of [ca, cert, key, pfx]) hash.update(part === undefined ? '-' : `${part.length}:`).update(part ?? '');
  return hash.digest('hex');
}
