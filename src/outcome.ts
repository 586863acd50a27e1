import { codeOf, retryOf, sentenceOf, TransientError } from './errors.ts';

/** How one pass over a run ended. */
export type Outcome =
  | { readonly kind: 'signed' }
  /** Nothing to sign, by configuration or because somebody else was quicker. */
  | { readonly kind: 'skipped'; readonly code: string; readonly reason: string }
  /** To be tried again after so many milliseconds. `isCounted` is false when a dependency was down: that is not the run's fault. */
  | {
      readonly kind: 'retry';
      readonly afterMs: number;
      readonly isCounted: boolean;
      readonly dependency: string | undefined;
      readonly code: string;
      readonly reason: string;
    }
  | { readonly kind: 'failed'; readonly code: string; readonly reason: string };

export interface RetryPolicy {
  /** `retry.budget`: how long after the first attempt a run is still tried, in milliseconds. */
  readonly budgetMs: number;
  /** `retry.max-delay`, in milliseconds. */
  readonly maxDelayMs: number;
}

/** What is known of a run's attempts. `random` is in [0, 1): full jitter, injected to keep this pure. */
export interface Attempts {
  /** Attempts that counted, this one not included. */
  readonly count: number;
  /** When the first attempt began, and now: milliseconds since the epoch. */
  readonly firstAt: number;
  readonly now: number;
  readonly random: number;
}

/**
 * What an error means for a run: one pure function, so that metrics, annotations and the queue agree (design 4).
 * Back-off is full jitter over 1 s doubling to `maxDelayMs`, or what the other side asked for if that is longer.
 */
export function outcomeOf(error: unknown, attempts: Attempts, policy: RetryPolicy): Outcome & { readonly kind: 'failed' | 'retry' } {
  const code = codeOf(error);
  const reason = sentenceOf(error);
  if (retryOf(error) === 'never') return { kind: 'failed', code, reason };
  if (attempts.now - attempts.firstAt >= policy.budgetMs) {
    return { kind: 'failed', code: 'retry.budget', reason: `gave up after ${attempts.count + 1} attempts, the last one: ${reason}` };
  }
  const dependency = dependencyOf(error);
  const ceilingMs = Math.min(1000 * 2 ** Math.min(attempts.count, 30), policy.maxDelayMs);
  const askedMs = Math.min(retryAfterOf(error), policy.maxDelayMs);
  const afterMs = Math.max(Math.ceil(attempts.random * ceilingMs), askedMs);
  return { kind: 'retry', afterMs, isCounted: dependency === undefined, dependency, code, reason };
}

/** The dependency that is down, when every transient part of the error blames one. */
function dependencyOf(error: unknown): string | undefined {
  return transientParts(error).map((part) => part.dependency)[0];
}

function retryAfterOf(error: unknown): number {
  return Math.max(0, ...transientParts(error).map((part) => part.retryAfterMs ?? 0));
}

function transientParts(error: unknown): TransientError[] {
  if (error instanceof TransientError) return [error];
  return error instanceof AggregateError ? error.errors.flatMap(transientParts) : [];
}
