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
/** How often what we read may have changed before we wrote at all. */
const maxReads = 64;
/** How long what was read counts: blobs are pushed in between, and a process that waits for a processor may be late. */
const freshMs = 10;
/** When we look whether what we wrote stays: so many times our own window after it, at least so many milliseconds. */
const looks = [
  { windows: 3, ms: 10 },
  { windows: 9, ms: 50 },
] as const;
const maxLookMs = 500;
/** How often we look anew because others write the same tag all the time, and keep what is ours. */
const maxRounds = 8;

/**
 * Registries have no compare-and-swap for tags (a few obey `If-Match`), so whoever is overwritten must see it and write again
 * (chains-controller 9.5, O1 and O10). Who overwrites us unseen has read the tag before we wrote it and writes after we looked: so nobody
 * writes what was read a while ago, and we look long after such a writer, if it is about as fast as we are, must have been there. Nothing
 * more can be promised without help of the registry (decisions/0010).
 */
export async function updateTag(line: Line, tag: string, change: Change, ctx: Context): Promise<void> {
  let writes = 0;
  for (let reads = 0; reads < maxReads; reads += 1) {
    if (reads > 0) await pause(Math.random() * Math.min(1_000, 25 * 2 ** writes), ctx);
    const readAt = performance.now();
    const current = await readManifest(line, tag, ctx);
    const next = await change(current);
    if (next === undefined) return;
    const freshAt = await whenFresh(line, tag, { current, readAt }, ctx);
    if (freshAt === undefined) continue;
    // An ETag that is refused again and again means something else than we think.
    const isWritten = await writeTag(line, tag, { current: writes < maxWrites / 2 ? current : withoutEtag(current), next }, ctx);
    const windowMs = performance.now() - freshAt;
    if (isWritten && (await staysWritten(line, tag, { change, written: sha256Of(next.bytes), windowMs }, ctx))) return;
    writes += 1;
    if (writes >= maxWrites) break;
  }
  throw contended(line, tag, writes);
}

/** The moment at which what we read was true for certain, and not long ago; undefined when it has changed since. */
async function whenFresh(
  line: Line,
  tag: string,
  { current, readAt }: { readonly current: Manifest | undefined; readonly readAt: number },
  ctx: Context,
): Promise<number | undefined> {
  if (performance.now() - readAt < freshMs) return readAt;
  const askedAt = performance.now();
  return (await resolveTag(line, tag, ctx)) === current?.digest ? askedAt : undefined;
}

interface Written {
  readonly change: Change;
  readonly written: Sha256;
  /** From when what we replaced was there for certain, to when we had replaced it. */
  readonly windowMs: number;
}

async function staysWritten(line: Line, tag: string, { change, written, windowMs }: Written, ctx: Context): Promise<boolean> {
  let expected = written;
  for (let round = 0; round < maxRounds; round += 1) {
    const found = await changedDigest(line, tag, { expected, windowMs }, ctx);
    if (found === expected) return true;
    const current = await readManifest(line, tag, ctx);
    if (current === undefined || (await change(current)) !== undefined) return false;
    expected = current.digest;
  }
  return true;
}

/** The first digest that is another one than expected, or that one when all looks have found it. */
async function changedDigest(
  line: Line,
  tag: string,
  { expected, windowMs }: { readonly expected: Sha256; readonly windowMs: number },
  ctx: Context,
): Promise<Sha256 | undefined> {
  for (const { windows, ms } of looks) {
    await pause(Math.min(maxLookMs, Math.max(ms, windows * windowMs)) * (0.9 + Math.random() / 5), ctx);
    const digest = await resolveTag(line, tag, ctx);
    if (digest !== expected) return digest;
  }
  return expected;
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
