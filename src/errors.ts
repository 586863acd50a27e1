/** What an error may carry beside its message. */
export interface ErrorDetail extends ErrorOptions {
  /** What the reader can do about it, as one imperative sentence without a full stop. */
  readonly fix?: string;
}

export class CodedError extends Error {
  /** Stable, `room.what`; labels the metrics. */
  readonly code: string;
  readonly fix: string | undefined;
  constructor(code: string, message: string, detail?: ErrorDetail) {
    super(message, detail?.cause === undefined ? undefined : { cause: detail.cause });
    this.name = new.target.name;
    this.code = code;
    this.fix = detail?.fix;
  }
}

/** May mend itself: time-outs, 408, 429, 5xx, conflicts. Retried with back-off. */
export class TransientError extends CodedError {
  readonly retry = 'later';
  /** What the other side asked us to wait, in milliseconds (`Retry-After`). */
  readonly retryAfterMs: number | undefined;
  /** The dependency that is down (`oci:registry.example`), for its breaker; undefined when it answers but is busy with us. */
  readonly dependency: string | undefined;
  constructor(code: string, message: string, detail?: ErrorDetail & { readonly retryAfterMs?: number; readonly dependency?: string }) {
    super(code, message, detail);
    this.retryAfterMs = detail?.retryAfterMs;
    this.dependency = detail?.dependency;
  }
}

/** Will not mend itself: bad input, refused credentials, unknown option. Never retried. */
export class TerminalError extends CodedError {
  readonly retry = 'never';
}

/** What is unknown is retried, within the run's budget: better seen twice than marked failed. */
export function retryOf(error: unknown): 'later' | 'never' {
  if (error instanceof TerminalError) return error.retry;
  const parts: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  return parts.length > 0 && parts.every((part) => retryOf(part) === 'never') ? 'never' : 'later';
}

/** The code of an error of ours, or `unexpected`. Of several the first. */
export function codeOf(error: unknown): string {
  if (error instanceof CodedError) return error.code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return 'unexpected';
}

/** One line for a person: the message, and the fix when there is one; every part of an aggregate, joined with `; `. */
export function sentenceOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(sentenceOf).join('; ');
  if (error instanceof CodedError) return error.fix === undefined ? error.message : `${error.message}. Fix: ${error.fix}`;
  return error instanceof Error ? error.message : String(error);
}

/** Closes a switch over a union: a new member is a type error here. */
export function unreachable(value: never): never {
  throw new TerminalError('unexpected', `Cannot happen: ${JSON.stringify(value)}`);
}
