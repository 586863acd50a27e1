import { getCACertificates } from 'node:tls';
import { Agent, EnvHttpProxyAgent, type Dispatcher } from 'undici';

export interface Outward {
  /** PEM of certificate authorities to trust beside the well-known ones. */
  readonly ca?: string;
  /** Through which proxies, and which hosts without; the URLs may hold passwords. */
  readonly proxy?: { readonly http?: string | undefined; readonly https?: string | undefined; readonly except?: string | undefined };
  /** Parallel connections to one server. */
  readonly connections: number;
}

/** Connections to services outside; close it when they are not needed any more. */
export function openOutward({ ca, proxy, connections }: Outward): Dispatcher {
  const tls = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
  if (proxy === undefined) return new Agent({ connections, connect: tls });
  const { http = '', https = '', except = '' } = proxy;
  return new EnvHttpProxyAgent({ connections, connect: tls, requestTls: tls, httpProxy: http, httpsProxy: https, noProxy: except });
}
