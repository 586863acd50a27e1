import { sep } from 'node:path';
import type { SlimRun } from '../model/run.ts';
import type { Problem } from './manifest.ts';
import type { Reading } from './run-files.ts';
import type { Listed, Listing } from './run-listing.ts';
import type { Change } from './source.ts';

/** What is kept of a run: not its object. */
export interface Entry {
  readonly slim: SlimRun;
  readonly digest: string;
  readonly line: number;
  readonly file: string;
}

/** Something to report, once. */
export interface Report extends Problem {
  readonly file: string;
}

interface KnownFile {
  readonly stamp: string;
  readonly contentDigest: string;
  readonly isSound: boolean;
  readonly entries: readonly Entry[];
}

/** What all files hold, and what of it has been told. Does no I/O and knows no time. */
export class FileIndex {
  readonly #files = new Map<string, KnownFile>();
  #told: ReadonlyMap<string, Entry> = new Map();
  #reported: ReadonlySet<string> = new Set();

  /** Whether this version of the file has been taken in. */
  isCurrent({ path, stamp }: Listed): boolean {
    return this.#files.get(path)?.stamp === stamp;
  }

  /** The run that was told with this UID; `isSound`: its file was understood, all of it; `stamp`: the version of the file. */
  find(uid: string): (Entry & { readonly stamp: string; readonly isSound: boolean }) | undefined {
    const entry = this.#told.get(uid);
    const file = entry && this.#files.get(entry.file);
    return file && { ...entry, stamp: file.stamp, isSound: file.isSound };
  }

  /**
   * Takes in what a file holds now. Of a file that is not understood, all of it, what was known stays: a run is not gone because a line after it
   * is broken. Gives what is to be reported: nothing when the content is the same as before.
   */
  take({ file, stamp, contentDigest, runs, problems }: Reading): readonly Report[] {
    const before = this.#files.get(file);
    const isSound = problems.length === 0;
    const entries = runs.map(({ slim, digest, line }): Entry => ({ slim, digest, line, file }));
    const uids = new Set(entries.map(({ slim }) => slim.uid));
    const kept = isSound ? [] : (before?.entries ?? []).filter(({ slim }) => !uids.has(slim.uid));
    this.#files.set(file, { stamp, contentDigest, isSound, entries: [...entries, ...kept] });
    return before?.contentDigest === contentDigest ? [] : problems.map((problem) => ({ file, ...problem }));
  }

  /** Forgets files that are not there any more. What is there and could not be looked at stays as it was. */
  retain({ files, unknown }: Listing): void {
    const present = new Set(files.map(({ path }) => path));
    for (const path of this.#files.keys()) {
      const isUnknown = unknown.some(({ path: above, isThere }) => isThere && (path === above || path.startsWith(`${above}${sep}`)));
      if (!present.has(path) && !isUnknown) this.#files.delete(path);
    }
  }

  /**
   * What changed since the last time, gone before seen, and what stands in two files: the first by path counts. `others` are reports that hold as long
   * as they are repeated; each is given once.
   */
  settle(isInitial: boolean, others: readonly Report[]): { readonly changes: readonly Change[]; readonly reports: readonly Report[] } {
    const { chosen, repeated } = this.#choose();
    const gone = [...this.#told.values()].filter(({ slim }) => !chosen.has(slim.uid));
    const seen = [...chosen.values()].filter(({ slim, digest }) => this.#told.get(slim.uid)?.digest !== digest);
    this.#told = chosen;
    const held = [...others, ...repeated].map((report) => ({ report, key: `${report.file}\n${report.message}` }));
    const reports = held.filter(({ key }) => !this.#reported.has(key)).map(({ report }) => report);
    this.#reported = new Set(held.map(({ key }) => key));
    const changes: readonly Change[] = [
      ...gone.map(({ slim }): Change => ({ kind: 'gone', run: slim, last: undefined })),
      ...seen.map(({ slim }): Change => ({ kind: 'seen', run: slim, isInitial })),
    ];
    return { changes, reports };
  }

  #choose(): { readonly chosen: ReadonlyMap<string, Entry>; readonly repeated: readonly Report[] } {
    const chosen = new Map<string, Entry>();
    const names = new Map<string, Entry>();
    const repeated: Report[] = [];
    for (const path of [...this.#files.keys()].toSorted()) {
      for (const entry of this.#files.get(path)?.entries ?? []) {
        const { kind, namespace, name, uid } = entry.slim;
        const label = `${kind} ${namespace}/${name}`;
        const first = chosen.get(uid) ?? names.get(label);
        if (first === undefined) {
          chosen.set(uid, entry);
          names.set(label, entry);
        } else if (first.digest !== entry.digest || first.file !== entry.file) {
          const message = `${label} stands in ${first.file} at line ${first.line}, too, with the same ${first.slim.uid === uid ? 'UID' : 'name'}; that one counts`;
          repeated.push({ file: path, line: entry.line, column: 1, message });
        }
      }
    }
    return { chosen, repeated };
  }
}
