import { executedChildren, tasksWithChildren, type TaskWithChildren } from '../extract/children.ts';
import { factsOf, type Facts } from '../extract/facts.ts';
import type { HintRule } from '../extract/mapping.ts';
import type { Family } from '../model/run.ts';
import type { UnresolvedJson } from './slsa-v02.ts';

/** A run and what of its children the rules can read. */
export interface FamilyFacts {
  readonly run: Facts;
  /** The pipeline's tasks; undefined for a TaskRun and without `status.pipelineSpec`. */
  readonly tasks: readonly TaskWithChildren[] | undefined;
  /** Children that ran to completion and belong to a task, in the order of the pipeline (chains-provenance 2.6). */
  readonly executed: readonly Facts[];
  /** Children that no statement can describe: they are no TaskRuns, or they are gone. The statement says so (design 4.3). */
  readonly unresolved: readonly UnresolvedJson[];
}

/** `rules` are `extract.hints`. */
export function factsOfFamily({ run, children }: Family, rules: readonly HintRule[] = []): FamilyFacts {
  const facts = factsOf(run.object, '', rules);
  if (run.kind === 'TaskRun') return { run: facts, tasks: undefined, executed: [], unresolved: [] };
  const found = children.flatMap((child) =>
    child.kind === 'task-run' ? [factsOf(child.run.object, `TaskRun ${child.run.name}: `, rules)] : [],
  );
  const tasks = tasksWithChildren(facts, found);
  const unresolved = children.flatMap((child): readonly UnresolvedJson[] => {
    if (child.kind === 'task-run') return [];
    const { kind, apiVersion, name, pipelineTaskName } = child.reference;
    const version = apiVersion === undefined || apiVersion === '' ? {} : { apiVersion };
    return [{ kind, ...version, name, pipelineTaskName, state: child.kind === 'other' ? 'not a TaskRun' : 'missing' }];
  });
  return { run: facts, tasks, executed: executedChildren(tasks), unresolved };
}
