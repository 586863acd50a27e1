import type { Dispatcher } from 'undici';
import { TransientError } from '../../errors.ts';
import { send } from '../../http/http.ts';
import type { Context } from '../../observe/context.ts';
import { keyedMutex } from './mutex.ts';
import { mayUseHttp } from './reach.ts';

export interface Endpoints {
  /** `https://registry` or `http://registry`, without a slash at the end. */
  of(registry: string, ctx: Context): Promise<string>;
}

const probeTimeoutMs = 10_000;

/** Registries in one cluster are few; the limit is against names that come from runs. */
const maxKnown = 1_000;

/**
 * Which scheme a registry speaks. Only https, unless plain http is allowed: with `insecure`, or for local names (sigstore-wire 3.9). Then
 * https is tried first, and http when the other side turns out not to speak TLS. A bad certificate is no reason to go on in clear text,
 * except with `insecure`, where certificates are not looked at anyway.
 */
export function openEndpoints(insecure: boolean, dispatcher: Dispatcher): Endpoints {
  const known = new Map<string, string>();
  const mutex = keyedMutex();

  const probe = async (registry: string, ctx: Context): Promise<string> => {
    const call = { method: 'GET', dependency: `oci:${registry}`, dispatcher, timeoutMs: probeTimeoutMs, maxBytes: 1024 * 1024 } as const;
    try {
      await send({ ...call, url: `https://${registry}/v2/`, retries: 0 }, ctx);
      return `https://${registry}`;
    } catch (error) {
      if (ctx.signal.aborted || !(error instanceof TransientError) || isCertificateError(error)) throw error;
      await send({ ...call, url: `http://${registry}/v2/` }, ctx);
      return `http://${registry}`;
    }
  };

  return {
    async of(registry, ctx) {
      if (!insecure && !mayUseHttp(registry)) return `https://${registry}`;
      return await mutex.run(registry, async () => {
        const there = known.get(registry);
        if (there !== undefined) return there;
        const found = await probe(registry, ctx);
        if (known.size >= maxKnown) known.clear();
        known.set(registry, found);
        return found;
      });
    },
  };
}

/** OpenSSL's names for a certificate that was shown and not believed; `EPROTO` and its like mean that no TLS is spoken. */
function isCertificateError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return /CERT|SELF_SIGNED|UNABLE_TO_/.test(code) || isCertificateError(error.cause);
}
