import { setTimeout as sleep } from 'node:timers/promises';
import { TerminalError, TransientError } from '../../errors.ts';
import type { Answer } from '../../http/http.ts';
import { sha256Of, type Sha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';
import { refusal } from './answer.ts';
import { attemptOf, type Line } from './line.ts';
import { readManifest, resolveTag } from './manifests.ts';
import type { Change, Manifest } from './repository.ts';

/** How often a tag is written before we give up for now: somebody else writes it all the time. */
const maxWrites = 16;
/** How often we look whether what we wrote stays, while others write the same tag. */
const maxLooks = 8;

/**
 * Registries have no compare-and-swap for tags (a few obey `If-Match`), so whoever is overwritten must see it and write again
 * (chains-controller 9.5, O1 and O10). Another process that read before we wrote may still write after it: we look after three times as long as
 * we took ourselves, and again for as long as others write.
 */
export async function updateTag(line: Line, tag: string, change: Change, ctx: Context): Promise<void> {
  for (let writes = 0; ; writes += 1) {
    if (writes > 0) await pause(Math.random() * Math.min(1_000, 25 * 2 ** writes), ctx);
    const readAt = performance.now();
    const current = await readManifest(line, tag, ctx);
    const next = await change(current);
    if (next === undefined) return;
    if (writes >= maxWrites) throw contended(line, tag, writes);
    // An ETag that is refused twice means something else than we think.
    const written = await writeTag(line, tag, { current: writes < maxWrites / 2 ? current : withoutEtag(current), next }, ctx);
    const windowMs = performance.now() - readAt;
    if (written && (await staysWritten(line, tag, { change, written: sha256Of(next.bytes), windowMs }, ctx))) return;
  }
}

interface Written {
  readonly change: Change;
  readonly written: Sha256;
  /** From reading to having written. */
  readonly windowMs: number;
}

async function staysWritten(line: Line, tag: string, { change, written, windowMs }: Written, ctx: Context): Promise<boolean> {
  let expected = written;
  for (let look = 0; look < maxLooks; look += 1) {
    await pause(Math.min(500, Math.max(5, 3 * windowMs)) * (0.75 + Math.random() / 2), ctx);
    if ((await resolveTag(line, tag, ctx)) === expected) return true;
    const current = await readManifest(line, tag, ctx);
    if (current === undefined || (await change(current)) !== undefined) return false;
    expected = current.digest;
  }
  return true;
}

interface Replacement {
  readonly current: Manifest | undefined;
  readonly next: { readonly mediaType: string; readonly bytes: Uint8Array };
}

/** False when somebody was faster, and the registry could tell. */
async function writeTag(line: Line, tag: string, { current, next }: Replacement, ctx: Context): Promise<boolean> {
  const condition = current?.etag?.startsWith('"') === true ? { 'if-match': current.etag } : {};
  const headers = { 'content-type': next.mediaType, ...condition };
  const answer = await line.speak({ method: 'PUT', to: `manifests/${tag}`, headers, body: next.bytes }, ctx);
  if (answer.status === 201 || answer.status === 200) return true;
  if (answer.status === 412 && 'if-match' in condition) return false;
  throw current !== undefined && isImmutable(answer)
    ? immutable(line, tag, answer)
    : refusal(answer, attemptOf(line, 'write manifest', `:${tag}`));
}

/** Registries differ in how they say that a tag stays as it is; that it was there before is what they have in common. */
function isImmutable({ status, body }: Answer): boolean {
  if (status === 405 || status === 409 || status === 412) return true;
  return (
    (status === 400 || status === 403) && /immutab|TAG_INVALID|ALREADY_EXISTS/i.test(Buffer.from(body).toString('latin1').slice(0, 10_000))
  );
}

function immutable(line: Line, tag: string, { status }: Answer): TerminalError {
  return new TerminalError(
    'oci.immutable-tag',
    `Cannot add to "${line.where}:${tag}": the registry does not let the tag be changed (${status})`,
    {
      fix: 'exempt tags that begin with "sha256-" from immutability, or set storage.oci.layout to "referrers" where the registry has the referrers API',
    },
  );
}

function withoutEtag(manifest: Manifest | undefined): Manifest | undefined {
  return manifest && { mediaType: manifest.mediaType, digest: manifest.digest, bytes: manifest.bytes };
}

function contended(line: Line, tag: string, writes: number): TransientError {
  const message = `Cannot keep what was written to "${line.where}:${tag}": another writer replaced it ${writes} times`;
  return new TransientError('oci.contended', message, {
    fix: 'find the other writers of this tag: a second controller, or cosign in a pipeline',
  });
}

async function pause(ms: number, ctx: Context): Promise<void> {
  await sleep(ms, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
}
