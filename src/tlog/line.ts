import { z } from 'zod';
import { TerminalError, TransientError, type CodedError } from '../errors.ts';
import { isBusy, retryAfterMs, send, shownUrl, type Answer } from '../http/http.ts';
import { openOutward, readCaFile } from '../http/outward.ts';
import type { Context } from '../observe/context.ts';

const plainUrl = 'want an http or https URL without user, query and fragment';

/** What reaches a log or a timestamp authority. The URL has no credentials and no query: it is written into what everybody may read. */
export const lineOptions = {
  url: z.string().refine(isPlainUrl, plainUrl),
  /** PEM file with authorities to trust beside the well-known ones. */
  caFile: z.string().min(1).optional(),
  /** Proxies, as the environment of most programs names them. Without it connections are direct. */
  proxy: z.strictObject({ http: z.string().optional(), https: z.string().optional(), except: z.string().optional() }).optional(),
};
export const LineOptions = z.strictObject(lineOptions);
export type LineOptions = z.output<typeof LineOptions>;

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash, host } = new URL(text);
  return /^https?:$/.test(protocol) && host !== '' && `${username}${password}${search}${hash}` === '' && !/[?#]/.test(text);
}

export interface Question {
  readonly method: 'GET' | 'POST';
  /** Below the base URL, without a slash in front; undefined for the URL itself. */
  readonly path?: string;
  readonly type?: string;
  readonly body?: Uint8Array | string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/** A way to one server. */
export interface Line extends AsyncDisposable {
  /** `tlog:<host>`, for breakers. */
  readonly dependency: string;
  ask(question: Question, ctx: Context): Promise<Answer>;
}

/** Parallel connections to one server; the rate is held elsewhere. */
const connections = 32;

const caProblem = { code: 'tlog.ca-file', fix: 'point it to a PEM file with certificates' };

/** `scheme` is what its dependency begins with. Throws `tlog.ca-file` and `tlog.url`. */
export async function openLine(options: LineOptions, scheme: 'tlog' | 'tsa'): Promise<Line> {
  if (!isPlainUrl(options.url)) throw new TerminalError('tlog.url', `Cannot use ${shownUrl(options.url)}: ${plainUrl}`);
  const { caFile, proxy } = options;
  const ca = caFile === undefined ? undefined : await readCaFile(caFile, caProblem);
  const dispatcher = openOutward({ ca, proxy, connections });
  const { url } = options;
  const base = url.endsWith('/') ? url : `${url}/`;
  const dependency = `${scheme}:${new URL(url).host}`;
  return {
    dependency,
    async ask({ path, type = 'application/json', ...question }, ctx) {
      const headers = { accept: type === 'application/json' ? type : '*/*', ...(question.body !== undefined && { 'content-type': type }) };
      const target = path === undefined ? url : base + path;
      return await send({ ...question, url: target, headers, dispatcher, dependency }, ctx);
    },
    async [Symbol.asyncDispose]() {
      await dispatcher.close();
    },
  };
}

/** What was tried, for messages, and of which room's branch the codes are: `tlog.` or `tlog.timestamp-`. */
export interface Attempt {
  readonly action: string;
  readonly dependency: string;
  readonly prefix: 'tlog.' | 'tlog.timestamp-';
}

/** The error that an unwelcome status means (sigstore-wire 5.7, 5.8). */
export function failureOf(answer: Answer, { action, dependency, prefix }: Attempt): CodedError {
  const { status } = answer;
  const said = saidIn(answer);
  const message = `Cannot ${action} at ${shownUrl(answer.url)}: the answer is ${status}${said === '' ? '' : ` "${said}"`}`;
  const waitMs = retryAfterMs(answer.headers);
  const busy = { dependency, ...(waitMs !== undefined && { retryAfterMs: waitMs }) };
  // 499: grpc-gateway's word for a call that was cancelled on its side.
  if (isBusy(status) || status === 499) return new TransientError(`${prefix}${status === 429 ? 'busy' : 'unavailable'}`, message, busy);
  if (status === 405) {
    return new TransientError(`${prefix}frozen`, message, {
      ...busy,
      fix: 'the log takes no more entries: let transparency.url name its successor, or read the signing configuration (transparency.version auto)',
    });
  }
  if (status === 401 || status === 403) {
    return new TerminalError(`${prefix}denied`, message, { fix: 'see that this process may write there without credentials: it has none' });
  }
  if (status === 400 || status === 413 || status === 422) {
    return new TerminalError(`${prefix}refused`, message, { fix: 'see the reason that it gives, and which keys it takes' });
  }
  return new TransientError(`${prefix}protocol`, message, {
    dependency,
    fix: 'see that the URL is right, and that no proxy answers in its place',
  });
}

/** An answer that makes no sense: somebody else's server, a page of a proxy, a cut body. May mend itself. */
export function nonsense(answer: Answer, reason: string, { action, dependency, prefix }: Attempt): TransientError {
  const type = plain(answer.headers['content-type'] ?? 'no content type', 80);
  const came = `${answer.status} ${type}, ${answer.body.length} bytes`;
  return new TransientError(`${prefix}protocol`, `Cannot ${action} at ${shownUrl(answer.url)}: ${reason} (${came})`, {
    dependency,
    fix: 'see that the URL is right, and that no proxy answers in its place',
  });
}

/** What the server says in `{message}` or as plain text, short and printable. All that we sent is public. */
function saidIn({ body, headers }: Answer): string {
  const text = Buffer.from(body.subarray(0, 4096)).toString('utf8');
  if (headers['content-type']?.includes('html') === true) return '';
  const message = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? (text.startsWith('{') ? '' : text);
  return plain(message.trim(), 300);
}

function plain(text: string, length: number): string {
  return text.slice(0, length).replaceAll(/[^\x20-\x7e]/g, '?');
}
