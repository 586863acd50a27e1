import { at, isObject, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import type { Facts } from './facts.ts';

/** A task of a pipeline with the children that ran for it, in `childReferences` order. */
export interface TaskWithChildren {
  readonly task: JsonObject;
  readonly isFinally: boolean;
  readonly children: readonly Facts[];
}

/**
 * The pipeline's `tasks`, then its `finally`, in document order, each with its children, complete or not (chains-provenance
 * 2.6). Undefined without `status.pipelineSpec`. A child whose label names no task belongs to none.
 */
export function tasksWithChildren(run: Facts, children: readonly Facts[]): readonly TaskWithChildren[] | undefined {
  const spec = at(run.status, 'pipelineSpec');
  if (!isObject(spec)) return undefined;
  const byTask = Map.groupBy(children, (child) => at(child.metadata, 'labels', 'tekton.dev/pipelineTask'));
  const withChildren = (isFinally: boolean) => (task: JsonObject) => {
    return { task, isFinally, children: byTask.get(textAt(task, 'name')) ?? [] };
  };
  return [...objectsAt(spec, 'tasks').map(withChildren(false)), ...objectsAt(spec, 'finally').map(withChildren(true))];
}

/** The children that ran to completion, in the order of the pipeline. */
export function executedChildren(tasks: readonly TaskWithChildren[] | undefined): readonly Facts[] {
  return (tasks ?? []).flatMap(({ children }) => children.filter((child) => child.isComplete));
}
