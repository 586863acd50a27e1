import { watch, type FSWatcher } from 'node:fs';

/** The kernel gives a user some thousand watches; what is not watched is found by looking every few seconds. */
const maxFolders = 512;

/** Watches folders, each for itself: one kernel watch for each folder, where the recursive kind of Node takes one for each file. */
export class FolderWatchers implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #wake: () => void;

  /** `wake` is called for any change in any folder, often several times for one. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** From now on these folders. One that cannot be watched is left to the next look. */
  follow(folders: readonly string[]): void {
    const wanted = new Set(folders.slice(0, maxFolders));
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#open(folder);
  }

  #open(folder: string): void {
    try {
      const watcher = watch(folder, () => {
        this.#wake();
      });
      watcher.on('error', () => {
        watcher.close();
        this.#watchers.delete(folder);
      });
      this.#watchers.set(folder, watcher);
    } catch {
      // No watches left, or the folder has just gone: looking every few seconds is enough.
    }
  }

  [Symbol.dispose](): void {
    this.follow([]);
  }
}
