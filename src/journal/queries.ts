import { sql, type Kysely } from 'kysely';
import type { Image } from '../model/artifact.ts';
import type { Envelope } from '../model/envelope.ts';
import type { LogEntry, Timestamp } from '../model/evidence.ts';
import { sha256Of } from '../model/digest.ts';
import type { Receipt } from '../model/receipt.ts';
import type { Payload } from '../model/work.ts';
import type { Admission, KnownKey, Note, Outcome, Postponement, Retention, WorkName } from './journal.ts';
import { evidenceRow } from './evidence-rows.ts';
import { childrenText, detailText, envelopeText, imageText, receiptText } from './rows.ts';
import type { Tables } from './schema.ts';
import { statementOf, type Statement } from './statement.ts';

type Db = Kysely<Tables>;

const lineColumns = ['uid', 'kind', 'namespace', 'name', 'state', 'lane', 'attempts', 'due', 'reason', 'updated_at'] as const;

export function admitting(db: Db, { id, lane, at, snapshot }: Admission): readonly Statement[] {
  const row = { uid: id.uid, kind: id.kind, namespace: id.namespace, name: id.name, lane, state: 'open', snapshot: snapshot ?? null };
  const upsert = db
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
  return [statementOf(upsert), ...loading(db, id.uid)];
}

/** Gives the run, its works, their receipts, and what logs say: four results. */
export function loading(db: Db, uid: string): readonly Statement[] {
  const works = db.selectFrom('work').selectAll().where('run', '=', uid).orderBy('position');
  const receipts = db
    .selectFrom('receipt')
    .select(['work', 'reference', 'proven_at'])
    .where('run', '=', uid)
    .orderBy('work')
    .orderBy('store');
  const entries = db
    .selectFrom('entry')
    .select(['work', 'log', 'index', 'body', 'proof'])
    .where('run', '=', uid)
    .orderBy('work')
    .orderBy('log');
  return [
    statementOf(
      db
        .selectFrom('run')
        .select([...lineColumns, 'snapshot'])
        .where('uid', '=', uid),
    ),
    statementOf(works),
    statementOf(receipts),
    statementOf(entries),
  ];
}

export function childrenOf(db: Db, uid: string, image: Image): readonly Statement[] {
  return [statementOf(db.selectFrom('image_index').select('children').where('run', '=', uid).where('image', '=', imageText(image)))];
}

/** Changes nothing when they are there; gives what is kept as the second result. */
export function keepingChildren(db: Db, uid: string, image: Image, children: readonly Image[]): readonly Statement[] {
  const insert = db
    .insertInto('image_index')
    .values({ run: uid, image: imageText(image), children: childrenText(children) })
    .onConflict((conflict) => conflict.columns(['run', 'image']).doNothing());
  return [statementOf(insert), ...childrenOf(db, uid, image)];
}

/** The first statement changes nothing when a payload is there already, and then its subjects stay as they are. */
export function keepingPayload(db: Db, uid: string, work: WorkName, payload: Payload): readonly Statement[] {
  const insert = db
    .insertInto('work')
    .values((eb) => ({
      run: uid,
      work: work.key,
      position: eb
        .selectFrom('work')
        .select((count) => count.fn.countAll<number>().as('count'))
        .where('run', '=', uid),
      artifact: work.artifact,
      format: work.format,
      payload: payload.bytes,
      payload_sha256: sha256Of(payload.bytes),
      detail: detailText(payload),
      envelope: null,
      envelope_body: null,
      signer: work.signer,
      stores: work.stores.join(','),
      is_logged: work.log ? 1 : 0,
    }))
    .onConflict((conflict) => conflict.columns(['run', 'work']).doNothing());
  const subjects = payload.subjects.flatMap(({ name, digest }, position) =>
    Object.entries(digest).map(([algorithm, hex]) => ({ run: uid, work: work.key, position, name, algorithm, digest: hex })),
  );
  // A row a statement: the text stays the same for any number of subjects, so the engine prepares it once.
  return [statementOf(insert, true), ...subjects.map((row) => statementOf(db.insertInto('subject').values(row)))];
}

/** Changes nothing when an envelope is there, or the kept payload is another one. */
export function keepingEnvelope(db: Db, uid: string, key: string, envelope: Envelope): readonly Statement[] {
  const update = db
    .updateTable('work')
    .set({ envelope: envelopeText(envelope), envelope_body: envelope.body })
    .where('run', '=', uid)
    .where('work', '=', key)
    .where('payload_sha256', '=', sha256Of(envelope.payload))
    .where('envelope', 'is', null);
  return [statementOf(update)];
}

