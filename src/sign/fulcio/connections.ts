import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import { Agent, EnvHttpProxyAgent, type Dispatcher } from 'undici';
import { z } from 'zod';
import { TransientError } from '../../errors.ts';

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
  const tls = caPem === undefined ? {} : { ca: [...getCACertificates('default'), caPem] };
  const direct = new Agent({ connections });
  const { http = '', https = '', except = '' } = proxy ?? {};
  const outward =
    proxy === undefined
      ? new Agent({ connections, connect: tls })
      : new EnvHttpProxyAgent({ connections, connect: tls, requestTls: tls, httpProxy: http, httpsProxy: https, noProxy: except });
  return {
    outward,
    direct,
    async [Symbol.asyncDispose]() {
      await Promise.all([outward.close(), direct.close()]);
    },
  };
}

/** Throws `sign.ca-file` for a file that cannot be read or has no certificates. */
export async function readCaFile(file: string): Promise<string> {
  const fix = 'give a PEM file with the CA that signed the certificate of the Fulcio server';
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new TransientError('sign.ca-file', `Cannot read CA file "${file}": ${code}`, { cause: error, fix });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new TransientError('sign.ca-file', `Cannot use CA file "${file}": it has no PEM certificate`, { fix });
}
