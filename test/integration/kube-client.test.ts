import assert from 'node:assert/strict';
import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { openInCluster } from '../../src/kube/auth.ts';
import { openKubeClient, type KubeClient, type RequestDone } from '../../src/kube/client.ts';
import { openKubeconfig } from '../../src/kube/kubeconfig.ts';
import { acquireLease, type LeaseOptions } from '../../src/kube/lease.ts';
import { createObject, getConfigMap, getObject, getSecret, listPages, patchObject, putSecret, tellEvent } from '../../src/kube/objects.ts';
import type { Context } from '../../src/observe/context.ts';
import { startApiServer, type ApiServer } from '../servers/apiserver.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { until } from '../servers/process.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const skip = await missing('etcd', 'kube-apiserver');

interface Item {
  readonly metadata: Readonly<Record<string, string>>;
}

describe('the API server', { skip }, () => {
  let server: ApiServer;
  let client: KubeClient;
  const done: RequestDone[] = [];

  before(async () => {
    server = await startApiServer();
    client = openKubeClient({ access: await openKubeconfig({ path: server.kubeconfig }, ctx), onRequest: (request) => done.push(request) });
    await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'ci' } });
  });
  after(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const taskRun = (
    name: string,
    resource: 'taskruns' | 'pipelineruns' = 'taskruns',
  ): { key: Parameters<typeof getObject>[1]; object: object } => ({
    key: { resource, namespace: 'ci', name },
    object: { apiVersion: 'tekton.dev/v1', kind: 'TaskRun', metadata: { name }, spec: { taskRef: { name: 'x' } } },
  });

  it('creates, gets, patches by version and UID, and lists in pages', async () => {
    for (const name of ['a', 'b', 'c']) await createObject(client, taskRun(name), ctx);
    await assert.rejects(createObject(client, taskRun('a'), ctx), { code: 'kube.exists' });
    const { key } = taskRun('a');
    const { metadata } = (await getObject(client, key, ctx)) as unknown as Item;
    const patch = (more: object): object => ({ metadata: { annotations: { x: 'y' }, ...more } });

    await assert.rejects(patchObject(client, { key, patch: patch({ uid: 'another' }) }, ctx), { code: 'kube.conflict' });
    await assert.rejects(patchObject(client, { key, patch: patch({ resourceVersion: '1' }) }, ctx), { code: 'kube.conflict' });
    const { uid, resourceVersion } = metadata;
    const patched = (await patchObject(client, { key, patch: patch({ uid, resourceVersion }) }, ctx)) as unknown as Item;

    assert.deepEqual(patched.metadata['annotations'], { x: 'y' });
    assert.equal(await patchObject(client, { key: { ...key, name: 'none' }, patch: patch({}) }, ctx), undefined);
    assert.equal(await getObject(client, { ...key, name: 'none' }, ctx), undefined);
    const pages = await Array.fromAsync(listPages(client, { resource: 'taskruns', namespace: undefined, limit: 2 }, ctx));
    assert.deepEqual(
      pages.map((page) => page?.items.map((item) => (item as unknown as Item).metadata['name'])),
      [['a', 'b'], ['c']],
    );
    assert.deepEqual(
      done.slice(-4).map(({ verb, resource, status }) => `${verb} ${resource} ${status}`),
      ['patch taskruns.tekton.dev 404', 'get taskruns.tekton.dev 404', 'list taskruns.tekton.dev 200', 'list taskruns.tekton.dev 200'],
    );
  });

  it('keeps Secrets, reads ConfigMaps, and says where a namespace is missing', async () => {
    const where = { namespace: 'ci', name: 'keys' };
    await putSecret(client, { ...where, data: { one: Buffer.from([0, 255]) } }, ctx);
    await putSecret(client, { ...where, data: { two: Buffer.from('2') } }, ctx);
    await createObject(
      client,
      {
        key: { resource: 'configmaps', ...where },
        object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'keys' }, data: { a: 'b' } },
      },
      ctx,
    );

    assert.deepEqual((await getSecret(client, where, ctx))?.data, { one: new Uint8Array([0, 255]), two: new Uint8Array([50]) });
    assert.deepEqual((await getConfigMap(client, where, ctx))?.data, { a: 'b' });
    assert.equal(await getSecret(client, { ...where, name: 'none' }, ctx), undefined);
    await assert.rejects(putSecret(client, { namespace: 'nowhere', name: 'x', data: {} }, ctx), { code: 'kube.absent' });
  });

  it('tells the same Event once, however often it is told', async () => {
    const about = { apiVersion: 'tekton.dev/v1', kind: 'TaskRun', namespace: 'ci', name: 'a', uid: 'u' };
    const event = {
      type: 'Warning',
      reason: 'Failed',
      message: 'x'.repeat(2000),
      about,
      component: 'chainsmith',
      instance: 'pod-0',
    } as const;
    await tellEvent(client, { ...event, at: 1_000_000 }, ctx);
    await tellEvent(client, { ...event, at: 2_000_000 }, ctx);
    await tellEvent(client, { ...event, about: { ...about, namespace: 'gone' }, at: 1 }, ctx);

    const { body } = await server.call('GET', '/api/v1/namespaces/ci/events');

    const { items } = body as { readonly items: readonly Readonly<Record<string, string>>[] };
    assert.deepEqual(
      items.map(({ reason, message, lastTimestamp }) => [reason, message?.length, lastTimestamp]),
      [['Failed', 1024, '1970-01-01T00:16:40Z']],
    );
  });

  it('follows a token that rotates, and names the right that is missing', async () => {
    await using folder = await scratch('in-cluster');
    const token = path.join(folder.dir, 'token');
    await copyFile(server.caFile, path.join(folder.dir, 'ca.crt'));
    await writeFile(token, 'rotated away');
    const { hostname: host, port } = new URL(server.url);
    const access = await openInCluster({ host, port, serviceAccountDir: folder.dir }, ctx);
    await using inCluster = openKubeClient({ access });
    const get = async (): Promise<unknown> => await getObject(inCluster, taskRun('a').key, ctx);

    await assert.rejects(get(), { code: 'kube.unauthorized' });
    await writeFile(token, await server.serviceAccountToken('ci', 'bot'));

    await assert.rejects(get(), {
      name: 'TerminalError',
      code: 'kube.forbidden',
      message: /^Cannot get taskruns\.tekton\.dev "a" in namespace "ci": it is forbidden \(403: .*system:serviceaccount:ci:bot/,
      fix: `apply Chainsmith's ClusterRole and Role, or allow our account to get taskruns.tekton.dev in namespace "ci"`,
    });
    const rule = { apiGroups: ['tekton.dev'], resources: ['taskruns'], verbs: ['get'] };
    await server.call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/ci/roles', { metadata: { name: 'r' }, rules: [rule] });
    await server.call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/ci/rolebindings', {
      metadata: { name: 'r' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
      subjects: [{ kind: 'ServiceAccount', name: 'bot', namespace: 'ci' }],
    });
    await until('the right', 5_000, async () => (await get().catch(() => undefined)) !== undefined);
  });

  describe('acquireLease', () => {
    const options = (name: string, identity: string): LeaseOptions => ({
      namespace: 'ci',
      name,
      identity,
      durationMs: 2_000,
      renewWithinMs: 1_000,
      retryMs: 200,
    });
    const specOf = async (name: string): Promise<Readonly<Record<string, unknown>>> => {
      const { body } = await server.call('GET', `/apis/coordination.k8s.io/v1/namespaces/ci/leases/${name}`);
      return (body as { readonly spec: Readonly<Record<string, unknown>> }).spec;
    };

    it('gives one at a time the lease, and the next one when it is given back', async () => {
      const one = await acquireLease(client, options('turns', 'one'), ctx);
      let isTwo = false;
      const pending = acquireLease(client, options('turns', 'two'), ctx).then((lead) => {
        isTwo = true;
        return lead;
      });
      const first = await specOf('turns');
      await until('a renewal', 5_000, async () => (await specOf('turns'))['renewTime'] !== first['renewTime']);
      // Longer than the lease lasts: the one that renews keeps it.
      await until('three seconds', 5_000, () => Date.now() - Date.parse(String(first['renewTime'])) > 3_000);
      assert.equal(isTwo, false);
      assert.deepEqual([first['holderIdentity'], first['leaseDurationSeconds'], first['leaseTransitions']], ['one', 2, 0]);
      assert.match(String(first['renewTime']), /\.\d{6}Z$/);
      const releasedAt = performance.now();
      await one[Symbol.asyncDispose]();

      await using two = await pending;

      assert.ok(performance.now() - releasedAt < 1_000, 'a lease that was given back keeps nobody waiting');
      assert.equal(two.lost.aborted, false);
      assert.deepEqual([(await specOf('turns'))['holderIdentity'], (await specOf('turns'))['leaseTransitions']], ['two', 1]);
    });

    it('waits as long as a dead holder may be silent, and not for itself', async () => {
      const path_ = '/apis/coordination.k8s.io/v1/namespaces/ci/leases';
      // The clock of the dead one was an hour ahead, which must not matter.
      const renewTime = new Date(Date.now() + 3_600_000).toISOString().replace('Z', '000Z');
      const spec = { holderIdentity: 'dead', leaseDurationSeconds: 2, renewTime };
      for (const name of ['dead', 'ours']) await server.call('POST', path_, { metadata: { name }, spec });
      const startedAt = performance.now();

      await using ours = await acquireLease(client, options('ours', 'dead'), ctx);
      const oursMs = performance.now() - startedAt;
      await using dead = await acquireLease(client, options('dead', 'heir'), ctx);
      const deadMs = performance.now() - startedAt;

      assert.ok(oursMs < 1_000 && deadMs >= 2_000 && deadMs < 4_000, `${oursMs} ${deadMs}`);
      assert.deepEqual([ours.lost.aborted, dead.lost.aborted], [false, false]);
    });

    it('says that it is lost when another has it', async () => {
      await using lead = await acquireLease(client, options('stolen', 'one'), ctx);

      await server.call('PATCH', '/apis/coordination.k8s.io/v1/namespaces/ci/leases/stolen', { spec: { holderIdentity: 'thief' } });

      await until('the loss', 5_000, () => lead.lost.aborted);
      assert.deepEqual((lead.lost.reason as { code?: string }).code, 'kube.lease-lost');
      await lead[Symbol.asyncDispose]();
      assert.equal((await specOf('stolen'))['holderIdentity'], 'thief');
    });

    it('gives up when it cannot renew, before anybody may take over', async () => {
      const { host } = new URL(server.url);
      await using proxy = await startFaultProxy(host);
      await using folder = await scratch('lease');
      await copyFile(server.caFile, path.join(folder.dir, 'ca.crt'));
      await writeFile(path.join(folder.dir, 'token'), server.adminToken);
      const [, port] = proxy.host.split(':');
      const access = await openInCluster({ host: '127.0.0.1', port: String(port), serviceAccountDir: folder.dir }, ctx);
      await using behind = openKubeClient({ access });
      await using lead = await acquireLease(behind, options('cut-off', 'one'), ctx);
      await proxy.set({ kind: 'hang' });
      const cutAt = performance.now();

      await until('the loss', 5_000, () => lead.lost.aborted);

      assert.ok(performance.now() - cutAt < 1_500);
    });

    it('stops waiting when it is told to', async () => {
      await using _ = await acquireLease(client, options('busy', 'one'), ctx);
      const stop = new AbortController();
      const pending = acquireLease(client, options('busy', 'two'), { ...ctx, signal: stop.signal });

      stop.abort(new Error('enough'));

      await assert.rejects(pending, { message: 'enough' });
    });
  });
});
