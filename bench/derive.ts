import { payloadOf, plan, type PlanOptions } from '../src/plan.ts';
import type { Family, Run, RunKind } from '../src/model/run.ts';
import { parseJson, type JsonObject } from '../src/model/json.ts';
import { slimOf } from '../src/watch/slim.ts';
import type { BenchOptions } from './backlog.ts';

const seconds = 2;
const artifact = { format: 'slsa/v2alpha4', signers: ['x509'], stores: ['oci'] };
const options: PlanOptions = {
  artifacts: { taskrun: artifact, pipelinerun: artifact, oci: { ...artifact, format: 'simplesigning' } },
  format: { builderId: 'https://tekton.dev/chains/v2', buildType: 'https://tekton.dev/chains/v2/slsa', deepInspection: true },
  redact: { params: [], results: [], tokenShapes: true, salt: '' },
};

/** Payloads per second on one core: extraction, format and serialisation, and what reading and writing the same JSON costs beside it. */
export async function derive({ say }: BenchOptions): Promise<void> {
  const taskRun = runOf('TaskRun', taskRunText('build', 'release-1'));
  const children = Array.from({ length: 50 }, (_, index) => runOf('TaskRun', taskRunText(`task-${index}`, 'release-1')));
  const pipelineRun = runOf('PipelineRun', pipelineRunText(children.map(({ name }) => name)));
  const families: readonly { readonly name: string; readonly family: Family }[] = [
    { name: 'TaskRun', family: { run: taskRun, children: [] } },
    { name: 'PipelineRun of 50 TaskRuns', family: { run: pipelineRun, children: children.map((run) => ({ kind: 'task-run', run })) } },
  ];
  for (const { name, family } of families) {
    const texts = [family.run, ...children.slice(0, family.children.length)].map(({ object }) => JSON.stringify(object));
    const ours = rate(() => {
      const { works, family: clean } = plan(family, options);
      for (const work of works) payloadOf(work, clean, options.format);
    });
    const json = rate(() => texts.forEach((text) => JSON.stringify(JSON.parse(text))));
    const size = texts.reduce((sum, text) => sum + text.length, 0);
    say(
      `${name} (${(size / 1024).toFixed(0)} KB): ${ours.toFixed(0)} runs/s; JSON.parse and JSON.stringify ${json.toFixed(0)}/s; ${(json / ours).toFixed(1)} times as long`,
    );
  }
  await Promise.resolve();
}

function rate(work: () => void): number {
  for (let warm = 0; warm < 50; warm += 1) work();
  const startedAt = performance.now();
  let count = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    work();
    count += 1;
  }
  return count / ((performance.now() - startedAt) / 1000);
}

function runOf(kind: RunKind, object: JsonObject): Run {
  const parsed = slimOf(object, kind);
  if (parsed.kind === 'malformed') throw new Error(parsed.why);
  const { namespace, name, uid } = parsed.run;
  return { kind, namespace, name, uid, slim: parsed.run, object };
}

function taskRunText(name: string, pipeline: string): JsonObject {
  const digest = 'ab'.repeat(32);
  return parseJson(
    JSON.stringify({
      apiVersion: 'tekton.dev/v1',
      kind: 'TaskRun',
      metadata: {
        name,
        namespace: 'bench',
        uid: `uid-${name}`,
        labels: { 'tekton.dev/pipelineTask': name, 'tekton.dev/pipelineRun': pipeline },
      },
      spec: {
        serviceAccountName: 'builder',
        params: Array.from({ length: 12 }, (_, index) => ({ name: `p${index}`, value: 'x'.repeat(60) })),
        taskRef: { name: 'build' },
      },
      status: {
        startTime: '2026-05-04T10:00:00Z',
        completionTime: '2026-05-04T10:02:00Z',
        conditions: [{ type: 'Succeeded', status: 'True' }],
        taskSpec: { steps: Array.from({ length: 5 }, (_, index) => ({ name: `s${index}`, image: 'i', script: 'echo '.repeat(200) })) },
        steps: Array.from({ length: 5 }, (_, index) => ({
          name: `s${index}`,
          container: `step-s${index}`,
          imageID: `builder.example/s${index}@sha256:${digest}`,
        })),
        results: [
          { name: 'IMAGE_URL', type: 'string', value: `registry.example/bench/${name}` },
          { name: 'IMAGE_DIGEST', type: 'string', value: `sha256:${digest}` },
          { name: 'CHAINS-GIT_URL', type: 'string', value: 'https://git.example/a/b' },
          { name: 'CHAINS-GIT_COMMIT', type: 'string', value: 'c'.repeat(40) },
        ],
      },
    }),
  ) as JsonObject;
}

function pipelineRunText(children: readonly string[]): JsonObject {
  return parseJson(
    JSON.stringify({
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: { name: 'release-1', namespace: 'bench', uid: 'uid-release-1' },
      spec: { pipelineRef: { name: 'release' } },
      status: {
        startTime: '2026-05-04T10:00:00Z',
        completionTime: '2026-05-04T11:00:00Z',
        conditions: [{ type: 'Succeeded', status: 'True' }],
        childReferences: children.map((name) => ({ kind: 'TaskRun', name, pipelineTaskName: name })),
        pipelineSpec: { tasks: children.map((name) => ({ name, taskRef: { name: 'build' } })) },
      },
    }),
  ) as JsonObject;
}
