import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { run } from '../servers/command.ts';
import { startFaultProxy, type FaultProxy } from '../servers/fault-proxy.ts';
import { until } from '../servers/process.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { demand, layersOf, newTaskRun, startCluster, succeeded, type Cluster, type Controller } from './cluster.ts';

const path = '/apis/tekton.dev/v1/namespaces/ci/taskruns';
const holdMs = 3_000;

interface Metadata {
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

describe('a controller in a cluster', () => {
  const stack = new AsyncDisposableStack();
  let cluster: Cluster;
  let registry: Registry;
  let proxy: FaultProxy;
  let controller: Controller;

  before(async () => {
    registry = stack.use(await startRegistry());
    proxy = stack.use(await startFaultProxy(registry.host));
    const config = {
      'artifacts.taskrun.storage': 'oci',
      'artifacts.taskrun.format': 'slsa/v2alpha4',
      'finalizer.hold': '3s',
      'retry.max-delay': '1s',
    };
    cluster = stack.use(await startCluster(config));
    await demand(cluster.api.call('POST', '/api/v1/namespaces', { metadata: { name: 'ci' } }), 'make the namespace');
    controller = stack.use(await cluster.startController());
  });

  after(async () => await stack.disposeAsync());

  const create = async (name: string, more: object = {}): Promise<void> =>
    void (await demand(cluster.api.call('POST', path, { ...newTaskRun(name), ...more }), 'create'));
  const complete = async (name: string, status: object = succeeded(imageOf(name))): Promise<void> =>
    void (await demand(cluster.api.call('PATCH', `${path}/${name}/status`, status), 'complete'));
  const remove = async (name: string): Promise<void> => void (await demand(cluster.api.call('DELETE', `${path}/${name}`), 'delete'));
  const metadataOf = async (name: string): Promise<Metadata | undefined> => {
    const { status, body } = await cluster.api.call('GET', `${path}/${name}`);
    return status === 404 ? undefined : (body as { metadata: Metadata }).metadata;
  };
  const signedOf = async (name: string): Promise<string | undefined> => (await metadataOf(name))?.annotations?.['chains.tekton.dev/signed'];
  const hexOf = (name: string): string => Buffer.from(name.padEnd(32, '.')).toString('hex');
  const imageOf = (name: string) => ({ repository: `${proxy.host}/ci/app`, digest: `sha256:${hexOf(name)}` });
  const layers = async (name: string): Promise<string> => {
    const [attestations, signatures] = await Promise.all(
      ['att', 'sig'].map(async (kind) => await layersOf(registry.host, 'ci/app', `sha256-${hexOf(name)}.${kind}`)),
    );
    return `${attestations?.length}/${signatures?.length}`;
  };
  const held = async (name: string): Promise<void> =>
    await until(
      `${name} to be held`,
      20_000,
      async () => (await metadataOf(name))?.finalizers?.includes('chains.tekton.dev/taskrun') === true,
    );
  const signed = async (name: string): Promise<void> =>
    await until(`${name} to be signed`, 30_000, async () => (await signedOf(name)) === 'true');
  const gone = async (name: string, ms: number): Promise<void> =>
    await until(`${name} to be gone`, ms, async () => (await metadataOf(name)) === undefined);

  it('lets a run go at once that is deleted before it completed', async () => {
    await create('early');
    await held('early');

    await remove('early');
    await gone('early', 2_000);

    assert.equal(await layers('early'), '0/0');
  });

  it('keeps the finalizers of others', async () => {
    const others = { metadata: { name: 'shared', finalizers: ['example.com/other'] } };
    await create('shared', others);
    await held('shared');
    await complete('shared');
    await signed('shared');

    assert.deepEqual((await metadataOf('shared'))?.finalizers, ['example.com/other']);
    await demand(cluster.api.call('PATCH', `${path}/shared`, { metadata: { finalizers: null } }), 'let go');
  });

  it('signs a run that is deleted while the registry is away, and holds the deletion no longer than it may', async () => {
    await create('late');
    await held('late');
    await proxy.set({ kind: 'hang' });
    await complete('late');
    await remove('late');
    const removedAt = Date.now();

    await gone('late', holdMs + 5_000);
    const heldMs = Date.now() - removedAt;
    await proxy.set({ kind: 'none' });
    await until('late to be signed all the same', 90_000, async () => (await layers('late')) === '1/1');

    assert.ok(heldMs < holdMs + 2_000, `held for ${heldMs} ms`);
  });

  it('does not mark a run that was made again under the same name', async () => {
    await create('again');
    await held('again');
    await proxy.set({ kind: 'refuse' });
    await complete('again');
    await until('an attempt to fail', 20_000, () => controller.log().includes('ci/again'));
    await remove('again');
    await gone('again', holdMs + 5_000);
    await create('again');
    await proxy.set({ kind: 'none' });
    await until('the first one to be signed', 60_000, async () => (await layers('again')) === '1/1');

    assert.equal(await signedOf('again'), undefined);
    await remove('again');
  });

  it('takes up a new configuration, and keeps the last good one when it is given a bad one', async () => {
    const configure = async (data: Readonly<Record<string, string>>): Promise<void> =>
      void (await demand(cluster.api.call('PATCH', '/api/v1/namespaces/tekton-chains/configmaps/chains-config', { data }), 'configure'));
    await configure({ 'artifacts.taskrun.format': 'slsa/v9' });
    await until('the bad one to be refused', 10_000, () => controller.log().includes('configuration refused'));
    await create('before');
    await complete('before');
    await signed('before');
    await configure({ 'artifacts.taskrun.format': 'slsa/v2alpha4', 'artifacts.taskrun.storage': 'tekton' });
    await until('the good one to be applied', 10_000, () => controller.log().includes('configuration applied'));
    await create('after');
    await complete('after');
    await signed('after');

    assert.equal(await layers('before'), '1/1');
    assert.equal(await layers('after'), '0/1');
    const names = Object.keys((await metadataOf('after'))?.annotations ?? {}).map((name) => name.replace(/-[0-9a-f-]{36}$/, ''));
    assert.deepEqual(
      names.toSorted(),
      ['cert-taskrun', 'chain-taskrun', 'payload-taskrun', 'signature-taskrun', 'signed'].map((name) => `chains.tekton.dev/${name}`),
    );
  });

  it('marks what can never be signed as failed, says why in an Event, and signs it when the mark is taken off', async () => {
    await create('hopeless');
    await complete('hopeless', succeeded(undefined, { results: [{ name: 'novalue', type: 'string' }] }));
    await until('it to be marked', 20_000, async () => (await signedOf('hopeless')) === 'failed');
    const { body } = await cluster.api.call('GET', '/api/v1/namespaces/ci/events?fieldSelector=involvedObject.name=hopeless');
    const events = (body as { items: readonly { reason: string; message: string }[] }).items;

    assert.deepEqual(
      events.map(({ reason }) => reason),
      ['SigningFailed'],
    );
    assert.match(events[0]?.message ?? '', /novalue/);
    assert.deepEqual((await metadataOf('hopeless'))?.annotations, {
      'chains.tekton.dev/signed': 'failed',
      'chains.tekton.dev/retries': '3',
    });
    await complete('hopeless', { status: { results: null } });
    await demand(
      cluster.api.call('PATCH', `${path}/hopeless`, { metadata: { annotations: { 'chains.tekton.dev/signed': null } } }),
      'take the mark off',
    );
    await signed('hopeless');
  });

  it('signs a run whose hint cannot be used, and says so in an Event', async () => {
    await create('short');
    await complete('short', succeeded({ repository: 'registry.example/a', digest: 'sha256:abc' }));
    await signed('short');
    const path = '/api/v1/namespaces/ci/events?fieldSelector=involvedObject.name=short';
    const events = async () =>
      ((await cluster.api.call('GET', path)).body as { items: readonly { reason: string; message: string }[] }).items;
    await until('the Event', 10_000, async () => (await events()).length > 0);

    const [event, ...others] = await events();
    assert.deepEqual([event?.reason, others], ['HintDropped', []]);
    assert.match(event?.message ?? '', /IMAGE_DIGEST|IMAGE_URL/);
  });

  it('is explained by the command line, from the cluster and with its configuration', async () => {
    await create('asked');
    await complete('asked');
    await signed('asked');
    const cli = [new URL('../../src/cli/chainsmith.ts', import.meta.url).pathname, 'explain', '--kubeconfig', cluster.api.kubeconfig];

    const { code, stdout, stderr } = await run(process.execPath, [...cli, 'ci/asked']);

    assert.equal(code, 0, stderr);
    assert.match(stdout, /^signed {2}TaskRun ci\/asked\n[^]*slsa\/v2alpha4 taskrun-/);
  });

  it('hands over to the replica that stands by, within 15 seconds', async () => {
    await using second = await cluster.startController([], { identity: 'controller-1' });
    await controller[Symbol.asyncDispose]();
    await create('handed');
    await complete('handed');
    const lostAt = Date.now();
    await signed('handed');

    assert.ok(Date.now() - lostAt < 15_000, `${Date.now() - lostAt} ms`);
    assert.match(second.log(), /lease acquired/);
  });
});
