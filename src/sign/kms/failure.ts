import { TerminalError, TransientError } from '../../errors.ts';
import type { KeyVersion, Place, Reference } from './key.ts';

interface Meaning {
  readonly code: string;
  /** What the service did, in words; what it said follows in parentheses. */
  readonly says: string;
  readonly fix: (place: Place) => string;
}

/**
 * What a service's refusal means. All of it may mend itself, or be mended by an administrator while runs wait, so all of it is transient
 * and blames the service: an attempt against a service that is down, or closed to us, is not the run's.
 */
const meanings = {
  refused: { code: 'sign.kms-refused', says: 'the service refuses us', fix: ({ permission }) => permission },
  missing: { code: 'sign.kms-no-key', says: 'there is no such key', fix: () => 'make the key, or correct signers.kms.kmsref' },
  disabled: {
    code: 'sign.kms-disabled',
    says: 'the key is disabled',
    fix: () => 'enable the key, or name another one in signers.kms.kmsref',
  },
  busy: { code: 'sign.kms-busy', says: 'the service asks us to slow down', fix: () => 'wait, or raise the quota of signing operations' },
  unavailable: { code: 'sign.kms-unavailable', says: 'the service cannot answer now', fix: () => 'look at the health of the service' },
  unreachable: {
    code: 'sign.kms-unreachable',
    says: 'the service cannot be reached',
    fix: () => 'check its address, and that this process may connect to it',
  },
  timeout: { code: 'sign.kms-timeout', says: 'no answer in time', fix: () => 'look at the health of the service' },
  nonsense: {
    code: 'sign.kms-protocol',
    says: 'the answer is not what this service gives',
    fix: () => 'see that the address is that of the service, and that no proxy answers in its place',
  },
  rejected: {
    code: 'sign.kms-rejected',
    says: 'the service rejects the request',
    fix: () => 'see the reason that it gives, and whether the key and its version may still sign',
  },
  wrongKey: {
    code: 'sign.kms-wrong-key',
    says: 'the signature that came back is not of this key and these bytes',
    fix: () => 'find out who answers in the name of the service, and whether the key was replaced under its name',
  },
} as const satisfies Record<string, Meaning>;
export type Trouble = keyof typeof meanings;

/** `said` is what the service called it: an error's name or code and a status, never a text that may echo what was sent. */
export function trouble(kind: Trouble, place: Place, said: string, retryAfterMs?: number): TransientError {
  const { code, says, fix }: Meaning = meanings[kind];
  return new TransientError(code, `Cannot sign with "${place.key}": ${says}${said === '' ? '' : ` (${said})`}`, {
    fix: fix(place),
    dependency: place.dependency,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** The key can never do it: another type, another purpose, too many bytes. */
export function unusable(place: Place, reason: string, fix: string): TerminalError {
  return new TerminalError('sign.kms-key-type', `Cannot sign with "${place.key}": ${reason}`, { fix });
}

export function malformed({ scheme, path }: Reference, form: string): TerminalError {
  // Who writes a password into a reference does not want to read it in a log.
  const shown = path.replace(/^.*@/s, '***@');
  return new TerminalError('sign.kms-ref', `Cannot use the key reference "${scheme}://${shown}": want ${scheme}://${form}`, {
    fix: 'correct signers.kms.kmsref',
  });
}

/** A public key that came from a service, by whatever makes one of it. Throws `sign.kms-key-type` for one that we cannot verify with. */
export function versionOf(name: string, place: Place, publicKey: () => KeyVersion['publicKey']): KeyVersion {
  try {
    return { name, publicKey: publicKey() };
  } catch (error) {
    const reason = error instanceof TerminalError ? error.message : 'its public key cannot be read';
    throw unusable(place, reason, 'use an ECDSA P-256 key: every verifier knows it');
  }
}

/** Which trouble an HTTP status is; undefined for one that blames the request. */
export function troubleOf(status: number): Trouble | undefined {
  if (status === 401 || status === 403) return 'refused';
  if (status === 404 || status === 410) return 'missing';
  if (status === 429) return 'busy';
  return status === 408 || status >= 500 ? 'unavailable' : undefined;
}

/** An error of an SDK, by its name and status only: its text may quote a request, and with it a credential. */
export function saidBy(error: unknown, status: number | undefined): string {
  const name = error instanceof Error && /^\w{1,64}$/.test(error.name) ? error.name : 'unknown error';
  return status === undefined ? name : `${name}, ${status}`;
}

/** Errno codes that Node gives for a connection that does not come about, or breaks. */
export function isNetworkError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  if (
    /^(ECONN[A-Z]+|E(HOST|NET)UNREACH|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EPROTO|REQUEST_SEND_ERROR|CERT_\w+|DEPTH_ZERO_\w+|SELF_SIGNED_\w+|UNABLE_TO_\w+)$/.test(
      code,
    )
  )
    return true;
  return error.cause !== undefined && isNetworkError(error.cause);
}
