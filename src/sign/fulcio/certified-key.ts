import type { KeyObject, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, TransientError } from '../../errors.ts';
import { pemOf } from '../../model/pem.ts';
import { publicKeyOf, type PublicKey } from '../../model/public-key.ts';
import type { Context } from '../../observe/context.ts';
import { checkChain, countScts, identityOf, type Identity } from '../../trust/certificate.ts';
import type { TrustedRoot } from '../../trust/trusted-root.ts';
import type { Signed } from '../signer.ts';
import type { Issued } from './request.ts';

/** A key with the certificate that was issued for it. */
export interface CertifiedKey extends Omit<Signed, 'signature'> {
  readonly privateKey: KeyObject;
  readonly key: PublicKey;
  readonly identity: Identity;
  /** What is between the leaf and the root. */
  readonly intermediates: readonly X509Certificate[];
  /** Milliseconds since the epoch: until when signatures may be made. */
  readonly notAfter: number;
}

/** The two halves of a fresh key. */
export interface FreshKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** What a certificate is held against. */
export interface Scale {
  readonly root: TrustedRoot;
  /** Whether the promise of a CT log is demanded; undefined: when the trusted root has one. */
  readonly requireSct: boolean | undefined;
  readonly now: () => number;
}

/** A clock that is this far behind Fulcio's is waited for. */
const maxWaitMs = 5_000;
/** With less than this left it is over before a log has taken what it signed. */
const minLifeMs = 20_000;

/**
 * Believes an answer of Fulcio: the leaf is about our key, its time has come, its chain leads to a trusted authority, and a known CT log
 * has promised to show it. Throws `sign.fulcio-key`, `sign.fulcio-clock`, `sign.fulcio-untrusted` and `sign.fulcio-sct`, all transient:
 * none of it is a run's fault, and an admin mends it.
 */
export async function certifiedKeyOf(issued: Issued, key: FreshKey, scale: Scale, ctx: Context): Promise<CertifiedKey> {
  const [leaf, ...others] = issued.certificates;
  if (!leaf.publicKey.equals(key.publicKey)) {
    throw new TransientError('sign.fulcio-key', `Cannot use the certificate ${leaf.serialNumber} of Fulcio: it is about another key`, {
      fix: 'check what stands between this process and Fulcio: it mixes answers up',
    });
  }
  const [notBefore, notAfter] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  await untilValid(leaf, notBefore, notAfter, scale, ctx);
  // A root vouches for itself only: it is the trusted root's to have it.
  const intermediates = others.filter((one) => !one.checkIssued(one));
  const at = new Date(Math.max(scale.now(), notBefore));
  const { issuer } = believed('untrusted', leaf, trustFix, () => checkChain(leaf, intermediates, at, scale.root));
  demandSct(leaf, issuer, issued, scale);
  const publicKey = publicKeyOf(key.publicKey);
  return {
    privateKey: key.privateKey,
    publicKey: publicKey.pem,
    key: publicKey,
    certificate: pemOf('CERTIFICATE', leaf.raw),
    chain: others.map((one) => pemOf('CERTIFICATE', one.raw)).join(''),
    identity: believed('untrusted', leaf, trustFix, () => identityOf(leaf)),
    intermediates,
    notAfter,
  };
}

const trustFix =
  'put the certificate authority of this Fulcio into the trusted root (trust.root), or check that the address is the right one';
const sctFix = 'put the CT log of this Fulcio into the trusted root, or switch the check off if it has none';

async function untilValid(leaf: X509Certificate, notBefore: number, notAfter: number, scale: Scale, ctx: Context): Promise<void> {
  const now = scale.now();
  const early = notBefore - now;
  if (early > maxWaitMs || notAfter - Math.max(now, notBefore) < minLifeMs) {
    const life = `from ${new Date(notBefore).toISOString()} to ${new Date(notAfter).toISOString()}`;
    const reason = `it is good ${life}, and here it is ${new Date(now).toISOString()}`;
    throw new TransientError('sign.fulcio-clock', `Cannot use the certificate ${leaf.serialNumber} of Fulcio: ${reason}`, {
      fix: 'set the clocks of this machine and of Fulcio',
    });
  }
  if (early > 0) await sleep(early, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  const left = notAfter - Math.max(now, notBefore);
  if (left < (notAfter - notBefore) / 2) {
    ctx.logger.warn({ signer: 'fulcio', leftMs: left }, 'certificate is half over when it comes: is the clock of this machine ahead?');
  }
}

/**
 * An SCT beside the certificate does not count: nobody stores it, so no verifier would see it. Fulcio gives such only with authorities that
 * cannot issue precertificates.
 */
function demandSct(leaf: X509Certificate, issuer: X509Certificate, issued: Issued, { root, requireSct }: Scale): void {
  if (!(requireSct ?? root.ctLogs.length > 0)) return;
  if (believed('sct', leaf, sctFix, () => countScts(leaf, issuer, root)) > 0) return;
  const reason = issued.hasDetachedSct
    ? 'the promise of a CT log came beside it, where no verifier sees it'
    : 'no CT log of the trusted root has promised to show it';
  throw unbelievable('sct', leaf, reason, sctFix);
}

function believed<T>(what: 'sct' | 'untrusted', leaf: X509Certificate, fix: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw unbelievable(what, leaf, error.message, fix, error);
  }
}

function unbelievable(what: 'sct' | 'untrusted', leaf: X509Certificate, reason: string, fix: string, cause?: Error): TransientError {
  const message = `Cannot use the certificate ${leaf.serialNumber} of Fulcio: ${reason}`;
  return new TransientError(`sign.fulcio-${what}`, message, { cause, fix });
}
