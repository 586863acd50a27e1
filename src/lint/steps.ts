import { isHintName } from '../extract/near-misses.ts';
import { isList, isObject, objectsAt, textAt, type Json } from '../model/json.ts';
import { mappedNames, type Declaration } from './declared.ts';
import { blockText } from './edits.ts';
import { findingAt, type Finding, type LintOptions } from './finding.ts';
import type { Path } from './source.ts';
import type { TaskDefinition } from './task-definition.ts';

/** What the steps do, as far as their texts tell: what nobody writes, what is written wrongly, and what stays in a step. */
export function stepFindings(task: TaskDefinition, declaration: Declaration, options: LintOptions): readonly Finding[] {
  return [...unwritten(task, declaration), ...badTexts(task, declaration, options), ...unsurfacedSteps(task, declaration, options)];
}

function unwritten(task: TaskDefinition, { results }: Declaration): readonly Finding[] {
  const { object, path, isStepAction } = task;
  const names = unwrittenOf(task);
  return results.flatMap(({ name }, index) => {
    if (!names.has(name)) return [];
    const scope = isStepAction ? 'step.results' : 'results';
    const message = `the result "${name}" is declared, and no step names it`;
    return [
      findingAt('lint.unwritten', object, [...path, 'results', index], { message, fix: `Let a step write it to $(${scope}.${name}.path)` }),
    ];
  });
}

/**
 * The type hints that a task declares and that no step seems to write. Nothing can be said of a step whose text is elsewhere, in a
 * StepAction; a program that knows the path by itself is not seen.
 */
export function unwrittenOf({ spec, isStepAction }: TaskDefinition): ReadonlySet<string> {
  const steps = isStepAction ? [spec] : objectsAt(spec, 'steps');
  if (steps.length === 0 || steps.some((step) => Object.hasOwn(step, 'ref'))) return new Set();
  const parts = steps.map(({ results: _declared, ...rest }) => rest);
  const words = new Set(textsIn(parts, []).flatMap(({ text }) => text.match(/[-\w.]+/g)?.flatMap(namesIn) ?? []));
  const missing = objectsAt(spec, 'results').filter((result) => !Object.hasOwn(result, 'value') && !words.has(textAt(result, 'name')));
  return new Set(missing.map((result) => textAt(result, 'name')).filter(isHintName));
}

/** `results.IMAGE_URL.path` names IMAGE_URL: a result's name may hold dots, so every run of parts counts. */
function namesIn(word: string): readonly string[] {
  const parts = word.split('.').slice(0, 8);
  return parts.flatMap((_, start) => parts.slice(start).map((__, length) => parts.slice(start, start + length + 1).join('.')));
}

interface Text {
  readonly path: Path;
  readonly text: string;
}

/** Every text of a value, with its path. */
function textsIn(value: Json | undefined, path: Path): readonly Text[] {
  if (typeof value === 'string') return [{ path, text: value }];
  if (isList(value)) return value.flatMap((item, index) => textsIn(item, [...path, index]));
  return isObject(value) ? Object.entries(value).flatMap(([name, member]) => textsIn(member, [...path, name])) : [];
}

/** As a shell script or a program text has it, quotes escaped or not. */
const wrongFlag = /isBuildArtifact\\?["']?\s*[:=]\s*(?:true\b|\\?["'](?:True|TRUE|1|yes)\\?["'])/;
const writesLineEnd = /(?:^|[\s;|&($])(?:echo(?!\s+-\w*n)|git\s+(?:rev-parse|log|config|remote|ls-remote|describe))\s/;
const cutsLineEnd = /printf|tr\s+-d|\$\(git\s|`git\s|perl|awk|echo\s+-\w*n/;

function badTexts(
  { object, path, spec, name: task, isStepAction }: TaskDefinition,
  { results }: Declaration,
  options: LintOptions,
): readonly Finding[] {
  const exact = results
    .map(({ name }) => name)
    .filter((name) => [name, ...mappedNames(task, 'result', name, options.hints)].some((hint) => /^CHAINS-GIT_(?:URL|COMMIT)$/.test(hint)));
  const texts = isStepAction ? textsIn(spec, []) : textsIn(spec['steps'], ['steps']);
  return texts.flatMap(({ path: inside, text }) => {
    const place = [...path, ...inside];
    const flag = wrongFlag.exec(text)?.[0];
    const message = 'isBuildArtifact is not written as the text "true": then the output is not used';
    const flags =
      flag === undefined
        ? []
        : [findingAt('lint.flag-type', object, place, { message, fix: 'Write "isBuildArtifact": "true", with the quotes' })];
    return [
      ...flags,
      ...lineEnds(text, exact).map((name) => lineEnd({ object, place, name, scope: isStepAction ? 'step.results' : 'results' })),
    ];
  });
}

/** The results among `names` to which a line of a script writes what ends with a line end. */
function lineEnds(text: string, names: readonly string[]): readonly string[] {
  const lines = text.replaceAll(/\\\r?\n/g, ' ').split('\n');
  return names.filter((name) =>
    lines.some((line) => line.includes(`results.${name}.path`) && /[>|]/.test(line) && writesLineEnd.test(line) && !cutsLineEnd.test(line)),
  );
}

interface Written {
  readonly object: TaskDefinition['object'];
  readonly place: Path;
  readonly name: string;
  readonly scope: string;
}

function lineEnd({ object, place, name, scope }: Written): Finding {
  return findingAt('lint.line-end', object, place, {
    message: `what is written to "${name}" ends with a line end, which stays part of it`,
    fix: `Write it with printf %s "$value" > $(${scope}.${name}.path)`,
  });
}

/** Type hints of inline steps: only slsa/v2alpha4 looks at steps, and their images are never signed. */
function unsurfacedSteps(
  { object, path, spec, isStepAction }: TaskDefinition,
  { results }: Declaration,
  options: LintOptions,
): readonly Finding[] {
  if (isStepAction || options.strict.TaskRun) return [];
  const values = new Set(objectsAt(spec, 'results').map((result) => textAt(result, 'value')));
  return objectsAt(spec, 'steps').flatMap((step, index) => {
    const stepName = textAt(step, 'name');
    return objectsAt(step, 'results').flatMap((result, at) => {
      const name = textAt(result, 'name');
      const value = `$(steps.${stepName}.results.${name})`;
      if (!isHintName(name) || values.has(value) || results.some((declared) => declared.name === name)) return [];
      const { type = 'string', properties } = result;
      const item = {
        name,
        type,
        ...(properties === undefined ? {} : { properties }),
        value: type === 'string' ? value : value.replace(/\)$/, '[*])'),
      };
      const message = `the step "${stepName}" has the result "${name}", and the task does not: only slsa/v2alpha4 looks at steps`;
      const fix = 'Make it a result of the task';
      const edits = stepName === '' ? [] : [{ kind: 'append', object, path: [...path, 'results'], items: [item] } as const];
      return [
        findingAt('lint.step-result', object, [...path, 'steps', index, 'results', at], {
          message,
          fix,
          yaml: blockText({ results: [item] }, 0),
          edits,
        }),
      ];
    });
  });
}
