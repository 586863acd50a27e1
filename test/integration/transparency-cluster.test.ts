import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../servers/process.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { missingRekor1, startRekor1, type Rekor1 } from '../servers/rekor1.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { scratch } from '../servers/scratch.ts';
import { startTimestampAuthority, type TimestampAuthority } from '../servers/timestamp-authority.ts';
import { missing } from '../servers/tools.ts';
import { trustedRootOf } from '../servers/trusted-root.ts';
import { demand, newTaskRun, pushTinyImage, startCluster, succeeded, type Cluster, type Controller } from './cluster.ts';
import { entryUnder, hashIn, layersAt, newPipelineRun, sha256, toldBy, withAnnotations, type Dropped } from './log-world.ts';

const waitMs = 60_000;
const upload = { 'chains.tekton.dev/transparency-upload': 'true' };
const skip = (await missingRekor1()) || (await missing('rekor-tiles', 'timestamp-authority', 'registry', 'kube-apiserver', 'etcd'));

describe('transparency in a cluster', { skip }, () => {
  const annotation = 'chains.tekton.dev/transparency';
  const runs = '/apis/tekton.dev/v1/namespaces/ci';
  const servers = new AsyncDisposableStack();
  let rekor1: Rekor1;
  let rekor2: Rekor2;
  let tsa: TimestampAuthority;
  let registry: Registry;
  let cluster: Cluster;
  let controller: Controller;
  before(async () => {
    [rekor1, rekor2, tsa, registry] = await Promise.all([startRekor1(), startRekor2(), startTimestampAuthority(), startRegistry()]);
    for (const server of [rekor1, rekor2, tsa, registry]) servers.use(server);
    const { dir } = servers.use(await scratch('transparency'));
    const trust = path.join(dir, 'trusted-root.json');
    await writeFile(trust, trustedRootOf({ logs: [rekor1, rekor2], timestampAuthorities: [tsa] }));
    cluster = servers.use(
      await startCluster({
        'artifacts.taskrun.storage': 'tekton, oci',
        'artifacts.taskrun.format': 'slsa/v2alpha4',
        'artifacts.pipelinerun.storage': 'oci',
        'artifacts.pipelinerun.format': 'slsa/v2alpha4',
        'transparency.enabled': 'true',
        'transparency.url': rekor1.url,
        'trust.root': trust,
      }),
    );
    await demand(cluster.api.call('POST', '/api/v1/namespaces', { metadata: { name: 'ci' } }), 'make the namespace');
    controller = servers.use(await cluster.startController());
  });
  after(async () => await servers.disposeAsync());

  interface Metadata {
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }
  const create = async (plural: string, object: object): Promise<Metadata> =>
    ((await demand(cluster.api.call('POST', `${runs}/${plural}`, object), 'create')) as { metadata: Metadata }).metadata;
  const complete = async (plural: string, name: string, status: object): Promise<void> =>
    void (await demand(cluster.api.call('PATCH', `${runs}/${plural}/${name}/status`, status), 'complete'));
  const annotationsOf = async (plural: string, name: string): Promise<Readonly<Record<string, string>>> =>
    ((await demand(cluster.api.call('GET', `${runs}/${plural}/${name}`), 'read')) as { metadata: Metadata }).metadata.annotations ?? {};
  const marked = async (plural: string, name: string): Promise<Readonly<Record<string, string>>> => {
    const isMarked = async () => (await annotationsOf(plural, name))['chains.tekton.dev/signed'] !== undefined;
    await until(`${name} to be marked`, waitMs, isMarked).catch((error: unknown) => {
      throw new Error(controller.log(), { cause: error });
    });
    return await annotationsOf(plural, name);
  };

  async function imageOf(name: string): Promise<Dropped> {
    const digest = await pushTinyImage(registry.host, 'ci/app', name);
    return { name, repository: `${registry.host}/ci/app`, hex: digest.replace('sha256:', '') };
  }

  const statusWith = ({ repository, hex }: Dropped): object => succeeded({ repository, digest: `sha256:${hex}` });

  /** Creates and completes a TaskRun with an image. */
  async function taskRun(name: string, annotations: Readonly<Record<string, string>> = {}): Promise<Dropped> {
    const image = await imageOf(name);
    await create('taskruns', withAnnotations(newTaskRun(name), annotations));
    await complete('taskruns', name, statusWith(image));
    return image;
  }

  async function configure(data: Readonly<Record<string, string>>): Promise<void> {
    const applied = (): number => (controller.log().match(/"configuration applied"/g) ?? []).length;
    const before = applied();
    await demand(cluster.api.call('PATCH', '/api/v1/namespaces/tekton-chains/configmaps/chains-config', { data }), 'configure');
    await until('the configuration to be applied', waitMs, () => applied() > before).catch((error: unknown) => {
      throw new Error(controller.log(), { cause: error });
    });
  }

  it('annotates a run with the entry of its own statement, which is over what is stored, and puts entries beside every layer', async () => {
    const image = await taskRun('logged');

    const { [annotation]: url, 'chains.tekton.dev/signed': signed } = await marked('taskruns', 'logged');
    const [attestation, ...attestations] = await layersAt(registry.host, image, 'att');
    const [signature, ...signatures] = await layersAt(registry.host, image, 'sig');

    assert.equal(signed, 'true');
    assert.ok(attestation !== undefined && signature !== undefined && attestations.length + signatures.length === 0);
    const [told, other] = [toldBy(attestation) ?? assert.fail(), toldBy(signature) ?? assert.fail()];
    assert.equal(url, `${rekor1.url}/api/v1/log/entries?logIndex=${told.index}`);
    assert.deepEqual(await entryUnder(url ?? ''), told);
    assert.deepEqual([told.body.kind, hashIn(told)], ['dsse', sha256(attestation.bytes)]);
    assert.deepEqual([other.body.kind, hashIn(other)], ['hashedrekord', sha256(signature.bytes)]);
  });

  it('logs with "manual" only what asks for it, and the TaskRuns of a PipelineRun that does', async () => {
    await configure({ 'transparency.enabled': 'manual' });
    const size = await rekor1.size();
    const silent = await taskRun('silent');
    const asking = await taskRun('asking', upload);
    const pipeline = withAnnotations({ ...newPipelineRun('release') }, upload);
    const { uid } = await create('pipelineruns', pipeline);
    const [child, product] = [await imageOf('child'), await imageOf('product')];
    await create('taskruns', newTaskRun('child', { name: 'release', uid, task: 'build' }));
    await complete('taskruns', 'child', statusWith(child));
    const childReferences = [{ apiVersion: 'tekton.dev/v1', kind: 'TaskRun', name: 'child', pipelineTaskName: 'build' }];
    await complete('pipelineruns', 'release', { ...statusOf(statusWith(product), { childReferences }) });

    const found = {
      silent: (await marked('taskruns', 'silent'))[annotation],
      asking: (await marked('taskruns', 'asking'))[annotation],
      child: (await marked('taskruns', 'child'))[annotation],
      release: (await marked('pipelineruns', 'release'))[annotation],
    };
    const told = async (image: Dropped, suffix: 'att' | 'sig') => (await layersAt(registry.host, image, suffix)).map(toldBy);
    const under = async (image: Dropped) => {
      const [one, ...more] = await told(image, 'att');
      assert.deepEqual(more, []);
      return `${rekor1.url}/api/v1/log/entries?logIndex=${one?.index}`;
    };

    assert.deepEqual(found, { silent: undefined, asking: await under(asking), child: await under(child), release: await under(product) });
    assert.deepEqual([...(await told(silent, 'att')), ...(await told(silent, 'sig'))], [undefined, undefined]);
    // Statement and image of two TaskRuns, and the statement of the PipelineRun, of whose image nothing is signed by default.
    assert.equal((await rekor1.size()) - size, 5);
  });

  it('names the second API where a Rekor 2 has the entry', async () => {
    await configure({
      'transparency.enabled': 'true',
      'transparency.url': rekor2.url,
      'transparency.version': '2',
      'transparency.timestamp.url': tsa.url,
    });
    const size = await rekor2.size();
    await taskRun('tiles');

    const { [annotation]: url } = await marked('taskruns', 'tiles');

    assert.match(url ?? '', new RegExp(`^${RegExp.escape(rekor2.url)}/api/v2/log/entries\\?logIndex=\\d+$`));
    assert.equal((await rekor2.size()) - size, 2);
  });
});

/** The status with more in it. */
function statusOf(object: object, more: object): object {
  const { status = {} } = object as { status?: object };
  return { status: { ...status, ...more } };
}
