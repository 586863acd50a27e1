import type { z } from 'zod';
import type { Envelope, Filing } from '../model/envelope.ts';
import type { Logged } from '../model/evidence.ts';
import type { Receipt, Stored } from '../model/receipt.ts';
import type { Payload } from '../model/work.ts';
import type { Context } from '../observe/context.ts';

/** Where an envelope comes to rest. Storing the same envelope twice leaves one copy and gives a receipt both times. */
export interface Store extends AsyncDisposable {
  put(envelope: Logged, ctx: Context): Promise<Receipt>;
}

/**
 * A store that gives back what it keeps: one `Stored` for each place of the receipt, read from the outside as a consumer would.
 * A place that holds nothing any more is an error: whoever has the receipt must put the envelope again.
 */
export interface Readable {
  get(receipt: Receipt, ctx: Context): Promise<readonly Stored[]>;
}

/** What is looked for: an envelope over exactly these payload bytes, filed where `put` would file it, by a signer that we may call ours. */
export interface Wanted {
  readonly filing: Filing;
  readonly payload: Payload;
  /** SPKI PEM of a signer with one lasting key, tried for what carries no certificate; undefined for one without. */
  readonly publicKey: string | undefined;
  /** Whether who signed is the signer, or was it once. Asked only when the signature verifies under the key, or the key of the certificate. */
  owns(signatory: Pick<Envelope, 'publicKey' | 'certificate'>): Promise<boolean>;
}

/**
 * A store that can be asked what a former life of ours left there, when the journal is lost. What stands beside the envelope is given with it,
 * not verified: log entries of an annotation are without proof, and `log` and `authority` are empty text. Undefined when there is none; could
 * not look is an error.
 */
export interface Finder {
  find(wanted: Wanted, ctx: Context): Promise<Logged | undefined>;
}

/**
 * An open store, by how its receipts are proven. `read-back`: ask `get`. `patch`: the receipt is only annotations to be written, and what
 * proves it is the object that the patch of the run returns.
 */
export type OpenStore = (Store & Readable & Finder & { readonly proof: 'read-back' }) | (Store & { readonly proof: 'patch' });

/** A row of the table: what its options look like, and how to open it. */
export interface StoreKind<Options extends z.ZodType = z.ZodType> {
  readonly options: Options;
  open(options: z.output<Options>, ctx: Context): Promise<OpenStore>;
}
