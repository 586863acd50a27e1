import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Result, Statement } from './statement.ts';

/** What went wrong, in a form that crosses threads: SQLite's extended result code, or the system's error name. */
export interface Failure {
  readonly sqlite: number | undefined;
  readonly system: string | undefined;
  readonly message: string;
}

export type Answer =
  | { readonly kind: 'done'; readonly results: readonly Result[] }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** `CHSM`: written into the file's header, so that another program's database is not taken for a journal. */
const applicationId = 0x4348534d;
/** Statements that stay prepared; the journal has some thirty. */
const maxPrepared = 128;

/** A SQLite file of our own, everything synchronous: it lives in a worker thread. */
export class SqliteDatabase implements Disposable {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();
  #commits = 0;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Creates the folder and the file when absent, and holds the file alone until it is closed or the process ends, however it does. */
  static open(path: string, maxBytes: number): SqliteDatabase {
    if (path !== ':memory:') createFile(path);
    const db = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true });
    try {
      // Before WAL is entered: then the index of the WAL is in our memory, and the lock is kept from the first read on.
      db.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL');
      // The WAL shrinks back after a large batch; sorting needs no file that could fill a disk.
      db.exec('PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY');
      db.exec(`PRAGMA max_page_count=${Math.floor(maxBytes / numberOf(db, 'page_size'))}`);
      db.exec('BEGIN IMMEDIATE');
      claim(db);
      db.exec('COMMIT');
    } catch (error) {
      db.close();
      throw error;
    }
    return new SqliteDatabase(db);
  }

  /** Commits so far that had work to write. */
  get commits(): number {
    return this.#commits;
  }

  /** All requests in one commit; those that fail are undone alone. When the commit itself fails, the halves are tried. */
  run(requests: readonly (readonly Statement[])[]): readonly Answer[] {
    try {
      return this.#commitTogether(requests);
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      if (requests.length <= 1) return requests.map(() => failed(error));
      const middle = requests.length >> 1;
      return [...this.run(requests.slice(0, middle)), ...this.run(requests.slice(middle))];
    }
  }

  [Symbol.dispose](): void {
    this.#prepared.clear();
    this.#db.close();
  }

  #commitTogether(requests: readonly (readonly Statement[])[]): readonly Answer[] {
    this.#db.exec('BEGIN IMMEDIATE');
    const answers = requests.map((request) => this.#undoable(request));
    this.#db.exec('COMMIT');
    if (answers.some(hasWritten)) this.#commits += 1;
    return answers;
  }

  #undoable(request: readonly Statement[]): Answer {
    this.#db.exec('SAVEPOINT request');
    try {
      const results = this.#execute(request);
      this.#db.exec('RELEASE request');
      return { kind: 'done', results };
    } catch (error) {
      // A full disk or a failed write may end the whole transaction: then nothing of the batch was done.
      if (!this.#db.isTransaction) throw error;
      this.#db.exec('ROLLBACK TO request; RELEASE request');
      return failed(error);
    }
  }

  #execute(request: readonly Statement[]): readonly Result[] {
    const results: Result[] = [];
    for (const { sql, parameters, isGate } of request) {
      const statement = this.#prepare(sql);
      const isQuery = statement.columns().length > 0;
      const rows = isQuery ? statement.all(...parameters) : [];
      const changes = isQuery ? 0 : Number(statement.run(...parameters).changes);
      results.push({ rows, changes });
      if (isGate && changes === 0) break;
    }
    return results;
  }

  #prepare(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    if (this.#prepared.size >= maxPrepared) this.#prepared.clear();
    const statement = this.#db.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { sqlite: undefined, system: undefined, message: String(error) };
  const sqlite = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;
  const system = sqlite === undefined && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { sqlite, system, message: error.message };
}

function hasWritten(answer: Answer): boolean {
  return answer.kind === 'done' && answer.results.some(({ changes }) => changes > 0);
}

function failed(error: unknown): Answer {
  return { kind: 'failed', failure: failureOf(error) };
}

/** Readable by us alone, as snapshots may hold what people put into parameters. SQLite gives its `-wal` the same mode. */
function createFile(path: string): void {
  createFolder(dirname(path));
  // Never opened when it is there: closing it would drop the locks that this process has on it (POSIX).
  unlessThere(() => closeSync(openSync(path, 'wx', 0o600)));
}

/** Not `mkdirSync` with `recursive`: it spins for ever where the system answers ENOENT below a folder that exists, as /proc does (Node 24). */
function createFolder(path: string): void {
  if (existsSync(path)) return;
  createFolder(dirname(path));
  unlessThere(() => mkdirSync(path));
}

function unlessThere(create: () => void): void {
  try {
    create();
  } catch (error) {
    if (failureOf(error).system !== 'EEXIST') throw error;
  }
}

function claim(db: DatabaseSync): void {
  const id = numberOf(db, 'application_id');
  const isEmpty = id === 0 && numberOf(db, 'schema_version') === 0;
  if (!isEmpty && id !== applicationId) throw Object.assign(new Error('it is the database of another program'), { code: 'FOREIGN' });
  if (isEmpty) db.exec(`PRAGMA application_id=${applicationId}`);
}

function numberOf(db: DatabaseSync, pragma: 'page_size' | 'application_id' | 'schema_version'): number {
  return Number(db.prepare(`PRAGMA ${pragma}`).get()?.[pragma]);
}
