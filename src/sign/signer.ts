import type { z } from 'zod';
import type { Context } from '../observe/context.ts';

/** What a key made: the signature (ASN.1 DER for ECDSA), and what verifies it. Certificates are PEM, empty text without. */
export interface Signed {
  readonly signature: Uint8Array;
  /** SPKI PEM. */
  readonly publicKey: string;
  readonly certificate: string;
  readonly chain: string;
}

/** Signs bytes as they are; DSSE framing is `dsse.ts`. Opened once and reused; safe to call from many runs at once. */
export interface Signer extends AsyncDisposable {
  sign(bytes: Uint8Array, ctx: Context): Promise<Signed>;
}

/** A signer that can say its key without signing (`chainsmith keys public`). */
export interface KeyHolder {
  /** SPKI PEM, with a final newline. */
  readonly publicKey: string;
}

/** A row of the table: what its options look like, and how to open it. Opening refuses a key that cannot sign. */
export interface SignerKind<Options extends z.ZodType = z.ZodType> {
  readonly options: Options;
  open(options: z.output<Options>, ctx: Context): Promise<Signer & KeyHolder>;
}
