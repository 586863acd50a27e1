import type { z } from 'zod';
import type { Envelope, Filing } from '../model/envelope.ts';
import type { Receipt, Stored } from '../model/receipt.ts';
import type { Payload } from '../model/work.ts';
import type { Context } from '../observe/context.ts';

/** Where an envelope comes to rest. Storing the same envelope twice leaves one copy and gives a receipt both times. */
export interface Store extends AsyncDisposable {
  put(envelope: Envelope, ctx: Context): Promise<Receipt>;
}

/**
 * A store that gives back what it keeps: one `Stored` for each place of the receipt, read from the outside as a consumer would.
 * A place that holds nothing any more is an error: whoever has the receipt must put the envelope again.
 */
export interface Readable {
  get(receipt: Receipt, ctx: Context): Promise<readonly Stored[]>;
}

/**
 * A store that can be asked what a former life of ours left there, when the journal is lost: an envelope over exactly these payload bytes,
 * signed by the key (SPKI PEM), filed where `put` would file it. Undefined when there is none; could not look is an error.
 */
export interface Finder {
  find(filing: Filing, payload: Payload, publicKey: string, ctx: Context): Promise<Envelope | undefined>;
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
