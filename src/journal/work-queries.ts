import { sql } from 'kysely';
import { sha256Of } from '../model/digest.ts';
import type { Envelope } from '../model/envelope.ts';
import type { LogEntry, Timestamp } from '../model/evidence.ts';
import type { Receipt } from '../model/receipt.ts';
import type { Payload } from '../model/work.ts';
import type { Db, Statements } from './compiled.ts';
import { evidenceRow } from './evidence-rows.ts';
import type { WorkName } from './journal.ts';
import { detailText, envelopeText, receiptText } from './rows.ts';
import type { Statement } from './statement.ts';

// Each statement is a function of its own (`Query`), compiled once; beside it is what it is filled with.

interface OfWork {
  readonly uid: string;
  readonly key: string;
}

/** The first statement changes nothing when a payload is there already, and then its subjects stay as they are. */
export function keepingPayload(db: Statements, uid: string, work: WorkName, payload: Payload): readonly Statement[] {
  const { key, artifact, format, signer } = work;
  const { bytes } = payload;
  const more = { stores: work.stores.join(','), isLogged: work.log ? 1 : 0, detail: detailText(payload) };
  const insert = db.of(keepPayload, { uid, key, artifact, format, signer, bytes, sha256: sha256Of(bytes), ...more }, true);
  const subjects = payload.subjects.flatMap(({ name, digest }, position) =>
    Object.entries(digest).map(([algorithm, hex]) => ({ uid, key, position, name, algorithm, hex })),
  );
  // A row a statement: the text stays the same for any number of subjects, so the engine prepares it once.
  return [insert, ...subjects.map((row) => db.of(keepSubject, row))];
}

interface PayloadValues extends OfWork {
  readonly artifact: string;
  readonly format: string;
  readonly signer: string;
  readonly stores: string;
  readonly isLogged: number;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly detail: string;
}

function keepPayload(db: Db, values: PayloadValues) {
  const { uid, key, artifact, format, signer, stores, detail } = values;
  return db
    .insertInto('work')
    .values((eb) => ({
      run: uid,
      work: key,
      position: eb
        .selectFrom('work')
        .select((count) => count.fn.countAll<number>().as('count'))
        .where('run', '=', uid),
      artifact,
      format,
      payload: values.bytes,
      payload_sha256: values.sha256,
      detail,
      envelope: null,
      envelope_body: null,
      signer,
      stores,
      is_logged: values.isLogged,
    }))
    .onConflict((conflict) => conflict.columns(['run', 'work']).doNothing());
}

interface SubjectValues extends OfWork {
  readonly position: number;
  readonly name: string;
  readonly algorithm: string;
  readonly hex: string;
}

function keepSubject(db: Db, { uid, key, position, name, algorithm, hex }: SubjectValues) {
  return db.insertInto('subject').values({ run: uid, work: key, position, name, algorithm, digest: hex });
}

/** Changes nothing when an envelope is there, or the kept payload is another one. */
export function keepingEnvelope(db: Statements, uid: string, key: string, envelope: Envelope): readonly Statement[] {
  return [db.of(keepEnvelope, envelopeValues(uid, key, envelope))];
}

interface EnvelopeValues extends OfWork {
  readonly text: string;
  readonly body: Uint8Array;
  readonly sha256: string;
}

function envelopeValues(uid: string, key: string, envelope: Envelope): EnvelopeValues {
  return { uid, key, text: envelopeText(envelope), body: envelope.body, sha256: sha256Of(envelope.payload) };
}

function putEnvelope(db: Db, { uid, key, text, body, sha256 }: EnvelopeValues) {
  const update = db.updateTable('work').set({ envelope: text, envelope_body: body });
  return update.where('run', '=', uid).where('work', '=', key).where('payload_sha256', '=', sha256);
}

function keepEnvelope(db: Db, values: EnvelopeValues) {
  return putEnvelope(db, values).where('envelope', 'is', null);
}

/** The first statement changes nothing once a log or a store has a word about the kept one; the second drops the timestamps of what it replaced. */
export function replacingEnvelope(db: Statements, uid: string, key: string, envelope: Envelope): readonly Statement[] {
  const values = envelopeValues(uid, key, envelope);
  return [db.of(replaceEnvelope, values), db.of(dropTimestamps, values)];
}

function replaceEnvelope(db: Db, values: EnvelopeValues) {
  const { uid, key } = values;
  const seen = (table: 'entry' | 'receipt') => db.selectFrom(table).select('work').where('run', '=', uid).where('work', '=', key);
  return putEnvelope(db, values)
    .where(({ not, exists }) => not(exists(seen('entry').where('proof', 'is not', null))))
    .where(({ not, exists }) => not(exists(seen('receipt'))));
}

function dropTimestamps(db: Db, { uid, key, body }: EnvelopeValues) {
  const works = db.selectFrom('work').select('work').where('run', '=', uid).where('work', '=', key);
  const replaced = works.where('envelope_body', '=', body);
  const stale = db.deleteFrom('entry').where('run', '=', uid).where('work', '=', key).where('proof', 'is', null);
  return stale.where(({ exists }) => exists(replaced));
}

export function keepingEvidence(db: Statements, uid: string, key: string, evidence: LogEntry | Timestamp): readonly Statement[] {
  return [db.of(keepEvidence, { uid, key, ...evidenceRow(evidence) })];
}

function keepEvidence(db: Db, { uid, key, log, index, uuid, body, proof }: OfWork & ReturnType<typeof evidenceRow>) {
  const insert = db.insertInto('entry').values({ run: uid, work: key, log, index, uuid, body, proof });
  return insert.onConflict((conflict) => conflict.columns(['run', 'work', 'log']).doNothing());
}

export function keepingReceipt(db: Statements, uid: string, key: string, receipt: Receipt): readonly Statement[] {
  return [db.of(keepReceipt, { uid, key, store: receipt.store, text: receiptText(receipt) })];
}

function keepReceipt(db: Db, { uid, key, store, text }: OfWork & { readonly store: string; readonly text: string }) {
  return db
    .insertInto('receipt')
    .values({ run: uid, work: key, store, reference: text, proven_at: null })
    .onConflict((conflict) =>
      conflict.columns(['run', 'work', 'store']).doUpdateSet((eb) => ({
        reference: eb.ref('excluded.reference'),
        proven_at: sql<number | null>`case when excluded.reference = receipt.reference then receipt.proven_at end`,
      })),
    );
}

interface Proof {
  readonly store: string;
  readonly at: number;
}

export function markingProven(db: Statements, uid: string, key: string, { store, at }: Proof): readonly Statement[] {
  return [db.of(markProven, { uid, key, store, at })];
}

function markProven(db: Db, { uid, key, store, at }: OfWork & Proof) {
  const update = db.updateTable('receipt').set({ proven_at: at }).where('run', '=', uid).where('work', '=', key);
  return update.where('store', '=', store);
}
