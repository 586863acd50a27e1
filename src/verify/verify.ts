import { codeOf, TerminalError } from '../errors.ts';
import type { Subject } from '../model/artifact.ts';
import type { Sha256 } from '../model/digest.ts';
import { maxEnvelopeBytes, openEnvelope, paeOf, payloadTypes, type DsseEnvelope } from '../model/dsse.ts';
import { at } from '../model/json.ts';
import { isSignedBy, parsePublicKey, type PublicKey } from '../model/public-key.ts';
import type { Stored } from '../model/receipt.ts';
import { simpleSigningOf, statementOf, type Claim } from './statement.ts';

/** What is demanded of something that a store gave back. What is left out is not checked, and not listed as checked. */
export interface Policy {
  /** SPKI PEMs: one of these keys must have signed. */
  readonly keys: readonly string[];
  /** The image that it must speak about. */
  readonly image?: { readonly digest: Sha256 };
  /** Never true of an image signature, which has no predicate. */
  readonly predicateType?: string;
  /** Read-back: `Envelope.body`, exactly as it was stored (of a `raw` one the signature). */
  readonly expectedBody?: Uint8Array;
  /** The UID of the run that a provenance 1 statement must name as its invocation; the older formats have no place for it. */
  readonly runUid?: string;
  /** Largest body or payload, default 32 MiB. */
  readonly maxBytes?: number;
}

/** The checks, in the order in which they are made. */
export type CheckName =
  | 'size'
  | 'same-bytes'
  | 'encoding'
  | 'payload-type'
  | 'one-signature'
  | 'signature'
  | 'statement'
  | 'image'
  | 'predicate-type'
  | 'run';

export type Verdict =
  | {
      readonly kind: 'verified';
      readonly checks: readonly CheckName[];
      /** Fingerprint of the key that signed. */
      readonly key: string;
      /** undefined for an image signature. */
      readonly predicateType: string | undefined;
      readonly subjects: readonly Subject[];
    }
  | {
      readonly kind: 'refused';
      /** The first check that failed, and those that had passed. */
      readonly check: CheckName;
      readonly checks: readonly CheckName[];
      readonly code: string;
      readonly reason: string;
    };

/**
 * The one verifier: read-back, command line, later admission. Pure. Every check must pass, in order; whatever fails, parsing included, is a
 * refusal with the name of the check. Throws only for a policy with a key that is none (`key.format`, `key.type`).
 */
export function verify(stored: Stored, policy: Policy): Verdict {
  const keys = policy.keys.map(parsePublicKey);
  const passed: CheckName[] = [];
  const check: Check = (name, work) => {
    try {
      const value = work();
      passed.push(name);
      return value;
    } catch (error) {
      throw new Refusal(name, error);
    }
  };
  try {
    const { key, claim } = stored.kind === 'dsse' ? attestationOf(stored, policy, keys, check) : signatureOf(stored, policy, keys, check);
    bind(claim, policy, check);
    return { kind: 'verified', checks: passed, key: key.fingerprint, predicateType: claim.predicateType, subjects: claim.subjects };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { check: name, code, message: reason } = error;
    return { kind: 'refused', check: name, checks: passed, code, reason };
  }
}

type Check = <Value>(name: CheckName, work: () => Value) => Value;

/** Carries the failure of a check to the end of `verify`; never leaves this file. Anything thrown inside a check is one: fail closed. */
class Refusal extends Error {
  readonly check: CheckName;
  readonly code: string;
  constructor(check: CheckName, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.check = check;
    this.code = codeOf(cause);
  }
}

interface Believed {
  readonly key: PublicKey;
  readonly claim: Claim;
}

