import { TerminalError } from '../../errors.ts';
import { parseSha256, type Sha256 } from '../../model/digest.ts';

/** Where images live: `registry` is a lower-case host with its port if any, `path` the name below `/v2/`. */
export interface RepositoryName {
  readonly registry: string;
  readonly path: string;
}

/** One image as a person writes it. Without tag and digest nothing is assumed here: `latest` is the caller's choice. */
export interface Reference extends RepositoryName {
  readonly tag: string | undefined;
  readonly digest: Sha256 | undefined;
}

export const dockerHub = 'index.docker.io';

/** Names under which people write Docker Hub, and under which its credentials are filed. */
export const dockerHubAliases: readonly string[] = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

// Grammar of distribution/reference: `..` and empty components cannot be said, so a path is safe within a URL.
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^\w[\w.-]{0,127}$/;
const registryPattern = /^(?:(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])(?::(\d{1,5}))?$/;

/**
 * `registry/repository[:tag][@sha256:hex]`. The first component is the registry if it has a `.` or a `:` or is `localhost`, otherwise the
 * registry is Docker Hub (chains-controller 5.3.1). Throws `oci.reference`.
 */
export function parseReference(text: string): Reference {
  const [name = '', digestText, ...more] = text.split('@');
  if (more.length > 0) throw malformed(text, 'it has more than one "@"');
  const digest = digestText === undefined ? undefined : digestOf(text, digestText);
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  // `localhost:5000` alone would read as the image `localhost` with the tag `5000`: that is what everybody else does, too.
  const tag = colon < 0 ? undefined : name.slice(colon + 1);
  if (tag !== undefined && !tagPattern.test(tag)) throw malformed(text, 'its tag must be 1 to 128 letters, digits, "_", "." and "-"');
  return { ...repositoryOf(text, colon < 0 ? name : name.slice(0, colon)), tag, digest };
}

/** `registry/repository` without tag or digest. Throws `oci.reference`. */
export function parseRepository(text: string): RepositoryName {
  const { registry, path, tag, digest } = parseReference(text);
  if (tag !== undefined || digest !== undefined) throw malformed(text, 'want a repository, without tag and digest');
  return { registry, path };
}

/** The normal form, registry first: `index.docker.io/library/busybox`. */
export function shownRepository({ registry, path }: RepositoryName): string {
  return `${registry}/${path}`;
}

function repositoryOf(text: string, name: string): RepositoryName {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const hasRegistry = first.includes('.') || first.includes(':') || first === 'localhost';
  const host = hasRegistry ? first.toLowerCase() : dockerHub;
  const registry = dockerHubAliases.includes(host) ? dockerHub : host;
  const rest = hasRegistry ? name.slice(slash + 1) : name;
  const path = registry === dockerHub && !rest.includes('/') ? `library/${rest}` : rest;

  const match = registryPattern.exec(registry);
  if (!match || Number(match[1] ?? 1) > 65_535 || match[1] === '0')
    throw malformed(text, 'its registry must be a host, with a port or without');
  if (!pathPattern.test(path)) {
    throw malformed(text, 'its repository must be lower-case letters and digits, with single ".", "_", "-" and "/" between them');
  }
  if (path.length > 255) throw malformed(text, 'its repository has more than 255 characters');
  return { registry, path };
}

function digestOf(text: string, digest: string): Sha256 {
  if (!digest.startsWith('sha256:')) throw malformed(text, 'its digest must begin with "sha256:"');
  try {
    return parseSha256(digest);
  } catch (error) {
    throw new TerminalError('oci.reference', message(text, 'its digest must have 64 lower-case hex digits'), { cause: error });
  }
}

function malformed(text: string, reason: string): TerminalError {
  return new TerminalError('oci.reference', message(text, reason), {
    fix: 'write it as registry/repository:tag or registry/repository@sha256:…',
  });
}

/** Somebody may paste a URL with a password in it. */
function message(text: string, reason: string): string {
  const shown = text.replace(/\/\/[^/]*@/, '//…@').slice(0, 200);
  return `Cannot parse image reference "${shown}": ${reason}`;
}
