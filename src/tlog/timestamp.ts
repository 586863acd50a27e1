import { createHash, randomBytes } from 'node:crypto';
import { TerminalError, TransientError } from '../errors.ts';
import { shownUrl, type Answer } from '../http/http.ts';
import type { Context } from '../observe/context.ts';
import { parseTimestamp } from '../trust/timestamp-response.ts';
import { checkTimestamp } from '../trust/timestamp.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { failureOf, nonsense, openLine, type Attempt, type Line, type LineOptions } from './line.ts';
import { rejectionIn, type Rejection } from './timestamp-answer.ts';
import { integerOf, timestampRequestOf } from './timestamp-request.ts';

/** A timestamp authority (RFC 3161). Safe to call from many runs at once. */
export interface Authority extends AsyncDisposable {
  /** As configured. */
  readonly url: string;
  /**
   * The whole TimeStampResp, DER, over these bytes; checked as a consumer would, and against our request and clock. Throws
   * `tlog.timestamp-*`, and `trust.timestamp-*` for what no consumer would take.
   */
  stamp(bytes: Uint8Array, ctx: Context): Promise<Uint8Array>;
}

const timeoutMs = 20_000;
/** A response with a chain of certificates has 3 to 6 kB. */
const maxBytes = 64 * 1024;
/** Clocks of two hosts that both keep time by NTP are closer by far. */
const maxSkewMs = 5 * 60_000;

/**
 * `options.url` is that of the request itself, as signing configurations have it; one without a path gets `/api/v1/timestamp`, which is
 * Sigstore's (sigstore-wire 5.10, 6.4). Throws `tlog.ca-file`.
 */
export async function openAuthority(options: LineOptions, trust: TrustedRoot, ctx: Context): Promise<Authority> {
  ctx.signal.throwIfAborted();
  const { pathname, origin } = new URL(options.url);
  const line = await openLine({ ...options, url: pathname === '/' ? `${origin}/api/v1/timestamp` : options.url }, 'tsa');
  return {
    url: options.url,
    stamp: async (bytes, ctx) => await stamp(bytes, { line, trust, url: options.url }, ctx),
    async [Symbol.asyncDispose]() {
      await line[Symbol.asyncDispose]();
    },
  };
}

interface Connection {
  readonly line: Line;
  readonly trust: TrustedRoot;
  readonly url: string;
}

async function stamp(bytes: Uint8Array, { line, trust, url }: Connection, ctx: Context): Promise<Uint8Array> {
  const nonce = integerOf(randomBytes(8));
  const body = timestampRequestOf(createHash('sha256').update(bytes).digest(), nonce);
  const answer = await line.ask({ method: 'POST', type: 'application/timestamp-query', body, timeoutMs, maxBytes }, ctx);
  const attempt: Attempt = { action: 'get a timestamp', dependency: line.dependency, prefix: 'tlog.timestamp-' };
  // Sigstore's server answered 201 once, and does again with --use-http-201.
  if (answer.status !== 200 && answer.status !== 201) throw failureOf(answer, attempt);
  expectGranted(answer, attempt);
  const given = parseTimestamp(answer.body).nonce;
  if (given === undefined || !Buffer.from(given).equals(nonce)) {
    throw unusable('nonce', url, 'it is not the answer to this request: its nonce is another');
  }
  const time = checkTimestamp(answer.body, bytes, trust);
  const skewMs = Math.abs(time.getTime() - Date.now());
  if (skewMs > maxSkewMs) {
    throw unusable('time', url, `its time, ${time.toISOString()}, is ${Math.round(skewMs / 1000)} s away from our clock`);
  }
  return answer.body;
}

function expectGranted(answer: Answer, attempt: Attempt): void {
  const rejection = rejectionOf(answer, attempt);
  if (rejection === undefined) return;
  const message = `Cannot get a timestamp at ${shownUrl(answer.url)}: it rejects the request: ${rejection.reason}`;
  if (rejection.mayMend) throw new TransientError('tlog.timestamp-unavailable', message, { dependency: attempt.dependency });
  throw new TerminalError('tlog.timestamp-refused', message, { fix: 'see that the authority takes SHA-256 and requests without a policy' });
}

function rejectionOf(answer: Answer, attempt: Attempt): Rejection | undefined {
  try {
    return rejectionIn(answer.body);
  } catch (error) {
    throw nonsense(answer, error instanceof Error ? error.message : 'it is no timestamp', attempt);
  }
}

/** What a cache, or a clock that is set meanwhile, may mend. */
function unusable(what: string, url: string, reason: string): TransientError {
  return new TransientError(`tlog.timestamp-${what}`, `Cannot use the timestamp of ${url}: ${reason}`, {
    fix: 'see that both clocks are right, and that no cache stands before the authority',
  });
}
