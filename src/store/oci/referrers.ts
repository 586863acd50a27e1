import { setTimeout as sleep } from 'node:timers/promises';
import { TerminalError, TransientError } from '../../errors.ts';
import type { Answer } from '../../http/http.ts';
import type { Sha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';
import { nonsense, refusal, type Attempt } from './answer.ts';
import { attemptOf, demandPlain, mediaTypeOf, type Line } from './line.ts';
import { readManifest } from './manifests.ts';
import { descriptorsIn, fallbackTagOf, listed, maxReferrers, parseIndex } from './referrer-index.ts';
import { indexType, type Descriptor, type Referrer } from './repository.ts';
import { updateTag } from './tags.ts';

/** A registry may give one descriptor on each page, but who does that lets us run in circles. */
const maxPages = 100;
/** How often a registry is asked for what it just took. */
const maxLooks = 5;

/**
 * Pushes the manifest by digest, then looks for it as a reader would. A registry that lists it has the referrers API, whatever else it says;
 * where there is no such API, or it lists only what it acknowledged (`OCI-Subject`) and this it did not, the fallback tag lists it
 * (sigstore-wire 3.7). Throws `oci.not-listed` (transient) when the registry acknowledges what it then does not list.
 */
export async function attach(line: Line, { descriptor, bytes, subject }: Referrer, ctx: Context): Promise<void> {
  const isAcknowledged = await pushByDigest(line, descriptor, bytes, ctx);
  for (let look = 1; ; look += 1) {
    const found = await isListed(line, subject, descriptor.digest, ctx);
    if (found === true) return;
    if (found === undefined || (look > 1 && !isAcknowledged)) break;
    if (look >= maxLooks) throw notListed(line, descriptor.digest);
    await sleep(Math.random() * 100 * 2 ** look, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
  const tag = fallbackTagOf(subject);
  const change = async (current: { readonly bytes: Uint8Array } | undefined) => {
    const next = listed(current?.bytes, descriptor, `${line.where}:${tag}`);
    return await Promise.resolve(next && { mediaType: indexType, bytes: next });
  };
  await line.exclusively(tag, async () => await updateTag(line, tag, change, ctx));
}

/** Whether the registry says that it understood the subject. */
async function pushByDigest(line: Line, { digest, mediaType }: Descriptor, body: Uint8Array, ctx: Context): Promise<boolean> {
  const headers = { 'content-type': mediaType };
  const answer = await line.speak({ method: 'PUT', to: `manifests/sha256:${digest}`, headers, body }, ctx);
  if (answer.status === 201 || answer.status === 200) return answer.headers['oci-subject'] !== undefined;
  const error = refusal(answer, attemptOf(line, 'push referrer', `@sha256:${digest}`));
  if (error.code !== 'oci.refused') throw error;
  throw new TerminalError(error.code, error.message, {
    fix: 'see whether this registry takes OCI 1.1 manifests with a subject; set storage.oci.layout to "tags" if it does not',
  });
}

/** Undefined when the registry has no referrers API. */
async function isListed(line: Line, subject: Sha256, digest: Sha256, ctx: Context): Promise<boolean | undefined> {
  let hasApi = false;
  for await (const page of pagesOf(line, subject, ctx)) {
    if (page.some((descriptor) => descriptor.digest === digest)) return true;
    hasApi = true;
  }
  return hasApi ? false : undefined;
}

/**
 * Everything that refers to a manifest: from the referrers API, page by page, or from the fallback tag where there is none. Throws
 * `oci.too-many` for more than 10 000, `oci.protocol` for what is no list.
 */
export async function listReferrers(line: Line, subject: Sha256, ctx: Context): Promise<readonly Descriptor[]> {
  const found = new Map<Sha256, Descriptor>();
  let hasApi = false;
  const add = (page: readonly Descriptor[]): void => {
    for (const descriptor of page) found.set(descriptor.digest, descriptor);
    if (found.size > maxReferrers) throw tooMany(line, subject, found.size);
  };
  for await (const page of pagesOf(line, subject, ctx)) {
    hasApi = true;
    add(page);
  }
  if (!hasApi) add(await fallbackOf(line, subject, ctx));
  return [...found.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
}

/** Nothing at all when the registry has no referrers API; one page at least when it has. */
async function* pagesOf(line: Line, subject: Sha256, ctx: Context): AsyncGenerator<readonly Descriptor[]> {
  const attempt = attemptOf(line, 'list referrers', `@sha256:${subject}`);
  let to: string | undefined = `referrers/sha256:${subject}`;
  for (let pages = 0; to !== undefined; pages += 1) {
    if (pages >= maxPages) throw tooMany(line, subject, maxReferrers);
    const answer: Answer = await line.speak({ method: 'GET', to, headers: { accept: indexType } }, ctx);
    if (pages === 0 && hasNoApi(answer)) return;
    if (answer.status !== 200) throw refusal(answer, attempt);
    demandPlain(answer, attempt);
    const index = parseIndex(answer.body);
    if (typeof index === 'string') throw nonsense(answer, attempt, `the answer is no list of referrers: ${index}`);
    yield descriptorsIn(index);
    to = nextOf(answer, attempt);
  }
}

/** What registries without the API answer, as go-containerregistry takes it; a page of a proxy or of a catch-all is none either. */
function hasNoApi(answer: Answer): boolean {
  return [400, 404, 405, 406, 501].includes(answer.status) || (answer.status === 200 && mediaTypeOf(answer) !== indexType);
}

/** `Link: <url>; rel="next"` (RFC 8288), only at the same origin. */
function nextOf(answer: Answer, attempt: Attempt): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?(?=$|[\s;,])/i.exec(answer.headers['link'] ?? '')?.[1];
  if (target === undefined) return undefined;
  const url = URL.canParse(target, answer.url) ? new URL(target, answer.url) : undefined;
  if (url?.origin !== new URL(answer.url).origin) throw nonsense(answer, attempt, 'its next page is elsewhere');
  return url.href;
}

async function fallbackOf(line: Line, subject: Sha256, ctx: Context): Promise<readonly Descriptor[]> {
  const tag = fallbackTagOf(subject);
  const manifest = await readManifest(line, tag, ctx);
  if (manifest === undefined) return [];
  const index = parseIndex(manifest.bytes);
  if (typeof index !== 'string') return descriptorsIn(index);
  throw new TerminalError('oci.manifest', `Cannot list referrers at "${line.where}:${tag}": ${index}`, {
    fix: 'see who wrote this tag; delete it if it holds no list of referrers',
  });
}

function tooMany(line: Line, subject: Sha256, count: number): TerminalError {
  return new TerminalError('oci.too-many', `Cannot list referrers of "${line.where}@sha256:${subject}": there are ${count} or more`, {
    fix: 'remove referrers that nobody needs',
  });
}

function notListed(line: Line, digest: Sha256): TransientError {
  return new TransientError('oci.not-listed', `Cannot find "${line.where}@sha256:${digest}": the registry took it and does not list it`, {
    fix: 'ask whoever runs the registry; it will be looked for again',
  });
}
