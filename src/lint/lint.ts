import { at, isObject, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import { referredNames } from '../extract/mapping.ts';
import { textOfOrigins, type Judgement } from './declared.ts';
import { titleOf, type Finding, type Judged, type LintOptions, type Output, type Report } from './finding.ts';
import { lintPipeline } from './pipeline.ts';
import { hasRun, lintRun } from './run.ts';
import { positionOf, type LintObject, type Path, type Source } from './source.ts';
import { lintTask } from './task.ts';
import type { Caller, TaskDefinition } from './task-definition.ts';

/**
 * What would become of every Tekton object of some files, and what nearly would. The files are seen together: a pipeline knows the tasks
 * that stand in any of them, a PipelineRun its TaskRuns. Pure; findings in the order of the files, then of their lines.
 */
export function lint(sources: readonly Source[], options: LintOptions): Report {
  const objects = sources.flatMap((source) => source.objects);
  const definitions = objects.flatMap(specsOf);
  const tasks = definitions.filter((found) => found.kind === 'task').map((found) => taskOf(found, definitions));
  const named = new Map(tasks.filter(({ name, isStepAction }) => name !== '' && !isStepAction).map((task) => [task.name, task]));
  const judged: Judged[] = [];
  const findings: Finding[] = sources.flatMap(problemsOf);
  for (const task of tasks) {
    const report = lintTask(task, options);
    judged.push(judgedOf(task.object, task.path, outputsOf(report.judgement)));
    findings.push(...report.findings);
  }
  for (const { kind, object, path, spec } of definitions) {
    if (kind !== 'pipeline') continue;
    const inline = new Map(tasks.filter((task) => task.object === object).map((task) => [JSON.stringify(task.path), task]));
    const report = lintPipeline({ object, path, spec, named, inline }, options);
    judged.push(judgedOf(object, path, outputsOf(report.judgement)));
    findings.push(...report.findings);
  }
  for (const object of objects.filter(isRun)) {
    if (!hasRun(object)) continue;
    const { outputs, findings: found } = lintRun(object, objects, options);
    judged.push(judgedOf(object, [], outputs));
    findings.push(...found);
  }
  const order = new Map(sources.map(({ file }, index) => [file, index]));
  const rank = ({ file }: { readonly file: string }): number => order.get(file) ?? 0;
  const inOrder = (one: Judged | Finding, other: Judged | Finding): number =>
    rank(one) - rank(other) || one.line - other.line || one.column - other.column;
  return { judged: judged.toSorted(inOrder), findings: findings.toSorted(inOrder) };
}

/** A spec of a task or a pipeline, wherever it stands. */
interface Spec {
  readonly kind: 'task' | 'pipeline';
  readonly object: LintObject;
  readonly path: Path;
  readonly spec: JsonObject;
}

/** A run that has ended is judged by what it made, and not by what it was asked for. */
function specsOf(object: LintObject): readonly Spec[] {
  const { kind } = object;
  if (isRun(object) && hasRun(object)) return [];
  const isPipeline = kind === 'Pipeline' || kind === 'PipelineRun';
  const path = kind === 'TaskRun' ? ['spec', 'taskSpec'] : kind === 'PipelineRun' ? ['spec', 'pipelineSpec'] : ['spec'];
  const spec = at(object.value, ...path);
  if (!isObject(spec)) return [];
  return isPipeline
    ? [{ kind: 'pipeline', object, path, spec }, ...inlineTasks(object, path, spec)]
    : [{ kind: 'task', object, path, spec }];
}

/** `taskSpec`s of a pipeline; one with an apiVersion is a custom task's. */
function inlineTasks(object: LintObject, path: Path, pipeline: JsonObject): readonly Spec[] {
  return ['tasks', 'finally'].flatMap((section) =>
    objectsAt(pipeline, section).flatMap((task, index): readonly Spec[] => {
      const spec = at(task, 'taskSpec');
      if (!isObject(spec) || textAt(spec, 'apiVersion') !== '') return [];
      return [{ kind: 'task', object, path: [...path, section, index, 'taskSpec'], spec }];
    }),
  );
}

function taskOf({ object, path, spec }: Spec, definitions: readonly Spec[]): TaskDefinition {
  const isNamed = object.kind === 'Task' || object.kind === 'ClusterTask' || object.kind === 'StepAction';
  const name = isNamed ? object.name : '';
  const isStepAction = object.kind === 'StepAction';
  const callers = isStepAction ? [] : definitions.flatMap((pipeline) => callersIn(pipeline, { object, path, name }));
  return { object, path, spec, name, isStepAction, callers };
}

/** The entries of a pipeline that run a task: by its name, or because it stands in them. */
function callersIn({ kind, object, path, spec }: Spec, task: Pick<TaskDefinition, 'object' | 'path' | 'name'>): readonly Caller[] {
  if (kind !== 'pipeline') return [];
  return ['tasks', 'finally'].flatMap((section) =>
    objectsAt(spec, section).flatMap((entry, index) => {
      const isInside = object === task.object && JSON.stringify([...path, section, index, 'taskSpec']) === JSON.stringify(task.path);
      const isNamed = task.name !== '' && referredNames(at(entry, 'taskRef')).includes(task.name);
      const name = textAt(entry, 'name');
      return (isInside || isNamed) && name !== '' ? [{ object, path, task: name }] : [];
    }),
  );
}

function isRun({ kind }: LintObject): boolean {
  return kind === 'TaskRun' || kind === 'PipelineRun';
}

function judgedOf(object: LintObject, path: Path, outputs: readonly Output[]): Judged {
  const place = path.includes('taskSpec') ? ` ${path.join('.')}` : '';
  return { file: object.file, subject: `${titleOf(object)}${place}`, ...positionOf(object, path.length > 1 ? path : []), outputs };
}

function outputsOf({ outcomes }: Judgement): readonly Output[] {
  return outcomes.map(({ role, origins }) => ({ role, what: textOfOrigins(origins) }));
}

function problemsOf({ file, problems }: Source): readonly Finding[] {
  return problems.map(({ line, column, message }) => ({
    rule: 'lint.unreadable',
    file,
    subject: '',
    line,
    column,
    message,
    fix: 'Mend the file',
    yaml: undefined,
    edits: [],
  }));
}
