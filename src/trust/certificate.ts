import { createHash, type X509Certificate } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { base64Of } from '../model/base64.ts';
import { childrenOf, contextTag, derOf, expectTag, oidOf, partsOf, readDer, recoded, tags, type Der } from './der.ts';
import { findPath, linkOf } from './path.ts';
import { parseSctList, signedBytesOf } from './sct.ts';
import { isSame, isSignatureOf } from './signature.ts';
import { isWithin, type TrustedRoot } from './trusted-root.ts';
import { extensionIds, partsOfCertificate, shownName, type CertificateParts } from './x509.ts';

/** Whom a certificate was issued to. */
export interface Identity {
  /** The one subject alternative name: a URI, an e-mail address, or `sub!domain` (sigstore-wire 6.3). */
  readonly san: string;
  /** URL of the OIDC issuer whose token was shown. */
  readonly issuer: string;
}

/**
 * Identity in a certificate of Fulcio: exactly one name, and the issuer of extension `.8`, or else of the older `.1` (sigstore-wire 6.2, 6.3).
 * Not believed before `checkChain`. Throws `trust.identity`.
 */
export function identityOf(leaf: X509Certificate): Identity {
  const parts = partsOfCertificate(leaf);
  const refuse = (reason: string, cause?: unknown) =>
    new TerminalError('trust.identity', `Cannot tell whom a certificate was issued to: ${reason}`, { cause });
  const names = parts.extensions.get(extensionIds.subjectAltName);
  if (names === undefined) throw refuse('it has no subject alternative name');
  try {
    const list = partsOf(readDer(names.value, 'its names'), tags.sequence, 'its names');
    const [name] = list;
    if (name === undefined || list.length > 1) throw refuse(`it has ${list.length} subject alternative names, want one`);
    return { san: nameOf(name), issuer: issuerOf(parts) };
  } catch (error) {
    if (error instanceof TerminalError && error.code === 'trust.identity') throw error;
    throw refuse(error instanceof Error ? error.message : String(error), error);
  }
}

const fulcio = '1.3.6.1.4.1.57264.1';

function nameOf(name: Der): string {
  if (name.tag === 0x81 || name.tag === 0x86) return textOf(name.value, true);
  const [type, value] = childrenOf(expectTag(name, contextTag(0), 'its name'), 'its name');
  const oid = oidOf(type, 'its name');
  if (oid !== `${fulcio}.7`) throw new Error(`its name is of the type ${oid}`);
  const [text] = childrenOf(expectTag(value, contextTag(0), 'its name'), 'its name');
  return textOf(expectTag(text, tags.utf8String, 'its name').value, false);
}

/** `.8` is a DER text, `.1` the bare bytes. */
function issuerOf({ extensions }: CertificateParts): string {
  const [newer, older] = [extensions.get(`${fulcio}.8`), extensions.get(`${fulcio}.1`)];
  if (newer !== undefined) return textOf(expectTag(readDer(newer.value, 'its issuer'), tags.utf8String, 'its issuer').value, false);
  if (older !== undefined) return textOf(older.value, false);
  throw new Error('it names no OIDC issuer');
}

/** A name that a person and a pattern read alike: no control characters, which end lines and strings elsewhere. */
function textOf(bytes: Uint8Array, isAscii: boolean): string {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  if (text === '' || /\p{Cc}/u.test(text) || (isAscii && !/^[ -~]+$/.test(text)))
    throw new Error('a name in it is empty, or no plain text');
  return text;
}

/**
 * Path from `leaf` to a certificate authority of `root`, for code signing, everything valid at `at` (sigstore-wire 6.1, 6.5; RFC 5280 6.1). Gives
 * the certificate that issued the leaf, which SCTs name. Throws `trust.certificate-*`.
 */
export function checkChain(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  at: Date,
  root: TrustedRoot,
): { readonly issuer: X509Certificate } {
  const { links } = findPath({
    leaf: linkOf(leaf),
    intermediates,
    authorities: root.certificateAuthorities,
    at,
    purpose: 'codeSigning',
    code: 'trust.certificate',
  });
  // A path ends in an authority's certificate, so it has two links at least.
  return { issuer: (links[1] ?? links[0]).certificate };
}

/**
 * How many trusted certificate transparency logs promised to log this certificate (RFC 6962 3.2, 3.3): each log counts once, and only while
 * its key is trusted. A promise of a log that `root` does not have says nothing; one that a known log did not sign is an error, `trust.sct`.
 */
export function countScts(leaf: X509Certificate, issuer: X509Certificate, root: TrustedRoot): number {
  const parts = partsOfCertificate(leaf);
  const extension = parts.extensions.get(extensionIds.sctList);
  if (extension === undefined) return 0;
  const issuerKeyHash = createHash('sha256').update(partsOfCertificate(issuer).spki).digest();
  const precertificate = { issuerKeyHash, signed: withoutExtension(parts, extension.der) };
  const found = new Set<string>();
  for (const sct of recoded('trust.sct', () => parseSctList(extension.value))) {
    const known = root.ctLogs.filter(({ logId }) => isSame(logId, sct.logId));
    const bytes = signedBytesOf(sct, precertificate);
    const signer = known.filter(({ publicKey }) => isSignatureOf(publicKey, bytes, sct.signature, sct.digest));
    if (known.length > 0 && signer.length === 0) {
      throw new TerminalError(
        'trust.sct',
        `Cannot trust the certificate of "${shownName(leaf)}": an SCT in it is not signed by the log that it names`,
      );
    }
    if (signer.some(({ validFor }) => isWithin(validFor, sct.time))) found.add(base64Of(sct.logId));
  }
  return found.size;
}

/** The signed half as the log saw it, before there were SCTs to put into it (RFC 6962 3.2). */
function withoutExtension({ signed, extensions }: CertificateParts, out: Der): Uint8Array {
  const kept = [...extensions.values()].filter(({ der }) => der !== out).map(({ der }) => der.raw);
  const head = signed.slice(0, -1).map(({ raw }) => raw);
  return derOf(tags.sequence, ...head, derOf(contextTag(3), derOf(tags.sequence, ...kept)));
}
