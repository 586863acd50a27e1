import type { z } from 'zod';
import type { SecretData } from '../kube/objects.ts';
import type { PublicKey } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';

/** What a key made: the signature (ASN.1 DER for ECDSA), and what verifies it. Certificates are PEM, empty text without. */
export interface Signed {
  readonly signature: Uint8Array;
  /** SPKI PEM. */
  readonly publicKey: string;
  /** The same, parsed, from a signer that signs many times with it: parsing takes longer than signing. */
  readonly key?: PublicKey;
  readonly certificate: string;
  readonly chain: string;
}

/** What names a signer in what it signed. */
export type Signatory = Pick<Signed, 'publicKey' | 'certificate'>;

/**
 * Signs bytes as they are; DSSE framing is `dsse.ts`. Opened once and reused; safe to call from many runs at once. A key that changes
 * (a Secret, a file, a version) is another signer: this one signs with what it was opened with until it is disposed of.
 */
export interface Signer extends AsyncDisposable {
  sign(bytes: Uint8Array, ctx: Context): Promise<Signed>;
  /** SPKI PEM with a final newline, of a signer with one lasting key; undefined for one that makes a key for each certificate. */
  readonly publicKey: string | undefined;
  /** Whether this signer, or a former life of it, would have signed like that: by the same key, or as the same identity. */
  owns(signatory: Signatory, ctx: Context): Promise<boolean>;
  /** Whether a signer opened now would sign with the same key, by a look that is cheap enough for every few seconds. */
  isCurrent(ctx: Context): Promise<boolean>;
}

/** What a signer may need to open that is not in its options. */
export interface SignerMeans {
  /** Trust in certificate authorities, read when it is first asked for. */
  trust(ctx: Context): Promise<TrustedRoot>;
  /**
   * One Secret as the API server has it now; undefined when there is none, or no such namespace. Throws what the client throws
   * (`kube.forbidden`, …), and `sign.no-cluster` where there is no API server to ask.
   */
  secret(namespace: string, name: string, ctx: Context): Promise<SecretData | undefined>;
}

/** A row of the table: what its options look like, and how to open it. Opening refuses a key that cannot sign. */
export interface SignerKind<Options extends z.ZodType = z.ZodType> {
  readonly options: Options;
  open(options: z.output<Options>, means: SignerMeans, ctx: Context): Promise<Signer>;
}
