import { meantHint } from '../extract/near-misses.ts';
import { at, isObject, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import { judge, type Declaration, type Declared, type Judgement } from './declared.ts';
import { blockText } from './edits.ts';
import { findingAt, type Edit, type Finding, type LintOptions } from './finding.ts';
import { declaredIn, referencesIn, tasksOf, type PipelineDefinition, type PipelineTask } from './pipeline-tasks.ts';
import type { LintObject, Path } from './source.ts';
import { knownFindings, unsurfaced } from './surfacing.ts';
import { partnerOf, placeOf } from './task-drops.ts';

export interface PipelineReport {
  readonly judgement: Judgement;
  readonly findings: readonly Finding[];
}

/** Everything that can be said of a pipeline without running it. */
export function lintPipeline(pipeline: PipelineDefinition, options: LintOptions): PipelineReport {
  const tasks = tasksOf(pipeline, options);
  const declaration = pipelineDeclaration(pipeline, tasks);
  const judgement = judge(declaration, [], options.strict.PipelineRun);
  const deep = options.deepInspection ? tasks.flatMap(({ outcomes }) => outcomes) : [];
  const findings = [
    ...dropFindings(pipeline, { declaration, tasks, judgement }),
    ...referenceFindings(pipeline, tasks),
    ...(options.deepInspection ? [] : unsurfaced(pipeline, tasks, { declaration, judgement })),
    ...knownFindings(pipeline, tasks, { declaration, judgement, options }),
  ];
  return { judgement: { ...judgement, outcomes: [...judgement.outcomes, ...deep] }, findings };
}

/** A pipeline's results as Tekton would fill them in: what is asked for as a whole (`[*]`) has the type of what it is. */
function pipelineDeclaration({ spec }: PipelineDefinition, tasks: readonly PipelineTask[]): Declaration {
  const results = objectsAt(spec, 'results').map((result): Declared => {
    const name = textAt(result, 'name');
    const asked = referencesIn(result);
    const whole = asked.length === 1 && asked[0]?.part === '[*]' ? asked[0] : undefined;
    if (whole === undefined)
      return { name, type: isObject(at(result, 'value')) ? 'object' : 'string', members: membersOf(at(result, 'value')) };
    const source = declaredIn(tasks, whole);
    const isArray = source?.type === 'array' || textAt(result, 'type') === 'array';
    const members = source !== undefined && source.members.length > 0 ? source.members : ['uri', 'digest', 'isBuildArtifact'];
    return isArray ? { name, type: 'array', members: [] } : { name, type: 'object', members };
  });
  return { kind: 'pipeline', task: '', results, params: objectsAt(spec, 'params') };
}

function membersOf(value: ReturnType<typeof at>): readonly string[] {
  return isObject(value) ? Object.keys(value) : [];
}

interface Judging {
  readonly declaration: Declaration;
  readonly tasks: readonly PipelineTask[];
  readonly judgement: Judgement;
}

function dropFindings({ object, path, spec }: PipelineDefinition, { declaration, tasks, judgement }: Judging): readonly Finding[] {
  const meant = new Set(declaration.results.map(({ name }) => meantHint(name)?.name));
  return judgement.drops.flatMap((drop) => {
    const place = placeOf(drop, declaration.results);
    const say = (
      inside: Path,
      message: string,
      more: { readonly fix: string; readonly yaml?: string; readonly edits?: readonly Edit[] },
    ) => [findingAt(drop.rule, object, inside, { message, ...more })];
    if (place === undefined) return say(path, `the git source is not used: ${drop.why}`, { fix: drop.fix });
    const inside = [...path, 'results', place.index];
    const { name } = place;
    const result = objectsAt(spec, 'results')[place.index] ?? {};
    if (drop.rule === 'extract.near-miss') {
      const wanted = meantHint(name)?.name ?? name;
      const isFree = wanted.length >= name.length - 1 && !declaration.results.some((other) => other.name === wanted);
      const edits: readonly Edit[] = isFree ? [{ kind: 'set', object, path: [...inside, 'name'], text: wanted }] : [];
      return say(inside, `the pipeline result "${name}" looks like "${wanted}", but ${drop.why}`, { fix: drop.fix, edits });
    }
    if (drop.rule === 'extract.object-hint') return say(inside, ...wholeObject(object, inside, { name, result, tasks }));
    const partner = partnerOf(name);
    const isHalf = drop.rule === 'extract.incomplete-pair' || drop.rule === 'extract.incomplete-git';
    if (!isHalf || partner === undefined) return say(inside, `the pipeline result "${name}" is not used: ${drop.why}`, { fix: drop.fix });
    if (meant.has(partner)) return [];
    const item = partnerItem(result, partner, tasks);
    const isThere = declaration.results.some((other) => other.name === partner);
    return say(inside, `the pipeline result "${name}" is not used: ${drop.why}`, {
      fix: `Give the pipeline the result "${partner}", too`,
      yaml: blockText({ results: [item ?? { name: partner, value: '$(tasks.NAME.results.RESULT)' }] }, 0),
      edits: item === undefined || isThere ? [] : [{ kind: 'append', object, path: [...path, 'results'], items: [item] }],
    });
  });
}

interface Asked {
  readonly name: string;
  readonly result: JsonObject;
  readonly tasks: readonly PipelineTask[];
}

/** An object is asked for with `[*]`. */
function wholeObject(object: LintObject, path: Path, { name, result, tasks }: Asked) {
  const [asked, ...more] = referencesIn(result);
  const value = textAt(result, 'value');
  const isObjectThere = asked !== undefined && more.length === 0 && asked.part === '' && declaredIn(tasks, asked)?.type !== 'array';
  const whole = isObjectThere && value === asked.text ? `${asked.text.slice(0, -1)}[*])` : undefined;
  const typeEdit: Edit = Object.hasOwn(result, 'type')
    ? { kind: 'set', object, path: [...path, 'type'], text: 'object' }
    : { kind: 'put', object, path, name: 'type', value: 'object' };
  const edits: readonly Edit[] = whole === undefined ? [] : [typeEdit, { kind: 'set', object, path: [...path, 'value'], text: whole }];
  const yaml = blockText([{ name, type: 'object', value: whole ?? '$(tasks.NAME.results.RESULT[*])' }], 0);
  return [
    `the pipeline result "${name}" is not used: it must be an object with uri and digest`,
    { fix: "Declare it with type: object, and ask for the whole of a task's result with [*]", yaml, edits },
  ] as const;
}

/** The other half of a pair, from the same task, if that task has it. */
function partnerItem(result: JsonObject, partner: string, tasks: readonly PipelineTask[]): JsonObject | undefined {
  const [asked] = referencesIn(result);
  const other = asked === undefined ? undefined : partnerOf(asked.result);
  const task = tasks.find(({ name }) => name === asked?.task);
  if (asked === undefined || other === undefined || task?.declaration?.results.some(({ name }) => name === other) !== true)
    return undefined;
  // A PipelineRun fails when it asks for a result that a task ran without writing.
  if (task.unwritten.has(other)) return undefined;
  return { name: partner, value: `$(${task.section}.${task.name}.results.${other})` };
}

function referenceFindings({ object, path, spec }: PipelineDefinition, tasks: readonly PipelineTask[]): readonly Finding[] {
  return objectsAt(spec, 'results').flatMap((result, index) => {
    const name = textAt(result, 'name');
    const inside = [...path, 'results', index];
    return referencesIn(result).flatMap((asked): readonly Finding[] => {
      const task = tasks.find((one) => one.name === asked.task);
      const saying = (message: string, fix: string) => ({
        message: `the pipeline result "${name}" asks for ${asked.text}: ${message}`,
        fix,
      });
      if (task === undefined)
        return [findingAt('lint.missing-task', object, inside, saying(`there is no task "${asked.task}"`, 'Name a task of the pipeline'))];
      if (task.section !== asked.section) {
        const right = asked.text.replace(/^\$\(\w+\./, `$(${task.section}.`);
        const edits: readonly Edit[] = [
          { kind: 'set', object, path: [...inside, 'value'], text: textAt(result, 'value').replaceAll(asked.text, right) },
        ];
        const message = `"${asked.task}" is one of ${task.section}`;
        return [
          findingAt('lint.finally-result', object, inside, { ...saying(message, `Write ${right}`), yaml: `value: ${right}\n`, edits }),
        ];
      }
      if (!task.isSure || task.declaration === undefined || task.declaration.results.some((one) => one.name === asked.result)) return [];
      const there = task.declaration.results.map((one) => one.name).join(', ');
      const message = `the task has no result "${asked.result}"`;
      return [
        findingAt(
          'lint.missing-result',
          object,
          inside,
          saying(message, there === '' ? 'Declare it in the task' : `Ask for one of ${there}`),
        ),
      ];
    });
  });
}
