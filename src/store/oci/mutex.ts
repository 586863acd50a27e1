/** Runs work one after the other for each key, in the order of asking; other keys are not held up. A failure frees its successor. */
export interface KeyedMutex {
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function keyedMutex(): KeyedMutex {
  // Holds only keys with work under way, so it is bounded by the callers' parallelism.
  const tails = new Map<string, Promise<unknown>>();
  return {
    async run(key, work) {
      const mine = (tails.get(key) ?? Promise.resolve()).then(work);
      const tail = mine.catch(() => undefined);
      tails.set(key, tail);
      try {
        return await mine;
      } finally {
        if (tails.get(key) === tail) tails.delete(key);
      }
    },
  };
}
