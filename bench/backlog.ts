import { cp, readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { openKubeClient } from '../src/kube/client.ts';
import { openKubeconfig } from '../src/kube/kubeconfig.ts';
import { patchObject } from '../src/kube/objects.ts';
import type { Context } from '../src/observe/context.ts';
import { demand, newTaskRun, startCluster, succeeded, type Cluster, type Controller } from '../test/integration/cluster.ts';
import { output } from '../test/servers/command.ts';

export interface BenchOptions {
  readonly runs: number;
  /** Measure what `tsc` makes, in the image's environment, and not the checkout. */
  readonly isBuilt: boolean;
  /** Measure only what has this in its name; empty text for all. */
  readonly only: string;
  readonly say: (line: string) => void;
}

const root = path.join(import.meta.dirname, '..');
const parallel = 16;
const namespaces = ['bench', 'bare'] as const;
/** What a TaskRun of a real pipeline weighs. */
const runBytes = 8 * 1024;

/** A backlog of completed TaskRuns: signed by the controller in one namespace, patched by a bare client in another, one after the other. */
export async function backlog({ runs, isBuilt, say }: BenchOptions): Promise<void> {
  const ctx: Context = { signal: AbortSignal.timeout(30 * 60_000), logger: pino({ level: 'silent' }) };
  await using cluster = await startCluster({ 'artifacts.taskrun.format': 'slsa/v2alpha4', 'artifacts.taskrun.storage': 'tekton' }, false);
  const how = isBuilt ? { program: await built(cluster.dir), env: { MALLOC_ARENA_MAX: '2' } } : {};
  say(`creating 2 x ${runs} completed TaskRuns of ${runBytes / 1024} KB`);
  for (const namespace of namespaces)
    await demand(cluster.api.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } }), 'make a namespace');
  for (const namespace of namespaces) await fill(cluster, namespace, runs);

  const startedAt = performance.now();
  await using controller = await cluster.startController(['--namespace', namespaces[0]], how);
  const ready = { seconds: (performance.now() - startedAt) / 1000, busy: await busySeconds(controller.pid) };
  await untilSigned(runs, controller);
  const ours = runs / ((performance.now() - startedAt) / 1000);
  const text = await controller.metrics();
  const calls = sumOf(text, 'chainsmith_kube_requests_total', /verb="(?!watch)/);
  const memory = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${controller.pid}/status`, 'utf8'))?.[1];
  const busy = await busySeconds(controller.pid);
  await controller[Symbol.asyncDispose]();

  const sample = (await demand(cluster.api.call('GET', taskRunPath(namespaces[0], 0)), 'read a signed run')) as {
    metadata: { annotations: Record<string, string> };
  };
  const bare = await bareRate(cluster, { runs, annotations: sample.metadata.annotations }, ctx);
  say(
    `controller   ${ours.toFixed(1)} runs/s from start of the process, ${(calls / runs).toFixed(2)} API calls a run, ${(Number(memory) / 1024).toFixed(0)} MB peak resident memory, ${(((busy - ready.busy) * 1000) / runs).toFixed(2)} ms of CPU a run, ready after ${ready.seconds.toFixed(1)} s and ${ready.busy.toFixed(1)} s of CPU`,
  );
  say(`bare client  ${bare.one.toFixed(1)} runs/s with one write a run, ${bare.two.toFixed(1)} runs/s with two`);
  say(
    `ratio        ${((100 * ours) / bare.one).toFixed(0)} % of one write a run, which is what a backlog takes; ${((100 * ours) / bare.two).toFixed(0)} % of two`,
  );
}

/** A look at the metrics costs the controller some milliseconds: often only when it is about to end. */
async function untilSigned(runs: number, controller: Controller): Promise<void> {
  const giveUp = Date.now() + 20 * 60_000;
  for (let signed = 0; signed < runs;) {
    if (Date.now() > giveUp) throw new Error(`Cannot wait any longer: ${signed} of ${runs} runs are signed`);
    await sleep(signed < 0.9 * runs ? 500 : 20);
    signed = sumOf(await controller.metrics(), 'watcher_taskrun_marked_signed_total');
  }
}

/** Compiles into a folder as the Dockerfile does; gives the program. */
async function built(dir: string): Promise<string> {
  const out = path.join(dir, 'dist');
  await output(process.execPath, [
    path.join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    path.join(root, 'tsconfig.build.json'),
    '--outDir',
    out,
  ]);
  await cp(path.join(root, 'config'), path.join(out, 'config'), { recursive: true });
  await cp(path.join(root, 'package.json'), path.join(dir, 'package.json'));
  await symlink(path.join(root, 'node_modules'), path.join(dir, 'node_modules'));
  return path.join(out, 'src/cli/chainsmith.js');
}

async function fill(cluster: Cluster, namespace: string, runs: number): Promise<void> {
  const image = { repository: 'registry.example/bench/app', digest: `sha256:${'ab'.repeat(32)}` };
  const script = '#!/bin/sh\n# '.padEnd(runBytes - 1400, 'all work and no play ');
  const more = {
    taskSpec: { steps: [{ name: 'build', image: 'builder.example/build', script }] },
    steps: [{ name: 'build', container: 'step-build', imageID: `builder.example/build@sha256:${'cd'.repeat(32)}` }],
  };
  await eachOf(runs, async (index) => {
    await demand(cluster.api.call('POST', taskRunsPath(namespace), newTaskRun(`run-${index}`)), 'make a run');
    const status = succeeded(undefined, { ...more, results: [{ name: 'IMAGE_NAME', type: 'string', value: image.repository }] });
    await demand(cluster.api.call('PATCH', `${taskRunPath(namespace, index)}/status`, status), 'complete a run');
  });
}

/** The same annotations by the same kind of write, with nothing else to do. */
async function bareRate(
  cluster: Cluster,
  { runs, annotations }: { readonly runs: number; readonly annotations: Readonly<Record<string, string>> },
  ctx: Context,
): Promise<{ readonly one: number; readonly two: number }> {
  await using client = openKubeClient({ access: await openKubeconfig({ path: cluster.api.kubeconfig }, ctx) });
  const write = async (metadata: object): Promise<number> => {
    const startedAt = performance.now();
    await eachOf(runs, async (index) => {
      const key = { resource: 'taskruns', namespace: namespaces[1], name: `run-${index}` } as const;
      await patchObject(client, { key, patch: { metadata } }, ctx);
    });
    return (performance.now() - startedAt) / 1000;
  };
  const first = await write({ finalizers: ['chains.tekton.dev/taskrun'] });
  const second = await write({ annotations, finalizers: [] });
  return { one: runs / second, two: runs / (first + second) };
}

/** CPU time of a process and all its threads: what it costs, however loaded the machine is. Linux counts it in hundredths of a second. */
async function busySeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function taskRunsPath(namespace: string): string {
  return `/apis/tekton.dev/v1/namespaces/${namespace}/taskruns`;
}

function taskRunPath(namespace: string, index: number): string {
  return `${taskRunsPath(namespace)}/run-${index}`;
}

function sumOf(text: string, name: string, labels = /./): number {
  const lines = text.split('\n').filter((line) => (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && labels.test(line));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function eachOf(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (let index = next++; index < count; index = next++) await work(index);
    }),
  );
}
