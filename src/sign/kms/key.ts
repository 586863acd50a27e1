import type { PublicKey } from '../../model/public-key.ts';
import type { Context } from '../../observe/context.ts';
import type { Access } from './access.ts';

/** One version of a key in a key management service; where a service has no versions, the one there is. */
export interface KeyVersion {
  /** What the service calls it. */
  readonly name: string;
  readonly publicKey: PublicKey;
}

/** What a service is asked to sign: a digest where the algorithm has one, the bytes themselves for Ed25519. */
export type ToSign =
  | { readonly kind: 'digest'; readonly algorithm: 'sha256' | 'sha384' | 'sha512'; readonly digest: Uint8Array }
  | { readonly kind: 'message'; readonly bytes: Uint8Array };

/** A key that lives elsewhere, opened: bound to the version whose public key was read, whatever becomes of the newest one. */
export interface KmsKey extends AsyncDisposable {
  readonly place: Place;
  readonly version: KeyVersion;
  /** ASN.1 DER for ECDSA, PKCS #1 v1.5 for RSA, 64 bytes for Ed25519. Not checked here. */
  sign(toSign: ToSign, ctx: Context): Promise<Uint8Array>;
  /** The version that opening the same reference now would give. */
  newest(ctx: Context): Promise<KeyVersion>;
  /** How long what `newest` said is good enough, in milliseconds: services that bill each call are asked less often. */
  readonly newestForMs: number;
  /** Public keys (SPKI PEM) of all versions that the service still shows. */
  allVersions(ctx: Context): Promise<readonly string[]>;
}

/** A row of the table: one kind of service, known by the scheme of its references. */
export interface KmsKind {
  /** How a reference looks after `scheme://`, for errors. */
  readonly form: string;
  open(reference: Reference, access: Access, ctx: Context): Promise<KmsKey>;
}

export interface Reference {
  readonly scheme: string;
  /** What stands after `scheme://`. */
  readonly path: string;
}

/** Names a key in errors: never with a credential. */
export interface Place {
  /** The reference as it is configured. */
  readonly key: string;
  /** For breakers: `kms:<scheme>:<host>`. */
  readonly dependency: string;
  /** What an administrator does when the service refuses us. */
  readonly permission: string;
}
