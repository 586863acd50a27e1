import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { bytesOfBase64 } from '../../model/base64.ts';
import { dockerHub, dockerHubAliases, type RepositoryName } from './reference.ts';

/** What proves who we are to a registry. A registry token is sent as it is, an identity token is exchanged at the token server. */
export type Credential =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity-token'; readonly username: string; readonly token: string }
  | { readonly kind: 'registry-token'; readonly token: string };

/** Docker clients write more members than these, and a strange one is no reason to refuse the file. */
const Entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
type Entry = z.output<typeof Entry>;

/** A program name goes into a command: letters, digits, `.`, `_` and `-` only. */
const HelperName = z.string().regex(/^\w[\w.-]*$/, 'want a helper name of letters, digits, ".", "_" and "-"');

/** `config.json` of Docker clients, as far as it is about credentials. */
export const DockerConfig = z.object({
  auths: z.record(z.string(), Entry.nullable()).default({}),
  credHelpers: z.record(z.string(), HelperName).default({}),
  credsStore: z.union([z.literal('').transform(() => undefined), HelperName]).optional(),
});
export type DockerConfig = z.output<typeof DockerConfig>;

/** Parses the text of `file`. Throws `oci.credentials` with the file and the place, never with a piece of the text. */
export function parseDockerConfig(text: string, file: string): DockerConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    // V8's message quotes the text, so neither it nor the error itself goes on.
    const place = error instanceof Error ? /\((line \d+ column \d+)\)/.exec(error.message)?.[1] : undefined;
    throw bad(file, place ?? 'the text', 'it is not JSON');
  }
  const parsed = DockerConfig.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw bad(file, placeOf(issue?.path ?? []), issue?.message ?? 'it is malformed');
}

/**
 * Entry keys that fit the repository, best first: the longest path, then a host without globs, then reverse lexical order
 * (chains-controller 5.3.6). A key is a host or a URL, `/v1/` and `/v2/` of its path are nothing, `*` stands for one label of the host or
 * a part of it, ports are equal, and the path is the repository's or ends at one of its `/`.
 */
export function matchingKeys(keys: readonly string[], name: RepositoryName): readonly string[] {
  return keys
    .map((key) => ({ key, ...partsOf(key) }))
    .filter(({ host, path }) => hostFits(host, name.registry) && (path === '' || `${name.path}/`.startsWith(`${path}/`)))
    .toSorted((a, b) => b.path.length - a.path.length || rank(a.host) - rank(b.host) || (a.key < b.key ? 1 : -1))
    .map(({ key }) => key);
}

/** The credential of one `auths` entry; undefined when it holds none (Docker writes `{}` beside a credentials store). Throws `oci.credentials`. */
export function credentialOf(entry: Entry | null | undefined, key: string, file: string): Credential | undefined {
  if (!entry) return undefined;
  const pair = pairOf(entry, key, file);
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken };
  if (entry.identitytoken) return { kind: 'identity-token', username: pair?.username ?? '<token>', token: entry.identitytoken };
  return pair && basicOrIdentity(pair.username, pair.password);
}

/** The user name `<token>` marks an identity token: convention of credential helpers (sigstore-wire 3.9). */
export function basicOrIdentity(username: string, password: string): Credential {
  return username === '<token>' ? { kind: 'identity-token', username, token: password } : { kind: 'basic', username, password };
}

function pairOf(entry: Entry, key: string, file: string): { readonly username: string; readonly password: string } | undefined {
  if (!entry.auth) {
    const { username, password } = entry;
    return username && password ? { username, password } : undefined;
  }
  const place = placeOf(['auths', key, 'auth']);
  // Padding is often left out by hand-made files; Docker itself fills with NUL.
  const bytes = bytesOfBase64(entry.auth.trim().padEnd(Math.ceil(entry.auth.trim().length / 4) * 4, '='));
  const text = bytes && Buffer.from(bytes).toString('utf8').replace(/\0+$/, '');
  const colon = text?.indexOf(':') ?? -1;
  if (text === undefined || colon < 0) throw bad(file, place, 'it must be base64 of "user:password"');
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function partsOf(key: string): { readonly host: string; readonly path: string } {
  const bare = key.replace(/^https?:\/\//, '');
  const slash = bare.indexOf('/');
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  const path = slash < 0 ? '' : bare.slice(slash + 1);
  const trimmed = path.replace(/^v[12](?:\/|$)/, '').replace(/\/+$/, '');
  return { host: dockerHubAliases.includes(host) ? dockerHub : host, path: trimmed };
}

function hostFits(pattern: string, registry: string): boolean {
  if (!pattern.includes('*')) return pattern === registry;
  const [host, port] = splitPort(pattern);
  const [wantedHost, wantedPort] = splitPort(registry);
  const labels = host.split('.');
  const wanted = wantedHost.split('.');
  return port === wantedPort && labels.length === wanted.length && labels.every((label, index) => labelFits(label, wanted[index] ?? ''));
}

function labelFits(pattern: string, label: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[^a-z0-9_-]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^.]*')}$`).test(label);
}

function splitPort(host: string): readonly [string, string] {
  const match = /^(.*?)(?::(\d+))?$/.exec(host);
  return [match?.[1] ?? host, match?.[2] ?? ''];
}

function rank(host: string): number {
  return host.includes('*') ? 1 : 0;
}

function placeOf(path: readonly PropertyKey[]): string {
  return path.map((part, index) => (index === 0 ? String(part) : `["${String(part)}"]`)).join('') || 'the top level';
}

function bad(file: string, place: string, reason: string): TerminalError {
  return new TerminalError('oci.credentials', `Cannot read registry credentials "${file}", ${place}: ${reason}`, {
    fix: 'mend the file, or make it anew with "docker login" or "kubectl create secret docker-registry"',
  });
}
