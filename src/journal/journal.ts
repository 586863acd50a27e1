import type { z } from 'zod';
import type { ArtifactKind, Image } from '../model/artifact.ts';
import type { Sha256 } from '../model/digest.ts';
import type { Envelope } from '../model/envelope.ts';
import type { Evidence, LogEntry, Timestamp } from '../model/evidence.ts';
import type { Receipt } from '../model/receipt.ts';
import type { RunId } from '../model/run.ts';
import type { Payload } from '../model/work.ts';
import type { Context } from '../observe/context.ts';

/** `live`: completed while we watched; `retry`: postponed; `backfill`: was complete at start-up (design 4, step 2). */
export type Lane = 'live' | 'retry' | 'backfill';

/** A run enters. All times here and below are milliseconds since the epoch. */
export interface Admission {
  readonly id: RunId;
  readonly lane: Lane;
  readonly at: number;
  /** The run and its children as JSON text, so that the object may go before it is signed; undefined keeps what an earlier call left. */
  readonly snapshot: string | undefined;
}

/** How a run ended; `reason` for a person, undefined when there is nothing to say. */
export interface Outcome {
  readonly state: 'signed' | 'failed' | 'skipped';
  readonly reason: string | undefined;
  readonly at: number;
}

export interface Postponement {
  readonly attempts: number;
  readonly dueAt: number;
  readonly reason: string;
  readonly at: number;
}

/** The identity of a work within its run, from its plan. */
export interface WorkName {
  readonly key: string;
  readonly artifact: ArtifactKind;
  readonly format: string;
  readonly signer: string;
  readonly stores: readonly string[];
  /** Whether it goes into the transparency log. */
  readonly log: boolean;
}

/** The line of a run, without what was made of it. */
export interface JournalRun {
  readonly id: RunId;
  readonly state: 'open' | Outcome['state'];
  readonly lane: Lane;
  readonly attempts: number;
  readonly dueAt: number | undefined;
  readonly reason: string | undefined;
  readonly updatedAt: number;
}

/** Everything known of a run. `works` in the order in which their payloads were kept. */
export interface KnownRun extends JournalRun {
  readonly snapshot: string | undefined;
  readonly works: readonly KnownWork[];
}

export interface KnownWork extends Omit<WorkName, 'signer' | 'stores' | 'log'> {
  /** Undefined when an older release wrote it. */
  readonly signer: string | undefined;
  readonly stores: readonly string[] | undefined;
  readonly log: boolean;
  readonly payload: Payload;
  readonly payloadSha256: Sha256;
  readonly envelope: Envelope | undefined;
  /** What logs and timestamp authorities have said of the envelope so far. */
  readonly evidence: Evidence;
  /** One for each store, stores ascending. */
  readonly receipts: readonly KnownReceipt[];
}

export interface KnownReceipt {
  readonly receipt: Receipt;
  /** When the store gave the bytes back and they verified; undefined until then. */
  readonly provenAt: number | undefined;
}

/** Who or what changed a state or the configuration. */
export interface Note {
  readonly at: number;
  readonly who: string;
  readonly what: string;
}

/** A public key that has signed, in times of its first and last use. */
export interface KnownKey {
  /** `SHA256:…`, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  /** SPKI PEM. */
  readonly publicKey: string;
  /** The configured name of the signer. */
  readonly signer: string;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** Finished runs beyond either bound go. */
export interface Retention {
  readonly finishedBefore: number;
  readonly maxRuns: number;
}

/**
 * The durable outbox: what is already done for which run (design 4, Journal).
 *
 * Every promise settles after its change is on disk (fsync), and calls may be made at once from many runs: they share commits.
 * Everything may be repeated: what was kept first stays, so a retry neither changes a payload nor signs again.
 * There is no context argument: what was begun is written even while the process is told to stop; disposing waits for it.
 *
 * Throws `TransientError` `journal.full`, `journal.io`, `journal.closed` and, when it shows only while running, `journal.corrupt` and
 * `journal.read-only` (the journal's trouble is never a run's failure); `TerminalError` `journal.unknown` for a run, work or receipt that
 * was never admitted or kept, and `journal.payload-mismatch`.
 */
export interface Journal extends AsyncDisposable {
  /** The run is `open` from now on, whatever it was; gives what is already known of it. Attempts start again when it was finished. */
  admit(admission: Admission): Promise<KnownRun>;
  load(uid: string): Promise<KnownRun | undefined>;

  /** What `keepChildren` kept of an image of this run; undefined before. */
  children(uid: string, image: Image): Promise<readonly Image[] | undefined>;
  /**
   * First write wins: gives the children that are kept, so that a retry makes the same works whatever became of the index. None for an image
   * that is no index.
   */
  keepChildren(uid: string, image: Image, children: readonly Image[]): Promise<readonly Image[]>;

  /** First write wins: gives the payload that is kept, which is the one to sign. */
  keepPayload(uid: string, work: WorkName, payload: Payload): Promise<Payload>;
  /** First write wins: gives the envelope that is kept. Its payload must be the kept one. */
  keepEnvelope(uid: string, key: string, envelope: Envelope): Promise<Envelope>;
  /**
   * Puts another envelope over the same payload in the place of one that was never published: no log and no store has a word about it. What
   * timestamp authorities said of the former goes with it. Gives the envelope that is kept in the end.
   */
  replaceEnvelope(uid: string, key: string, envelope: Envelope): Promise<Envelope>;
  /** First write wins, for each log, and for each authority and what it stamped. The envelope must be kept. */
  keepEvidence(uid: string, key: string, evidence: LogEntry | Timestamp): Promise<void>;
  /** Replaces an earlier receipt of the same store, and its proof unless the receipt says the same. */
  keepReceipt(uid: string, key: string, receipt: Receipt): Promise<void>;
  markProven(uid: string, key: string, store: string, at: number): Promise<void>;

  /** Drops the snapshot; what was made stays until it is pruned. */
  finish(uid: string, outcome: Outcome): Promise<void>;
  /** The run stays open, in the lane `retry`. */
  postpone(uid: string, postponement: Postponement): Promise<void>;

  /** The runs that are not finished, uid ascending, read in pages: for a restart. */
  open(): AsyncIterable<JournalRun>;
  /** The runs that changed last, newest first. */
  recent(limit: number): Promise<readonly JournalRun[]>;

  /** A key has signed; of one that is known the last use moves. The 1 000 that were used last are kept. */
  keepKey(key: Omit<KnownKey, 'firstAt' | 'lastAt'>, at: number): Promise<void>;
  /** By last use, newest first. */
  keys(): Promise<readonly KnownKey[]>;
  /** Appends; the last 10 000 notes are kept. */
  note(note: Note): Promise<void>;
  /** Deletes oldest first, in bounded batches; gives the number of runs deleted. Open runs are never touched. */
  prune(retention: Retention): Promise<number>;
}

/** A row of the table: what its options look like, and how to open it. */
export interface JournalKind<Options extends z.ZodType = z.ZodType> {
  readonly options: Options;
  open(options: z.output<Options>, ctx: Context): Promise<Journal>;
}
