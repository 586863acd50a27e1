import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { shownTarget, targetOf, type KubeMethod } from './target.ts';

describe('targetOf', () => {
  const cases: readonly { method: KubeMethod; path: string; isWatch?: boolean; shown: string }[] = [
    { method: 'GET', path: '/apis/tekton.dev/v1/taskruns', shown: 'list taskruns.tekton.dev' },
    { method: 'GET', path: '/apis/tekton.dev/v1/taskruns', isWatch: true, shown: 'watch taskruns.tekton.dev' },
    {
      method: 'GET',
      path: '/apis/tekton.dev/v1/namespaces/ci/taskruns/build-x',
      shown: 'get taskruns.tekton.dev "build-x" in namespace "ci"',
    },
    { method: 'PATCH', path: '/api/v1/namespaces/ci/events/a.1', shown: 'patch events "a.1" in namespace "ci"' },
    { method: 'POST', path: '/api/v1/namespaces/ci/events', shown: 'create events in namespace "ci"' },
    { method: 'PUT', path: '/api/v1/namespaces/ci/secrets/s%2Fx', shown: 'update secrets "s/x" in namespace "ci"' },
    { method: 'GET', path: '/api/v1/namespaces/ci', shown: 'get namespaces "ci"' },
    { method: 'PATCH', path: '/apis/g/v1/namespaces/ci/things/a/status', shown: 'patch things.g/status "a" in namespace "ci"' },
    { method: 'GET', path: '/version', shown: 'list -' },
  ];
  for (const { method, path, isWatch, shown } of cases) {
    it(`reads ${method} ${path}${isWatch === true ? ' (watch)' : ''}`, () => {
      assert.equal(shownTarget(targetOf(method, path, isWatch === true)), shown);
    });
  }
});
