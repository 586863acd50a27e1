import { executedChildren, tasksWithChildren, type TaskWithChildren } from '../extract/children.ts';
import { factsOf, type Facts } from '../extract/facts.ts';
import type { HintRule } from '../extract/mapping.ts';
import type { ChildReference, Family } from '../model/run.ts';

/** A run and what of its children the rules can read. */
export interface FamilyFacts {
  readonly run: Facts;
  /** The pipeline's tasks; undefined for a TaskRun and without `status.pipelineSpec`. */
  readonly tasks: readonly TaskWithChildren[] | undefined;
  /** Children that ran to completion and belong to a task, in the order of the pipeline (chains-provenance 2.6). */
  readonly executed: readonly Facts[];
  readonly unresolved: readonly Unresolved[];
}

/** A child that no statement can describe: it is no TaskRun, or it is gone. The statement says so (design 4.3). */
export interface Unresolved extends ChildReference {
  readonly state: 'not a TaskRun' | 'missing';
}

/** `rules` are `extract.hints`. */
export function factsOfFamily({ run, children }: Family, rules: readonly HintRule[] = []): FamilyFacts {
  const facts = factsOf(run.object, '', rules);
  if (run.kind === 'TaskRun') return { run: facts, tasks: undefined, executed: [], unresolved: [] };
  const found = children.flatMap((child) =>
    child.kind === 'task-run' ? [factsOf(child.run.object, `TaskRun ${child.run.name}: `, rules)] : [],
  );
  const tasks = tasksWithChildren(facts, found);
  const unresolved = children.flatMap((child): readonly Unresolved[] => {
    if (child.kind === 'task-run') return [];
    const { kind, name, pipelineTaskName } = child.reference;
    return [{ kind, name, pipelineTaskName, state: child.kind === 'other' ? 'not a TaskRun' : 'missing' }];
  });
  return { run: facts, tasks, executed: executedChildren(tasks), unresolved };
}
