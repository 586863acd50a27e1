import PQueue from 'p-queue';
import { TransientError } from './errors.ts';

interface Breaker {
  readonly since: number;
  /** What was last said of it: whoever only waits has the same trouble, and the same way out. */
  why: TransientError;
  probeAt: number;
  waitMs: number;
  isProbing: boolean;
}

const firstWaitMs = 1_000;
const longestWaitMs = 60_000;
/** Calls to one dependency at the same time; more only wait at the other side. */
const budget = 16;

/**
 * Which dependencies are taken to be down. The first failure opens a breaker; from then on calls are refused at once, except for one
 * probe at a time after a wait that doubles from 1 s to 1 min. The first success closes it. Dependencies are few (a registry host, the
 * API server, a signer), and one that is well takes no room.
 */
export class Breakers {
  readonly #open = new Map<string, Breaker>();
  readonly #budgets = new Map<string, PQueue>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get names(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** How long it makes no sense to try again, in milliseconds; 0 when the dependency is well or due for a probe. */
  waitMs(dependency: string): number {
    const breaker = this.#open.get(dependency);
    return breaker === undefined ? 0 : Math.max(0, breaker.probeAt - this.#now(), breaker.isProbing ? firstWaitMs : 0);
  }

  /**
   * Calls `work`, when it is its turn among the calls to the same dependency, unless that is down; throws `breaker.open` (transient, blaming
   * the dependency) when it is. Work that may succeed without asking the dependency `proves: 'nothing'`: its failure opens the breaker, its success
   * does not close it.
   */
  async guard<T>(dependency: string, work: () => Promise<T>, proves: 'health' | 'nothing' = 'health'): Promise<T> {
    const turns = this.#budgets.get(dependency) ?? new PQueue({ concurrency: budget });
    this.#budgets.set(dependency, turns);
    try {
      return await turns.add(async () => await this.#guarded(dependency, work, proves));
    } finally {
      if (turns.size === 0 && turns.pending === 0) this.#budgets.delete(dependency);
    }
  }

  async #guarded<T>(dependency: string, work: () => Promise<T>, proves: 'health' | 'nothing'): Promise<T> {
    const waitMs = this.waitMs(dependency);
    if (waitMs > 0) {
      throw this.#refusal(dependency, waitMs);
    }
    const breaker = this.#open.get(dependency);
    if (breaker) breaker.isProbing = true;
    try {
      const result = await work();
      if (proves === 'health') this.#open.delete(dependency);
      return result;
    } catch (error) {
      if (error instanceof TransientError && error.dependency === dependency) this.#fail(dependency, error);
      else this.#open.delete(dependency);
      throw error;
    } finally {
      if (breaker) breaker.isProbing = false;
    }
  }

  #fail(dependency: string, why: TransientError): void {
    const now = this.#now();
    const breaker = this.#open.get(dependency);
    if (breaker === undefined) {
      this.#open.set(dependency, { since: now, why, probeAt: now + firstWaitMs, waitMs: firstWaitMs, isProbing: false });
    } else if (now >= breaker.probeAt) {
      // Calls that were under way when it opened say nothing new; only a probe's failure doubles the wait.
      breaker.waitMs = Math.min(breaker.waitMs * 2, longestWaitMs);
      breaker.probeAt = now + breaker.waitMs;
      breaker.why = why;
    }
  }

  #refusal(dependency: string, waitMs: number): TransientError {
    const { since = this.#now(), why } = this.#open.get(dependency) ?? {};
    const reason = why === undefined ? '' : `: ${why.message}`;
    return new TransientError('breaker.open', `Waiting for ${dependency}, in trouble since ${new Date(since).toISOString()}${reason}`, {
      dependency,
      retryAfterMs: waitMs,
      ...(why?.fix !== undefined && { fix: why.fix }),
    });
  }
}
