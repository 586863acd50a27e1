import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { openInCluster } from '../../src/kube/auth.ts';
import { openKubeClient, type KubeClient, type RequestDone } from '../../src/kube/client.ts';
import type { RunId } from '../../src/model/run.ts';
import type { Context } from '../../src/observe/context.ts';
import { openKubernetesSource } from '../../src/watch/kubernetes.ts';
import type { Change, Source } from '../../src/watch/source.ts';
import { startApiServer, type ApiServer } from '../servers/apiserver.ts';
import { startFaultProxy, type FaultProxy } from '../servers/fault-proxy.ts';
import { until } from '../servers/process.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';

const logs: string[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => logs.push(line) });
const ctx: Context = { signal: new AbortController().signal, logger };
const base = '/apis/tekton.dev/v1/namespaces';

interface Watching extends AsyncDisposable {
  readonly source: Source;
  readonly changes: Change[];
}

describe('openKubernetesSource', { skip: await missing('etcd', 'kube-apiserver') }, () => {
  let server: ApiServer;
  /** Between the client and the API server, so that the line can be cut. */
  let proxy: FaultProxy;
  let folder: Scratch;
  let client: KubeClient;
  const requests: RequestDone[] = [];

  before(async () => {
    server = await startApiServer();
    proxy = await startFaultProxy(new URL(server.url).host);
    folder = await scratch('source');
    await copyFile(server.caFile, path.join(folder.dir, 'ca.crt'));
    await writeFile(path.join(folder.dir, 'token'), server.adminToken);
    const port = String(new URL(proxy.url).port);
    const access = await openInCluster({ host: '127.0.0.1', port, serviceAccountDir: folder.dir }, ctx);
    client = openKubeClient({ access, onRequest: (request) => requests.push(request) });
    for (const name of ['ci', 'other', 'many']) await server.call('POST', '/api/v1/namespaces', { metadata: { name } });
  });
  after(async () => {
    await client[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  /** Watches until everything there is has been told. */
  async function watching(namespaces: readonly string[]): Promise<Watching> {
    const source = openKubernetesSource(client, { namespaces, settings: { firstWaitMs: 50, maxWaitMs: 500 } });
    const changes: Change[] = [];
    const stop = new AbortController();
    const running = source.watch((change) => changes.push(change), { signal: stop.signal, logger });
    await until('the initial set', 20_000, () => changes.filter(({ kind }) => kind === 'synced').length === 2);
    return {
      source,
      changes,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await running;
      },
    };
  }

  const create = async (name: string, namespace = 'ci', kind: 'TaskRun' | 'PipelineRun' = 'TaskRun'): Promise<RunId> => {
    const spec = kind === 'TaskRun' ? { taskRef: { name: 'x' } } : { pipelineRef: { name: 'x' } };
    const object = { apiVersion: 'tekton.dev/v1', kind, metadata: { name, namespace }, spec };
    const { status, body } = await server.call('POST', `${base}/${namespace}/${kind.toLowerCase()}s`, object);
    assert.equal(status, 201, JSON.stringify(body));
    return { kind, namespace, name, uid: (body as { readonly metadata: { readonly uid: string } }).metadata.uid };
  };
  const complete = async ({ namespace, name }: RunId): Promise<void> => {
    const patch = { status: { completionTime: '2026-01-02T03:04:05Z', conditions: [{ type: 'Succeeded', status: 'True' }] } };
    // Where the status is a subresource it is written there, as Tekton does.
    for (const part of ['', '/status']) await server.call('PATCH', `${base}/${namespace}/taskruns/${name}${part}`, patch);
  };
  const remove = async ({ namespace, name }: RunId): Promise<void> => {
    await server.call('DELETE', `${base}/${namespace}/taskruns/${name}`);
  };
  const isExpired = (): boolean => logs.some((line) => line.includes('"kube.expired"'));
  const told = (changes: readonly Change[], kind: 'seen' | 'gone', name: string): Change | undefined =>
    changes.findLast((change) => change.kind === kind && change.run.name === name);

  it('tells all that exists, in two requests, before it says so', async () => {
    await Promise.all(Array.from({ length: 300 }, async (_, index) => await create(`run-${index}`, 'many')));
    const before_ = requests.length;

    await using watch = await watching(['many']);

    const initial = watch.changes.filter(({ kind }) => kind === 'seen');
    assert.equal(new Set(initial.map((change) => change.kind === 'seen' && change.run.uid)).size, 300);
    assert.ok(initial.every((change) => change.kind === 'seen' && change.isInitial));
    assert.equal(
      watch.changes.findLastIndex(({ kind }) => kind === 'seen') < watch.changes.findLastIndex(({ kind }) => kind === 'synced'),
      true,
    );
    assert.deepEqual(
      requests.slice(before_).map(({ verb, status }) => `${verb} ${status}`),
      ['watch 200', 'watch 200'],
    );
    assert.ok(Date.now() - watch.source.lastEventAt < 20_000);
  });

  it('tells creation, completion and deletion, and gives a completed run without a request', async () => {
    await using watch = await watching(['ci']);
    const id = await create('live');
    const parent = await create('parent', 'ci', 'PipelineRun');
    await create('foreign', 'other');
    await complete(id);
    await until('the completion', 5_000, () => {
      const change = told(watch.changes, 'seen', 'live');
      return change?.kind === 'seen' && change.run.isDone;
    });
    const before_ = requests.length;

    const run = await watch.source.get(id, ctx);
    const pipelineRun = await watch.source.get(parent, ctx);
    assert.ok(run !== undefined && pipelineRun !== undefined);
    const child = await watch.source.relative(pipelineRun, { kind: 'TaskRun', name: 'live' }, ctx);

    assert.deepEqual(child, run);
    assert.deepEqual(run.object['spec'], { taskRef: { kind: 'Task', name: 'x' }, ...(run.object['spec'] as object) });
    assert.equal(run.slim.completedAt, Date.UTC(2026, 0, 2, 3, 4, 5));
    assert.deepEqual(
      requests.slice(before_).map(({ verb, resource }) => `${verb} ${resource}`),
      ['get pipelineruns.tekton.dev'],
    );
    assert.deepEqual((await watch.source.get(id, ctx, { isFresh: true }))?.object, run.object);
    assert.equal(await watch.source.get({ ...id, uid: 'another' }, ctx), undefined);
    assert.equal(await watch.source.relative(pipelineRun, { kind: 'TaskRun', name: 'none' }, ctx), undefined);
    assert.equal(told(watch.changes, 'seen', 'foreign'), undefined);

    await remove(id);
    await until('the deletion', 5_000, () => told(watch.changes, 'gone', 'live') !== undefined);
    const gone = told(watch.changes, 'gone', 'live');
    assert.ok(gone?.kind === 'gone');
    assert.deepEqual(gone.last?.object['status'], run.object['status']);
  });

  it('tells what happened while it was cut off, also when the API server has forgotten its place', async () => {
    const [stays, goes, changes] = [await create('stays'), await create('goes'), await create('changes')];
    await complete(goes);
    await using watch = await watching(['ci']);
    for (const isForgotten of [false, true]) {
      watch.changes.length = 0;
      await proxy.set({ kind: 'refuse' });
      const fresh = await create(`fresh-${isForgotten}`);
      if (isForgotten) await complete(changes);
      else await remove(goes);
      if (isForgotten) {
        await remove(stays);
        // The watch cache of a new process starts at the present: what was before is 410.
        await server.restart();
      }
      await proxy.set({ kind: 'none' });

      const vanished = isForgotten ? 'stays' : 'goes';
      await until(
        'what was missed',
        20_000,
        () => told(watch.changes, 'gone', vanished) !== undefined && told(watch.changes, 'seen', fresh.name) !== undefined,
      );

      const seen = watch.changes.filter((change) => change.kind === 'seen').map(({ run, isInitial }) => `${run.name} ${isInitial}`);
      assert.deepEqual(seen.toSorted(), isForgotten ? ['changes false', `${fresh.name} false`] : [`${fresh.name} false`]);
      assert.equal(isExpired(), isForgotten);
    }
  });
});
