import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import { Agent, EnvHttpProxyAgent, type Dispatcher } from 'undici';
import { TerminalError } from '../errors.ts';

/** Proxies, as the environment of most programs names them; the URLs may hold passwords. */
export interface Proxy {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  /** Hosts to reach directly, separated by commas. */
  readonly except?: string | undefined;
}

export interface Outward {
  /** PEM of certificate authorities to trust beside the well-known ones. */
  readonly ca?: string | undefined;
  /** Certificates of the other side are not verified. */
  readonly insecure?: boolean;
  /** Without it connections are direct. */
  readonly proxy?: Proxy | undefined;
  /** Parallel connections to one server; more only waits there instead of here. */
  readonly connections: number;
}

/** Connections to services outside; close it when they are not needed any more. */
export function openOutward({ ca, insecure = false, proxy, connections }: Outward): Dispatcher {
  const tls = { rejectUnauthorized: !insecure, ...(ca !== undefined && { ca: [...getCACertificates('default'), ca] }) };
  if (proxy === undefined) return new Agent({ connections, connect: tls });
  const { http = '', https = '', except = '' } = proxy;
  return new EnvHttpProxyAgent({ connections, connect: tls, requestTls: tls, httpProxy: http, httpsProxy: https, noProxy: except });
}

/** A PEM file with certificate authorities; `code` and `fix` are of the error when it is none. */
export async function readCaFile(file: string, { code, fix }: { readonly code: string; readonly fix: string }): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new TerminalError(code, `Cannot read CA file "${file}": ${reason}`, { cause: error, fix });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new TerminalError(code, `Cannot read CA file "${file}": it has no certificate`, { fix });
}
