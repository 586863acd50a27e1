import type { TaskWithChildren } from '../extract/children.ts';
import type { Facts } from '../extract/facts.ts';
import { imageUri } from '../extract/materials.ts';
import { isList, at, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import { resultReferences } from './result-references.ts';
import { reencode } from './reencode.ts';
import { textsOf } from './texts.ts';
import { invocationOf, timeOf, withoutEmpty } from './invocation.ts';
import type { StepJson, TaskJson } from './slsa-v02.ts';

/** `steps` of a TaskRun: each state with the first spec step of its name (chains-provenance 7.3). */
export function buildSteps({ status, steps }: Facts): readonly StepJson[] {
  // The first of a name counts, so the last one that is put in is the first of the list.
  const specSteps = objectsAt(status, 'taskSpec', 'steps');
  const byName = new Map(specSteps.toReversed().map((step) => [textAt(step, 'name'), step]));
  return steps.map(({ name, imageID }) => stepOf(byName.get(name) ?? {}, name, imageID));
}

function stepOf(specStep: JsonObject, name: string, imageID: string): StepJson {
  const script = textAt(specStep, 'script');
  const args = at(specStep, 'args');
  return {
    annotations: null,
    arguments: isList(args) ? textsOf(args) : null,
    entryPoint: script === '' ? textsOf(at(specStep, 'command')).join(' ') : script,
    environment: { container: name, image: imageUri(imageID) },
  };
}

/** `tasks` of a PipelineRun: one entry per child that can be described; null without `status.pipelineSpec` (7.4). */
export function buildTasks(run: Facts, tasks: readonly TaskWithChildren[] | undefined): readonly TaskJson[] | null {
  if (tasks === undefined) return null;
  const serviceAccountName = textAt(run.spec, 'taskRunTemplate', 'serviceAccountName');
  const entries: TaskJson[] = [];
  let last = '';
  for (const { task, isFinally, children } of tasks) {
    const name = textAt(task, 'name');
    const after = children.length === 0 ? [] : afterOf(task, isFinally ? last : '');
    for (const child of children) {
      const steps = pairedSteps(child);
      if (steps === undefined) continue;
      const shared = { name, after, ref: reencode('TaskRef', at(task, 'taskRef')), serviceAccountName, steps };
      entries.push(taskEntry(child, shared));
    }
    if (!isFinally && children.length > 0) last = name;
  }
  return entries;
}

interface Shared {
  readonly name: string;
  readonly after: readonly string[];
  readonly ref: TaskJson['ref'];
  readonly serviceAccountName: string;
  readonly steps: readonly StepJson[];
}

type Described = Pick<TaskJson, 'name' | 'after' | 'serviceAccountName' | 'status' | 'steps' | 'results'>;

function taskEntry(child: Facts, { name, after, ref, serviceAccountName, steps }: Shared): TaskJson {
  const results = objectsAt(child.status, 'results').map((result) => reencode('TaskRunResult', result));
  const status = conditionStatus.get(textAt(objectsAt(child.status, 'conditions')[0], 'status'));
  return {
    ...withoutEmpty<Described>({ name, after, serviceAccountName, status, steps, results }),
    // A child without a start time is described without it.
    ...withoutEmpty<Pick<TaskJson, 'startedOn' | 'finishedOn'>>({
      startedOn: timeOf(child, 'startTime'),
      finishedOn: timeOf(child, 'completionTime'),
    }),
    ref,
    invocation: invocationOf(child, 'taskSpec'),
  };
}

const conditionStatus = new Map([
  ['True', 'Succeeded'],
  ['False', 'Failed'],
  ['Unknown', 'Running'],
]);

/** A child's steps, paired by index; undefined when spec and states do not match, or it did not finish. */
function pairedSteps({ status, steps, isComplete }: Facts): readonly StepJson[] | undefined {
  const hasSpec = typeof at(status, 'taskSpec') === 'object' && at(status, 'taskSpec') !== null;
  const specSteps = objectsAt(status, 'taskSpec', 'steps');
  if (!isComplete || !hasSpec || specSteps.length !== steps.length) return undefined;
  const isMismatched = steps.some(({ name }, index) => name.startsWith('unnamed-') && textAt(specSteps[index], 'name') !== '');
  return isMismatched ? undefined : steps.map(({ name, imageID }, index) => stepOf(specSteps[index] ?? {}, name, imageID));
}

function afterOf(task: JsonObject, last: string): readonly string[] {
  const given = textsOf(at(task, 'runAfter'));
  const known = new Set(given);
  const after = [...given, ...new Set(resultReferences(task).filter((name) => !known.has(name)))];
  return after.length === 0 && last !== '' ? [last] : after;
}
