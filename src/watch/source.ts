import type { RunId, RunKind, Run, SlimRun } from '../model/run.ts';
import type { Context } from '../observe/context.ts';

/**
 * What happened to a run. `gone` carries the last state that was seen of it, whole when the source still had it.
 * `synced` comes once per kind when everything that already existed has been told.
 */
export type Change =
  | { readonly kind: 'seen'; readonly run: SlimRun; readonly isInitial: boolean }
  | { readonly kind: 'gone'; readonly run: SlimRun; readonly last: Run | undefined }
  | { readonly kind: 'synced'; readonly runKind: RunKind };

/** Where runs come from. */
export interface Source {
  /** Tells changes until the signal aborts, then returns. A listener must not throw. Trouble is retried inside, with back-off. */
  watch(listener: (change: Change) => void, ctx: Context): Promise<void>;
  /**
   * The run at its newest known version; undefined when it does not exist, or exists with another UID.
   * `isFresh`: asked for at its origin, whatever is known here.
   */
  get(id: RunId, ctx: Context, how?: { readonly isFresh: boolean }): Promise<Run | undefined>;
  /** A TaskRun that a PipelineRun names as its child, or a PipelineRun that a TaskRun names as its owner; undefined when it does not exist. */
  relative(of: Run, who: { readonly kind: RunKind; readonly name: string }, ctx: Context): Promise<Run | undefined>;
  /** When the last sign of life came from the other side, milliseconds since the epoch, for readiness. */
  readonly lastEventAt: number;
}
