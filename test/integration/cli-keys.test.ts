import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { keysCommand } from '../../src/cli/keys.ts';
import type { OpenKube } from '../../src/cli/keys-world.ts';
import { openKubeClient } from '../../src/kube/client.ts';
import { openKubeconfig } from '../../src/kube/kubeconfig.ts';
import { parseKeyRing } from '../../src/model/key-ring.ts';
import { parsePublicKey } from '../../src/model/public-key.ts';
import { recorded, type Recorded, type World } from '../recorded-io.ts';
import { startApiServer, type ApiServer } from '../servers/apiserver.ts';
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

describe('keys rotate, in a Secret', { skip: await missing('etcd', 'kube-apiserver', 'cosign2', 'cosign3') }, () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
  });
  const secrets = '/api/v1/namespaces/default/secrets';
  const openKube: OpenKube = async (ctx) => openKubeClient({ access: await openKubeconfig({ path: server.kubeconfig }, ctx) });
  const run = async (...args: readonly string[]): Promise<Recorded> => await keys(args, password, openKube);
  const texts = async (name: string): Promise<Readonly<Record<string, string>>> =>
    await secretData(await server.call('GET', `${secrets}/${name}`));
  const metadataOf = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
    ((await server.call('GET', `${secrets}/${name}`)).body as { readonly metadata: Readonly<Record<string, unknown>> }).metadata;

  it('writes key, public key and ring in one step, and leaves the rest', async () => {
    await server.call('POST', secrets, { metadata: { name: 'plain', labels: { of: 'chains' } }, stringData: { other: 'kept' } });
    await run('generate', '--k8s', 'default/plain');
    const old = await texts('plain');

    const said = await run('rotate', '--k8s', 'k8s://default/plain', '--overlap', '0');

    const next = await texts('plain');
    const ring = parseKeyRing(Buffer.from(next['keys.json'] ?? ''), 'ring');
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stderr, /^wrote cosign\.key, cosign\.pub, keys\.json to k8s:\/\/default\/plain\n/);
    assert.deepEqual(Object.keys(next).toSorted(), ['cosign.key', 'cosign.password', 'cosign.pub', 'keys.json', 'other']);
    assert.deepEqual(
      ring.map(({ publicKey, validFor }) => [publicKey, validFor.end]),
      [
        [next['cosign.pub'], undefined],
        [old['cosign.pub'], ring[0]?.validFor.start],
      ],
    );
    assert.deepEqual([next['cosign.password'], next['other'], (await metadataOf('plain'))['labels']], ['pw', 'kept', { of: 'chains' }]);
    for (const version of [2, 3] as const) {
      const shown = await cosign(version, ['public-key', '--key', 'k8s://default/plain'], { env: { KUBECONFIG: server.kubeconfig } });
      assert.equal(shown.stdout.trim(), next['cosign.pub']?.trim(), shown.stderr);
    }
    const listed = await run('list', '--k8s', 'default/plain');
    assert.match(listed.stdout, /^in use {2}.*\nformer {2}.*\n$/);
    const shown = await run('public', '--set', 'signers.x509.secret=default/plain');
    assert.deepEqual(shown, { code: 0, stdout: next['cosign.pub'], stderr: '' });
  });

  it('leaves an immutable Secret as it is, and makes it again only by force', async () => {
    await run('generate', '--k8s', 'default/immutable');
    await server.call('PATCH', `${secrets}/immutable`, { metadata: { labels: { of: 'chains' } } });
    const [old, { uid }] = [await texts('immutable'), await metadataOf('immutable')];

    const refused = await run('rotate', '--k8s', 'default/immutable');

    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /it is immutable, as cosign makes it\nfix: {3}.*--force; Pods that mount it must be started anew/);
    assert.deepEqual([await texts('immutable'), (await metadataOf('immutable'))['uid']], [old, uid]);

    const forced = await run('rotate', '--k8s', 'default/immutable', '--force');
    const again = await run('rotate', '--k8s', 'default/immutable');

    const next = await texts('immutable');
    const metadata = await metadataOf('immutable');
    assert.deepEqual([forced.code, again.code], [0, 0], forced.stderr + again.stderr);
    assert.notEqual(metadata['uid'], uid);
    assert.deepEqual(metadata['labels'], { of: 'chains' });
    assert.equal(parseKeyRing(Buffer.from(next['keys.json'] ?? ''), 'ring')[2]?.publicKey, old['cosign.pub']);
    assert.equal((await server.call('GET', `${secrets}/immutable-before-rotation`)).status, 404);
  });

  it('has one winner of several at the same time', async () => {
    await server.call('POST', secrets, { metadata: { name: 'raced' } });
    await run('generate', '--k8s', 'default/raced');

    const said = await Promise.all([1, 2, 3, 4].map(async () => await run('rotate', '--k8s', 'default/raced')));

    const good = said.filter(({ code }) => code === 0);
    const data = await texts('raced');
    const ring = parseKeyRing(Buffer.from(data['keys.json'] ?? ''), 'ring');
    assert.equal(ring.length, good.length + 1);
    assert.equal(ring[0]?.publicKey, data['cosign.pub']);
    for (const { code, stderr } of said) if (code !== 0) assert.match(stderr, /the object has changed meanwhile/);
    const shown = await run('public', '--set', 'signers.kms.kmsref=k8s://default/raced', '--signer', 'kms');
    assert.equal(shown.stdout, data['cosign.pub']);
  });

  it('refuses a Secret that is not there, and one without a key', async () => {
    await server.call('POST', secrets, { metadata: { name: 'keyless' }, stringData: { other: 'x' } });

    for (const name of ['nowhere', 'keyless']) {
      const said = await run('rotate', '--k8s', `default/${name}`);
      assert.equal(said.code, 2);
      assert.match(said.stderr, new RegExp(`Cannot find .*the Secret "default/${name}"`, 'i'));
    }
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
