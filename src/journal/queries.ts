import { sql } from 'kysely';
import type { Image } from '../model/artifact.ts';
import type { Db, Statements } from './compiled.ts';
import type { Admission, KnownKey, Note, Outcome, Postponement, Retention } from './journal.ts';
import { childrenText, imageText } from './rows.ts';
import type { Statement } from './statement.ts';

// Each statement is a function of its own (`Query`), compiled once; beside it is what it is filled with.

const lineColumns = ['uid', 'kind', 'namespace', 'name', 'state', 'lane', 'attempts', 'due', 'reason', 'updated_at'] as const;

interface OfRun {
  readonly uid: string;
}

export function admitting(db: Statements, { id, lane, at, snapshot }: Admission): readonly Statement[] {
  const { uid, kind, namespace, name } = id;
  return [db.of(admit, { uid, kind, namespace, name, lane, at, snapshot: snapshot ?? null }), ...loading(db, uid)];
}

interface AdmitValues extends OfRun {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly lane: string;
  readonly at: number;
  readonly snapshot: string | null;
}

function admit(db: Db, { uid, kind, namespace, name, lane, at, snapshot }: AdmitValues) {
  const row = { uid, kind, namespace, name, lane, state: 'open', snapshot };
  return db
    .insertInto('run')
    .values({ ...row, attempts: 0, due: null, reason: null, admitted_at: at, updated_at: at, finished_at: null })
    .onConflict((conflict) =>
      conflict.column('uid').doUpdateSet((eb) => ({
        lane,
        snapshot: eb.fn.coalesce('excluded.snapshot', 'run.snapshot'),
        // What an open run has waited for still counts; a finished one that comes again starts anew.
        attempts: sql<number>`case when run.finished_at is null then run.attempts else 0 end`,
        due: sql<number | null>`case when run.finished_at is null then run.due end`,
        reason: sql<string | null>`case when run.finished_at is null then run.reason end`,
        state: 'open',
        updated_at: at,
        finished_at: null,
      })),
    );
}

/** Gives the run, its works, their receipts, and what logs say: four results. */
export function loading(db: Statements, uid: string): readonly Statement[] {
  return [loadRun, loadWorks, loadReceipts, loadEntries].map((query) => db.of(query, { uid }));
}

function loadRun(db: Db, { uid }: OfRun) {
  return db
    .selectFrom('run')
    .select([...lineColumns, 'snapshot'])
    .where('uid', '=', uid);
}

function loadWorks(db: Db, { uid }: OfRun) {
  return db.selectFrom('work').selectAll().where('run', '=', uid).orderBy('position');
}

function loadReceipts(db: Db, { uid }: OfRun) {
  const receipts = db.selectFrom('receipt').select(['work', 'reference', 'proven_at']).where('run', '=', uid);
  return receipts.orderBy('work').orderBy('store');
}

function loadEntries(db: Db, { uid }: OfRun) {
  const entries = db.selectFrom('entry').select(['work', 'log', 'index', 'body', 'proof']).where('run', '=', uid);
  return entries.orderBy('work').orderBy('log');
}

interface OfImage extends OfRun {
  readonly image: string;
}

export function childrenOf(db: Statements, uid: string, image: Image): readonly Statement[] {
  return [db.of(loadChildren, { uid, image: imageText(image) })];
}

function loadChildren(db: Db, { uid, image }: OfImage) {
  return db.selectFrom('image_index').select('children').where('run', '=', uid).where('image', '=', image);
}

/** Changes nothing when they are there; gives what is kept as the second result. */
export function keepingChildren(db: Statements, uid: string, image: Image, children: readonly Image[]): readonly Statement[] {
  return [db.of(keepChildren, { uid, image: imageText(image), children: childrenText(children) }), ...childrenOf(db, uid, image)];
}

function keepChildren(db: Db, { uid, image, children }: OfImage & { readonly children: string }) {
  const insert = db.insertInto('image_index').values({ run: uid, image, children });
  return insert.onConflict((conflict) => conflict.columns(['run', 'image']).doNothing());
}

interface KeyValues extends Omit<KnownKey, 'firstAt' | 'lastAt'> {
  readonly at: number;
}

export function keepingKey(db: Statements, key: Omit<KnownKey, 'firstAt' | 'lastAt'>, at: number, keep: number): readonly Statement[] {
  return [db.of(keepKey, { ...key, at }), db.of(dropKeys, { keep })];
}

