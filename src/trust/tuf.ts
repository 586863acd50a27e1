import { createHash } from 'node:crypto';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { CodedError, TerminalError, TransientError } from '../errors.ts';
import { shownUrl } from '../http/http.ts';
import { within, type Context } from '../observe/context.ts';

/** The public instance's mirror, whose first root is part of `@sigstore/tuf`. */
export const publicMirror = 'https://tuf-repo-cdn.sigstore.dev';

export interface TufOptions {
  /** Base URL of the mirror; default that of the public instance. */
  readonly mirror?: string;
  /** File with the first `root.json`; not needed for the public mirror. */
  readonly root?: string;
  /** Folder that keeps what was verified; one process at a time should write it. */
  readonly cache: string;
  /** Only what is cached counts, and the mirror is not asked. */
  readonly isOffline?: boolean;
}

export interface TufRole {
  readonly role: 'root' | 'timestamp' | 'snapshot' | 'targets';
  readonly version: number;
  readonly expires: Date;
}

export interface TufTarget {
  readonly bytes: Uint8Array;
  readonly roles: readonly TufRole[];
  /** The mirror was not reached, so this is what an earlier question gave, and it has not expired. */
  readonly isCached: boolean;
}

/** Of all questions together; one has the deadline of `http`. */
const deadlineMs = 60_000;

/**
 * A target of a TUF repository, verified as the specification wants it (TUF 5; audit-and-trust 3.1): from the first root over every root since,
 * each signed by the threshold of the one before and its own; timestamp, snapshot and targets not expired and never older than what was seen.
 * When the mirror cannot be reached, what is cached counts until it expires. Throws `trust.tuf-*`.
 */
export async function readTufTarget(name: string, options: TufOptions, dispatcher: Dispatcher, ctx: Context): Promise<TufTarget> {
  const mirror = mirrorOf(options);
  const dir = await seededCache(mirror, options);
  const read = async (mayAsk: boolean) =>
    await within(deadlineMs, ctx, async (inner) => await refreshed({ name, dir, mirror, dispatcher, mayAsk }, inner));
  if (options.isOffline === true) return { ...(await read(false)), isCached: true };
  try {
    return { ...(await read(true)), isCached: false };
  } catch (error) {
    if (ctx.signal.aborted || !(error instanceof TransientError)) throw error;
    const cached = await read(false).catch(() => undefined);
    if (cached === undefined) throw await notCached(error, dir, mirror);
    ctx.logger.warn({ err: error, mirror: shownUrl(mirror) }, 'tuf mirror not reached, using what is cached');
    return { ...cached, isCached: true };
  }
}

interface Question {
  readonly name: string;
  readonly dir: string;
  readonly mirror: string;
  readonly dispatcher: Dispatcher;
  readonly mayAsk: boolean;
}

async function refreshed({ name, dir, mirror, dispatcher, mayAsk }: Question, ctx: Context): Promise<Pick<TufTarget, 'bytes' | 'roles'>> {
  // Only here: these are forty modules, and most processes never ask a mirror.
  const [{ Updater }, { openMirror }] = await Promise.all([import('tuf-js'), import('./tuf-fetcher.ts')]);
  const fetcher = openMirror({ dir, dispatcher, mayAsk }, ctx);
  const targetDir = path.join(dir, 'targets');
  try {
    const updater = new Updater({
      metadataDir: dir,
      metadataBaseUrl: mirror,
      targetDir,
      targetBaseUrl: `${mirror}/targets`,
      fetcher,
      forceCache: !mayAsk,
    });
    await updater.refresh();
    const target = await updater.getTargetInfo(name);
    if (target === undefined)
      throw new TerminalError('trust.tuf-target', `Cannot trust the TUF mirror ${shownUrl(mirror)}: it has no target "${name}"`);
    const file = (await updater.findCachedTarget(target)) ?? (await updater.downloadTarget(target));
    return { bytes: await readFile(file), roles: await rolesIn(dir) };
  } catch (error) {
    if (ctx.signal.aborted) throw ctx.signal.reason;
    throw tufError(fetcher.failure() ?? error, mirror);
  }
}

