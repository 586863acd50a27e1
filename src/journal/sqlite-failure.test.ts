import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { journalError } from './sqlite-failure.ts';

describe('journalError', () => {
  // The first code is SQLite's extended one (rescode.html), the second the system's.
  const rows = [
    { name: 'busy', sqlite: 5, code: 'journal.locked', open: 'TerminalError' },
    { name: 'read-only', sqlite: 8, code: 'journal.read-only', open: 'TerminalError' },
    { name: 'read-only folder', sqlite: 8 | (6 << 8), code: 'journal.read-only', open: 'TerminalError' },
    { name: 'failed write', sqlite: 10 | (3 << 8), code: 'journal.io', open: 'TransientError' },
    { name: 'failed fsync', sqlite: 10 | (4 << 8), code: 'journal.io', open: 'TransientError' },
    { name: 'corrupt', sqlite: 11, code: 'journal.corrupt', open: 'TerminalError' },
    { name: 'not a database', sqlite: 26, code: 'journal.corrupt', open: 'TerminalError' },
    { name: 'full', sqlite: 13, code: 'journal.full', open: 'TransientError' },
    { name: 'cannot open', sqlite: 14, code: 'journal.unopenable', open: 'TerminalError' },
    { name: 'an SQL error', sqlite: 1, code: 'journal.unexpected', open: 'TransientError' },
    { name: 'no permission', system: 'EACCES', code: 'journal.read-only', open: 'TerminalError' },
    { name: 'read-only volume', system: 'EROFS', code: 'journal.read-only', open: 'TerminalError' },
    { name: 'full volume', system: 'ENOSPC', code: 'journal.full', open: 'TransientError' },
    { name: 'a file where a folder should be', system: 'ENOTDIR', code: 'journal.unopenable', open: 'TerminalError' },
  ] as const;
  for (const row of rows) {
    it(`${row.name} is ${row.code}, ${row.open} when opening and transient when writing`, () => {
      const failure = {
        sqlite: 'sqlite' in row ? row.sqlite : undefined,
        system: 'system' in row ? row.system : undefined,
        message: 'the reason',
      };

      const opening = journalError(failure, '/data/journal.db', 'open');
      const writing = journalError(failure, '/data/journal.db', 'write to');

      assert.deepEqual(
        { name: opening.name, code: opening.code, message: opening.message },
        { name: row.open, code: row.code, message: 'Cannot open journal "/data/journal.db": the reason' },
      );
      assert.equal(writing.name, 'TransientError');
      assert.ok(opening.fix);
    });
  }

  it('a foreign key that points nowhere is terminal: trying again does not admit the run', () => {
    const error = journalError({ sqlite: 787, system: undefined, message: 'FOREIGN KEY constraint failed' }, 'j', 'write to');

    assert.deepEqual({ name: error.name, code: error.code }, { name: 'TerminalError', code: 'journal.foreign-key' });
  });
});
