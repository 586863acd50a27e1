import { request, type Dispatcher } from 'undici';
import { TransientError } from '../errors.ts';
import { orAborted, retryAfterMs, shownUrl } from '../http/http.ts';
import type { Context } from '../observe/context.ts';
import { linesOf } from './lines.ts';
import { shownTarget, type Target } from './target.ts';

export interface WatchOptions {
  readonly query: Readonly<Record<string, string>>;
  /** No byte for so long means that nobody is there any more. */
  readonly idleMs: number;
  /** Longest line. */
  readonly maxLineBytes: number;
}

export interface WatchRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher;
  readonly target: Target;
  readonly options: WatchOptions;
}

export type WatchAnswer =
  | { readonly kind: 'stream'; readonly status: number; readonly lines: AsyncIterable<readonly Buffer[]> }
  | { readonly kind: 'refused'; readonly status: number; readonly body: Uint8Array; readonly retryAfterMs: number | undefined };

const maxRefusalBytes = 1024 * 1024;

/**
 * Opens a stream. Whoever stops reading it closes it. Throws `kube.unreachable` and, for a 200 that is no JSON, `kube.protocol` (transient);
 * reading throws `kube.idle`, `kube.cut` and `kube.protocol`.
 */
export async function openWatch(watch: WatchRequest, ctx: Context): Promise<WatchAnswer> {
  const life = new AbortController();
  const timer = setTimeout(() => {
    life.abort(
      new TransientError('kube.idle', `Cannot go on to ${shownTarget(watch.target)}: nothing came for ${watch.options.idleMs} ms`),
    );
  }, watch.options.idleMs);
  const signal = AbortSignal.any([ctx.signal, life.signal]);
  try {
    const opening = request(watch.url, {
      method: 'GET',
      headers: { 'user-agent': 'chainsmith', accept: 'application/json', ...watch.headers },
      dispatcher: watch.dispatcher,
      signal,
    });
    const { statusCode, headers, body } = await orAborted(opening, signal);
    const type = String(headers['content-type'] ?? '');
    if (statusCode === 200 && type.startsWith('application/json')) {
      return { kind: 'stream', status: 200, lines: read(body, { watch, life, timer }, ctx) };
    }
    const refusal = await bytesOf(body);
    life.abort();
    clearTimeout(timer);
    if (statusCode === 200) throw notJson(watch.target, type);
    const retryAfter = headers['retry-after'];
    const wait = retryAfterMs(typeof retryAfter === 'string' ? { 'retry-after': retryAfter } : {});
    return { kind: 'refused', status: statusCode, body: refusal, retryAfterMs: wait };
  } catch (error) {
    clearTimeout(timer);
    throw translated(error, 'kube.unreachable', { watch, life }, ctx);
  }
}

interface Life {
  readonly watch: WatchRequest;
  readonly life: AbortController;
}

async function* read(
  body: AsyncIterable<Uint8Array>,
  open: Life & { readonly timer: NodeJS.Timeout },
  ctx: Context,
): AsyncGenerator<readonly Buffer[], void> {
  const { timer, life, watch } = open;
  try {
    timer.refresh();
    yield* linesOf(alive(body, timer), watch.options.maxLineBytes);
  } catch (error) {
    throw translated(error, 'kube.cut', open, ctx);
  } finally {
    clearTimeout(timer);
    life.abort();
  }
}

async function* alive(body: AsyncIterable<Uint8Array>, timer: NodeJS.Timeout): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of body) {
    timer.refresh();
    yield chunk;
  }
}

function translated(error: unknown, code: 'kube.unreachable' | 'kube.cut', { watch, life }: Life, ctx: Context): unknown {
  if (ctx.signal.aborted) return ctx.signal.reason;
  if (life.signal.aborted && life.signal.reason instanceof TransientError) return life.signal.reason;
  if (error instanceof TransientError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const what = `${shownTarget(watch.target)} at ${shownUrl(watch.url)}`;
  return new TransientError(code, `Cannot ${what}: ${reason}`, { cause: error, dependency: 'kube' });
}

function notJson(target: Target, type: string): TransientError {
  return new TransientError('kube.protocol', `Cannot ${shownTarget(target)}: the stream is "${type.slice(0, 80)}", not JSON`, {
    dependency: 'kube',
    fix: 'check that the address is that of the API server, and what stands between us and it',
  });
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxRefusalBytes) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
