import type { Drop } from '../model/artifact.ts';

/** Every drop of a value that `redact.*` keeps back has these words. */
export const redactedDrop = {
  rule: 'extract.redacted',
  why: 'its value is redacted, so it says nothing any more about what was used or made',
  fix: 'Name fewer params and results in redact.params and redact.results, or keep secrets out of the value',
} as const satisfies Partial<Drop>;

/** Collects what was not used, each (place, rule, value) once: several formats and lists look at the same result. */
export class Drops {
  readonly #seen = new Map<string, Drop>();

  add(drop: Drop): void {
    // A name is part of the place, and may be of any length.
    const isLong = drop.value.length > 200 || drop.result.length > 400;
    const short = isLong
      ? { ...drop, value: drop.value.slice(0, 200).toWellFormed(), result: drop.result.slice(0, 400).toWellFormed() }
      : drop;
    const key = `${short.result}\n${short.rule}\n${short.value}`;
    // Bounded, because a run has bounded results but strangers write them: 1000 reasons are enough to start mending.
    if (this.#seen.size < 1000 && !this.#seen.has(key)) this.#seen.set(key, short);
  }

  get all(): readonly Drop[] {
    return [...this.#seen.values()];
  }
}