/** The first statement changes nothing once a log or a store has a word about the kept one; the second drops the timestamps of what it replaced. */
export function replacingEnvelope(db: Db, uid: string, key: string, envelope: Envelope): readonly Statement[] {
  const seen = (table: 'entry' | 'receipt') => db.selectFrom(table).select('work').where('run', '=', uid).where('work', '=', key);
  const update = db
    .updateTable('work')
    .set({ envelope: envelopeText(envelope), envelope_body: envelope.body })
    .where('run', '=', uid)
    .where('work', '=', key)
    .where('payload_sha256', '=', sha256Of(envelope.payload))
    .where(({ not, exists }) => not(exists(seen('entry').where('proof', 'is not', null))))
    .where(({ not, exists }) => not(exists(seen('receipt'))));
  const replaced = db
    .selectFrom('work')
    .select('work')
    .where('run', '=', uid)
    .where('work', '=', key)
    .where('envelope_body', '=', envelope.body);
  const stale = db.deleteFrom('entry').where('run', '=', uid).where('work', '=', key).where('proof', 'is', null);
  return [statementOf(update), statementOf(stale.where(({ exists }) => exists(replaced)))];
}

export function keepingEvidence(db: Db, uid: string, key: string, evidence: LogEntry | Timestamp): readonly Statement[] {
  const insert = db.insertInto('entry').values({ run: uid, work: key, ...evidenceRow(evidence) });
  return [statementOf(insert.onConflict((conflict) => conflict.columns(['run', 'work', 'log']).doNothing()))];
}

export function keepingKey(db: Db, key: Omit<KnownKey, 'firstAt' | 'lastAt'>, at: number, keep: number): readonly Statement[] {
  const { fingerprint, signer, publicKey } = key;
  const upsert = db
    .insertInto('key')
    .values({ fingerprint, signer, public_key: publicKey, first_at: at, last_at: at })
    .onConflict((conflict) => conflict.columns(['fingerprint', 'signer']).doUpdateSet({ last_at: at }));
  const kept = db.selectFrom('key').select('last_at').orderBy('last_at', 'desc').limit(1).offset(keep);
  return [statementOf(upsert), statementOf(db.deleteFrom('key').where('last_at', '<=', kept))];
}

export function allKeys(db: Db): readonly Statement[] {
  return [statementOf(db.selectFrom('key').selectAll().orderBy('last_at', 'desc').orderBy('fingerprint'))];
}

export function keepingReceipt(db: Db, uid: string, key: string, receipt: Receipt): readonly Statement[] {
  const upsert = db
    .insertInto('receipt')
    .values({ run: uid, work: key, store: receipt.store, reference: receiptText(receipt), proven_at: null })
    .onConflict((conflict) =>
      conflict.columns(['run', 'work', 'store']).doUpdateSet((eb) => ({
        reference: eb.ref('excluded.reference'),
        proven_at: sql<number | null>`case when excluded.reference = receipt.reference then receipt.proven_at end`,
      })),
    );
  return [statementOf(upsert)];
}

export function markingProven(
  db: Db,
  uid: string,
  key: string,
  proof: { readonly store: string; readonly at: number },
): readonly Statement[] {
  const update = db.updateTable('receipt').set({ proven_at: proof.at }).where('run', '=', uid).where('work', '=', key);
  return [statementOf(update.where('store', '=', proof.store))];
}

export function finishing(db: Db, uid: string, { state, reason, at }: Outcome): readonly Statement[] {
  const update = db
    .updateTable('run')
    .set({ state, reason: reason ?? null, due: null, snapshot: null, updated_at: at, finished_at: at })
    .where('uid', '=', uid);
  return [statementOf(update)];
}

export function postponing(db: Db, uid: string, { attempts, dueAt, reason, at }: Postponement): readonly Statement[] {
  const update = db
    .updateTable('run')
    .set({ state: 'open', lane: 'retry', attempts, due: dueAt, reason, updated_at: at, finished_at: null })
    .where('uid', '=', uid);
  return [statementOf(update)];
}

/** One page of open runs whose uid comes after `after`. */
export function openPage(db: Db, after: string, size: number): readonly Statement[] {
  const page = db.selectFrom('run').select(lineColumns).where('finished_at', 'is', null).where('uid', '>', after);
  return [statementOf(page.orderBy('uid').limit(size))];
}

export function recentRuns(db: Db, limit: number): readonly Statement[] {
  const runs = db.selectFrom('run').select(lineColumns).orderBy('updated_at', 'desc').orderBy('uid', 'desc').limit(limit);
  return [statementOf(runs)];
}

export function noting(db: Db, { at, who, what }: Note, keep: number): readonly Statement[] {
  const newest = db.selectFrom('change').select((eb) => sql<number>`${eb.fn.max('id')} - ${keep}`.as('newest'));
  return [statementOf(db.insertInto('change').values({ at, who, what })), statementOf(db.deleteFrom('change').where('id', '<=', newest))];
}

/** Deletes up to `size` finished runs for each of the two bounds; works, receipts, entries and subjects go with them. */
export function pruning(db: Db, { finishedBefore, maxRuns }: Retention, size: number): readonly Statement[] {
  const finished = db.selectFrom('run').select('uid').where('finished_at', 'is not', null);
  const old = finished.where('finished_at', '<', finishedBefore).orderBy('finished_at').orderBy('uid').limit(size);
  const beyond = finished.orderBy('finished_at', 'desc').orderBy('uid', 'desc').limit(size).offset(maxRuns);
  return [old, beyond].map((uids) => statementOf(db.deleteFrom('run').where('uid', 'in', uids)));
}
