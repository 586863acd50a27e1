import { readFile } from 'node:fs/promises';
import { TerminalError } from '../errors.ts';
import { openOutward, readCaFile, type Proxy } from '../http/outward.ts';
import { shownUrl } from '../http/http.ts';
import { isSame } from './signature.ts';
import type { Context } from '../observe/context.ts';
import { askServices, type AskedServices } from './services.ts';
import { emptyRoot, parseTrustedRoot, trustedRootJsonOf, type TrustedRoot } from './trusted-root.ts';
import { publicMirror, readTufTarget, type TufOptions, type TufRole } from './tuf.ts';

/** Where trust comes from: the first of the three that is given. None: nothing is trusted. */
export interface TrustOptions {
  /** A `trusted_root.json`. */
  readonly file?: string;
  readonly tuf?: TufOptions;
  /** Private services without a trusted root: they are asked. */
  readonly services?: AskedServices;
  /** PEM file with certificate authorities for TLS, beside the well-known ones. */
  readonly caFile?: string;
  readonly proxy?: Proxy;
}

export interface OpenTrust {
  readonly root: TrustedRoot;
  /** Where it is from, in words for a person. */
  readonly origin: string;
  /** The same as a `trusted_root.json`: as it came, or made of what services said. */
  readonly json: string;
  /** Of a TUF mirror: what its metadata says of itself; empty otherwise. */
  readonly roles: readonly TufRole[];
  /** Whether opening it again would give the same: a file has not changed, and what a mirror gave is not older than six hours nor expired. */
  isCurrent(now: Date): Promise<boolean>;
}

/** A mirror re-signs its timestamp every few hours (audit-and-trust 3.2). */
const mirrorLifeMs = 6 * 60 * 60 * 1000;

const caProblem = { code: 'trust.ca-file', fix: 'point it to a PEM file with certificates' };

/** Reads and parses trust once. Throws `trust.root`, `trust.tuf-*`, `trust.cache`, `trust.services`, `trust.ca-file`, and what `http` throws. */
export async function openTrust(options: TrustOptions, ctx: Context): Promise<OpenTrust> {
  const { file, tuf, services } = options;
  if (file !== undefined) return await fromFile(file);
  const asked = services === undefined ? [] : urlsOf(services);
  if (tuf === undefined && asked.length === 0) return nothing;
  const ca = options.caFile === undefined ? undefined : await readCaFile(options.caFile, caProblem);
  const dispatcher = openOutward({ ca, proxy: options.proxy, connections: 8 });
  try {
    if (tuf !== undefined) return await fromMirror(tuf, dispatcher, ctx);
    return await fromServices(services ?? { rekor: [], timestamps: [] }, dispatcher, ctx);
  } finally {
    await dispatcher.close();
  }
}

const nothing: OpenTrust = {
  root: emptyRoot,
  origin: 'nothing: no trusted root is configured, and no service that could be asked',
  json: trustedRootJsonOf(emptyRoot),
  roles: [],
  isCurrent: async () => await Promise.resolve(true),
};

async function fromFile(file: string): Promise<OpenTrust> {
  const bytes = await readRoot(file);
  return {
    root: parseTrustedRoot(bytes, `"${file}"`),
    origin: `the file ${file}`,
    json: Buffer.from(bytes).toString('utf8'),
    roles: [],
    // A file that cannot be read now is looked at when it is opened, which says why.
    isCurrent: async () =>
      await readRoot(file).then(
        (now) => isSame(now, bytes),
        () => false,
      ),
  };
}

async function fromMirror(tuf: TufOptions, dispatcher: ReturnType<typeof openOutward>, ctx: Context): Promise<OpenTrust> {
  const { bytes, roles, isCached } = await readTufTarget('trusted_root.json', tuf, dispatcher, ctx);
  const mirror = shownUrl(tuf.mirror ?? publicMirror);
  const until = Math.min(Date.now() + mirrorLifeMs, ...roles.map(({ expires }) => expires.getTime()));
  return {
    root: parseTrustedRoot(bytes, `the target trusted_root.json of ${mirror}`),
    origin: `the TUF mirror ${mirror}${isCached ? ', from the cache' : ''}`,
    json: Buffer.from(bytes).toString('utf8'),
    roles,
    // What came from the cache is asked for again as soon as somebody asks.
    isCurrent: async (now) => await Promise.resolve(!isCached && now.getTime() < until),
  };
}

async function readRoot(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new TerminalError('trust.root', `Cannot read the trusted root "${file}": ${reasonOf(error)}`, {
      cause: error,
      fix: 'name a file that can be read',
    });
  }
}

async function fromServices(services: AskedServices, dispatcher: ReturnType<typeof openOutward>, ctx: Context): Promise<OpenTrust> {
  const root = await askServices(services, dispatcher, ctx);
  const urls = urlsOf(services).map(shownUrl).join(', ');
  return {
    root,
    origin: `what ${urls} said of themselves when asked (trust on first use)`,
    json: trustedRootJsonOf(root),
    roles: [],
    isCurrent: async () => await Promise.resolve(true),
  };
}

function urlsOf({ rekor, fulcio, timestamps }: AskedServices): readonly string[] {
  return [...rekor, ...(fulcio === undefined ? [] : [fulcio]), ...timestamps];
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
