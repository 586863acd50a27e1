import type { Run, RunKind, SlimRun } from '../model/run.ts';
import type { Bodies } from './bodies.ts';
import { runIn } from './event.ts';
import type { Change } from './source.ts';

/** A run as a list or an event gave it; `line` is the event's whole line, undefined from a list in pages. */
export interface Told {
  readonly run: SlimRun;
  readonly line: Buffer | undefined;
}

/** What is known of the runs of one kind, and the only one who tells the listener: each version once, whatever the server repeats. */
export class KnownRuns {
  readonly #kind: RunKind;
  readonly #bodies: Bodies;
  readonly #tell: (change: Change) => void;
  readonly #runs = new Map<string, SlimRun>();
  #isSynced = false;

  constructor(kind: RunKind, bodies: Bodies, tell: (change: Change) => void) {
    this.#kind = kind;
    this.#bodies = bodies;
    this.#tell = tell;
  }

  get size(): number {
    return this.#runs.size;
  }

  get(namespace: string, name: string): SlimRun | undefined {
    return this.#runs.get(`${namespace}/${name}`);
  }

  see({ run, line }: Told, isInitial = false): void {
    const before = this.get(run.namespace, run.name);
    // The same name with another UID: the deletion in between was missed.
    if (before !== undefined && before.uid !== run.uid) this.#drop(before, this.#lastOf(before));
    if (before?.uid === run.uid && before.resourceVersion === run.resourceVersion) return;
    this.#runs.set(keyOf(run), run);
    if (line !== undefined) this.#keep({ run, line }, 'way');
    else if (!wantsBody(run)) this.#bodies.delete(run.uid);
    this.#tell({ kind: 'seen', run, isInitial });
  }

  /** The event of a deletion has the last state, which may be newer than what is known. */
  forget({ run, line }: Told): void {
    const before = this.get(run.namespace, run.name);
    if (before?.uid !== run.uid) return;
    this.#drop(run, line === undefined ? undefined : runIn(line, run));
  }

  /** What a list gave replaces what is known: what vanished is told as gone, what changed as seen. The first one is the initial set. */
  replace(listed: ReadonlyMap<string, SlimRun>): void {
    for (const [key, before] of this.#runs) {
      if (listed.get(key)?.uid !== before.uid) this.#drop(before, this.#lastOf(before));
    }
    const isInitial = !this.#isSynced;
    for (const run of listed.values()) this.see({ run, line: undefined }, isInitial);
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#tell({ kind: 'synced', runKind: this.#kind });
  }

  /** Keeps the body of a run that a list in progress gave; those that fit, until `abandon` or `replace`. */
  collect(told: Told, into: Map<string, SlimRun>): void {
    into.set(keyOf(told.run), told.run);
    this.#keep(told, 'room');
  }

  /** A run that went while the list was in progress. */
  discard({ run }: Told, from: Map<string, SlimRun>): void {
    from.delete(keyOf(run));
    this.#bodies.delete(run.uid);
  }

  /** A list that failed: the bodies it brought of runs that nobody knows would never be asked for. */
  abandon(collected: ReadonlyMap<string, SlimRun>): void {
    for (const [key, run] of collected) if (this.#runs.get(key)?.uid !== run.uid) this.#bodies.delete(run.uid);
  }

  #keep({ run, line }: Told, make: 'room' | 'way'): void {
    if (line !== undefined && wantsBody(run)) this.#bodies.put(run.uid, { resourceVersion: run.resourceVersion, line }, make);
    else this.#bodies.delete(run.uid);
  }

  #lastOf(run: SlimRun): Run | undefined {
    const line = this.#bodies.get(run.uid, run.resourceVersion);
    return line === undefined ? undefined : runIn(line, run);
  }

  #drop(run: SlimRun, last: Run | undefined): void {
    this.#runs.delete(keyOf(run));
    this.#bodies.delete(run.uid);
    this.#tell({ kind: 'gone', run, last });
  }
}

export function keyOf({ namespace, name }: SlimRun): string {
  return `${namespace}/${name}`;
}

/** Completed and not yet marked: somebody will ask for the whole of it. Marked runs free their place for those that come. */
function wantsBody(run: SlimRun): boolean {
  return run.isDone && run.signed === undefined;
}
