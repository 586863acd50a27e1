import type { KeyObject, X509Certificate } from 'node:crypto';

/** From when until when, both included; no end: still. */
export interface Validity {
  readonly start: Date;
  readonly end: Date | undefined;
}

/** A transparency log, or a certificate transparency log. */
export interface TrustedLog {
  readonly baseUrl: string;
  /** The whole id: 32 bytes (sigstore-wire 5.3, 5.8). */
  readonly logId: Uint8Array;
  readonly publicKey: KeyObject;
  readonly validFor: Validity;
}

/** A certificate authority or timestamp authority. */
export interface TrustedAuthority {
  readonly uri: string;
  /** As the trusted root has them: the root last; of a timestamp authority the leaf may come first. */
  readonly chain: readonly X509Certificate[];
  readonly validFor: Validity;
}

/** What a verifier believes in (sigstore-wire 6.5), parsed: keys and certificates are good ones. */
export interface TrustedRoot {
  readonly logs: readonly TrustedLog[];
  readonly ctLogs: readonly TrustedLog[];
  readonly certificateAuthorities: readonly TrustedAuthority[];
  readonly timestampAuthorities: readonly TrustedAuthority[];
}

export const emptyRoot: TrustedRoot = { logs: [], ctLogs: [], certificateAuthorities: [], timestampAuthorities: [] };
