import { resolve } from 'node:path';
import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import { z } from 'zod';
import type { Context } from '../observe/context.ts';
import { GroupCommit } from './group-commit.ts';
import type { Journal, JournalKind } from './journal.ts';
import { migrate, relationalJournal } from './relational.ts';
import { sqliteFlavour, type Tables } from './schema.ts';
import { SqliteThread } from './sqlite-thread.ts';

const gibibyte = 1024 ** 3;

const Options = z.object({
  /** `sqlite:///absolute/path`, `sqlite:relative/path` (to the working directory) or `sqlite::memory:`, not percent-encoded. */
  url: z
    .string()
    .regex(/^sqlite:(?:\/\/\/|\/(?!\/)|[^/])./s, 'want sqlite:///absolute/path or sqlite:relative/path')
    .transform((url) => url.replace(/^sqlite:(?:\/\/)?/, ''))
    .transform((path) => (path === ':memory:' ? path : resolve(path))),
  /** Largest size of the file; beyond it writes fail with `journal.full` until something is pruned. */
  maxBytes: z
    .int()
    .min(256 * 1024)
    .default(gibibyte),
});

/** How well requests share commits: for metrics and tests. */
export interface CommitCount {
  /** Commits that wrote something, since opening. */
  readonly commits: number;
}

/** A journal in one file, held by one process. Throws what `SqliteThread.open` and `migrate` throw. */
async function open({ url: path, maxBytes }: z.output<typeof Options>, ctx: Context): Promise<Journal & CommitCount> {
  await using resources = new AsyncDisposableStack();
  const thread = resources.use(await SqliteThread.open({ path, maxBytes }, ctx));
  const group = resources.use(new GroupCommit((batch) => thread.commit(batch)));
  const db = compiler();
  await migrate(db, sqliteFlavour, { where: path, now: Date.now() }, (statements) => group.execute(statements));
  const owned = resources.move();
  return {
    ...relationalJournal(db, (statements) => group.execute(statements)),
    get commits() {
      return thread.commits;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const sqlite = { options: Options, open } satisfies JournalKind<typeof Options>;

/** Writes SQL and runs none: that is done in the worker. */
function compiler(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}
