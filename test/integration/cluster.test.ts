import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { cosign, emptyTrustedRoot } from '../servers/cosign.ts';
import { until } from '../servers/process.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { demand, askedOf, layersOf, newTaskRun, pushTinyImage, startCluster, succeeded, type Cluster } from './cluster.ts';

const namespace = 'ci';
const runsPath = `/apis/tekton.dev/v1/namespaces/${namespace}`;
const taskRuns = 200;
const pipelineRuns = 40;
const children = 3;

interface Subject {
  readonly repository: string;
  readonly path: string;
  readonly digest: string;
  /** How many runs name it: each of them leaves one attestation. */
  readonly runs: number;
}

/** Calls `work` for 0 to `count` - 1, eight at a time. */
async function each(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let index = next++; index < count; index = next++) await work(index);
    }),
  );
}

describe('a controller in a cluster, killed three times', () => {
  let cluster: Cluster;
  let registry: Registry;
  const stack = new AsyncDisposableStack();
  const subjects: Subject[] = [];

  before(async () => {
    registry = stack.use(await startRegistry());
    cluster = stack.use(
      await startCluster({
        'artifacts.taskrun.format': 'slsa/v2alpha4',
        'artifacts.taskrun.storage': 'tekton, oci',
        'artifacts.pipelinerun.format': 'slsa/v2alpha4',
        'artifacts.pipelinerun.storage': 'oci',
      }),
    );
    await demand(cluster.api.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } }), 'make the namespace');
    await live();
  });

  after(async () => await stack.disposeAsync());

  /** Creates every run, completes them while the controller works and is killed, and waits for the last one to be signed. */
  async function live(): Promise<void> {
    const { api } = cluster;
    let controller = await cluster.startController();
    try {
      const pipelines: { readonly name: string; readonly uid: string }[] = [];
      await each(
        taskRuns,
        async (index) => void (await demand(api.call('POST', `${runsPath}/taskruns`, newTaskRun(`task-${index}`)), 'make a TaskRun')),
      );
      await each(pipelineRuns, async (index) => {
        const name = `pipeline-${index}`;
        const object = { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', metadata: { name }, spec: { pipelineRef: { name: 'release' } } };
        const made = (await demand(api.call('POST', `${runsPath}/pipelineruns`, object), 'make a PipelineRun')) as {
          metadata: { uid: string };
        };
        pipelines[index] = { name, uid: made.metadata.uid };
        for (let child = 0; child < children; child += 1) {
          const owner = { name, uid: made.metadata.uid, task: `t${child}` };
          await demand(api.call('POST', `${runsPath}/taskruns`, newTaskRun(`${name}-t${child}`, owner)), 'make a child');
        }
      });
      let completed = 0;
      let restarted = Promise.resolve();
      const kills = new Set([60, 120, 180]);
      await each(taskRuns + pipelineRuns, async (index) => {
        if (index < taskRuns) await completeTaskRun(index);
        else await completePipelineRun(pipelines[index - taskRuns]?.name ?? '');
        completed += 1;
        if (!kills.delete(completed)) return;
        restarted = restarted.then(async () => {
          // SIGKILL: nothing of it is told, and nothing is written any more.
          await controller[Symbol.asyncDispose]();
          controller = await cluster.startController();
        });
        await restarted;
      });
      assert.equal(kills.size, 0);
      await until('every run to be marked', 60_000, async () => (await marks()).every(({ signed }) => signed !== undefined)).catch(
        async (error: unknown) => {
          const waiting = (await marks()).filter(({ signed }) => signed === undefined).map(({ name }) => name);
          throw new Error(`${waiting.length} runs are not marked: ${waiting.slice(0, 20).join(' ')}\n${controller.log()}`, {
            cause: error,
          });
        },
      );
    } finally {
      await controller[Symbol.asyncDispose]();
    }
  }

  async function completeTaskRun(index: number): Promise<void> {
    const image = await newImage(`app-${index % 10}`, `task ${index}`, 1);
    await demand(cluster.api.call('PATCH', `${runsPath}/taskruns/task-${index}/status`, succeeded(image)), 'complete a TaskRun');
  }

  async function completePipelineRun(name: string): Promise<void> {
    const image = await newImage('release', name, 2);
    const references = Array.from({ length: children }, (_, child) => ({
      apiVersion: 'tekton.dev/v1',
      kind: 'TaskRun',
      name: `${name}-t${child}`,
      pipelineTaskName: `t${child}`,
    }));
    for (let child = 0; child < children; child += 1) {
      const status = succeeded(child === children - 1 ? image : undefined);
      await demand(cluster.api.call('PATCH', `${runsPath}/taskruns/${name}-t${child}/status`, status), 'complete a child');
    }
    const pipelineSpec = { tasks: references.map(({ pipelineTaskName }) => ({ name: pipelineTaskName, taskRef: { name: 'build' } })) };
    await demand(
      cluster.api.call('PATCH', `${runsPath}/pipelineruns/${name}/status`, succeeded(image, { childReferences: references, pipelineSpec })),
      'complete a PipelineRun',
    );
  }

  async function newImage(name: string, text: string, runs: number): Promise<{ readonly repository: string; readonly digest: string }> {
    const path = `${namespace}/${name}`;
    const digest = await pushTinyImage(registry.host, path, text);
    subjects.push({ repository: `${registry.host}/${path}`, path, digest, runs });
    return { repository: `${registry.host}/${path}`, digest };
  }

  interface Mark {
    readonly name: string;
    readonly signed: string | undefined;
    readonly finalizers: readonly string[];
  }

  async function marks(): Promise<readonly Mark[]> {
    const lists = await Promise.all(
      ['taskruns', 'pipelineruns'].map(async (plural) => await demand(cluster.api.call('GET', `${runsPath}/${plural}?limit=500`), 'list')),
    );
    return lists.flatMap((list) =>
      (list as { items: { metadata: { name: string; annotations?: Record<string, string>; finalizers?: string[] } }[] }).items.map(
        ({ metadata }) => ({
          name: metadata.name,
          signed: metadata.annotations?.['chains.tekton.dev/signed'],
          finalizers: metadata.finalizers ?? [],
        }),
      ),
    );
  }

  it('marks every run as signed, and holds none of them any longer', async () => {
    const found = await marks();

    assert.equal(found.length, taskRuns + pipelineRuns * (children + 1));
    assert.deepEqual(
      found.filter(({ signed, finalizers }) => signed !== 'true' || finalizers.length > 0),
      [],
    );
  });

  it('leaves exactly one attestation for each run and one signature on each image', async () => {
    const odd: string[] = [];
    await each(subjects.length, async (index) => {
      const { path, digest, runs } = subjects[index] ?? assert.fail();
      const tag = digest.replace(':', '-');
      const [attestations, signatures] = [
        await layersOf(registry.host, path, `${tag}.att`),
        await layersOf(registry.host, path, `${tag}.sig`),
      ];
      if (attestations.length !== runs || signatures.length !== 1)
        odd.push(`${path}@${digest}: ${attestations.length} of ${runs} attestations, ${signatures.length} signatures`);
    });

    assert.deepEqual(odd, []);
    assert.equal(subjects.length, taskRuns + pipelineRuns);
  });

  for (const version of [2, 3] as const) {
    it(`is believed by cosign ${version}`, async () => {
      const root = await emptyTrustedRoot(cluster.dir);
      const trust = ['--key', cluster.publicKey, '--insecure-ignore-tlog', '--trusted-root', root];
      const refused: string[] = [];
      const sample = subjects.filter((_, index) => index % 12 === 0);
      for (const { repository, digest } of sample) {
        const image = `${repository}@${digest}`;
        const signature = await cosign(version, ['verify', ...trust, image]);
        const attestation = await cosign(version, ['verify-attestation', ...trust, '--type', 'slsaprovenance1', image]);
        for (const { code, stderr } of [signature, attestation]) if (code !== 0) refused.push(`${image}: ${stderr}`);
      }

      assert.equal(sample.length, 20);
      assert.deepEqual(refused, []);
    });
  }

  it('asks for nothing that its RBAC does not give', async () => {
    const { requests, forbidden } = await askedOf(cluster.api);

    assert.deepEqual(forbidden, []);
    // At least one write for each run: the log is about us.
    assert.ok(requests > taskRuns, `${requests} requests`);
  });
});
