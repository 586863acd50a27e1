import { isAbsolute, relative, sep } from 'node:path';
import type { Children } from '../family.ts';
import type { Run } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { readRuns } from '../watch/run-files.ts';
import { plain, styleOf, type Io } from './io.ts';

/** A run and the world it came in: its children are looked for in its own file and nowhere else. */
export interface RunInFile {
  readonly file: string;
  readonly run: Run;
  readonly children: Children;
}

/** Calls `work` for each run in turn, says what could not be read with file and line, and gives the number of such problems. */
export async function eachRun(paths: readonly string[], io: Io, ctx: Context, work: (found: RunInFile) => Promise<void>): Promise<number> {
  let problems = 0;
  for await (const { file: read, runs, problems: broken } of readRuns(paths, process.stdin)) {
    const file = named(read, paths);
    ctx.signal.throwIfAborted();
    problems += broken.length;
    for (const { line, column, message } of broken) {
      const place = [file, line, column].filter((part) => part !== undefined).join(':');
      io.stderr.write(`${styleOf(io.stderr, io)('red', 'problem:')} ${plain(`${place}: ${message}`)}\n`);
    }
    const children: Children = {
      relative: async (of, { kind, name }) =>
        await Promise.resolve(runs.find((run) => run.kind === kind && run.namespace === of.namespace && run.name === name)),
    };
    for (const run of runs) await work({ file, run, children });
  }
  return problems;
}

/** A file by the name that it was asked for: relative when no path was given that leads to it from the root. */
function named(file: string, paths: readonly string[]): string {
  const isGiven = paths.some((path) => isAbsolute(path) && (file === path || file.startsWith(path.endsWith(sep) ? path : `${path}${sep}`)));
  return isGiven || !isAbsolute(file) ? file : relative(process.cwd(), file);
}
