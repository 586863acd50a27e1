import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, TransientError } from '../errors.ts';
import { retryAfterMs, send, type Answer } from '../http/http.ts';
import { isObject, parseJson, type Json, type JsonObject } from '../model/json.ts';
import type { Context } from '../observe/context.ts';
import type { Access } from './access.ts';
import { openDispatchers } from './dispatchers.ts';
import { refusalError } from './refusal.ts';
import { shownTarget, targetOf, type KubeMethod, type Target } from './target.ts';
import { openWatch, type WatchOptions } from './watch-stream.ts';

export type Query = Readonly<Record<string, string>>;

export interface CallOptions {
  readonly query?: Query;
  /** Goes as JSON. */
  readonly body?: unknown;
  /** Default `application/json`; of a PATCH `application/merge-patch+json`. */
  readonly contentType?: string;
  /** Deadline of one attempt, default 30 s. */
  readonly timeoutMs?: number;
  /** Attempts after the first when the server is busy, failing or out of reach; default 2. */
  readonly retries?: number;
  /** Largest answer, default 32 MiB. */
  readonly maxBytes?: number;
}

/** One HTTP request that ended, for counting. `status` is 0 when no answer came; of a watch it is told when the stream opens. */
export interface RequestDone {
  readonly verb: Target['verb'];
  readonly resource: string;
  readonly status: number;
  readonly durationMs: number;
}

export interface KubeClientOptions {
  readonly access: Access;
  readonly onRequest?: (done: RequestDone) => void;
}

/** The API server, typed by path. Every attempt takes the credentials of the moment; a 401 has them read again, once. */
export interface KubeClient extends AsyncDisposable {
  readonly server: string;
  readonly namespace: string | undefined;
  /**
   * One call; `path` starts with `/api` and has no query. Gives the object, or undefined for 404. Numbers keep their text (`parseJson`).
   * Throws by status: `kube.forbidden`, `kube.invalid`, `kube.too-large`, `kube.refused` (terminal), `kube.conflict`, `kube.exists`,
   * `kube.expired`, `kube.denied` (transient), and with the dependency `kube`: `kube.busy`, `kube.unavailable`, `kube.unauthorized`,
   * `kube.protocol` (an answer that is no JSON object), and what `http/` throws. Those of the last group but 401 have been retried,
   * also for POST and PATCH: a retried create may meet itself (`kube.exists`), a merge patch with a resourceVersion too (`kube.conflict`).
   */
  call(method: KubeMethod, path: string, options: CallOptions, ctx: Context): Promise<JsonObject | undefined>;
  /**
   * Opens a watch: batches of lines, one event each, until the server ends the stream; undefined for 404.
   * Throws as `call` does when it opens, without retries; while it runs `kube.cut` and `kube.idle` (transient).
   */
  watch(path: string, options: WatchOptions, ctx: Context): Promise<AsyncIterable<readonly Buffer[]> | undefined>;
}

