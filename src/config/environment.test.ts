import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TerminalError } from '../errors.ts';
import { readEnvironment } from './environment.ts';

describe('readEnvironment', () => {
  it('has an answer for an empty environment', () => {
    const { layer, ...rest } = readEnvironment({});

    assert.deepEqual([...layer.entries], []);
    assert.deepEqual(rest, {
      cluster: undefined,
      systemNamespace: 'tekton-chains',
      identity: undefined,
      dockerConfig: undefined,
      registryAuthFile: undefined,
      cosignPassword: undefined,
      kubeconfig: undefined,
      home: undefined,
      color: undefined,
    });
  });

  it('reads what a pod is given', () => {
    const { layer, ...rest } = readEnvironment({
      KUBERNETES_SERVICE_HOST: 'fd00::1',
      KUBERNETES_SERVICE_PORT: '6443',
      SYSTEM_NAMESPACE: 'chains',
      POD_NAME: 'chainsmith-0',
      HOSTNAME: 'node',
      DOCKER_CONFIG: '/docker',
      REGISTRY_AUTH_FILE: '',
      COSIGN_PASSWORD: '',
      HOME: '/home/nonroot',
      NO_COLOR: '1',
      CHAINSMITH_CONCURRENCY: '8',
    });

    assert.deepEqual([...layer.entries], [['concurrency', '8']]);
    assert.deepEqual(rest, {
      cluster: { host: 'fd00::1', port: 6443 },
      systemNamespace: 'chains',
      identity: 'chainsmith-0',
      dockerConfig: '/docker',
      registryAuthFile: undefined,
      cosignPassword: '',
      kubeconfig: undefined,
      home: '/home/nonroot',
      color: false,
    });
  });

  for (const port of ['http', '0', '65536', '1e3', 'tcp://10.0.0.1:443']) {
    it(`refuses the port "${port}"`, () => {
      assert.throws(
        () => readEnvironment({ KUBERNETES_SERVICE_HOST: 'h', KUBERNETES_SERVICE_PORT: port }),
        (error) =>
          error instanceof TerminalError && error.message === 'Cannot read the environment: KUBERNETES_SERVICE_PORT: it is no port',
      );
    });
  }
});
