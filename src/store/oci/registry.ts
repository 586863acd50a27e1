import { setTimeout as sleep } from 'node:timers/promises';
import { TerminalError, TransientError, type CodedError } from '../../errors.ts';
import type { Answer, Call } from '../../http/http.ts';
import { parseSha256, sha256Of, type Sha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';
import { jsonOf, nonsense, refusal, type Attempt } from './answer.ts';
import type { Change, Manifest, Repository } from './repository.ts';

/** One request below `/v2/<repository>/`, or to a URL that the registry gave. */
export interface Ask extends Pick<Call, 'method' | 'headers' | 'body' | 'retries' | 'maxBytes'> {
  /** Relative to `/v2/<repository>/`; an absolute URL is taken as it is, and gets our credentials only at the registry's own origin. */
  readonly to: string;
}

/** Speaks for one repository: endpoint, credentials, and one more try after a challenge. Any status is an answer. */
export type Speak = (request: Ask, ctx: Context) => Promise<Answer>;

/** What one repository of a registry needs of its client. */
export interface Line {
  /** `registry/path`, for messages. */
  readonly where: string;
  readonly dependency: string;
  readonly maxBytes: number;
  readonly speak: Speak;
  exclusively<T>(tag: string, work: () => Promise<T>): Promise<T>;
}

/** Signatures and images are manifests or indexes, of OCI or Docker. */
const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

/** How often a tag is written before we give up for now: somebody else writes it all the time. */
const maxUpdates = 8;

/** A repository over the distribution API (sigstore-wire 3.8). */
export function registryRepository(line: Line): Repository {
  const self: Repository = {
    manifest: async (reference, ctx) => await readManifest(line, reference, ctx),
    async resolve(tag, ctx) {
      const answer = await line.speak({ method: 'HEAD', to: `manifests/${tag}`, headers: { accept: manifestTypes } }, ctx);
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw refusal(answer, attemptOf(line, 'resolve tag', `:${tag}`));
      return digestIn(answer) ?? (await readManifest(line, tag, ctx))?.digest;
    },
    blob: async (layer, ctx) => await readBlob(line, layer, ctx),
    async putBlob(bytes, ctx) {
      const digest = sha256Of(bytes);
      const answer = await line.speak({ method: 'HEAD', to: `blobs/sha256:${digest}` }, ctx);
      if (answer.status === 200) return;
      if (answer.status !== 404) throw refusal(answer, attemptOf(line, 'look for blob', `@sha256:${digest}`));
      await pushBlob(line, bytes, ctx);
    },
    async update(tag, change, ctx) {
      await line.exclusively(tag, async () => await updateTag(self, line, { tag, change }, ctx));
    },
  };
  return self;
}

/** There is no compare-and-swap for tags: after writing we look again, and whoever lost writes again (chains-controller 9.5, O1). */
async function updateTag(
  self: Repository,
  line: Line,
  { tag, change }: { readonly tag: string; readonly change: Change },
  ctx: Context,
): Promise<void> {
  for (let write = 0; ; write += 1) {
    ctx.signal.throwIfAborted();
    const next = await change(await self.manifest(tag, ctx));
    if (next === undefined) return;
    if (write >= maxUpdates) {
      throw new TransientError(
        'oci.contended',
        `Cannot keep what was written to "${line.where}:${tag}": another writer replaced it ${write} times`,
        {
          fix: 'find the other writers of this tag: a second controller, or cosign in a pipeline',
        },
      );
    }
    const waitMs = write === 0 ? 0 : Math.random() * Math.min(1_000, 50 * 2 ** write);
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
    await writeManifest(line, tag, next, ctx);
  }
}

async function readManifest(line: Line, reference: string, ctx: Context): Promise<Manifest | undefined> {
  const attempt = attemptOf(line, 'read manifest', reference.startsWith('sha256:') ? `@${reference}` : `:${reference}`);
  const answer = await line.speak({ method: 'GET', to: `manifests/${reference}`, headers: { accept: manifestTypes } }, ctx);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refusal(answer, attempt);
  const digest = sha256Of(answer.body);
  const wanted = reference.startsWith('sha256:') ? parseSha256(reference) : digestIn(answer);
  if (jsonOf(answer.body) === undefined) throw nonsense(answer, attempt, 'the answer is not JSON');
  if (wanted !== undefined && wanted !== digest) throw nonsense(answer, attempt, `its digest is sha256:${digest}, want sha256:${wanted}`);
  const mediaType = (answer.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
  if (!manifestTypes.split(', ').includes(mediaType)) throw nonsense(answer, attempt, 'the answer is not a manifest');
  return { mediaType, digest, bytes: answer.body };
}

async function writeManifest(
  line: Line,
  tag: string,
  next: { readonly mediaType: string; readonly bytes: Uint8Array },
  ctx: Context,
): Promise<void> {
  const answer = await line.speak(
    { method: 'PUT', to: `manifests/${tag}`, headers: { 'content-type': next.mediaType }, body: next.bytes },
    ctx,
  );
  if (answer.status !== 201 && answer.status !== 200) throw refusal(answer, attemptOf(line, 'write manifest', `:${tag}`));
}

async function readBlob(
  line: Line,
  layer: { readonly digest: string; readonly size: number },
  ctx: Context,
): Promise<Uint8Array | undefined> {
  const digest = parseSha256(layer.digest);
  const attempt = attemptOf(line, 'read blob', `@${layer.digest}`);
  if (layer.size > line.maxBytes) {
    throw new TerminalError(
      'oci.too-large',
      `Cannot read blob "${attempt.where}": it has ${layer.size} bytes, more than ${line.maxBytes}`,
      {
        fix: 'raise limits.response-bytes if such layers are expected',
      },
    );
  }
  const answer = await line.speak({ method: 'GET', to: `blobs/sha256:${digest}` }, ctx);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refusal(answer, attempt);
  if (answer.body.length !== layer.size) throw nonsense(answer, attempt, `it must have ${layer.size} bytes`);
  if (sha256Of(answer.body) !== digest) throw nonsense(answer, attempt, 'it has another digest');
  return answer.body;
}

/** POST for a session, PUT of everything at once; a session that broke is begun anew once. Envelopes are small: no chunks. */
async function pushBlob(line: Line, bytes: Uint8Array, ctx: Context): Promise<void> {
  const digest = `sha256:${sha256Of(bytes)}`;
  const attempt = attemptOf(line, 'push blob', `@${digest}`);
  for (let tries = 1; ; tries += 1) {
    const started = await line.speak({ method: 'POST', to: 'blobs/uploads/', retries: 2 }, ctx);
    if (started.status !== 202) throw refusal(started, attempt);
    const to = uploadUrl(started, attempt, digest);
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await line.speak({ method: 'PUT', to, headers, body: bytes, retries: 0 }, ctx);
    if (answer.status === 201) return;
    const error = answer.status === 404 ? sessionLost(attempt) : refusal(answer, attempt);
    if (tries >= 2 || error instanceof TerminalError) throw error;
  }
}

/** `Location` may be relative, of another origin, and have a query that must be kept. */
function uploadUrl(started: Answer, attempt: Attempt, digest: string): string {
  const location = started.headers['location'];
  if (location === undefined || !URL.canParse(location, started.url))
    throw nonsense(started, attempt, 'the registry gave no place for the upload');
  const url = new URL(location, started.url);
  const from = new URL(started.url);
  // A registry behind a proxy that speaks TLS for it often does not know that it is https.
  if (from.protocol === 'https:' && url.protocol === 'http:' && url.host === from.host) url.protocol = 'https:';
  if ((from.protocol === 'https:' && url.protocol !== 'https:') || !/^https?:$/.test(url.protocol))
    throw nonsense(started, attempt, `the upload would go to ${url.protocol}//${url.host}`);
  // Not through searchParams: it would write the query anew, and some registries have it signed.
  const query = `digest=${encodeURIComponent(digest)}`;
  url.search = url.search === '' ? query : `${url.search}&${query}`;
  return url.href;
}

function sessionLost({ action, where }: Attempt): CodedError {
  return new TransientError('oci.upload-lost', `Cannot ${action} "${where}": the registry forgot the upload`);
}

function attemptOf(line: Line, action: string, suffix: string): Attempt {
  return { action, where: `${line.where}${suffix}`, dependency: line.dependency };
}

/** `Docker-Content-Digest`; undefined when it is absent or not SHA-256. */
function digestIn(answer: Answer): Sha256 | undefined {
  const text = answer.headers['docker-content-digest'];
  return text !== undefined && /^sha256:[0-9a-f]{64}$/.test(text) ? parseSha256(text) : undefined;
}
