import { sql, type ColumnDataType, type Compilable, type Expression, type Generated, type Kysely } from 'kysely';

/** The tables, one interface each. Works are known by (run, work), `work` being the plan's key. */
export interface Tables {
  readonly run: RunTable;
  readonly work: WorkTable;
  readonly entry: EntryTable;
  readonly receipt: ReceiptTable;
  readonly subject: SubjectTable;
  readonly change: ChangeTable;
  readonly image_index: ImageIndexTable;
  readonly key: KeyTable;
  readonly migration: MigrationTable;
}

interface RunTable {
  uid: string;
  kind: string;
  namespace: string;
  name: string;
  snapshot: string | null;
  state: string;
  lane: string;
  attempts: Generated<number>;
  due: number | null;
  reason: string | null;
  admitted_at: number;
  updated_at: number;
  finished_at: number | null;
}

interface WorkTable {
  run: string;
  work: string;
  /** Counts the works of a run in the order in which they came. */
  position: number;
  artifact: string;
  format: string;
  payload: Uint8Array;
  payload_sha256: string;
  /** The rest of the payload as JSON. */
  detail: string;
  /** The envelope as JSON, but for its payload (above) and its body. */
  envelope: string | null;
  envelope_body: Uint8Array | null;
  signer: string | null;
  /** Names, comma between them. */
  stores: string | null;
  /** 1 when it goes into the transparency log. */
  is_logged: number | null;
}

interface EntryTable {
  run: string;
  work: string;
  /** URL of the log; of a timestamp `timestamp <what it is over> <URL of the authority>`. */
  log: string;
  index: number | null;
  uuid: string | null;
  /** The canonical body of an entry, or the response of a timestamp authority. */
  body: Uint8Array;
  /** The rest of an entry as JSON; null for a timestamp. */
  proof: string | null;
}

interface ReceiptTable {
  run: string;
  work: string;
  store: string;
  /** The receipt as JSON. */
  reference: string;
  proven_at: number | null;
}

interface SubjectTable {
  run: string;
  work: string;
  position: number;
  name: string;
  algorithm: string;
  digest: string;
}

interface ChangeTable {
  id: Generated<number>;
  at: number;
  who: string;
  what: string;
}

interface ImageIndexTable {
  run: string;
  /** The image's full name. */
  image: string;
  /** A JSON list of `{repository, digest}`; empty for an image that is no index. */
  children: string;
}

interface KeyTable {
  fingerprint: string;
  signer: string;
  public_key: string;
  first_at: number;
  last_at: number;
}

interface MigrationTable {
  version: number;
  applied_at: number;
}

/** Where the engines differ in a table's definition. */
export interface Flavour {
  readonly bytes: ColumnDataType;
  readonly long: ColumnDataType;
  /** An integer primary key that the engine counts up. */
  readonly counter: Expression<unknown>;
  /** What ends a `create table`. */
  readonly tableEnd: Expression<unknown>;
}

export const sqliteFlavour: Flavour = {
  bytes: 'blob',
  long: 'integer',
  counter: sql`integer primary key autoincrement`,
  // SQLite would otherwise put text into a column of numbers without a word.
  tableEnd: sql`strict`,
};

type Migration = (db: Kysely<Tables>, flavour: Flavour) => readonly Compilable[];

/** Forward only: a row is never changed once released, the next one is added below it. Version n is the n-th, from 1. */
export const migrations: readonly Migration[] = [
  (db, flavour) => [runTable(db, flavour), ...runIndexes(db), workTable(db, flavour), ...belowWork(db, flavour), changeTable(db, flavour)],
  (db, flavour) => [imageIndexTable(db, flavour)],
  (db, flavour) => [
    db.schema.alterTable('work').addColumn('signer', 'text'),
    db.schema.alterTable('work').addColumn('stores', 'text'),
    db.schema.alterTable('work').addColumn('is_logged', 'integer'),
    keyTable(db, flavour),
  ],
];

/** The table that says which migrations were made: the one thing that is asked before any of them. */
export function migrationTable(db: Kysely<Tables>, flavour: Flavour): Compilable {
  return db.schema
    .createTable('migration')
    .ifNotExists()
    .addColumn('version', 'integer', (column) => column.primaryKey())
    .addColumn('applied_at', flavour.long, (column) => column.notNull())
    .modifyEnd(flavour.tableEnd);
}

