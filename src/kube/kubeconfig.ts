import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { createSecureContext } from 'node:tls';
import { TransientError, type TerminalError } from '../errors.ts';
import { isObject } from '../model/json.ts';
import type { Context } from '../observe/context.ts';
import { kept, type Access, type Credentials, type TlsMaterial } from './access.ts';
import { systemReason } from './auth.ts';
import { bad, readKubeconfig, type Kubeconfig, type KubeconfigOptions } from './kubeconfig-file.ts';

/** An exec plugin may ask a person to log in, but a controller has nobody to ask. */
const pluginMs = 60_000;

/**
 * The access that `kubectl` has: certificates, tokens, exec plugins. The parsing is the official client's, which is loaded on first use
 * because it costs 58 MB. A refused credential reads the file again, which forgets what a plugin had cached.
 * Throws `kube.config` with file, place and fix, never with what stands in the file.
 */
export async function openKubeconfig(options: KubeconfigOptions, ctx: Context): Promise<Access> {
  let kubeconfig = await readKubeconfig(options);
  const { server, namespace } = kubeconfig;
  let isFirst = true;
  const credentials = kept(async (fresh) => {
    if (fresh && !isFirst) kubeconfig = await readKubeconfig(options);
    isFirst = false;
    return await credentialsOf(kubeconfig, options.path);
  });
  await credentials(true, ctx);
  return { server, namespace, credentials };
}

async function credentialsOf(kubeconfig: Kubeconfig, file: string): Promise<Credentials> {
  const { config, tokenFile } = kubeconfig;
  const options = await appliedOptions(kubeconfig, file);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
  if (typeof options.auth === 'string') headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  const user = config.getCurrentUser();
  if (tokenFile !== undefined && headers['authorization'] === undefined) headers['authorization'] = await bearerIn(tokenFile, file);
  if (user?.impersonateUser) headers['impersonate-user'] = user.impersonateUser;
  const tls = tlsOf(options, config.getCurrentCluster()?.proxyUrl);
  checkTls(tls, file);
  return { headers, tls };
}

async function appliedOptions(kubeconfig: Kubeconfig, file: string): Promise<RequestOptions> {
  const options: RequestOptions = {};
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error('late'));
  }, pluginMs);
  try {
    await Promise.race([kubeconfig.config.applyToHTTPSOptions(options), late.promise]);
    return options;
  } catch (error) {
    throw credentialError(error, kubeconfig, file);
  } finally {
    clearTimeout(timer);
  }
}

async function bearerIn(tokenFile: string, file: string): Promise<string> {
  try {
    return `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`;
  } catch (error) {
    throw bad(file, `"${tokenFile}", which it names: ${systemReason(error)}`, 'mend the path in tokenFile');
  }
}

function tlsOf(options: RequestOptions, proxyUrl: string | undefined): TlsMaterial {
  const { ca, cert, key, pfx, passphrase, servername } = options;
  const isOne = (value: unknown): value is string | Buffer => typeof value === 'string' || Buffer.isBuffer(value);
  return {
    ...(isOne(ca) && { ca }),
    ...(isOne(cert) && { cert }),
    ...(isOne(key) && { key }),
    ...(isOne(pfx) && { pfx }),
    ...(typeof passphrase === 'string' && { passphrase }),
    ...(typeof servername === 'string' && { servername }),
    ...(options.rejectUnauthorized === false && { rejectUnauthorized: false }),
    ...(proxyUrl && { proxyUrl }),
  };
}

/** What Node would take without a word, or refuse at the first connection with OpenSSL's words. */
function checkTls(tls: TlsMaterial, file: string): void {
  const { ca, cert, key, pfx, passphrase } = tls;
  const fix = 'name PEM files, or put base64 of PEM into the -data members';
  if (ca !== undefined && !ca.toString('latin1').includes('-BEGIN CERTIFICATE-')) {
    throw bad(file, 'the certificate authority of its cluster is not PEM', fix);
  }
  try {
    createSecureContext({ ca, cert, key, pfx, passphrase });
  } catch {
    throw bad(
      file,
      'its certificate authority, client certificate or client key does not parse, or the key is not that of the certificate',
      fix,
    );
  }
}

/** A file that is missing stays missing; a plugin may do better next time. Neither its output nor its error is passed on: both may hold tokens. */
function credentialError(error: unknown, { config }: Kubeconfig, file: string): TerminalError | TransientError {
  const exec: unknown = config.getCurrentUser()?.exec;
  const command = isObject(exec) ? exec['command'] : undefined;
  const missing = error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
  if (typeof command === 'string' && missing === command) {
    return bad(file, `its exec plugin "${command}" cannot be started: ${systemReason(error)}`, 'install it, or give its whole path');
  }
  if (missing !== undefined) return bad(file, `"${missing}", which it names: ${systemReason(error)}`, 'mend the path, or embed the data');
  if (error instanceof Error && error.message.startsWith('HTTP protocol is not allowed')) {
    return bad(
      file,
      'its server is http without insecure-skip-tls-verify',
      'use https, or set insecure-skip-tls-verify for a local server',
    );
  }
  const what = typeof command === 'string' ? `exec plugin "${command}"` : 'credentials';
  return new TransientError(
    'kube.credentials',
    `Cannot use the ${what} of kubeconfig "${file}": it failed, or took over ${pluginMs / 1000} s`,
    {
      dependency: 'kube',
      fix: 'run kubectl get --raw /version with the same kubeconfig and see what it says',
    },
  );
}
