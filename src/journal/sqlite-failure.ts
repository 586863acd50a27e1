import { TerminalError, TransientError, type CodedError } from '../errors.ts';
import { corruptFix } from './rows.ts';
import type { Failure } from './sqlite-database.ts';

interface Meaning {
  readonly code: string;
  readonly fix: string;
  /** Waiting mends it, even when opening. */
  readonly mends?: true;
}

const meanings = {
  locked: {
    code: 'journal.locked',
    fix: 'stop the other process that has it open, or give journal.url another place: a journal has one owner',
  },
  readOnly: {
    code: 'journal.read-only',
    fix: 'let this user write to the file and its folder, or give journal.url a place on a writable volume',
  },
  corrupt: { code: 'journal.corrupt', fix: corruptFix },
  foreign: { code: 'journal.foreign', fix: 'give journal.url a file of its own' },
  full: { code: 'journal.full', fix: "free space on the volume, raise the journal's size limit, or shorten its retention", mends: true },
  io: { code: 'journal.io', fix: 'look at the volume that holds it and at the system log', mends: true },
  unopenable: { code: 'journal.unopenable', fix: 'give journal.url the path of a file in a folder that exists or can be made' },
  foreignKey: { code: 'journal.foreign-key', fix: 'admit the run and keep its payload first' },
  unexpected: { code: 'journal.unexpected', fix: 'report it with this message', mends: true },
} as const satisfies Record<string, Meaning>;

/** Primary result codes, https://www.sqlite.org/rescode.html */
const bySqlite: Readonly<Record<number, Meaning>> = {
  5: meanings.locked,
  6: meanings.locked,
  7: meanings.io,
  8: meanings.readOnly,
  10: meanings.io,
  11: meanings.corrupt,
  13: meanings.full,
  14: meanings.unopenable,
  26: meanings.corrupt,
};
const foreignKey = 787;

const bySystem: Readonly<Record<string, Meaning>> = {
  EACCES: meanings.readOnly,
  EPERM: meanings.readOnly,
  EROFS: meanings.readOnly,
  ENOSPC: meanings.full,
  EDQUOT: meanings.full,
  EIO: meanings.io,
  EMFILE: meanings.io,
  ENFILE: meanings.io,
  FOREIGN: meanings.foreign,
};

/**
 * The error for a failure. What keeps the journal from opening is terminal, as the process cannot work without it;
 * once it is open its trouble is transient, because no run is to be marked failed for it.
 */
export function journalError(failure: Failure, path: string, action: 'open' | 'write to'): CodedError {
  const { code, fix, mends }: Meaning = meaningOf(failure, action);
  const message = `Cannot ${action} journal "${path}": ${failure.message}`;
  const terminal = mends !== true && (action === 'open' || code === meanings.foreignKey.code);
  return terminal ? new TerminalError(code, message, { fix }) : new TransientError(code, message, { fix, dependency: 'journal' });
}

function meaningOf({ sqlite, system }: Failure, action: 'open' | 'write to'): Meaning {
  if (sqlite === foreignKey) return meanings.foreignKey;
  if (sqlite !== undefined) return bySqlite[sqlite & 0xff] ?? meanings.unexpected;
  if (system === undefined) return meanings.unexpected;
  return bySystem[system] ?? (action === 'open' ? meanings.unopenable : meanings.unexpected);
}
