import type { X509Certificate } from 'node:crypto';
import { TerminalError } from '../errors.ts';
import { recoded } from './der.ts';
import { isSame } from './signature.ts';
import { isWithin, type TrustedAuthority } from './trusted-root.ts';
import { authorityOf, extensionIds, mayUse, partsOfCertificate, purposes, purposesOf, shownName, type CertificateParts } from './x509.ts';

/** A certificate with its parts read once. */
export interface Link {
  readonly certificate: X509Certificate;
  readonly parts: CertificateParts;
}

export function linkOf(certificate: X509Certificate): Link {
  return { certificate, parts: partsOfCertificate(certificate) };
}

export interface PathQuestion {
  readonly leaf: Link;
  /** Of the material; those of the authority are added. */
  readonly intermediates: readonly X509Certificate[];
  readonly authorities: readonly TrustedAuthority[];
  readonly at: Date;
  readonly purpose: 'codeSigning' | 'timeStamping';
  /** Room of the codes: `trust.certificate` or `trust.timestamp`. */
  readonly code: string;
}

export interface Path {
  /** The leaf first, the root of the authority last. */
  readonly links: readonly [Link, ...Link[]];
  readonly authority: TrustedAuthority;
}

/** Fulcio's have 2 or 3. */
const maxLinks = 10;
const maxIntermediates = 32;
/** Signatures that one question may cost: certificates that all have one name would otherwise cost the faculty of their number. */
const maxSignatures = 100;

/**
 * The path from a leaf to the root of a trusted authority, as RFC 5280 6.1 wants it at one time: names, signatures, validity of every certificate,
 * the root's too, basic constraints, path lengths, key usage, and a purpose that every certificate on the way allows. What is not understood and
 * critical is refused. Throws `<code>-expired`, `-untrusted`, `-purpose`, `-malformed`.
 */
export function findPath(question: PathQuestion): Path {
  return recoded(`${question.code}-malformed`, () => find(question));
}

function find(question: PathQuestion): Path {
  const { leaf, intermediates, authorities, at, code, purpose } = question;
  const refuse = (what: string, reason: string) =>
    new TerminalError(`${code}-${what}`, `Cannot trust the certificate of "${shownName(leaf.certificate)}": ${reason}`);
  if (!isCurrent(leaf, at)) throw refuse('expired', `it is valid ${periodOf(leaf)}, not at ${at.toISOString()}`);
  const fault = faultOfLeaf(leaf, purpose);
  if (fault !== undefined) throw refuse('purpose', fault);
  if (intermediates.length > maxIntermediates) throw refuse('malformed', `more than ${maxIntermediates} certificates came with it`);
  const faults: string[] = [];
  const given = intermediates.map(linkOf);
  const search: Search = { question, faults, budget: { signatures: maxSignatures } };
  for (const authority of authorities) {
    if (!isWithin(authority.validFor, at)) continue;
    const own = authority.chain.map(linkOf);
    const root = own.at(-1);
    if (root === undefined) continue;
    const links = extend([leaf], [...own, ...given], root, search);
    if (links !== undefined) return { links, authority };
  }
  throw refuse(
    'untrusted',
    `no path leads to an authority that is trusted at ${at.toISOString()}${faults.length > 0 ? ` (${faults[0]})` : ''}`,
  );
}

interface Search {
  readonly question: PathQuestion;
  /** Why certificates that would fit were not taken. */
  readonly faults: string[];
  readonly budget: { signatures: number };
}

type Links = readonly [Link, ...Link[]];

function extend(links: Links, pool: readonly Link[], root: Link, search: Search): Links | undefined {
  const last = links.at(-1) ?? links[0];
  for (const issuer of pool) {
    if (
      !isSame(issuer.parts.subject, last.parts.issuer) ||
      links.some(({ certificate }) => isSame(certificate.raw, issuer.certificate.raw))
    )
      continue;
    const fault = faultOfIssuer(issuer, links, search);
    if (fault !== undefined) {
      search.faults.push(`"${shownName(issuer.certificate)}": ${fault}`);
      continue;
    }
    const longer: Links = [...links, issuer];
    if (isSame(issuer.certificate.raw, root.certificate.raw)) return longer;
    const whole = longer.length < maxLinks ? extend(longer, pool, root, search) : undefined;
    if (whole !== undefined) return whole;
  }
  return undefined;
}

/** Why a leaf may not be used so, in words. */
function faultOfLeaf({ parts }: Link, purpose: PathQuestion['purpose']): string | undefined {
  if (!(purposesOf(parts)?.includes(purposes[purpose]) ?? false)) return `its extended key usage does not name ${purpose}`;
  if (authorityOf(parts).isAuthority) return 'it is the certificate of an authority';
  if (!mayUse(parts, 'digitalSignature')) return 'its key usage does not allow signatures';
  return faultOfExtensions(parts);
}

function faultOfIssuer(issuer: Link, links: Links, { question, budget }: Search): string | undefined {
  const { parts, certificate } = issuer;
  const { isAuthority, pathLength } = authorityOf(parts);
  if (!isCurrent(issuer, question.at)) return `it is valid ${periodOf(issuer)}`;
  if (!isAuthority) return 'it is not an authority';
  if (!mayUse(parts, 'keyCertSign')) return 'its key usage does not allow it to sign certificates';
  // Those that an authority issued to itself do not count (RFC 5280 6.1.4 l).
  const between = links.slice(1).filter((link) => !isSame(link.parts.subject, link.parts.issuer)).length;
  if (pathLength !== undefined && between > pathLength) return `its path length allows ${pathLength} authorities below it`;
  const named = purposesOf(parts);
  if (named !== undefined && !named.includes(purposes[question.purpose]) && !named.includes(purposes.any)) {
    return `its extended key usage does not allow ${question.purpose}`;
  }
  const fault = faultOfExtensions(parts);
  if (fault !== undefined) return fault;
  if ((budget.signatures -= 1) < 0) return `more than ${maxSignatures} signatures would have to be checked`;
  const last = links.at(-1) ?? links[0];
  if (!signatureAlgorithms.has(last.parts.signatureAlgorithm)) return `it signed with the algorithm ${last.parts.signatureAlgorithm}`;
  return last.certificate.verify(certificate.publicKey) ? undefined : 'its key did not sign the certificate below it';
}

/** Constraints on names are not computed here, so a certificate that has some is not taken, critical or not. */
function faultOfExtensions({ extensions }: CertificateParts): string | undefined {
  if (extensions.has(extensionIds.nameConstraints)) return 'it has name constraints';
  for (const [oid, { isCritical }] of extensions)
    if (isCritical && !understood.has(oid)) return `its critical extension ${oid} is not understood`;
  return undefined;
}

const understood: ReadonlySet<string> = new Set(Object.values(extensionIds));

/** ECDSA and RSA with SHA-2, RSA-PSS, Ed25519 (RFC 5758, 8017, 8410): never SHA-1. */
const signatureAlgorithms: ReadonlySet<string> = new Set([
  ...['2', '3', '4'].map((hash) => `1.2.840.10045.4.3.${hash}`),
  ...['10', '11', '12', '13'].map((hash) => `1.2.840.113549.1.1.${hash}`),
  '1.3.101.112',
]);

function isCurrent({ parts }: Link, at: Date): boolean {
  return parts.notBefore <= at && at <= parts.notAfter;
}

function periodOf({ parts }: Link): string {
  return `from ${parts.notBefore.toISOString()} to ${parts.notAfter.toISOString()}`;
}
