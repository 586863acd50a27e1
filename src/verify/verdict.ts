import { codeOf, TerminalError } from '../errors.ts';
import type { Subject } from '../model/artifact.ts';
import type { Identity } from '../trust/certificate.ts';

/** The checks, in the order in which they are made. `policy` is listed only when it fails: it is about what was asked, not about what was found. */
export type CheckName =
  | 'policy'
  | 'size'
  | 'same-bytes'
  | 'encoding'
  | 'bundle'
  | 'payload-type'
  | 'one-signature'
  | 'certificate'
  | 'signature'
  | 'log'
  | 'timestamp'
  | 'trusted-time'
  | 'key-validity'
  | 'chain'
  | 'sct'
  | 'identity'
  | 'statement'
  | 'image'
  | 'blob'
  | 'predicate-type'
  | 'run';

/** A time that is not the signer's word, and the URL of the log or authority that gave it. */
export interface TrustedTime {
  readonly time: Date;
  readonly from: string;
}

/** An entry that counted: the base URL of its log, and its index there. */
export interface FoundEntry {
  readonly log: string;
  readonly index: number;
}

export interface Verified {
  readonly kind: 'verified';
  readonly checks: readonly CheckName[];
  /** Fingerprint of the trusted key that signed; undefined when a certificate did. */
  readonly key: string | undefined;
  /** Of the certificate that signed; undefined when a key did. */
  readonly identity: Identity | undefined;
  readonly entries: readonly FoundEntry[];
  /** In the order in which they stand; empty when nobody vouches for any. */
  readonly times: readonly TrustedTime[];
  /** undefined for what has no statement: an image signature, a signature of a file. */
  readonly predicateType: string | undefined;
  readonly subjects: readonly Subject[];
  /** Sentences that a reader must know, though nothing is wrong. */
  readonly notes: readonly string[];
}

export interface Refused {
  readonly kind: 'refused';
  /** The first check that failed, and those that had passed. */
  readonly check: CheckName;
  readonly checks: readonly CheckName[];
  readonly code: string;
  readonly reason: string;
}

export type Verdict = Verified | Refused;

/** Makes one check: what `work` throws is its failure, and what it gives is passed on. */
export type Check = <Value>(name: CheckName, work: () => Value) => Value;

/**
 * Runs checks until one fails. Total: anything thrown is a refusal, under the name of the check in which it was thrown, or of the last one
 * that had begun.
 */
export function judge(work: (check: Check) => Omit<Verified, 'kind' | 'checks'>): Verdict {
  const passed: CheckName[] = [];
  let current: CheckName = 'policy';
  const check: Check = (name, part) => {
    current = name;
    const value = part();
    if (name !== 'policy') passed.push(name);
    return value;
  };
  try {
    return { kind: 'verified', checks: passed, ...work(check) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it failed';
    return { kind: 'refused', check: current, checks: passed, code: codeOf(error), reason };
  }
}

export function demand(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw refused(otherwise);
}

export function refused(reason: string): TerminalError {
  return new TerminalError('verify.refused', reason);
}

/** A stranger's text for a message: short, and without control characters. */
export function shown(text: string): string {
  return text.slice(0, 200).replaceAll(/[^\x20-\x7e]/g, '?');
}
