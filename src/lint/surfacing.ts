import { isHintName } from '../extract/near-misses.ts';
import { objectsAt, textAt, type JsonObject } from '../model/json.ts';
import { judge, type Declaration, type Judgement, type Origin } from './declared.ts';
import { blockText } from './edits.ts';
import { findingAt, type Finding, type LintOptions, type Saying } from './finding.ts';
import { knownTask, rulesFor, textOfRules } from './known-tasks.ts';
import { referencesIn, type PipelineDefinition, type PipelineTask } from './pipeline-tasks.ts';
import { namesOf } from './task-definition.ts';

/** What the pipeline itself declares, and what would become of it. */
export interface Own {
  readonly declaration: Declaration;
  readonly judgement: Judgement;
}

/** Subjects of tasks that the pipeline's results do not have: a PipelineRun's provenance does not speak of them. */
export function unsurfaced(
  pipeline: PipelineDefinition,
  tasks: readonly PipelineTask[],
  { declaration, judgement }: Own,
): readonly Finding[] {
  const asked = new Set(
    objectsAt(pipeline.spec, 'results')
      .filter((result) => isHintName(textAt(result, 'name')))
      .flatMap(referencesIn)
      .map(({ task, result }) => `${task} ${result}`),
  );
  const taken = new Set(declaration.results.map(({ name }) => name));
  const hasSubject = judgement.outcomes.some(({ role }) => role === 'subject');
  return tasks.flatMap((task) =>
    task.outcomes.flatMap(({ role, origins }) => {
      if (role !== 'subject' || origins.some(({ name }) => asked.has(`${task.name} ${name}`))) return [];
      const items = itemsFor(task, origins, taken);
      for (const { name } of items ?? []) taken.add(name);
      return [findingAt('lint.unsurfaced', pipeline.object, task.path, sayingOf({ pipeline, task, origins, items, hasSubject }))];
    }),
  );
}

interface Lost {
  readonly pipeline: PipelineDefinition;
  readonly task: PipelineTask;
  readonly origins: readonly Origin[];
  readonly items: readonly Item[] | undefined;
  readonly hasSubject: boolean;
}

function sayingOf({ pipeline: { object, path }, task, origins, items, hasSubject }: Lost): Saying {
  const names = origins.map(({ name }) => name).join(' and ');
  const then = hasSubject ? 'the provenance of a PipelineRun does not speak of it' : 'a PipelineRun has no subject';
  const message = `the task "${task.name}" makes an image or artifact (${names}) that is no result of the pipeline, so ${then}`;
  const deep = 'set artifacts.pipelinerun.enable-deep-inspection to "true"';
  if (items === undefined) return { message, fix: `It cannot be a result of the pipeline as it is: ${deep}` };
  // A PipelineRun fails when it asks for a result that a task ran without writing.
  const waits = origins.some(({ name }) => task.unwritten.has(name));
  return {
    message,
    fix: waits
      ? `When the steps write them, make them results of the pipeline; or ${deep}`
      : `Make them results of the pipeline, or ${deep}`,
    yaml: blockText({ results: items }, 0),
    edits: waits ? [] : [{ kind: 'append', object, path: [...path, 'results'], items }],
  };
}

interface Item extends JsonObject {
  readonly name: string;
}

/** Results of the pipeline under the names of the hints; undefined when there can be none: of a matrix, of a param, or under a name that is taken. */
function itemsFor(task: PipelineTask, origins: readonly Origin[], taken: ReadonlySet<string>): readonly Item[] | undefined {
  if (Object.hasOwn(task.value, 'matrix') || task.name === '' || origins.some(({ from }) => from === 'param')) return undefined;
  const isTaken = origins.some(({ hint }) => taken.has(hint));
  const items = origins.map(({ name, hint }): Item => {
    const source = task.declaration?.results.find((result) => result.name === name);
    const surfaced = isTaken ? `${task.name}_${hint}` : hint;
    const whole = `${task.section}.${task.name}.results.${name}`;
    return source?.type === 'object'
      ? { name: surfaced, type: 'object', value: `$(${whole}[*])` }
      : { name: surfaced, value: `$(${whole})` };
  });
  const isWhole = origins.some(({ hint }) => hint === 'IMAGES' || hint.startsWith('CHAINS-GIT_'));
  return items.some(({ name }) => taken.has(name)) || (isTaken && isWhole) ? undefined : items;
}

export interface Knowing extends Own {
  readonly options: LintOptions;
}

/** Well-known tasks whose results nobody reads. */
export function knownFindings(
  pipeline: PipelineDefinition,
  tasks: readonly PipelineTask[],
  { declaration, judgement, options }: Knowing,
): readonly Finding[] {
  const taken = new Set(declaration.results.map(({ name }) => name));
  const hasMaterial = judgement.outcomes.some(({ role }) => role === 'material');
  return tasks.flatMap((task) => {
    if (task.declaration === undefined || task.isSure) return [];
    const { task: name } = task.declaration;
    const { object, path } = pipeline;
    const note = knownTask(name)?.note;
    if (note !== undefined) {
      const message = `the well-known task "${name}" tells nobody what it made`;
      return [findingAt('lint.known-task', object, task.path, { message, fix: `To have a subject, ${note}` })];
    }
    const rules = rulesFor(name, namesOf(task.declaration));
    const gained = judge(task.declaration, [...options.hints, ...rules], options.strict.TaskRun).outcomes;
    const isGit = gained.some(({ role }) => role === 'material');
    if (rules.length === 0 || gained.length === task.outcomes.length || (isGit && hasMaterial)) return [];
    const origins = gained.filter(({ role }) => role === 'material').flatMap((outcome) => outcome.origins);
    const items = isGit ? itemsFor(task, origins, taken) : undefined;
    for (const item of items ?? []) taken.add(item.name);
    const mapping = `set extract.hints to "${textOfRules(rules)}"`;
    return [
      findingAt('lint.known-task', object, task.path, {
        message: `nothing reads what the well-known task "${name}" tells in ${rules.map(({ from, name: source }) => `${from} ${source}`).join(' and ')}`,
        fix: items === undefined ? `For its TaskRuns, ${mapping}` : `Make them results of the pipeline; and for its TaskRuns, ${mapping}`,
        yaml: items === undefined ? undefined : blockText({ results: items }, 0),
        edits: items === undefined ? [] : [{ kind: 'append', object, path: [...path, 'results'], items }],
      }),
    ];
  });
}
