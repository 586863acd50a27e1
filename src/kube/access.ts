import type { Context } from '../observe/context.ts';

/** What a connection to the API server is made with; PEM unless it says otherwise. */
export interface TlsMaterial {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** PKCS#12. */
  readonly pfx?: string | Buffer;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
  /** An http or https proxy in front of the API server. */
  readonly proxyUrl?: string;
}

/** What the next request is sent with. `headers` hold credentials: never shown. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

/** Where the API server is and who we are there. */
export interface Access {
  /** Scheme, host and port, and a path when the API server stands below one; no slash at the end. */
  readonly server: string;
  /** The namespace that we live in; undefined when nobody says. */
  readonly namespace: string | undefined;
  /**
   * Credentials as they are now, at most some seconds old; `fresh` reads them again, because the API server refused the last ones.
   * Throws `kube.config` (terminal) and `kube.credentials` (transient).
   */
  credentials(fresh: boolean, ctx: Context): Promise<Credentials>;
}

/** Tokens rotate with an hour's notice and CAs with days', so some seconds are soon enough and a file is not read for every call. */
const keptMs = 10_000;

/**
 * Keeps what `load` gave for ten seconds. Callers that come while it loads share the result. A load that fails gives the last good
 * value and says so, because files are replaced under us; it throws when there is none.
 */
export function kept<T>(load: (fresh: boolean, ctx: Context) => Promise<T>): (fresh: boolean, ctx: Context) => Promise<T> {
  let last: { readonly value: T; readonly at: number } | undefined;
  let loading: Promise<T> | undefined;
  const reload = async (fresh: boolean, ctx: Context): Promise<T> => {
    try {
      const value = await load(fresh, ctx);
      last = { value, at: performance.now() };
      return value;
    } catch (error) {
      if (last === undefined) throw error;
      ctx.logger.warn({ err: error }, 'credentials for the API server cannot be read again, the last ones are used');
      last = { value: last.value, at: performance.now() };
      return last.value;
    } finally {
      loading = undefined;
    }
  };
  return async (fresh, ctx) => {
    if (loading !== undefined) return await loading;
    if (!fresh && last !== undefined && performance.now() - last.at < keptMs) return last.value;
    loading = reload(fresh, ctx);
    return await loading;
  };
}