function runTable(db: Kysely<Tables>, flavour: Flavour): Compilable {
  return db.schema
    .createTable('run')
    .addColumn('uid', 'text', (column) => column.primaryKey().notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('namespace', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('snapshot', 'text')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('lane', 'text', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('due', flavour.long)
    .addColumn('reason', 'text')
    .addColumn('owner', 'text')
    .addColumn('epoch', flavour.long, (column) => column.notNull().defaultTo(0))
    .addColumn('admitted_at', flavour.long, (column) => column.notNull())
    .addColumn('updated_at', flavour.long, (column) => column.notNull())
    .addColumn('finished_at', flavour.long)
    .modifyEnd(flavour.tableEnd);
}

function runIndexes(db: Kysely<Tables>): readonly Compilable[] {
  return [
    // Open runs by uid (finished_at is null) and finished ones by age, both from one index.
    db.schema.createIndex('run_finished').on('run').columns(['finished_at', 'uid']),
    db.schema.createIndex('run_updated').on('run').columns(['updated_at', 'uid']),
  ];
}

function workTable(db: Kysely<Tables>, flavour: Flavour): Compilable {
  return db.schema
    .createTable('work')
    .addColumn('run', 'text', (column) => column.notNull().references('run.uid').onDelete('cascade'))
    .addColumn('work', 'text', (column) => column.notNull())
    .addColumn('position', 'integer', (column) => column.notNull())
    .addColumn('artifact', 'text', (column) => column.notNull())
    .addColumn('format', 'text', (column) => column.notNull())
    .addColumn('payload', flavour.bytes, (column) => column.notNull())
    .addColumn('payload_sha256', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('envelope', 'text')
    .addColumn('envelope_body', flavour.bytes)
    .addPrimaryKeyConstraint('work_key', ['run', 'work'])
    .modifyEnd(flavour.tableEnd);
}

function belowWork(db: Kysely<Tables>, flavour: Flavour): readonly Compilable[] {
  const table = (name: 'entry' | 'receipt' | 'subject') =>
    db.schema
      .createTable(name)
      .addColumn('run', 'text', (column) => column.notNull())
      .addColumn('work', 'text', (column) => column.notNull())
      .addForeignKeyConstraint(`${name}_work`, ['run', 'work'], 'work', ['run', 'work'], (key) => key.onDelete('cascade'))
      .modifyEnd(flavour.tableEnd);
  return [
    table('entry')
      .addColumn('log', 'text', (column) => column.notNull())
      .addColumn('index', flavour.long)
      .addColumn('uuid', 'text')
      .addColumn('body', flavour.bytes, (column) => column.notNull())
      .addColumn('proof', 'text')
      .addPrimaryKeyConstraint('entry_key', ['run', 'work', 'log']),
    table('receipt')
      .addColumn('store', 'text', (column) => column.notNull())
      .addColumn('reference', 'text', (column) => column.notNull())
      .addColumn('proven_at', flavour.long)
      .addPrimaryKeyConstraint('receipt_key', ['run', 'work', 'store']),
    table('subject')
      .addColumn('position', 'integer', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('algorithm', 'text', (column) => column.notNull())
      .addColumn('digest', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('subject_key', ['run', 'work', 'position', 'algorithm']),
    db.schema.createIndex('subject_digest').on('subject').columns(['digest', 'algorithm']),
  ];
}

function changeTable(db: Kysely<Tables>, flavour: Flavour): Compilable {
  return db.schema
    .createTable('change')
    .addColumn('id', flavour.counter)
    .addColumn('at', flavour.long, (column) => column.notNull())
    .addColumn('who', 'text', (column) => column.notNull())
    .addColumn('what', 'text', (column) => column.notNull())
    .modifyEnd(flavour.tableEnd);
}

function imageIndexTable(db: Kysely<Tables>, flavour: Flavour): Compilable {
  return db.schema
    .createTable('image_index')
    .addColumn('run', 'text', (column) => column.notNull().references('run.uid').onDelete('cascade'))
    .addColumn('image', 'text', (column) => column.notNull())
    .addColumn('children', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('image_index_key', ['run', 'image'])
    .modifyEnd(flavour.tableEnd);
}

function keyTable(db: Kysely<Tables>, flavour: Flavour): Compilable {
  return db.schema
    .createTable('key')
    .addColumn('fingerprint', 'text', (column) => column.notNull())
    .addColumn('signer', 'text', (column) => column.notNull())
    .addColumn('public_key', 'text', (column) => column.notNull())
    .addColumn('first_at', flavour.long, (column) => column.notNull())
    .addColumn('last_at', flavour.long, (column) => column.notNull())
    .addPrimaryKeyConstraint('key_key', ['fingerprint', 'signer'])
    .modifyEnd(flavour.tableEnd);
}
