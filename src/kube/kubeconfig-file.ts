import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { parseDocument } from 'yaml';
import { TerminalError } from '../errors.ts';
import { at, objectsAt, type Json } from '../model/json.ts';
import { systemReason } from './auth.ts';

export interface KubeconfigOptions {
  /** One file, or several as in `KUBECONFIG`: of members with the same name the first counts. */
  readonly path: string;
  /** Default: the file's `current-context`. */
  readonly context?: string;
}

/** A kubeconfig with its context chosen, whose cluster and user are there. */
export interface Kubeconfig {
  readonly config: KubeConfig;
  /** `tokenFile` of the chosen user, absolute: the official client does not know this member. */
  readonly tokenFile: string | undefined;
  readonly server: string;
  readonly namespace: string | undefined;
}

/** Reads and checks a kubeconfig. Throws `kube.config` with file, place and fix, never with what stands in the file. */
export async function readKubeconfig(options: KubeconfigOptions): Promise<Kubeconfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  const tokenFiles = new Map<string, string>();
  for (const file of options.path.split(path.delimiter).filter((name) => name !== '')) {
    const text = await textOf(file);
    for (const [user, tokenFile] of tokenFilesIn(text, file)) if (!tokenFiles.has(user)) tokenFiles.set(user, tokenFile);
    const part = new KubeConfig();
    try {
      part.loadFromString(text);
      part.makePathsAbsolute(path.dirname(path.resolve(file)));
    } catch (error) {
      throw bad(file, reasonOf(error), 'compare it with what kubectl config view prints');
    }
    merge(config, part);
  }
  if (options.context !== undefined) config.setCurrentContext(options.context);
  return choose(config, tokenFiles, options.path);
}

/** An error about a kubeconfig, in the form that all have. */
export function bad(file: string, reason: string, fix: string): TerminalError {
  return new TerminalError('kube.config', `Cannot use kubeconfig "${file}": ${reason}`, { fix });
}

function merge(config: KubeConfig, part: KubeConfig): void {
  const isNew = <Named extends { readonly name: string }>(list: readonly Named[] | undefined, name: string): boolean =>
    !(list ?? []).some((there) => there.name === name);
  for (const cluster of part.clusters) if (isNew(config.clusters, cluster.name)) config.addCluster(cluster);
  for (const user of part.users) if (isNew(config.users, user.name)) config.addUser(user);
  for (const context of part.contexts) if (isNew(config.contexts, context.name)) config.addContext(context);
  if (!config.currentContext) config.setCurrentContext(part.currentContext);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new TerminalError('kube.config', `Cannot read kubeconfig "${file}": ${systemReason(error)}`, {
      cause: error,
      fix: 'give the path of a readable file with --kubeconfig or KUBECONFIG',
    });
  }
}

/**
 * `users[].user.tokenFile` by user. The YAML is parsed here first because the errors of the official client's parser quote the file,
 * and the file holds keys.
 */
function tokenFilesIn(text: string, file: string): ReadonlyMap<string, string> {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line;
    throw bad(file, `${line === undefined ? '' : `line ${line} `}is not YAML (${error.code})`, 'mend the YAML');
  }
  const config = document.toJS() as Json;
  if (!Array.isArray(at(config, 'clusters')) || !Array.isArray(at(config, 'contexts'))) {
    throw bad(file, 'it has no list "clusters" or no list "contexts"', 'write one with kubectl config set-cluster and set-context');
  }
  const found = new Map<string, string>();
  for (const user of objectsAt(config, 'users')) {
    const tokenFile = at(user, 'user', 'tokenFile');
    const name = at(user, 'name');
    if (typeof tokenFile === 'string' && typeof name === 'string') found.set(name, path.resolve(path.dirname(file), tokenFile));
  }
  return found;
}

function choose(config: KubeConfig, tokenFiles: ReadonlyMap<string, string>, file: string): Kubeconfig {
  const names = (list: readonly { readonly name: string }[]): string => list.map(({ name }) => name).join(', ') || 'none';
  const name = config.getCurrentContext();
  const context = name ? config.getContextObject(name) : null;
  if (!context) {
    const reason = name ? `it has no context "${name}"` : 'it has no current-context';
    throw bad(file, reason, `choose one of its contexts (kubectl config use-context): ${names(config.contexts)}`);
  }
  const cluster = config.getCluster(context.cluster);
  if (!cluster) {
    throw bad(
      file,
      `context "${name}" names the cluster "${context.cluster}", which is not there`,
      `name one of: ${names(config.clusters)}`,
    );
  }
  if (!config.getUser(context.user)) {
    throw bad(file, `context "${name}" names the user "${context.user}", which is not there`, `name one of: ${names(config.users)}`);
  }
  if (!/^https?:\/\//.test(cluster.server) || !URL.canParse(cluster.server)) {
    throw bad(file, `the server of cluster "${cluster.name}" is not an http or https URL`, 'write it as https://host:port');
  }
  if (cluster.proxyUrl && !/^https?:/.test(cluster.proxyUrl)) {
    throw bad(file, `the proxy-url of cluster "${cluster.name}" is not an http or https URL`, 'use an http proxy');
  }
  const server = cluster.server.replace(/\/+$/, '');
  return { config, tokenFile: tokenFiles.get(context.user), server, namespace: context.namespace || undefined };
}

/** The official client's own words are passed on only where they name a member. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  if (/^[\w.[\]-]+ is missing$/.test(message)) return message;
  if (error instanceof Error && 'path' in error && typeof error.path === 'string') return `"${error.path}": ${systemReason(error)}`;
  return 'it has an unexpected form';
}
