import type { Drop } from '../model/artifact.ts';

/** Collects what was not used, each (place, rule, value) once: several formats and lists look at the same result. */
export class Drops {
  readonly #seen = new Map<string, Drop>();

  add(drop: Drop): void {
    const short = drop.value.length > 200 ? { ...drop, value: drop.value.slice(0, 200).toWellFormed() } : drop;
    const key = `${short.result}\n${short.rule}\n${short.value}`;
    // Bounded, because a run has bounded results but strangers write them: 1000 reasons are enough to start mending.
    if (this.#seen.size < 1000 && !this.#seen.has(key)) this.#seen.set(key, short);
  }

  get all(): readonly Drop[] {
    return [...this.#seen.values()];
  }
}
