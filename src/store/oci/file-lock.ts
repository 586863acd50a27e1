import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../../errors.ts';
import type { Context } from '../../observe/context.ts';
import { folderError } from './folder-error.ts';
import { keyedMutex } from './mutex.ts';

/** One holder at a time among all processes that name the same file. */
export interface FileLock extends AsyncDisposable {
  /** Throws `store.layout.locked` when somebody else holds it for too long. */
  hold<T>(work: () => Promise<T>, ctx: Context): Promise<T>;
}

const patienceMs = 60_000;
const sqliteBusy = 5;

/**
 * A lock of the operating system, so it dies with its holder, however that dies: there is no stale lock to recognise, no process id to
 * compare across containers. Node offers none of its own but SQLite's: an empty database, an exclusive transaction that writes nothing.
 */
export function fileLock(file: string): FileLock {
  const mutex = keyedMutex();
  let database: DatabaseSync | undefined;
  return {
    async hold(work, ctx) {
      return await mutex.run(file, async () => {
        database ??= openDatabase(file);
        await acquire(database, file, ctx);
        try {
          return await work();
        } finally {
          database.exec('ROLLBACK');
        }
      });
    },
    async [Symbol.asyncDispose]() {
      await mutex.run(file, async () => {
        database?.close();
        database = undefined;
        await Promise.resolve();
      });
    },
  };
}

function openDatabase(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: 0 });
  } catch (error) {
    throw lockError(file, error);
  }
}

async function acquire(database: DatabaseSync, file: string, ctx: Context): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    ctx.signal.throwIfAborted();
    try {
      // In memory: no second file beside the lock. Saying so is busy, too, while somebody holds it.
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      return;
    } catch (error) {
      if (!isBusy(error)) throw lockError(file, error);
    }
    if (Date.now() > deadline) {
      throw new TransientError(
        'store.layout.locked',
        `Cannot write beside "${file}": another process holds the lock for ${patienceMs} ms`,
        {
          fix: 'find the other process that uses this folder',
        },
      );
    }
    await sleep(5 + Math.random() * 20, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy;
}

/** SQLite's primary result codes, as the errors of the file system that they stand for; 8 read-only, 13 full, 14 cannot open. */
const sqliteErrors: Readonly<Record<number, string>> = { 8: 'EROFS', 13: 'ENOSPC', 14: 'EACCES' };

function lockError(file: string, error: unknown): Error {
  const errcode = error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
  const name = sqliteErrors[errcode] ?? (error instanceof Error ? error.message : 'unknown error');
  return folderError('lock', file, Object.assign(new Error(name, { cause: error }), { code: name }));
}
