import { at, objectsAt, textAt, type Json, type JsonObject } from '../model/json.ts';
import type { Hint } from './hint.ts';
import { matchesGlob } from './glob.ts';
import { valueOf } from './value.ts';

/** One entry of `extract.hints`: a result, or a param, of a known task is read as if the task had the result `hint`, too. */
export interface HintRule {
  /** The task's name, with `*` for any text and `?` for one character. */
  readonly task: string;
  readonly from: 'result' | 'param';
  readonly name: string;
  readonly hint: string;
}

/** The names of a TaskRun's task: of its reference, of what its resolver was asked for, and of Tekton's label. None for a PipelineRun. */
export function taskNamesOf(run: JsonObject): readonly string[] {
  if (run['kind'] === 'PipelineRun') return [];
  const names = [...referredNames(at(run, 'spec', 'taskRef')), textAt(run, 'metadata', 'labels', 'tekton.dev/task')];
  return [...new Set(names)].filter((name) => name !== '');
}

/** The names in a `taskRef`: its own, and the resolver's param `name`. */
export function referredNames(reference: Json | undefined): readonly string[] {
  const asked = objectsAt(reference, 'params').filter((param) => textAt(param, 'name') === 'name');
  return [textAt(reference, 'name'), ...asked.map((param) => textAt(param, 'value'))].filter((name) => name !== '');
}

/**
 * Hints that the rules add to a run's results, each with the value and the place of what it was made of. A result that has the hint's own
 * name wins over a rule, and of two rules for one hint the first. They are for extraction only: by-products leave them out.
 */
export function mappedHints(run: JsonObject, { results, prefix }: Own, rules: readonly HintRule[]): readonly Hint[] {
  if (rules.length === 0) return [];
  const names = taskNamesOf(run);
  const taken = new Set(results.map(({ name }) => name));
  const mapped: Hint[] = [];
  for (const { task, from, name, hint } of rules) {
    if (taken.has(hint) || !names.some((known) => matchesGlob(task, known))) continue;
    const source = from === 'result' ? results.findLast((result) => result.name === name) : paramOf(run, name, prefix);
    if (source === undefined) continue;
    mapped.push({ name: hint, value: source.value, where: source.where, mappedFrom: { from, name } });
    taken.add(hint);
  }
  return mapped;
}

/** The results that the run itself has; `prefix` as in `factsOf`. */
interface Own {
  readonly results: readonly Hint[];
  readonly prefix: string;
}

/** As the run gives it, or else as the task's default has it. */
function paramOf(run: JsonObject, name: string, prefix: string): Hint | undefined {
  const isNamed = (param: JsonObject): boolean => textAt(param, 'name') === name;
  const given = objectsAt(run, 'spec', 'params').findLast(isNamed);
  if (given !== undefined) return { name, value: valueOf(given), where: `${prefix}spec.params[${name}]` };
  const declared = objectsAt(run, 'status', 'taskSpec', 'params').findLast(isNamed);
  if (declared === undefined || (at(declared, 'default') ?? null) === null) return undefined;
  return { name, value: valueOf(declared, 'default'), where: `${prefix}status.taskSpec.params[${name}]` };
}
