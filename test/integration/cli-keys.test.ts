import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { keysCommand } from '../../src/cli/keys.ts';
import type { OpenKube } from '../../src/cli/keys-world.ts';
import { openKubeClient } from '../../src/kube/client.ts';
import { openKubeconfig } from '../../src/kube/kubeconfig.ts';
import { parsePublicKey } from '../../src/model/public-key.ts';
import { recorded, type Recorded, type World } from '../recorded-io.ts';
import { startApiServer } from '../servers/apiserver.ts';
import { cosign } from '../servers/cosign.ts';
import { output } from '../servers/command.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';

const password = { env: { COSIGN_PASSWORD: 'pw' } };
const noCluster: OpenKube = async () => await Promise.reject(new Error('no cluster'));

async function keys(args: readonly string[], world: World = password, openKube: OpenKube = noCluster): Promise<Recorded> {
  return await recorded((io) => keysCommand(io, openKube), args, world);
}

describe('keys, with cosign', { skip: await missing('cosign2', 'cosign3') }, () => {
  for (const version of [2, 3] as const) {
    it(`makes keys that cosign ${version} reads and signs with`, async () => {
      await using work = await scratch('keys');
      const prefix = path.join(work.dir, 'ours');
      await keys(['generate', '--output-key-prefix', prefix]);

      const shown = await cosign(version, ['public-key', '--key', `${prefix}.key`]);
      const wrong = await cosign(version, ['public-key', '--key', `${prefix}.key`], { env: { COSIGN_PASSWORD: 'other' } });

      assert.deepEqual([shown.code, shown.stdout.trim()], [0, (await readFile(`${prefix}.pub`, 'utf8')).trim()]);
      assert.notEqual(wrong.code, 0);
    });

    it(`reads keys that cosign ${version} made, and those that it imported from openssl`, async () => {
      await using work = await scratch('keys');
      const at = (name: string): string => path.join(work.dir, name);
      await cosign(version, ['generate-key-pair', '--output-key-prefix', at('theirs')]);
      await output('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', at('openssl.pem')]);
      await cosign(version, ['import-key-pair', '--key', at('openssl.pem'), '--output-key-prefix', at('imported')]);

      for (const name of ['theirs', 'imported']) {
        const said = await keys(['public', '--key', at(`${name}.key`)]);
        assert.deepEqual(said, { code: 0, stdout: await readFile(at(`${name}.pub`), 'utf8'), stderr: '' });
      }
    });
  }
});

describe('keys, in a Secret', { skip: await missing('etcd', 'kube-apiserver', 'cosign2', 'cosign3') }, () => {
  it('fills the empty Secret of Chains, makes one where there is none, and replaces a key only by force', async () => {
    await using server = await startApiServer();
    const openKube: OpenKube = async (ctx) => openKubeClient({ access: await openKubeconfig({ path: server.kubeconfig }, ctx) });
    const generate = async (secret: string, ...more: readonly string[]): Promise<Recorded> =>
      await keys(['generate', '--k8s', secret, ...more], password, openKube);
    const secrets = '/api/v1/namespaces/default/secrets';
    await server.call('POST', secrets, { metadata: { name: 'empty', labels: { of: 'chains' } } });
    const keyIn = async (name: string): Promise<Readonly<Record<string, string>>> =>
      await secretData(await server.call('GET', `${secrets}/${name}`));

    assert.equal((await generate('default/empty')).code, 0);
    assert.equal((await generate('k8s://default/new')).code, 0);

    for (const name of ['empty', 'new']) {
      const data = await keyIn(name);
      assert.deepEqual(Object.keys(data).toSorted(), ['cosign.key', 'cosign.password', 'cosign.pub']);
      assert.equal(data['cosign.password'], 'pw');
      await using work = await scratch('keys');
      for (const [file, text] of Object.entries(data)) await writeFile(path.join(work.dir, file), text);
      assert.deepEqual(await keys(['public', '--directory', work.dir]), { code: 0, stdout: data['cosign.pub'], stderr: '' });
      for (const version of [2, 3] as const) {
        const shown = await cosign(version, ['public-key', '--key', `k8s://default/${name}`], { env: { KUBECONFIG: server.kubeconfig } });
        assert.equal(shown.stdout.trim(), data['cosign.pub']?.trim(), shown.stderr);
      }

      const refused = await generate(`default/${name}`);
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /it has one\nfix: {3}.*--force/);
      assert.deepEqual(await keyIn(name), data);

      const forced = await generate(`default/${name}`, '--force');
      const next = await keyIn(name);
      assert.deepEqual([forced.code, Object.keys(next).toSorted()], [0, Object.keys(data).toSorted()]);
      assert.notEqual(next['cosign.key'], data['cosign.key']);
      assert.ok(forced.stderr.endsWith(`key ${parsePublicKey(next['cosign.pub'] ?? '').fingerprint}\n`));
    }
    const { body } = await server.call('GET', `${secrets}/empty`);
    assert.match(JSON.stringify(body), /"labels":\{"of":"chains"\}/);
    assert.equal((await generate('nowhere/signing-secrets')).code, 2);
  });

  it('removes an x509.pem by force, because the signer would go on with that', async () => {
    await using server = await startApiServer();
    const openKube: OpenKube = async (ctx) => openKubeClient({ access: await openKubeconfig({ path: server.kubeconfig }, ctx) });
    const secret = '/api/v1/namespaces/default/secrets';
    await server.call('POST', secret, { metadata: { name: 'old' }, stringData: { 'x509.pem': 'a key', other: 'kept' } });

    const refused = await keys(['generate', '--k8s', 'default/old'], password, openKube);
    const forced = await keys(['generate', '--k8s', 'default/old', '--force'], password, openKube);

    assert.deepEqual([refused.code, forced.code], [2, 0]);
    const data = await secretData(await server.call('GET', `${secret}/old`));
    assert.deepEqual(Object.keys(data).toSorted(), ['cosign.key', 'cosign.password', 'cosign.pub', 'other']);
  });
});

/** The texts of a Secret. */
async function secretData(answer: { readonly status: number; readonly body: unknown }): Promise<Readonly<Record<string, string>>> {
  const { body } = answer;
  assert.ok(answer.status === 200 && typeof body === 'object' && body !== null && 'data' in body);
  const { data } = body;
  assert.ok(typeof data === 'object' && data !== null);
  return Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(String(text), 'base64').toString()]));
}
