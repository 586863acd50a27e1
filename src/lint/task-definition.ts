import { objectsAt, textAt, type JsonObject } from '../model/json.ts';
import { resultsOf, type Declaration } from './declared.ts';
import type { LintObject, Path } from './source.ts';

/** A task's spec wherever it stands: a Task, a StepAction, or inline in a pipeline or a run. */
export interface TaskDefinition {
  readonly object: LintObject;
  readonly path: Path;
  readonly spec: JsonObject;
  /** The name that `extract.hints` goes by; empty for what is inline. */
  readonly name: string;
  readonly isStepAction: boolean;
  /** Where the results are asked for by name: `$(tasks.<task>.results…)`, under each path. */
  readonly callers: readonly Caller[];
}

export interface Caller {
  readonly object: LintObject;
  /** Of the pipeline's spec. */
  readonly path: Path;
  readonly task: string;
}

export function declarationOf({ spec, name }: TaskDefinition): Declaration {
  return { kind: 'task', task: name, results: resultsOf(spec), params: objectsAt(spec, 'params') };
}

export function namesOf({ results, params }: Declaration): { readonly results: readonly string[]; readonly params: readonly string[] } {
  return { results: results.map(({ name }) => name), params: params.map((param) => textAt(param, 'name')) };
}
