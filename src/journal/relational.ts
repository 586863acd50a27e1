import type { Kysely } from 'kysely';
import { CodedError, TerminalError } from '../errors.ts';
import { Statements } from './compiled.ts';
import type { Journal, JournalRun, KnownRun, KnownWork } from './journal.ts';
import * as queries from './queries.ts';
import { childrenIn, keysOf, knownRunOf, runsOf } from './rows.ts';
import { migrations, migrationTable, type Flavour, type Tables } from './schema.ts';
import { statementOf, type Execute, type Result } from './statement.ts';
import * as works from './work-queries.ts';

const pageSize = 500;
/** Notes that are kept: some 2 MB. */
const maxNotes = 10_000;
const maxKeys = 1_000;
/** Runs that one prune request deletes for each bound: other requests of the same commit wait for it. */
const pruneSize = 100;

/** The journal's meaning in SQL, the same for every engine; an engine brings the dialect and a durable `execute`. */
export function relationalJournal(kysely: Kysely<Tables>, execute: Execute): Omit<Journal, typeof Symbol.asyncDispose> {
  const db = new Statements(kysely);
  const load = async (uid: string) => knownRunOf(await execute(queries.loading(db, uid)));
  return {
    load,
    async admit(admission) {
      const [, ...loaded] = await execute(queries.admitting(db, admission));
      return knownRunOf(loaded) ?? missing('run', admission.id.uid);
    },
    children: async (uid, image) => childrenIn((await execute(queries.childrenOf(db, uid, image)))[0]),
    async keepChildren(uid, image, children) {
      const [, kept] = await keepIn('run', uid, () => execute(queries.keepingChildren(db, uid, image, children)));
      return childrenIn(kept) ?? missing('run', uid);
    },
    async keepPayload(uid, work, payload) {
      const results = await keepIn('run', uid, () => execute(works.keepingPayload(db, uid, work, payload)));
      return changed(results) ? payload : workOf(await load(uid), uid, work.key).payload;
    },
    async keepEnvelope(uid, key, envelope) {
      if (changed(await execute(works.keepingEnvelope(db, uid, key, envelope)))) return envelope;
      const work = workOf(await load(uid), uid, key);
      return work.envelope ?? mismatch(uid, key);
    },
    async replaceEnvelope(uid, key, envelope) {
      if (changed(await execute(works.replacingEnvelope(db, uid, key, envelope)))) return envelope;
      const work = workOf(await load(uid), uid, key);
      return work.envelope ?? mismatch(uid, key);
    },
    async keepEvidence(uid, key, evidence) {
      await keepIn('work', `${uid} ${key}`, () => execute(works.keepingEvidence(db, uid, key, evidence)));
    },
    async keepReceipt(uid, key, receipt) {
      await keepIn('work', `${uid} ${key}`, () => execute(works.keepingReceipt(db, uid, key, receipt)));
    },
    async markProven(uid, key, store, at) {
      if (!changed(await execute(works.markingProven(db, uid, key, { store, at })))) missing('receipt', `${uid} ${key} ${store}`);
    },
    async finish(uid, outcome) {
      if (!changed(await execute(queries.finishing(db, uid, outcome)))) missing('run', uid);
    },
    async postpone(uid, postponement) {
      if (!changed(await execute(queries.postponing(db, uid, postponement)))) missing('run', uid);
    },
    open: () => openRuns(db, execute),
    recent: async (limit) => runsOf((await execute(queries.recentRuns(db, limit)))[0]),
    async keepKey(key, at) {
      await execute(queries.keepingKey(db, key, at, maxKeys));
    },
    keys: async () => keysOf((await execute(queries.allKeys(db)))[0]),
    async note(note) {
      await execute(queries.noting(db, note, maxNotes));
    },
    async prune(retention) {
      for (let pruned = 0; ;) {
        const results = await execute(queries.pruning(db, retention, pruneSize));
        const deleted = results.reduce((sum, { changes }) => sum + changes, 0);
        if (deleted === 0) return pruned;
        pruned += deleted;
      }
    },
  };
}

/** Brings the tables up to date. Throws `journal.newer` when a later release wrote them. `where` names the journal in the message. */
export async function migrate(
  db: Kysely<Tables>,
  flavour: Flavour,
  at: { readonly where: string; readonly now: number },
  execute: Execute,
) {
  const asked = db.selectFrom('migration').select((eb) => eb.fn.max('version').as('version'));
  const [, answer] = await execute([statementOf(migrationTable(db, flavour)), statementOf(asked)]);
  const version = versionOf(answer);
  if (version > migrations.length) {
    throw new TerminalError(
      'journal.newer',
      `Cannot open journal "${at.where}": its schema is ${version}, this release knows ${migrations.length}`,
      {
        fix: 'run the release that wrote it or a later one, or give journal.url another place',
      },
    );
  }
  const pending = migrations
    .slice(version)
    .flatMap((migration, index) => [
      ...migration(db, flavour),
      db.insertInto('migration').values({ version: version + index + 1, applied_at: at.now }),
    ]);
  if (pending.length > 0) await execute(pending.map((query) => statementOf(query)));
}

function versionOf(result: Result | undefined): number {
  const row = result?.rows[0];
  return typeof row === 'object' && row !== null && 'version' in row && typeof row.version === 'number' ? row.version : 0;
}

async function* openRuns(db: Statements, execute: Execute): AsyncGenerator<JournalRun, void, undefined> {
  for (let after = ''; ;) {
    const page = runsOf((await execute(queries.openPage(db, after, pageSize)))[0]);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = last.id.uid;
  }
}

function changed(results: readonly Result[]): boolean {
  return (results[0]?.changes ?? 0) > 0;
}

/** A foreign key that points nowhere means that the row above was never written. */
async function keepIn<T>(what: 'run' | 'work', value: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CodedError && error.code === 'journal.foreign-key') return missing(what, value);
    throw error;
  }
}

function workOf(known: KnownRun | undefined, uid: string, key: string): KnownWork {
  return (known ?? missing('run', uid)).works.find((work) => work.key === key) ?? missing('work', `${uid} ${key}`);
}

function missing(what: 'run' | 'work' | 'receipt', value: string): never {
  throw new TerminalError('journal.unknown', `Cannot write about ${what} "${value}": the journal does not have it`);
}

function mismatch(uid: string, key: string): never {
  throw new TerminalError(
    'journal.payload-mismatch',
    `Cannot keep the envelope of "${uid} ${key}": its payload is not the one that was kept`,
  );
}
