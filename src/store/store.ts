import type { z } from 'zod';
import type { Envelope } from '../model/envelope.ts';
import type { Receipt, Stored } from '../model/receipt.ts';
import type { Context } from '../observe/context.ts';

/** Where an envelope comes to rest. Storing the same envelope twice leaves one copy and gives a receipt both times. */
export interface Store extends AsyncDisposable {
  put(envelope: Envelope, ctx: Context): Promise<Receipt>;
}

/** A store that gives back what it keeps: one `Stored` for each place of the receipt, read from the outside as a consumer would. */
export interface Readable {
  get(receipt: Receipt, ctx: Context): Promise<readonly Stored[]>;
}

/** A row of the table: what its options look like, and how to open it. */
export interface StoreKind<Options extends z.ZodType = z.ZodType> {
  readonly options: Options;
  open(options: z.output<Options>, ctx: Context): Promise<Store & Readable>;
}
