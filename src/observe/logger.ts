import { pino, type Logger } from 'pino';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Members that may hold a secret, should somebody log an object by mistake; pino's paths name depths, so each stands three times (P6). */
const secretNames = ['token', 'password', 'authorization', 'auth', 'secret', 'privateKey', 'cookie'];

/**
 * JSON lines on a file descriptor, written synchronously: no line is lost at exit.
 * An error is logged as `err` with type, code, message, fix and the messages of its causes; stacks only at `debug`.
 */
export function openLogger(level: LogLevel, fd: 1 | 2): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => shownError(error, level === 'debug', 0) },
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    },
    pino.destination({ fd, sync: true }),
  );
}

/** What is shown of an error: never its other members, which may hold requests and bodies. Causes and parts to a depth of 4. */
function shownError(error: unknown, withStack: boolean, depth: number): unknown {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const fix = 'fix' in error && typeof error.fix === 'string' ? error.fix : undefined;
  const parts =
    error instanceof AggregateError && depth < 4
      ? error.errors.slice(0, 20).map((part) => shownError(part, withStack, depth + 1))
      : undefined;
  return {
    type: error.name,
    message: error.message,
    ...(code !== undefined && { code }),
    ...(fix !== undefined && { fix }),
    ...(error.cause !== undefined && depth < 4 && { cause: shownError(error.cause, withStack, depth + 1) }),
    ...(parts !== undefined && { parts }),
    ...(withStack && { stack: error.stack }),
  };
}
