import type { Breakers } from './breakers.ts';
import type { Journal, KnownRun, KnownWork } from './journal/journal.ts';
import type { Image } from './model/artifact.ts';
import type { Filing } from './model/envelope.ts';
import type { RunId } from './model/run.ts';
import type { Payload, Work } from './model/work.ts';
import type { Context } from './observe/context.ts';
import type { ErrorType, Metrics } from './observe/metrics.ts';
import type { PlanOptions } from './plan.ts';
import type { Signer } from './sign/signer.ts';
import type { OpenStore } from './store/store.ts';
import type { Log } from './tlog/log.ts';
import type { Authority } from './tlog/timestamp.ts';
import type { TrustedRoot } from './trust/trusted-root.ts';

/** The rooms that a run passes through, opened for one configuration. */
export interface Rooms {
  readonly journal: Journal;
  readonly breakers: Breakers;
  readonly metrics: Metrics;
  readonly plan: PlanOptions;
  readonly limits: Limits;
  /** `proof.read-back` */
  readonly readBack: boolean;
  signer(name: string, ctx: Context): Promise<Signer>;
  /** The transparency logs of what is to be logged: each gets it. */
  logs(ctx: Context): Promise<readonly Log[]>;
  /** Those that stamp every signature; none when there is none configured. */
  authorities(ctx: Context): Promise<readonly Authority[]>;
  /** Whether a store publishes a DSSE envelope in a tag, where cosign wants a timestamp over the whole envelope. */
  readonly tagsEnvelopes: boolean;
  /** Whether a store publishes Sigstore bundles, which want the proof of every entry. */
  readonly bundlesEnvelopes: boolean;
  /** What a consumer would believe in; undefined when neither log, authority nor certificate is used. */
  trust(ctx: Context): Promise<TrustedRoot | undefined>;
  /** Remembers that a key, as SPKI PEM, has signed. */
  keyUsed(key: { readonly publicKey: string; readonly signer: string }): Promise<void>;
  store(name: string, ctx: Context): Promise<OpenStore>;
  /** The manifests below an image index, from its registry. */
  children(image: Image, ctx: Context): Promise<readonly Image[]>;
}

/** `limits.payload-bytes` and `limits.subjects`: bad input meets a number. */
export interface Limits {
  readonly payloadBytes: number;
  readonly subjects: number;
}

export interface How {
  /** What the journal said when it admitted the run. */
  readonly known: KnownRun;
  /** An earlier life, whose journal is lost, may have carried the run: stores are asked before what the journal has no envelope of is signed (P3). */
  readonly mayExist: boolean;
  /** The run was finished, and its mark taken off: what was stored is stored again, should it be gone. */
  readonly isAgain: boolean;
}

/** One work on its way, with what is already known of it. */
export interface Carriage {
  readonly id: RunId;
  readonly work: Work;
  readonly payload: Payload;
  readonly known: KnownWork | undefined;
  readonly how: How;
}

/** What a breaker watches: a registry by its host, any other store by its name. */
export function dependencyOf(store: string, { images }: Filing): string {
  const host = images[0]?.repository.split('/')[0];
  return store === 'oci' && host !== undefined ? `oci:${host}` : store;
}

export async function counted<T>(type: ErrorType, { kind }: RunId, { metrics }: Rooms, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    metrics.runs[kind].signingFailures.inc({ error_type: type });
    throw error;
  }
}
