import type { RunId, SlimRun } from '../model/run.ts';
import type { Context } from '../observe/context.ts';

/** What is to be said on a run. `annotations` come with their full names. */
export interface Marks {
  readonly signed: 'true' | 'failed';
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * `recorded`: the marks stand on the run, as the answer of the write shows. `gone`: the run does not exist any more, which is success.
 * `superseded`: somebody else had marked it meanwhile, and nothing was written.
 */
export type Recorded = { readonly kind: 'recorded' } | { readonly kind: 'gone' } | { readonly kind: 'superseded'; readonly signed: string };

/** What is told to whoever looks at the run with `kubectl describe`. `reason` is CamelCase, `message` at most 1024 characters. */
export interface Notice {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** The only writer of a run's metadata: annotations and finalizers, in one patch at a time. Each call may be repeated. */
export interface Recorder {
  /** Where the marks stand: on the run itself, or, for a run that nobody may edit, in the journal alone. */
  readonly keeps: 'run' | 'journal';
  /** Writes the marks and takes our finalizer off. Throws `record.not-kept` when the write's answer does not show them. */
  record(run: SlimRun, marks: Marks, ctx: Context): Promise<Recorded>;
  /** Puts our finalizer on. */
  hold(run: SlimRun, ctx: Context): Promise<void>;
  /** Takes our finalizer off. */
  release(run: SlimRun, ctx: Context): Promise<void>;
  /** An Event on the run; never throws, for it is no one's success or failure. */
  tell(run: RunId, notice: Notice, ctx: Context): Promise<void>;
}

/** A run from a folder is never edited: its record is the journal's. */
export const journalOnly: Recorder = {
  keeps: 'journal',
  record: async () => await Promise.resolve({ kind: 'gone' }),
  hold: async () => {},
  release: async () => {},
  tell: async () => {},
};
