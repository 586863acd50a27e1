import { readFile } from 'node:fs/promises';
import type { Config } from './config/config.ts';
import { TerminalError } from './errors.ts';
import type { logs } from './tlog/logs.ts';
import { parseSigningConfig, selectServices, type SelectedServices } from './tlog/signing-config.ts';
import type { LineOptions } from './tlog/line.ts';
import type { TrustOptions } from './trust/open.ts';

/** The services of Sigstore that one configuration uses now. */
export interface Services {
  /** Each takes every upload. Never empty. */
  readonly logs: readonly {
    readonly kind: keyof typeof logs;
    /** Of its row of the table. */
    readonly options: { readonly url: string };
  }[];
  readonly authorities: readonly LineOptions[];
  readonly trust: TrustOptions;
}

/**
 * Reads the signing configuration, if there is one: what it says stands above the keys for single services. Throws `config.unreadable`,
 * `config.no-timestamp`, and what the file itself throws (`tlog.signing-config`, `tlog.no-service`).
 */
export async function servicesOf(config: Config): Promise<Services> {
  const { log } = config;
  const selected = log.signingConfig === undefined ? undefined : await selectedIn(log.signingConfig, log.version);
  const line = { ...(log.caFile !== undefined && { caFile: log.caFile }), ...(log.proxy && { proxy: log.proxy }) };
  const plain = [{ url: log.url, majorApiVersion: log.version === '2' ? 2 : 1 }];
  const chosen = selected === undefined || selected.rekor.length === 0 ? plain : selected.rekor;
  const stamps = selected === undefined || selected.tsa.length === 0 ? log.timestamps : selected.tsa;
  if (config.transparency !== 'off' && stamps.length === 0) demandTimed(chosen);
  return {
    logs: chosen.map(({ url, majorApiVersion }) => ({
      kind: majorApiVersion === 2 ? 'rekor-v2' : 'rekor-v1',
      options: {
        url,
        ...line,
        ...(log.perSecond !== undefined && { rate: log.perSecond }),
        ...(majorApiVersion === 2 && log.readUrl !== undefined && { readUrl: log.readUrl }),
      },
    })),
    authorities: stamps.map((url) => ({ url, ...line })),
    trust: { ...trustOf(config, chosen, stamps), ...line },
  };
}

function demandTimed(chosen: readonly { readonly url: string; readonly majorApiVersion: number }[]): void {
  const untimed = chosen.find(({ majorApiVersion }) => majorApiVersion === 2);
  if (untimed === undefined) return;
  throw new TerminalError(
    'config.no-timestamp',
    `Cannot log at ${untimed.url}: a Rekor 2 says nothing of the time, and no authority is named`,
    {
      fix: 'name a timestamp authority in the signing configuration, or in transparency.timestamp.url',
    },
  );
}

async function selectedIn(file: string, version: 'auto' | '1' | '2'): Promise<SelectedServices> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new TerminalError('config.unreadable', `Cannot read signing configuration "${file}": ${reason}`, {
      cause,
      fix: 'mend transparency.signing-config',
    });
  });
  const rekorVersions = version === 'auto' ? [1, 2] : [Number(version)];
  return selectServices(parseSigningConfig(bytes, file), { now: new Date(), rekorVersions });
}

/** A trusted root of the configuration's own; else that of public Sigstore, when its services are used; else what private services say. */
function trustOf(
  { trust, transparency }: Config,
  chosen: readonly { readonly url: string; readonly majorApiVersion: number }[],
  stamps: readonly string[],
): TrustOptions {
  if (trust.file !== undefined) return { file: trust.file };
  const tuf = { cache: trust.cache, ...(trust.tufRoot !== undefined && { root: trust.tufRoot }) };
  if (trust.mirror !== undefined) return { tuf: { ...tuf, mirror: trust.mirror } };
  const used = [
    ...(transparency === 'off' ? [] : chosen.map(({ url }) => url)),
    ...stamps,
    ...(trust.fulcio === undefined ? [] : [trust.fulcio]),
  ];
  if (used.some(isPublic)) return { tuf: { cache: trust.cache } };
  return {
    services: {
      rekor: transparency === 'off' ? [] : chosen.filter(({ majorApiVersion }) => majorApiVersion === 1).map(({ url }) => url),
      timestamps: stamps,
      ...(trust.fulcio !== undefined && { fulcio: trust.fulcio }),
    },
  };
}

function isPublic(url: string): boolean {
  return /(^|\.)sigstore\.dev$/.test(new URL(url).hostname);
}
