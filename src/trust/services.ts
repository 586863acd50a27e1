import { X509Certificate } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { TerminalError, TransientError } from '../errors.ts';
import { isBusy, send, shownUrl } from '../http/http.ts';
import { parsePublicKey } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { logIdOf } from './log-key.ts';
import type { TrustedAuthority, TrustedLog, TrustedRoot } from './trusted-root.ts';

/** Services that are asked what they sign with. */
export interface AskedServices {
  /** Base URLs of Rekor 1 logs. Rekor 2 does not publish its key. */
  readonly rekor: readonly string[];
  /** Base URL. */
  readonly fulcio?: string;
  /** URLs that timestamps are asked at. */
  readonly timestamps: readonly string[];
}

const maxBytes = 256 * 1024;

/**
 * What services say of themselves, over the connection that they are used over (sigstore-wire 5.1, 6.1, 6.4): trust on first use, so it shows that
 * they later say the same, and no more. A certificate transparency log cannot be asked, so none is trusted. Throws `trust.services`, and what `http`
 * throws.
 */
export async function askServices(
  { rekor, fulcio, timestamps }: AskedServices,
  dispatcher: Dispatcher,
  ctx: Context,
): Promise<TrustedRoot> {
  const read: Read = async (url) => await textAt(url, dispatcher, ctx);
  const [logs, authorities, stamps] = await Promise.all([
    Promise.all(rekor.map(async (url) => await logAt(url, read))),
    fulcio === undefined ? [] : chainsAt(fulcio, read),
    Promise.all(timestamps.map(async (url) => authorityOf(url, await read(`${trimmed(url)}/certchain`)))),
  ]);
  return { logs, ctLogs: [], certificateAuthorities: authorities, timestampAuthorities: stamps };
}

type Read = (url: string) => Promise<string>;

/** Nothing says since when it has been so. */
const validFor = { start: new Date(0), end: undefined };

async function logAt(baseUrl: string, read: Read): Promise<TrustedLog> {
  const url = `${trimmed(baseUrl)}/api/v1/log/publicKey`;
  const pem = await read(url);
  const publicKey = parsed(url, () => parsePublicKey(pem)).object;
  return { baseUrl, publicKey, logId: logIdOf(publicKey), validFor };
}

const TrustBundle = z.object({ chains: z.array(z.object({ certificates: z.array(z.string()).min(1).max(10) })).max(64) });

async function chainsAt(baseUrl: string, read: Read): Promise<readonly TrustedAuthority[]> {
  const url = `${trimmed(baseUrl)}/api/v2/trustBundle`;
  const text = await read(url);
  const { chains } = parsed(url, () => TrustBundle.parse(JSON.parse(text)));
  return chains.map(({ certificates }) => ({ ...authorityOf(url, certificates.join('\n')), uri: baseUrl }));
}

/** The chain of an authority, in PEM, nearest certificate first. */
function authorityOf(uri: string, pem: string): TrustedAuthority {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const chain = parsed(uri, () => blocks.map((block) => new X509Certificate(block)));
  if (chain.length === 0 || chain.length > 10) throw unusable(uri, `it gives ${chain.length} certificates`);
  return { uri, chain, validFor };
}

async function textAt(url: string, dispatcher: Dispatcher, ctx: Context): Promise<string> {
  const dependency = `trust:${new URL(url).host}`;
  const { status, body } = await send({ method: 'GET', url, dependency, maxBytes, dispatcher }, ctx);
  if (status === 200) return Buffer.from(body).toString('utf8');
  if (!isBusy(status)) throw unusable(url, `it answers ${status}`);
  throw new TransientError('trust.services', `Cannot ask ${shownUrl(url)} what it signs with: it answers ${status}`, { dependency });
}

function parsed<T>(url: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw unusable(url, 'its answer cannot be read', error);
  }
}

function unusable(url: string, reason: string, cause?: unknown): TerminalError {
  return new TerminalError('trust.services', `Cannot ask ${shownUrl(url)} what it signs with: ${reason}`, {
    cause,
    fix: 'give a trusted_root.json, or the URL of a TUF mirror, in trust.root',
  });
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, '');
}
