import path from 'node:path';
import { TerminalError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import { openTrust } from '../trust/open.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { Io } from './io.ts';
import { identityOf, type VerifyOptions } from './verify-options.ts';

/** Whom to believe: the file that was named, or public Sigstore when an identity, a log or an authority is demanded. Undefined when keys alone are. */
export async function readTrust(options: VerifyOptions, env: Io['env'], ctx: Context): Promise<TrustedRoot | undefined> {
  const { trustedRoot: file, logThreshold, timestampThreshold, offline } = options;
  if (file !== undefined) return (await openTrust({ file }, ctx)).root;
  const isDemanded = identityOf(options) !== undefined || logThreshold !== undefined || timestampThreshold !== undefined;
  if (!isDemanded) return undefined;
  const proxy = {
    http: env['HTTP_PROXY'] ?? env['http_proxy'],
    https: env['HTTPS_PROXY'] ?? env['https_proxy'],
    except: env['NO_PROXY'] ?? env['no_proxy'],
  };
  return (await openTrust({ tuf: { cache: cacheOf(env), isOffline: offline }, proxy }, ctx)).root;
}

/** As the XDG base directory specification has it; what is there was verified before and is verified again. */
export function cacheOf(env: Io['env']): string {
  const { XDG_CACHE_HOME: xdg = '', HOME: home = '' } = env;
  if (xdg !== '') return path.join(xdg, 'chainsmith', 'tuf');
  if (home !== '') return path.join(home, '.cache', 'chainsmith', 'tuf');
  throw new TerminalError('cli.usage', 'Cannot keep the trusted root of public Sigstore: neither XDG_CACHE_HOME nor HOME is set', {
    fix: 'set one of them, or give --trusted-root FILE',
  });
}