/** Without a slash at the end. */
function mirrorOf({ mirror = publicMirror }: TufOptions): string {
  if (/^https?:\/\//.test(mirror) && URL.canParse(mirror)) return mirror.replace(/\/+$/, '');
  throw new TerminalError('trust.tuf-mirror', `Cannot use the TUF mirror "${shownUrl(mirror)}": want an http or https URL`);
}

/**
 * The folder of this mirror and first root, with that root in it. Another first root means another folder: what it never vouched for cannot be
 * trusted by it. A root that was cut off while it was written is replaced; all newer ones are asked for again.
 */
async function seededCache(mirror: string, { root, cache }: TufOptions): Promise<string> {
  const first = await firstRoot(mirror, root);
  const { host, pathname } = new URL(mirror);
  const id = createHash('sha256').update(first).digest('hex').slice(0, 12);
  const dir = path.join(cache, `${encodeURIComponent(host + pathname.replace(/\/$/, ''))}-${id}`);
  const file = path.join(dir, 'root.json');
  try {
    await mkdir(path.join(dir, 'targets'), { recursive: true });
    if ((await roleIn(file)) === undefined) await writeFile(file, first);
    await access(file);
  } catch (error) {
    throw new TerminalError('trust.cache', `Cannot keep trust in "${dir}": ${reasonOf(error)}`, {
      cause: error,
      fix: 'name a folder that can be written in trust.cache',
    });
  }
  return dir;
}

async function firstRoot(mirror: string, root: string | undefined): Promise<Uint8Array> {
  if (root !== undefined) {
    const refuse = (reason: string, cause?: unknown) =>
      new TerminalError('trust.tuf-root', `Cannot read the first root of ${shownUrl(mirror)} in "${root}": ${reason}`, { cause });
    const bytes = await readFile(root).catch((error: unknown) => {
      throw refuse(reasonOf(error), error);
    });
    if (roleOf(bytes) === undefined) throw refuse('it is no root.json of TUF');
    return bytes;
  }
  const seed = (await seeds())[mirror];
  if (seed !== undefined) return Buffer.from(seed['root.json'], 'base64');
  throw new TerminalError('trust.tuf-root', `Cannot trust the TUF mirror ${shownUrl(mirror)}: its first root is not known`, {
    fix: 'name the file with its root.json, which you got on another way than from the mirror, in trust.tuf-root',
  });
}

const Seeds = z.record(z.string(), z.object({ 'root.json': z.string() }));

/** Loaded when it is needed: it carries targets, too. */
async function seeds(): Promise<z.output<typeof Seeds>> {
  const { default: all } = await import('@sigstore/tuf/seeds.json', { with: { type: 'json' } });
  return Seeds.parse(all);
}

const Metadata = z.object({ signed: z.object({ version: z.number(), expires: z.coerce.date() }) });

async function roleIn(file: string): Promise<Omit<TufRole, 'role'> | undefined> {
  return await readFile(file).then(roleOf, () => undefined);
}

function roleOf(metadata: Uint8Array): Omit<TufRole, 'role'> | undefined {
  try {
    return Metadata.parse(JSON.parse(Buffer.from(metadata).toString('utf8'))).signed;
  } catch {
    return undefined;
  }
}

/** Versions and ends of what was verified last. */
async function rolesIn(dir: string): Promise<readonly TufRole[]> {
  const names = ['root', 'timestamp', 'snapshot', 'targets'] as const;
  const roles = await Promise.all(names.map(async (role) => ({ role, found: await roleIn(path.join(dir, `${role}.json`)) })));
  return roles.flatMap(({ role, found }) => (found === undefined ? [] : { role, ...found }));
}

/** Why the cache is no way out when the mirror cannot be reached. */
async function notCached(error: TransientError, dir: string, mirror: string): Promise<TransientError> {
  const roles = await rolesIn(dir);
  const expired = roles.find(({ expires }) => expires <= new Date());
  const isWhole = roles.length === 4;
  const why =
    isWhole && expired
      ? `${expired.role}.json in the cache expired at ${expired.expires.toISOString()}`
      : 'the cache holds no whole copy of it';
  return new TransientError('trust.tuf-unreachable', `Cannot refresh trust from ${shownUrl(mirror)}: ${error.message}, and ${why}`, {
    cause: error,
    ...(error.dependency !== undefined && { dependency: error.dependency }),
    fix: 'make the mirror reachable, or give a trusted_root.json in trust.root',
  });
}

/** What tuf-js says, by its words: it has classes for some errors only, and wraps them in others. */
const faults: readonly { readonly code: string; readonly says: RegExp; readonly means: string }[] = [
  { code: 'trust.tuf-expired', says: /is expired/, means: 'its metadata has expired, so nobody vouches that it is the newest' },
  {
    code: 'trust.tuf-rollback',
    says: /less than current version|Expected version|does not match snapshot version|doesn't match timestamp|Missing file/,
    means: 'it gives older metadata than it gave before, or of different ages',
  },
  {
    code: 'trust.tuf-signature',
    says: /was signed by|failed to verify|no public key found|no signature for key|multiple signatures/,
    means: 'its metadata is not signed by enough trusted keys',
  },
  {
    code: 'trust.tuf-mismatch',
    says: /Expected length|Expected hash|Max length|larger than \d+ bytes/,
    means: 'a file is not the one that its metadata describes',
  },
];

function tufError(error: unknown, mirror: string): CodedError {
  if (error instanceof CodedError && error.code !== 'http.too-large') return error;
  const reason = reasonOf(error).replace(/^(Unable to load \w+ metadata error|Unable to load targets error) (Error: )?/, '');
  const fault = faults.find(({ says }) => says.test(reason));
  const means = fault === undefined ? reason : `${fault.means} (${reason})`;
  return new TerminalError(fault?.code ?? 'trust.tuf-malformed', `Cannot trust the TUF mirror ${shownUrl(mirror)}: ${means}`, {
    cause: error,
    fix: 'ask who runs the mirror; until it is mended a trusted_root.json in trust.root does without it',
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
