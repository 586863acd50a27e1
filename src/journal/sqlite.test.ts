import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open as openFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { CodedError } from '../errors.ts';
import type { RunId } from '../model/run.ts';
import type { Payload } from '../model/work.ts';
import type { Journal } from './journal.ts';
import { sqlite } from './sqlite.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const work = { key: 'work', artifact: 'taskrun', format: 'slsa/v1', signer: 'x509', stores: ['tekton'], log: false } as const;
const writer = fileURLToPath(new URL('../../test/contract/journal-writer.ts', import.meta.url));

async function open(path: string, maxBytes?: number) {
  return await sqlite.open(sqlite.options.parse({ url: `sqlite:${path}`, maxBytes }), ctx);
}

function idOf(uid: string): RunId {
  return { kind: 'TaskRun', namespace: 'ci', name: uid, uid };
}

function payloadOf(bytes: Uint8Array): Payload {
  return { payloadType: 'text/plain', predicateType: undefined, bytes, subjects: [], images: [], dropped: [] };
}

async function write(journal: Journal, uid: string, size: number): Promise<void> {
  await journal.admit({ id: idOf(uid), lane: 'live', at: 1, snapshot: undefined });
  await journal.keepPayload(uid, work, payloadOf(new Uint8Array(size).fill(uid.charCodeAt(0))));
}

function columnOf(path: string, sql: string): readonly unknown[] {
  const db = new DatabaseSync(path);
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => Object.values(row)[0]);
  } finally {
    db.close();
  }
}

function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

