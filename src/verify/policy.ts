import { TerminalError } from '../errors.ts';
import type { Sha256 } from '../model/digest.ts';
import { maxEnvelopeBytes } from '../model/dsse.ts';
import { parsePublicKey, type PublicKey } from '../model/public-key.ts';
import { emptyRoot, type TrustedRoot, type Validity } from '../trust/trusted-root.ts';

/** A key, and when its signatures count; without `validFor` at any time. */
export interface TrustedKey {
  /** SPKI PEM. */
  readonly pem: string;
  readonly validFor?: Validity | undefined;
}

/** Whose certificate it must be: both exactly, or by a regular expression that must match from the first to the last character. */
export interface WantedIdentity {
  /** Subject alternative name, as Fulcio writes it (sigstore-wire 6.3). */
  readonly san: string | RegExp;
  /** URL of the OIDC issuer. */
  readonly issuer: string | RegExp;
}

/** How many different ones must vouch. 0: it is not looked at, and what it says is neither believed nor held against the signature. */
export interface Thresholds {
  /** Transparency logs. Default 1 with an identity, and with keys when the trusted root has a log; else 0. */
  readonly log: number;
  /** Timestamp authorities. Default 0, where what is there is used all the same. */
  readonly timestamps: number;
  /** Certificate transparency logs. Default 1 with an identity. 0 is insecure: a CA could then issue in secret. */
  readonly scts: number;
}

/** A file, by its digests: lower-case hex. The bytes are needed only for Ed25519, which signs no digest. */
export interface Blob {
  readonly sha256: Sha256;
  readonly sha384?: string;
  readonly sha512?: string;
  readonly bytes?: Uint8Array;
}

/**
 * What is demanded of something that a store gave back. One of `keys` and `identity` is mandatory, and never both; what else is left out
 * is not checked, and not listed as checked.
 */
export interface Policy {
  /** One of these must have signed. A text is an SPKI PEM. */
  readonly keys?: readonly (string | TrustedKey)[];
  /** A certificate of this identity must have signed, which was valid at every trusted time; needs `trust`. */
  readonly identity?: WantedIdentity;
  /** Logs, authorities and CAs that are believed. Default: none. */
  readonly trust?: TrustedRoot | undefined;
  readonly thresholds?: Partial<Thresholds>;
  /** Demand a time that a log or an authority vouches for. Always so with an identity. */
  readonly requireTrustedTime?: boolean;
  /** The image that it must speak about. */
  readonly image?: { readonly digest: Sha256 };
  /** The file that it must be a signature of, or speak about. Mandatory for a signature of a message in a bundle. */
  readonly blob?: Blob;
  /** Never true of an image signature, which has no predicate. */
  readonly predicateType?: string;
  /** Read-back: what was stored, byte for byte: the body of an envelope or a bundle, of a `raw` one the signature. */
  readonly expectedBody?: Uint8Array;
  /** The UID of the run that a provenance 1 statement must name as its invocation; the older formats have no place for it. */
  readonly runUid?: string;
  /** Largest body or payload, default 32 MiB. */
  readonly maxBytes?: number;
}

export interface CandidateKey {
  readonly key: PublicKey;
  readonly validFor: Validity | undefined;
}

/** A policy with its defaults, and its keys parsed. */
export interface Demands {
  readonly policy: Policy;
  readonly signer:
    | { readonly kind: 'keys'; readonly keys: readonly CandidateKey[] }
    | { readonly kind: 'identity'; readonly identity: WantedIdentity };
  readonly trust: TrustedRoot;
  readonly thresholds: Thresholds;
  readonly isTimed: boolean;
  readonly maxBytes: number;
}

/** Throws `verify.policy` for one that would demand nothing or cannot be meant, `key.format` and `key.type` for a key that is none. */
export function demandsOf(policy: Policy): Demands {
  const { identity, keys = [], trust = emptyRoot, thresholds = {}, maxBytes = maxEnvelopeBytes } = policy;
  if (identity !== undefined && policy.keys !== undefined) throw refused('it has both keys and an identity: a signature has one of them');
  const isKeyed = identity === undefined;
  const signer = isKeyed
    ? ({ kind: 'keys', keys: keys.map(candidateOf) } as const)
    : ({ kind: 'identity', identity: checked(identity) } as const);
  if (signer.kind === 'keys' && signer.keys.length === 0) {
    throw refused('no key was given to verify it with, and no identity: a signature by anybody proves nothing');
  }
  const defaults: Thresholds = { log: !isKeyed || trust.logs.length > 0 ? 1 : 0, timestamps: 0, scts: isKeyed ? 0 : 1 };
  const filled = { log: thresholds.log ?? defaults.log, timestamps: thresholds.timestamps ?? 0, scts: thresholds.scts ?? defaults.scts };
  for (const [name, value] of Object.entries(filled)) {
    if (!Number.isSafeInteger(value) || value < 0 || value > maxThreshold)
      throw refused(`the threshold "${name}" must be a whole number from 0 to ${maxThreshold}`);
  }
  return { policy, signer, trust, thresholds: filled, isTimed: !isKeyed || policy.requireTrustedTime === true, maxBytes };
}

/** More than a bundle may have entries. */
const maxThreshold = 32;

function candidateOf(given: string | TrustedKey): CandidateKey {
  const { pem, validFor } = typeof given === 'string' ? { pem: given } : given;
  return { key: parsePublicKey(pem), validFor };
}

function checked(identity: WantedIdentity): WantedIdentity {
  for (const part of ['san', 'issuer'] as const) {
    const wanted = identity[part];
    if (wanted instanceof RegExp ? wanted.source === '(?:)' : wanted === '') throw refused(`the ${part} of the identity is empty`);
  }
  return identity;
}

function refused(reason: string): TerminalError {
  return new TerminalError('verify.policy', `Cannot verify with this policy: ${reason}`);
}
