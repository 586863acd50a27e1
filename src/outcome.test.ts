import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TerminalError, TransientError } from './errors.ts';
import { outcomeOf, type Attempts } from './outcome.ts';

const policy = { budgetMs: 100_000, maxDelayMs: 30_000 };
const attempts: Attempts = { count: 2, firstAt: 0, now: 10_000, random: 0.5 };

describe('outcomeOf', () => {
  it('fails what will not mend itself', () => {
    const outcome = outcomeOf(new TerminalError('format.value', 'no value', { fix: 'give one' }), attempts, policy);

    assert.deepEqual(outcome, { kind: 'failed', code: 'format.value', reason: 'no value. Fix: give one' });
  });

  it('retries with full jitter over a doubling ceiling', () => {
    const outcome = outcomeOf(new TransientError('oci.busy', 'busy'), attempts, policy);

    assert.deepEqual(outcome, { kind: 'retry', afterMs: 2_000, isCounted: true, dependency: undefined, code: 'oci.busy', reason: 'busy' });
  });

  it('never waits longer than the ceiling, however many attempts there were', () => {
    const outcome = outcomeOf(new TransientError('oci.busy', 'busy'), { ...attempts, count: 5_000, random: 0.999999 }, policy);

    assert.equal(outcome.kind === 'retry' && outcome.afterMs, 30_000);
  });

  it('waits as long as the other side asks for', () => {
    const outcome = outcomeOf(new TransientError('oci.busy', 'busy', { retryAfterMs: 17_000 }), attempts, policy);

    assert.equal(outcome.kind === 'retry' && outcome.afterMs, 17_000);
  });

  it('does not count an attempt against the run when a dependency is down', () => {
    const outcome = outcomeOf(
      new AggregateError([new TransientError('http.unreachable', 'refused', { dependency: 'oci:r.example' })]),
      attempts,
      policy,
    );

    assert.deepEqual(outcome, {
      kind: 'retry',
      afterMs: 2_000,
      isCounted: false,
      dependency: 'oci:r.example',
      code: 'http.unreachable',
      reason: 'refused',
    });
  });

  it('gives up when the budget is spent', () => {
    const outcome = outcomeOf(new TransientError('oci.busy', 'busy'), { ...attempts, now: 100_000 }, policy);

    assert.deepEqual(outcome, { kind: 'failed', code: 'retry.budget', reason: 'gave up after 3 attempts, the last one: busy' });
  });

  it('retries when one part of several may mend itself', () => {
    const outcome = outcomeOf(new AggregateError([new TerminalError('a.b', 'no'), new TransientError('c.d', 'later')]), attempts, policy);

    assert.deepEqual([outcome.kind, outcome.kind === 'retry' && outcome.reason], ['retry', 'no; later']);
  });

  it('retries what it does not know', () => {
    assert.equal(outcomeOf(new Error('odd'), attempts, policy).kind, 'retry');
  });
});
