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
      proxy: undefined,
      cosignPassword: undefined,
      ambient: {},
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
      REGISTRY_AUTH_FILE: '/auth.json',
      https_proxy: 'http://proxy.example:3128',
      HTTPS_PROXY: 'http://other.example:3128',
      NO_PROXY: 'localhost',
      COSIGN_PASSWORD: '',
      VAULT_TOKEN: 'root',
      BAO_ADDR: '',
      SPIFFE_ENDPOINT_SOCKET: '/run/agent.sock',
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
      proxy: { https: 'http://proxy.example:3128', except: 'localhost' },
      cosignPassword: '',
      ambient: { VAULT_TOKEN: 'root', SPIFFE_ENDPOINT_SOCKET: '/run/agent.sock' },
      kubeconfig: undefined,
      home: '/home/nonroot',
      color: false,
    });
  });

  const dockerConfigs = [
    { variables: { HOME: '/home/x' }, want: '/home/x/.docker' },
    { variables: { USERPROFILE: '/users/x' }, want: '/users/x/.docker' },
    { variables: { HOME: '/home/x', REGISTRY_AUTH_FILE: '/auth.json' }, want: '/auth.json' },
    { variables: { DOCKER_CONFIG: '', REGISTRY_AUTH_FILE: '/auth.json' }, want: '/auth.json' },
  ];
  for (const { variables, want } of dockerConfigs) {
    it(`looks for credentials in ${want} given ${Object.keys(variables).join(', ')}`, () => {
      assert.equal(readEnvironment(variables).dockerConfig, want);
    });
  }

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