export function openKubeClient(options: KubeClientOptions): KubeClient {
  const { access } = options;
  const dispatchers = openDispatchers();
  const told = async <T>(target: Target, work: () => Promise<readonly [number, T]>): Promise<T> => {
    const startedAt = performance.now();
    let status = 0;
    try {
      const [answered, value] = await work();
      status = answered;
      return value;
    } finally {
      options.onRequest?.({ verb: target.verb, resource: target.resource, status, durationMs: performance.now() - startedAt });
    }
  };
  return {
    server: access.server,
    namespace: access.namespace,
    async call(method, path, given, ctx) {
      const target = targetOf(method, path, false);
      const headers = { accept: 'application/json', ...(given.body !== undefined && { 'content-type': contentTypeOf(method, given) }) };
      const attempt = async (fresh: boolean): Promise<JsonObject | undefined> => {
        const { headers: ours, tls } = await access.credentials(fresh, ctx);
        const answer = await told(target, async () => {
          const got = await send(
            {
              method,
              url: urlOf(access.server, path, given.query),
              dependency: 'kube',
              headers: { ...headers, ...ours },
              dispatcher: dispatchers.for(tls, 'call'),
              retries: 0,
              ...(given.body !== undefined && { body: JSON.stringify(given.body) }),
              ...(given.timeoutMs !== undefined && { timeoutMs: given.timeoutMs }),
              ...(given.maxBytes !== undefined && { maxBytes: given.maxBytes }),
            },
            ctx,
          );
          return [got.status, got];
        });
        return valueOf(answer, target);
      };
      return await retried(attempt, given.retries ?? 2, ctx);
    },
    async watch(path, given, ctx) {
      const target = targetOf('GET', path, true);
      const attempt = async (fresh: boolean): Promise<AsyncIterable<readonly Buffer[]> | undefined> => {
        const { headers, tls } = await access.credentials(fresh, ctx);
        const url = urlOf(access.server, path, { ...given.query, watch: 'true' });
        const request = { url, headers, dispatcher: dispatchers.for(tls, 'watch'), target, options: given };
        const answer = await told(target, async () => {
          const opened = await openWatch(request, ctx);
          return [opened.status, opened];
        });
        if (answer.kind === 'stream') return answer.lines;
        if (answer.status === 404) return undefined;
        throw refusalError({ status: answer.status, body: jsonOf(answer.body), retryAfterMs: answer.retryAfterMs }, target);
      };
      return await retried(attempt, 0, ctx);
    },
    async [Symbol.asyncDispose]() {
      await dispatchers[Symbol.asyncDispose]();
    },
  };
}

/** Tries again with fresh credentials after the first 401 or distrusted certificate (the CA may have rotated), and with jitter while the other side is down, obeying `Retry-After`. */
async function retried<T>(attempt: (fresh: boolean) => Promise<T>, retries: number, ctx: Context): Promise<T> {
  let fresh = false;
  for (let tries = 0; ;) {
    try {
      return await attempt(fresh);
    } catch (error) {
      const code = codeOf(error);
      const isRefused = code === 'kube.unauthorized';
      if ((isRefused || code === 'http.tls') && !fresh) {
        fresh = true;
        continue;
      }
      if (isRefused || !(error instanceof TransientError) || error.dependency === undefined || tries >= retries) throw error;
      fresh = false;
      tries += 1;
      await pause(Math.min(error.retryAfterMs ?? Math.random() * 250 * 2 ** tries, 5_000), ctx);
    }
  }
}

/** Sleeps; being told to stop throws the signal's own reason. */
export async function pause(ms: number, ctx: Context): Promise<void> {
  try {
    await sleep(ms, undefined, { signal: ctx.signal });
  } catch (error) {
    throw ctx.signal.aborted ? ctx.signal.reason : error;
  }
}

function contentTypeOf(method: KubeMethod, given: CallOptions): string {
  return given.contentType ?? (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json');
}

function urlOf(server: string, path: string, query: Query | undefined): string {
  const text = new URLSearchParams(query).toString();
  return `${server}${path}${text === '' ? '' : `?${text}`}`;
}

function valueOf(answer: Answer, target: Target): JsonObject | undefined {
  if (answer.status === 404) return undefined;
  const body = jsonOf(answer.body);
  if (answer.status < 200 || answer.status > 299) {
    throw refusalError({ status: answer.status, body, retryAfterMs: retryAfterMs(answer.headers) }, target);
  }
  if (isObject(body)) return body;
  const type = (answer.headers['content-type'] ?? 'no content type').slice(0, 80);
  throw new TransientError('kube.protocol', `Cannot ${shownTarget(target)}: the answer is not a JSON object (${answer.status}, ${type})`, {
    dependency: 'kube',
    fix: 'check that the address is that of the API server, and what stands between us and it',
  });
}

/** undefined for what is not JSON: whoever asked says so, without quoting it. */
function jsonOf(body: Uint8Array): Json | undefined {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}
