import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { TerminalError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import { kept, type Access } from './access.ts';

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`. */
  readonly host: string;
  readonly port: string;
  /** Where the kubelet puts `token`, `ca.crt` and `namespace`. */
  readonly serviceAccountDir?: string;
}

const defaultDir = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The access that every Pod has. The token and the CA are read again as they rotate. Throws `kube.config` when a file is missing.
 * A missing `namespace` is no error: only some callers want it.
 */
export async function openInCluster(options: InClusterOptions, ctx: Context): Promise<Access> {
  const dir = options.serviceAccountDir ?? defaultDir;
  const host = options.host.includes(':') && !options.host.startsWith('[') ? `[${options.host}]` : options.host;
  const server = `https://${host}:${options.port}`;
  if (!URL.canParse(server)) {
    throw new TerminalError('kube.config', `Cannot use the API server's address "${server}": it is not a URL`, {
      fix: 'set KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT as a Pod has them, or give --kubeconfig',
    });
  }
  const credentials = kept(async () => {
    const [token, ca] = await Promise.all([fileIn(dir, 'token'), fileIn(dir, 'ca.crt')]);
    return { headers: { authorization: `Bearer ${token}` }, tls: { ca } };
  });
  await credentials(true, ctx);
  const namespace = await fileIn(dir, 'namespace').catch(() => undefined);
  return { server, namespace, credentials };
}

async function fileIn(dir: string, name: string): Promise<string> {
  const file = path.join(dir, name);
  const fix = 'run in a Pod with automountServiceAccountToken, or give --kubeconfig';
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new TerminalError('kube.config', `Cannot read "${file}": ${systemReason(error)}`, { cause: error, fix });
  }
  if (text === '') throw new TerminalError('kube.config', `Cannot use "${file}": it is empty`, { fix });
  return text;
}

/** Why a file cannot be read, without anything that stands in it. */
export function systemReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read by this user';
  if (code === 'EISDIR') return 'it is a folder';
  return typeof code === 'string' ? code : 'it cannot be read';
}
