import { z } from 'zod';
import { retryAfterMs, type Answer } from '../http/http.ts';
import type { Context } from '../observe/context.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { failureOf, lineOptions, openLine, type Attempt, type Line } from './line.ts';
import { openRate, perSecondOf, systemClock, type Rate } from './rate.ts';

export const logOptions = {
  ...lineOptions,
  /** Uploads per second. */
  rate: z.number().positive().optional(),
  maxResponseBytes: z
    .int()
    .positive()
    .default(32 * 1024 * 1024),
};
export const LogOptions = z.strictObject(logOptions);
export type LogOptions = z.output<typeof LogOptions>;

/** An open log of either generation. */
export interface Connection extends AsyncDisposable {
  readonly options: LogOptions;
  readonly line: Line;
  readonly rate: Rate;
  readonly trust: TrustedRoot;
}

export async function openConnection(options: LogOptions, trust: TrustedRoot): Promise<Connection> {
  const line = await openLine(options, 'tlog');
  return {
    options,
    line,
    rate: openRate(options.url, perSecondOf(options), systemClock),
    trust,
    async [Symbol.asyncDispose]() {
      await line[Symbol.asyncDispose]();
    },
  };
}

export interface Upload {
  readonly path: string;
  readonly body: string;
  readonly timeoutMs: number;
}

/** Posts an entry, and tells the rate how that went. The answer is 201, or 409 when the log has it already; everything else is thrown. */
export async function upload({ path, body, timeoutMs }: Upload, connection: Connection, ctx: Context): Promise<Answer> {
  const { line, rate, options } = connection;
  const sentAt = systemClock.now();
  const answer = await line.ask({ method: 'POST', path, body, timeoutMs, maxBytes: options.maxResponseBytes }, ctx);
  if (answer.status === 201 || answer.status === 409) {
    rate.taken();
    return answer;
  }
  if (answer.status === 429 || answer.status === 503) rate.pushedBack(sentAt, retryAfterMs(answer.headers));
  throw failureOf(answer, adding(connection));
}

export function adding({ line }: Connection): Attempt {
  return { action: 'add an entry', dependency: line.dependency, prefix: 'tlog.' };
}
