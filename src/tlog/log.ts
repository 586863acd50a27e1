import type { z } from 'zod';
import type { Envelope } from '../model/envelope.ts';
import type { LogEntry } from '../model/evidence.ts';
import type { PublicKey } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { SignedOver } from './algorithm.ts';

/** An append-only log of signatures. Safe to call from many runs at once. */
export interface Log extends AsyncDisposable {
  /** Base URL, as configured. */
  readonly url: string;
  /** Whether its entries say when they came (Rekor 1), which must then lie within the life of a certificate. */
  readonly isTimed: boolean;
  /** Waits until one more upload keeps to the rate; asked before a certificate is, so that none runs out while it waits (design 4, step 7). */
  turn(ctx: Context): Promise<void>;
  /**
   * Why this log would refuse what such a key signs, in words; undefined when it takes it. Known without asking it. Without `over`, which says
   * what the signature is made over: whether it takes any that such a key makes.
   */
  refusal(key: PublicKey, kind: Envelope['kind'], over?: SignedOver): string | undefined;
  /**
   * The entry of this envelope, checked as a consumer would: over these bytes, included, under a checkpoint (and promise) of a trusted key. One
   * that is there already is found and adopted, if it is over our bytes. Throws `tlog.*`: transient for what may mend itself.
   */
  append(envelope: Envelope, ctx: Context): Promise<LogEntry>;
  /** The entry of this envelope if the log has it already, checked like a new one; undefined when it has none, or cannot be asked. */
  find(envelope: Envelope, ctx: Context): Promise<LogEntry | undefined>;
}

/** A row of the table: what its options look like, and how to open it. */
export interface LogKind<Options extends z.ZodType = z.ZodType> {
  readonly options: Options;
  open(options: z.output<Options>, trust: TrustedRoot, ctx: Context): Promise<Log>;
}
