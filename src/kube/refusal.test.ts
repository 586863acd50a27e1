import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TransientError } from '../errors.ts';
import type { Json } from '../model/json.ts';
import { refusalError, refusalIn } from './refusal.ts';
import type { Target } from './target.ts';

const target: Target = { verb: 'patch', resource: 'taskruns.tekton.dev', namespace: 'ci', name: 'a' };
const status = (more: Record<string, Json>): Json => ({ kind: 'Status', apiVersion: 'v1', ...more });

describe('refusalError', () => {
  const denied = 'admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: no updates are allowed';
  const cases: readonly { name: string; code: number; body?: Json; expected: string; retry?: 'later'; dependency?: 'kube' }[] = [
    { name: 'a bad request', code: 400, expected: 'kube.invalid' },
    { name: 'refused credentials', code: 401, expected: 'kube.unauthorized', retry: 'later', dependency: 'kube' },
    { name: 'a missing right', code: 403, expected: 'kube.forbidden' },
    { name: 'a method that is not allowed', code: 405, expected: 'kube.refused' },
    { name: 'a time-out', code: 408, expected: 'kube.busy', retry: 'later', dependency: 'kube' },
    { name: 'a conflict', code: 409, expected: 'kube.conflict', retry: 'later' },
    { name: 'what is there already', code: 409, body: status({ reason: 'AlreadyExists' }), expected: 'kube.exists', retry: 'later' },
    { name: 'a forgotten version', code: 410, expected: 'kube.expired', retry: 'later' },
    { name: 'a request that is too large', code: 413, expected: 'kube.too-large' },
    { name: 'an invalid object', code: 422, expected: 'kube.invalid' },
    {
      name: 'another object under the same name',
      code: 422,
      body: status({ reason: 'Invalid', details: { causes: [{ field: 'metadata.uid', message: 'field is immutable' }] } }),
      expected: 'kube.conflict',
      retry: 'later',
    },
    { name: 'a webhook that denies with 400', code: 400, body: status({ message: denied }), expected: 'kube.denied', retry: 'later' },
    { name: 'a webhook that denies with 403', code: 403, body: status({ message: denied }), expected: 'kube.denied', retry: 'later' },
    { name: 'too many requests', code: 429, expected: 'kube.busy', retry: 'later', dependency: 'kube' },
    { name: 'a failure of the server', code: 500, expected: 'kube.unavailable', retry: 'later', dependency: 'kube' },
    {
      name: 'a version that the server has not reached',
      code: 504,
      body: status({ reason: 'Timeout', details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } }),
      expected: 'kube.expired',
      retry: 'later',
    },
    { name: 'a status of the future', code: 599, expected: 'kube.unavailable', retry: 'later', dependency: 'kube' },
  ];
  for (const { name, code, body, expected, retry, dependency } of cases) {
    it(`says ${expected} for ${name}`, () => {
      const error = refusalError({ status: code, body, retryAfterMs: undefined }, target);

      assert.equal(error.code, expected);
      assert.equal(error instanceof TransientError, retry === 'later');
      if (error instanceof TransientError) assert.equal(error.dependency, dependency);
    });
  }

  it('names verb, resource, namespace and fix when it is forbidden', () => {
    const error = refusalError({ status: 403, body: status({ message: 'User "x" cannot patch' }), retryAfterMs: undefined }, target);

    assert.equal(error.message, 'Cannot patch taskruns.tekton.dev "a" in namespace "ci": it is forbidden (403: User "x" cannot patch)');
    assert.equal(error.fix, `apply Chainsmith's ClusterRole and Role, or allow our account to patch taskruns.tekton.dev in namespace "ci"`);
  });

  it('never quotes what is said about a Secret', () => {
    const body = status({ message: 'Invalid value: "hunter2"' });

    const { message } = refusalError({ status: 422, body, retryAfterMs: undefined }, { ...target, resource: 'secrets' });

    assert.ok(!message.includes('hunter2'), message);
  });
});

describe('refusalIn', () => {
  it('reads a Status, its code and how long to wait', () => {
    const body = status({ code: 429, details: { retryAfterSeconds: 3 } });

    assert.deepEqual(refusalIn(body), { status: 429, body, retryAfterMs: 3000 });
  });
  it('takes the reason Expired for 410', () => {
    assert.equal(refusalIn(status({ reason: 'Expired' }))?.status, 410);
  });
  it('gives nothing for another object', () => {
    assert.equal(refusalIn({ kind: 'TaskRun' }), undefined);
  });
});
