import { setTimeout as sleep } from 'node:timers/promises';
import { request as undiciRequest, type Dispatcher } from 'undici';
import { TerminalError, TransientError } from '../errors.ts';
import { openDeadline, type Context } from '../observe/context.ts';

/** One call. `dependency` names the other side in errors and breakers (`oci:registry.example`), never with credentials. */
export interface Call {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly dependency: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly dispatcher?: Dispatcher;
  /** Deadline of one attempt, default 30 s. */
  readonly timeoutMs?: number;
  /** Largest body that is read, default 32 MiB. */
  readonly maxBytes?: number;
  /** Tries after the first, for safe and idempotent calls that met 408, 429, 5xx or a broken connection; default 2, 0 for POST and PATCH. */
  readonly retries?: number;
  /** Redirects to follow, default 0. Authorization is dropped when the origin changes. */
  readonly redirects?: number;
}

export interface Answer {
  readonly status: number;
  /** Lower-case names; of a repeated header all values, joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Where the answer came from, after redirects. */
  readonly url: string;
}

/**
 * The one fetch: deadline, body limit, retries with jitter, obeying `Retry-After`. An HTTP status is an answer, not an error.
 * Throws `http.unreachable`, `http.tls` and `http.timeout` (transient), `http.too-large` and `http.bad-url` (terminal),
 * and the signal's reason when it is told to stop.
 */
export async function send(call: Call, ctx: Context): Promise<Answer> {
  const retries = call.retries ?? (call.method === 'POST' || call.method === 'PATCH' ? 0 : 2);
  for (let attempt = 0; ; attempt += 1) {
    const last = attempt >= retries;
    let waitMs = Math.random() * 250 * 2 ** attempt;
    try {
      const answer = await follow(call, ctx);
      if (last || !isBusy(answer.status)) return answer;
      waitMs = Math.min(retryAfterMs(answer.headers) ?? waitMs, 5_000);
    } catch (error) {
      if (last || !(error instanceof TransientError)) throw error;
    }
    await sleep(waitMs, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}

/** 408, 429 and 5xx: the other side may do better in a while. */
export function isBusy(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** `Retry-After` in milliseconds (seconds or an HTTP date, RFC 9110 10.2.3); undefined when absent or nonsense. */
export function retryAfterMs(headers: Readonly<Record<string, string>>): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** A URL that may be shown: no user, no query, no fragment (they carry tokens). */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return 'a URL that does not parse';
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

async function follow(call: Call, ctx: Context): Promise<Answer> {
  let here = call;
  for (let left = call.redirects ?? 0; ; left -= 1) {
    const answer = await once(here, ctx);
    const location = answer.headers['location'];
    if (left <= 0 || location === undefined || ![301, 302, 303, 307, 308].includes(answer.status)) return answer;
    const next = targetOf(location, here.url);
    const headers = { ...here.headers };
    if (next.origin !== new URL(here.url).origin) {
      for (const name of Object.keys(headers)) if (name.toLowerCase() === 'authorization') delete headers[name];
    }
    here = { ...here, url: next.href, headers };
  }
}

/** Where a redirect goes: never from https to plain http, where anybody could read and change what comes. */
function targetOf(location: string, from: string): URL {
  const next = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (next !== undefined && !(from.startsWith('https:') && next.protocol === 'http:')) return next;
  const reason = next === undefined ? 'it redirects to what is no URL' : `it redirects to plain http, ${shownUrl(next.href)}`;
  throw new TerminalError('http.bad-url', `Cannot follow the answer of ${shownUrl(from)}: ${reason}`);
}

async function once(call: Call, ctx: Context): Promise<Answer> {
  if (!/^https?:\/\//.test(call.url) || !URL.canParse(call.url)) {
    throw new TerminalError('http.bad-url', `Cannot call "${shownUrl(call.url)}": want an http or https URL`);
  }
  const timeoutMs = call.timeoutMs ?? 30_000;
  using deadline = openDeadline(timeoutMs, ctx.signal);
  const { signal } = deadline;
  try {
    const request = undiciRequest(call.url, {
      method: call.method,
      headers: { 'user-agent': 'chainsmith', ...call.headers },
      body: call.body ?? null,
      signal,
      ...(call.dispatcher && { dispatcher: call.dispatcher }),
    });
    const response = await orAborted(request, signal);
    const body = await readBody(response.body, call);
    return { status: response.statusCode, headers: flat(response.headers), body, url: call.url };
  } catch (error) {
    if (ctx.signal.aborted) throw ctx.signal.reason;
    if (error instanceof TerminalError) throw error;
    throw transportError(error, call, deadline.isOver() ? timeoutMs : undefined);
  }
}

/** undici looks at a request's signal only once it is connected, and connecting may take ten seconds. Throws the signal's reason. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => {
    reject(signal.reason);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function readBody(stream: AsyncIterable<Uint8Array>, call: Call): Promise<Uint8Array> {
  const maxBytes = call.maxBytes ?? 32 * 1024 * 1024;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new TerminalError('http.too-large', `Cannot read the answer of ${shownUrl(call.url)}: it is larger than ${maxBytes} bytes`, {
        fix: 'raise limits.response-bytes if such answers are expected',
      });
    }
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

function transportError(error: unknown, call: Call, timedOutMs: number | undefined): TransientError {
  const { dependency } = call;
  const what = `${call.method} ${shownUrl(call.url)}`;
  if (timedOutMs !== undefined) {
    return new TransientError('http.timeout', `Cannot finish ${what}: no answer within ${timedOutMs} ms`, { cause: error, dependency });
  }
  const reason = reasonOf(error);
  if (/CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/.test(reason.code)) {
    return new TransientError('http.tls', `Cannot finish ${what}: TLS failed: ${reason.message}`, {
      cause: error,
      dependency,
      fix: 'give the CA that signed the certificate of the server, or check its name and dates',
    });
  }
  return new TransientError('http.unreachable', `Cannot finish ${what}: ${reason.message}`, { cause: error, dependency });
}

/** The innermost code and message: undici wraps the socket's error, and Happy Eyeballs an `AggregateError` around several. */
function reasonOf(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  if (error.cause instanceof Error) return reasonOf(error.cause);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { code, message: error.message || code || error.name };
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) out[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return out;
}