function keepKey(db: Db, { fingerprint, signer, publicKey, at }: KeyValues) {
  return db
    .insertInto('key')
    .values({ fingerprint, signer, public_key: publicKey, first_at: at, last_at: at })
    .onConflict((conflict) => conflict.columns(['fingerprint', 'signer']).doUpdateSet({ last_at: at }));
}

function dropKeys(db: Db, { keep }: { readonly keep: number }) {
  const kept = db.selectFrom('key').select('last_at').orderBy('last_at', 'desc').limit(1).offset(keep);
  return db.deleteFrom('key').where('last_at', '<=', kept);
}

export function allKeys(db: Statements): readonly Statement[] {
  return [db.of(loadKeys, {})];
}

function loadKeys(db: Db) {
  return db.selectFrom('key').selectAll().orderBy('last_at', 'desc').orderBy('fingerprint');
}

export function finishing(db: Statements, uid: string, { state, reason, at }: Outcome): readonly Statement[] {
  return [db.of(finish, { uid, state, reason: reason ?? null, at })];
}

function finish(db: Db, { uid, state, reason, at }: OfRun & Omit<Outcome, 'reason'> & { readonly reason: string | null }) {
  return db.updateTable('run').set({ state, reason, due: null, snapshot: null, updated_at: at, finished_at: at }).where('uid', '=', uid);
}

export function postponing(db: Statements, uid: string, { attempts, dueAt, reason, at }: Postponement): readonly Statement[] {
  return [db.of(postpone, { uid, attempts, dueAt, reason, at })];
}

function postpone(db: Db, { uid, attempts, dueAt, reason, at }: OfRun & Postponement) {
  return db
    .updateTable('run')
    .set({ state: 'open', lane: 'retry', attempts, due: dueAt, reason, updated_at: at, finished_at: null })
    .where('uid', '=', uid);
}

/** One page of open runs whose uid comes after `after`. */
export function openPage(db: Statements, after: string, size: number): readonly Statement[] {
  return [db.of(loadOpen, { after, size })];
}

function loadOpen(db: Db, { after, size }: { readonly after: string; readonly size: number }) {
  const page = db.selectFrom('run').select(lineColumns).where('finished_at', 'is', null).where('uid', '>', after);
  return page.orderBy('uid').limit(size);
}

export function recentRuns(db: Statements, limit: number): readonly Statement[] {
  return [db.of(loadRecent, { limit })];
}

function loadRecent(db: Db, { limit }: { readonly limit: number }) {
  return db.selectFrom('run').select(lineColumns).orderBy('updated_at', 'desc').orderBy('uid', 'desc').limit(limit);
}

export function noting(db: Statements, { at, who, what }: Note, keep: number): readonly Statement[] {
  return [db.of(note, { at, who, what }), db.of(dropNotes, { keep })];
}

function note(db: Db, { at, who, what }: Note) {
  return db.insertInto('change').values({ at, who, what });
}

function dropNotes(db: Db, { keep }: { readonly keep: number }) {
  const newest = db.selectFrom('change').select((eb) => sql<number>`${eb.fn.max('id')} - ${keep}`.as('newest'));
  return db.deleteFrom('change').where('id', '<=', newest);
}

interface PruneValues extends Retention {
  readonly size: number;
}

/** Deletes up to `size` finished runs for each of the two bounds; works, receipts, entries and subjects go with them. */
export function pruning(db: Statements, { finishedBefore, maxRuns }: Retention, size: number): readonly Statement[] {
  return [pruneOld, pruneBeyond].map((query) => db.of(query, { finishedBefore, maxRuns, size }));
}

function finishedRuns(db: Db) {
  return db.selectFrom('run').select('uid').where('finished_at', 'is not', null);
}

function pruneOld(db: Db, { finishedBefore, size }: PruneValues) {
  const old = finishedRuns(db).where('finished_at', '<', finishedBefore).orderBy('finished_at').orderBy('uid').limit(size);
  return db.deleteFrom('run').where('uid', 'in', old);
}

function pruneBeyond(db: Db, { maxRuns, size }: PruneValues) {
  const beyond = finishedRuns(db).orderBy('finished_at', 'desc').orderBy('uid', 'desc').limit(size).offset(maxRuns);
  return db.deleteFrom('run').where('uid', 'in', beyond);
}