/** A process that writes until it is killed; `lines` is what it said so far, each whole: a pipe takes short writes as one. */
async function startWriter(
  path: string,
): Promise<{ readonly child: ChildProcess; readonly lines: readonly string[]; saw(count: number): Promise<void> }> {
  const child = spawn(process.execPath, [writer, `sqlite:${path}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const saw = async (count: number) => {
    while (lines.length < count && child.exitCode === null) await once(reader, 'line', { signal: AbortSignal.timeout(20_000) });
  };
  await saw(1);
  return { child, lines, saw };
}

async function kill({ child }: { readonly child: ChildProcess }): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

describe('sqlite', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chainsmith-sqlite-'));
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  it('puts 1000 concurrent writes into few commits', async () => {
    await using journal = await open(join(folder, 'group.db'));
    const before = journal.commits;

    await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        await journal.admit({ id: idOf(`${index}`), lane: 'live', at: 1, snapshot: undefined });
      }),
    );

    const commits = journal.commits - before;
    assert.ok(commits >= 1 && commits <= 20, `${commits} commits`);
    assert.equal((await Array.fromAsync(journal.open())).length, 1000);
  });

  it('commits nothing for reading', async () => {
    await using journal = await open(join(folder, 'reading.db'));
    const before = journal.commits;

    await Promise.all([journal.load('nobody'), journal.recent(5), Array.fromAsync(journal.open())]);

    assert.equal(journal.commits, before);
  });

  for (const lines of [2, 150, 400]) {
    it(`has everything that was acknowledged before a SIGKILL after ${lines} lines`, async () => {
      const path = join(folder, `killed-${lines}.db`);
      const running = await startWriter(path);
      await running.saw(lines);
      await kill(running);

      const uids = running.lines.slice(1);
      {
        await using journal = await open(path);
        const known = await Promise.all(uids.map(async (uid) => await journal.load(uid)));
        const bytesOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
        assert.deepEqual(
          known.map((run) => [run?.id.uid, bytesOf(run?.works[0]?.payload.bytes), bytesOf(run?.works[0]?.envelope?.body)]),
          uids.map((uid) => [uid, `payload of ${uid}`.repeat(100), uid]),
        );
      }

      assert.ok(uids.length >= lines - 1);
      assert.deepEqual(columnOf(path, 'pragma integrity_check'), ['ok']);
      assert.deepEqual(columnOf(path, 'pragma foreign_key_check'), []);
    });
  }

  it('refuses a second process at once, and opens when the first was killed', async () => {
    const path = join(folder, 'locked.db');
    const running = await startWriter(path);

    const refused = await open(path).catch((error: unknown) => error);
    await kill(running);
    await using journal = await open(path);

    assert.ok(refused instanceof CodedError);
    assert.deepEqual({ name: refused.name, code: refused.code }, { name: 'TerminalError', code: 'journal.locked' });
    assert.equal(await journal.load('nobody'), undefined);
  });

  it('refuses a second journal on the same file in one process, and the first goes on', async () => {
    const path = join(folder, 'twice.db');
    await using journal = await open(path);

    await assert.rejects(open(path), { name: 'TerminalError', code: 'journal.locked' });

    await write(journal, 'still', 10);
    await assert.rejects(open(path), { code: 'journal.locked' });
  });

  it('keeps the file to its owner, and leaves one file when it is closed', async () => {
    const home = join(folder, 'a new', 'home');
    await (await open(join(home, 'journal.db')))[Symbol.asyncDispose]();

    assert.deepEqual(await readdir(home), ['journal.db']);
    assert.equal((await stat(join(home, 'journal.db'))).mode & 0o777, 0o600);
  });

  it('gives back what was kept before it was closed, and makes no migration twice', async () => {
    const path = join(folder, 'reopened.db');
    {
      await using journal = await open(path);
      await write(journal, 'kept', 10);
    }

    await using journal = await open(path);

    assert.deepEqual((await journal.load('kept'))?.works[0]?.payload.bytes, new Uint8Array(10).fill('k'.charCodeAt(0)));
    await journal[Symbol.asyncDispose]();
    assert.deepEqual(columnOf(path, 'select version from migration'), [1, 2, 3]);
    assert.deepEqual(columnOf(path, 'pragma journal_mode'), ['wal']);
  });

  it('finishes what was begun when it is closed, and refuses what comes after', async () => {
    const path = join(folder, 'closing.db');
    const journal = await open(path);
    const admitting = Promise.all(
      ['a', 'b', 'c'].map(async (uid) => await journal.admit({ id: idOf(uid), lane: 'live', at: 1, snapshot: undefined })),
    );

    await journal[Symbol.asyncDispose]();

    assert.equal((await admitting).length, 3);
    assert.deepEqual(columnOf(path, 'select uid from run order by uid'), ['a', 'b', 'c']);
    await assert.rejects(journal.load('a'), { name: 'TransientError', code: 'journal.closed' });
  });

  it('says that it is full, keeps what it has, and goes on after pruning', async () => {
    await using journal = await open(join(folder, 'full.db'), 512 * 1024);
    const uids: string[] = [];
    const fill = async () => {
      for (;;) {
        const uid = `full-${uids.length}`;
        await write(journal, uid, 20_000);
        uids.push(uid);
      }
    };

    await assert.rejects(fill(), { name: 'TransientError', code: 'journal.full' });

    assert.ok(uids.length > 5);
    for (const uid of uids) assert.equal((await journal.load(uid))?.works[0]?.payload.bytes.length, 20_000);
    for (const uid of uids.slice(0, 3)) await journal.finish(uid, { state: 'signed', reason: undefined, at: 2 });
    assert.equal(await journal.prune({ finishedBefore: 3, maxRuns: 100 }), 3);
    await write(journal, 'after', 20_000);
    assert.equal((await journal.load('after'))?.works.length, 1);
  });

  it('fails the call that does not fit, not those beside it', async () => {
    await using journal = await open(join(folder, 'too-big.db'), 512 * 1024);
    const names = ['small-1', 'big', 'small-2'];
    await Promise.all(names.map(async (uid) => await journal.admit({ id: idOf(uid), lane: 'live', at: 1, snapshot: undefined })));

    const ended = await Promise.allSettled(
      names.map(async (uid) => await journal.keepPayload(uid, work, payloadOf(new Uint8Array(uid === 'big' ? 2 ** 20 : 10)))),
    );

    const codes = ended.map((each) => (each.status === 'rejected' && each.reason instanceof CodedError ? each.reason.code : each.status));
    assert.deepEqual(codes, ['fulfilled', 'journal.full', 'fulfilled']);
  });

  it('keeps the last 10 000 notes', async () => {
    const path = join(folder, 'notes.db');
    await (await open(path))[Symbol.asyncDispose]();
    const tenThousand = 'with recursive c(n) as (select 0 union all select n + 1 from c where n < 9999)';
    change(path, `${tenThousand} insert into change (at, who, what) select n, 'test', 'earlier' from c`);

    {
      await using journal = await open(path);
      const notes = Array.from({ length: 20 }, (_, index) => ({ at: 10_000 + index, who: 'test', what: 'later' }));
      await Promise.all(notes.map(async (note) => await journal.note(note)));
    }

    assert.deepEqual(columnOf(path, "select count(*) || ' ' || min(at) || ' ' || max(at) from change"), ['10000 20 10019']);
  });

  it('indexes subjects by work and by digest, and forgets them with their run', async () => {
    const path = join(folder, 'subjects.db');
    {
      await using journal = await open(path);
      const subjects = [
        { name: 'app', digest: { sha256: 'aa', sha1: 'bb' } },
        { name: 'lib', digest: { sha256: 'cc' } },
      ];
      for (const uid of ['one', 'two']) {
        await journal.admit({ id: idOf(uid), lane: 'live', at: 1, snapshot: undefined });
        await journal.keepPayload(uid, work, { ...payloadOf(Buffer.from(uid)), subjects });
        await journal.keepPayload(uid, work, { ...payloadOf(Buffer.from('late')), subjects: [{ name: 'late', digest: { sha256: 'dd' } }] });
      }
      await journal.finish('one', { state: 'signed', reason: undefined, at: 1 });
      await journal.prune({ finishedBefore: 2, maxRuns: 10 });
    }

    const rows = columnOf(
      path,
      "select run || ' ' || position || ' ' || name || ' ' || algorithm || ' ' || digest from subject order by 1",
    );
    assert.deepEqual(rows, ['two 0 app sha1 bb', 'two 0 app sha256 aa', 'two 1 lib sha256 cc']);
    const indexed =
      "select group_concat(c.name) from pragma_index_list('subject') l, pragma_index_info(l.name) c group by l.name order by 1";
    assert.deepEqual(columnOf(path, indexed), ['digest,algorithm', 'run,work,position,algorithm']);
  });

  const unopenable = [
    {
      name: 'a file that is no database',
      code: 'journal.corrupt',
      make: async (path: string) => await writeFile(path, 'not a database, but long enough to be looked at. '.repeat(50)),
    },
    {
      name: 'a database whose pages are damaged',
      code: 'journal.corrupt',
      make: async (path: string) => {
        await (await open(path))[Symbol.asyncDispose]();
        const bytes = Buffer.alloc((await stat(path)).size - 200, 0xff);
        await using file = await openFile(path, 'r+');
        await file.write(bytes, 0, bytes.length, 100);
      },
    },
    {
      name: 'the database of another program',
      code: 'journal.foreign',
      make: async (path: string) => await Promise.resolve(change(path, 'create table run (id)')),
    },
    {
      name: 'the journal of a later release',
      code: 'journal.newer',
      make: async (path: string) => {
        await (await open(path))[Symbol.asyncDispose]();
        change(path, 'insert into migration values (99, 0)');
      },
    },
  ];
  for (const { name, code, make } of unopenable) {
    it(`refuses ${name}, and says what to do`, async () => {
      const path = join(folder, `${name}.db`);
      await make(path);

      const refused = await open(path).catch((error: unknown) => error);

      assert.ok(refused instanceof CodedError);
      assert.deepEqual({ name: refused.name, code: refused.code }, { name: 'TerminalError', code });
      assert.ok(refused.message.includes(path) && refused.fix !== undefined, refused.message);
    });
  }

  it('refuses a payload that is not what was kept', async () => {
    const path = join(folder, 'bit-rot.db');
    {
      await using journal = await open(path);
      await write(journal, 'rotten', 10);
    }
    change(path, "update work set payload = x'00'");

    await using journal = await open(path);

    await assert.rejects(journal.load('rotten'), { name: 'TransientError', code: 'journal.corrupt' });
  });

  it('refuses a folder that is a file', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');

    await assert.rejects(open(join(file, 'journal.db')), { name: 'TerminalError', code: 'journal.unopenable' });
    await assert.rejects(open(join(file, 'deeper', 'journal.db')), { name: 'TerminalError', code: 'journal.unopenable' });
    await assert.rejects(open(folder), { name: 'TerminalError', code: 'journal.unopenable' });
  });

  it('refuses a folder where nobody may write, not even root', async () => {
    // The kernel's own file systems on Linux, the sealed system volume on macOS.
    const sealed = process.platform === 'darwin' ? '/System/chainsmith/journal.db' : '/sys/chainsmith/journal.db';

    await assert.rejects(open(sealed), { name: 'TerminalError', code: 'journal.read-only' });
  });
});