function attestationOf(stored: Extract<Stored, { kind: 'dsse' }>, policy: Policy, keys: readonly PublicKey[], check: Check): Believed {
  const maxBytes = policy.maxBytes ?? maxEnvelopeBytes;
  check('size', () => demandSize(stored.body, maxBytes));
  if (policy.expectedBody) check('same-bytes', () => demandSame(stored.body, policy.expectedBody));
  const envelope = check('encoding', () => openEnvelope(stored.body, maxBytes));
  check('payload-type', () =>
    demand(
      envelope.payloadType === payloadTypes.inToto,
      `the payload type is "${shown(envelope.payloadType)}", want "${payloadTypes.inToto}"`,
    ),
  );
  check('one-signature', () =>
    demand(envelope.signatures.length === 1, `the envelope has ${envelope.signatures.length} signatures, want exactly one`),
  );
  const key = check('signature', () => signerOf(envelope, keys));
  return { key, claim: check('statement', () => statementOf(envelope.payload, maxBytes)) };
}

function signatureOf(stored: Extract<Stored, { kind: 'raw' }>, policy: Policy, keys: readonly PublicKey[], check: Check): Believed {
  const { payload, signature } = stored;
  const maxBytes = policy.maxBytes ?? maxEnvelopeBytes;
  check('size', () => [payload, signature].forEach((bytes) => demandSize(bytes, maxBytes)));
  if (policy.expectedBody) check('same-bytes', () => demandSame(signature, policy.expectedBody));
  const key = check('signature', () => oneOf(keys, (candidate) => isSignedBy(candidate, payload, signature), ''));
  return { key, claim: check('statement', () => simpleSigningOf(payload, maxBytes)) };
}

/** What was signed is what was asked for: until here the bytes are somebody's word, about whatever it may be. */
function bind(claim: Claim, policy: Policy, check: Check): void {
  const { image, predicateType, runUid } = policy;
  if (image) {
    check('image', () =>
      demand(
        claim.subjects.some(({ digest }) => Object.hasOwn(digest, 'sha256') && digest['sha256'] === image.digest),
        `none of its ${claim.subjects.length} subjects is the image sha256:${image.digest}`,
      ),
    );
  }
  if (predicateType !== undefined) {
    check('predicate-type', () =>
      demand(
        claim.predicateType === predicateType,
        `the predicate type is "${shown(claim.predicateType ?? 'none')}", want "${predicateType}"`,
      ),
    );
  }
  if (runUid !== undefined && claim.predicateType === 'https://slsa.dev/provenance/v1') {
    const invocation = at(claim.predicate, 'runDetails', 'metadata', 'invocationId');
    check('run', () => demand((invocation ?? '') === runUid, `the statement is not about the run with the UID "${runUid}"`));
  }
}

/** A key id that is given must be that of the key: go-securesystemslib skips the signature otherwise, so its readers would find none. */
function signerOf({ payloadType, payload, signatures }: DsseEnvelope, keys: readonly PublicKey[]): PublicKey {
  const bytes = paeOf(payloadType, payload);
  const [first] = signatures;
  if (first === undefined) throw refused('the envelope has no signature');
  const { keyid, signature } = first;
  return oneOf(keys, (key) => (keyid === '' || keyid === key.fingerprint) && isSignedBy(key, bytes, signature), keyid);
}

function oneOf(keys: readonly PublicKey[], isMaker: (key: PublicKey) => boolean, keyid: string): PublicKey {
  const maker = keys.find(isMaker);
  if (maker) return maker;
  const names = keys.map(({ fingerprint }) => fingerprint).join(', ');
  const hint = keyid === '' ? '' : `; it says that it was made by "${shown(keyid)}"`;
  throw refused(keys.length === 0 ? 'no key was given to verify it with' : `the signature was not made by ${names}${hint}`);
}

function demandSize(bytes: Uint8Array, maxBytes: number): void {
  demand(bytes.length > 0, 'it is empty');
  demand(bytes.length <= maxBytes, `it has ${bytes.length} bytes, more than ${maxBytes}`);
}

function demandSame(bytes: Uint8Array, expected: Uint8Array | undefined): void {
  demand(expected !== undefined && Buffer.compare(bytes, expected) === 0, 'the bytes are not those that were stored');
}

function demand(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw refused(otherwise);
}

function refused(reason: string): TerminalError {
  return new TerminalError('verify.refused', reason);
}

/** A stranger's text for a message: short, and without control characters. */
function shown(text: string): string {
  return text.slice(0, 200).replaceAll(/[^\x20-\x7e]/g, '?');
}
