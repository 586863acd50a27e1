import { Agent, type Dispatcher } from 'undici';
import { z } from 'zod';
import { openOutward } from '../../http/outward.ts';

/** Proxies, as the environment of most programs names them; the URLs may hold passwords. */
export const Proxy = z.strictObject({ http: z.string().optional(), https: z.string().optional(), except: z.string().optional() });
export type Proxy = z.output<typeof Proxy>;

export interface Connections extends AsyncDisposable {
  /** To services, through the proxy if there is one, believing the configured CA besides the usual ones. */
  readonly outward: Dispatcher;
  /** To the surroundings of this machine, never through a proxy. */
  readonly direct: Dispatcher;
}

/** One certificate is asked for at a time. */
const connections = 4;

export function openConnections(caPem: string | undefined, proxy: Proxy | undefined): Connections {
  const direct = new Agent({ connections });
  const outward = openOutward({ ca: caPem, proxy, connections });
  return {
    outward,
    direct,
    async [Symbol.asyncDispose]() {
      await Promise.all([outward.close(), direct.close()]);
    },
  };
}
