import type { ArtifactKind } from './artifact.ts';
import type { JsonObject } from './json.ts';

export type RunKind = 'TaskRun' | 'PipelineRun';

/** TaskRun and PipelineRun share code and differ in this row. */
export interface RunKindRow {
  readonly plural: string;
  readonly artifact: ArtifactKind;
  /** The same finalizer as Tekton Chains has, so that a cluster can move (chains-controller 1.5). */
  readonly finalizer: string;
  /** Prefix of the short key. */
  readonly key: string;
}

export const runKinds = {
  TaskRun: { plural: 'taskruns', artifact: 'taskrun', finalizer: 'chains.tekton.dev/taskrun', key: 'taskrun' },
  PipelineRun: { plural: 'pipelineruns', artifact: 'pipelinerun', finalizer: 'chains.tekton.dev/pipelinerun', key: 'pipelinerun' },
} as const satisfies Record<RunKind, RunKindRow>;

export interface RunId {
  readonly kind: RunKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Only what identifies a run, of whatever knows more about it. */
export function idOf({ kind, namespace, name, uid }: RunId): RunId {
  return { kind, namespace, name, uid };
}

/** What the watch keeps of every known run: some 300 bytes instead of 20 KB. Times are milliseconds since the epoch. */
export interface SlimRun extends RunId {
  readonly resourceVersion: string;
  readonly createdAt: number | undefined;
  /** The condition `Succeeded` exists and its status is not `Unknown` (chains-provenance 1.3). */
  readonly isDone: boolean;
  readonly completedAt: number | undefined;
  readonly isDeleting: boolean;
  /** All finalizers, ours and others', as listed: whoever writes one must write the whole list. */
  readonly finalizers: readonly string[];
  /** The annotation `chains.tekton.dev/signed`, whatever its value. */
  readonly signed: string | undefined;
  readonly managedBy: string | undefined;
  /** Name of the PipelineRun that controls it. */
  readonly owner: string | undefined;
}

/** A run with its whole object, as the API server or a file gave it. */
export interface Run extends RunId {
  readonly slim: SlimRun;
  readonly object: JsonObject;
}

/** One entry of a PipelineRun's `status.childReferences`, and what was found behind it. */
export type Child =
  | { readonly kind: 'task-run'; readonly run: Run }
  | { readonly kind: 'other'; readonly reference: ChildReference }
  | { readonly kind: 'missing'; readonly reference: ChildReference };

export interface ChildReference {
  readonly kind: string;
  /** Absent when the reference has none. */
  readonly apiVersion?: string;
  readonly name: string;
  readonly pipelineTaskName: string;
}

/** A run and, for a PipelineRun, its children in `childReferences` order. A TaskRun has none. */
export interface Family {
  readonly run: Run;
  /** The PipelineRun that controls a TaskRun, where it was looked up and is there. */
  readonly owner?: Run;
  readonly children: readonly Child[];
}
