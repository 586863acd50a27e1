import type { Image } from '../model/artifact.ts';
import { parseSha256 } from '../model/digest.ts';

const sha256Digest = /^sha256:[0-9a-f]{64}$/;
const validTag = /^[A-Za-z0-9_.-]{1,128}$/;
const validPath = /^[a-z0-9_\-./]{2,255}$/;
// A URL authority without user-info: what net/url refuses in a host (chains-provenance 3.4 step 4).
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const refusedInRegistry = /[\u0000-\u0020\u007f#%?[\\\]^`{|}]/;
const validPort = /^[0-9]*$/;
const bracketed = /^\[[0-9A-Fa-f:.]+\](?::[0-9]*)?$/;

/** Parses `base@sha256:<hex>` into a normalised repository and its digest. A string says why it is no image reference. */
export function parseReference(base: string, digest: string): Image | string {
  if (base.includes('@') || digest.includes('@')) return 'it has more than one @';
  if (!sha256Digest.test(digest)) return digestReason(digest);
  const repository = parseRepository(withoutTag(base));
  return repository === undefined ? 'the part before @ is not a repository name' : { repository, digest: parseSha256(digest) };
}

function digestReason(digest: string): string {
  if (digest === '') return 'it has no digest';
  const hex = /^sha256:([0-9a-f]*)$/.exec(digest)?.[1];
  if (hex === undefined) return 'the digest is not sha256: and 64 lower-case hex digits';
  return `the digest has ${hex.length} of 64 hex digits${hex.length < 64 ? ', as if it were cut off' : ''}`;
}

/** `<repository>@sha256:<hex>`: an image's full name, the same for equal images. */
export function fullName(image: Image): string {
  return `${image.repository}@sha256:${image.digest}`;
}

/** The tag is dropped only when what is left is a repository; otherwise the whole text is tried (step 3). */
function withoutTag(base: string): string {
  const colon = base.lastIndexOf(':');
  if (colon < 0 || !validTag.test(base.slice(colon + 1))) return base;
  const candidate = base.slice(0, colon);
  return parseRepository(candidate) === undefined ? base : candidate;
}

/** Registry and path, normalised (steps 4 and 5); undefined when it is none. */
export function parseRepository(text: string): string | undefined {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const hasRegistry = first === 'localhost' || first.includes('.') || first.includes(':');
  const path = hasRegistry ? text.slice(slash + 1) : text;
  if (!validPath.test(path)) return undefined;
  if (!hasRegistry || first === 'docker.io' || first === 'index.docker.io') {
    return path.includes('/') ? `index.docker.io/${path}` : `index.docker.io/library/${path}`;
  }
  return isRegistry(first) ? `${first}/${path}` : undefined;
}

function isRegistry(text: string): boolean {
  if (text.startsWith('[')) return bracketed.test(text);
  if (refusedInRegistry.test(text)) return false;
  const colon = text.lastIndexOf(':');
  return colon < 0 || validPort.test(text.slice(colon + 1));
}
