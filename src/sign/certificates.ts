import { X509Certificate } from 'node:crypto';
import { X509Certificate as ParsedCertificate } from '@sigstore/core';
import { TerminalError, TransientError } from '../errors.ts';
import { firstPemBlock, pemOf } from '../model/pem.ts';
import type { PublicKey } from '../model/public-key.ts';
import type { Part } from './key-place.ts';

/** The certificate of a key and what leads from it towards a root, checked. */
export interface Certificates {
  /** The leaf, PEM. */
  readonly certificate: string;
  /** The others in order, PEM, a root included if it was given; empty text for none. */
  readonly chain: string;
  /** All of them with their files, the leaf first, for `demandInTime`. */
  readonly all: readonly Certificate[];
}

interface Certificate {
  readonly file: string;
  readonly x509: X509Certificate;
}

/** As many as cosign's verifiers follow. */
const maxCertificates = 10;
const codeSigning = '1.3.6.1.5.5.7.3.3';
const anyUsage = '2.5.29.37.0';

/**
 * Reads the certificate of `key` and its chain, which begins with the issuer of the certificate and may end with the root. The first file
 * may hold all of it, as `tls.crt` does. Throws `sign.certificate-format`, `sign.certificate-mismatch`, `sign.certificate-usage`,
 * `sign.chain-order`, `sign.chain-broken`, and what `demandInTime` throws.
 */
export function readCertificates(parts: readonly Part[], key: PublicKey, now: number): Certificates {
  const all = parts.flatMap(certificatesIn);
  const [leaf, ...others] = all;
  if (leaf === undefined) throw badFormat(parts[0]?.file ?? '', 'it holds no certificate');
  if (all.length > maxCertificates) throw badFormat(leaf.file, `it and its chain are more than ${maxCertificates} certificates`);
  demandOwn(leaf, key, others);
  demandUsage(leaf);
  demandChain(all);
  const read = { certificate: pemOfAll([leaf]), chain: pemOfAll(others), all };
  demandInTime(read, now);
  return read;
}

/** Throws `sign.certificate-expired` and `sign.certificate-not-yet-valid`: transient, because an admin can renew it and a clock can be set. */
export function demandInTime({ all }: Certificates, now: number): void {
  for (const { file, x509 } of all) {
    if (now > x509.validToDate.getTime()) {
      throw new TransientError(
        'sign.certificate-expired',
        `Cannot sign with "${file}": ${shown(x509)} ended on ${isoOf(x509.validToDate)}`,
        {
          fix: 'renew the certificate and put it, with its chain, where the old one is',
        },
      );
    }
    if (now < x509.validFromDate.getTime()) {
      throw new TransientError(
        'sign.certificate-not-yet-valid',
        `Cannot sign with "${file}": ${shown(x509)} begins on ${isoOf(x509.validFromDate)}`,
        { fix: 'wait until then, or check the clock of this machine' },
      );
    }
  }
}

function certificatesIn({ file, bytes }: Part): readonly Certificate[] {
  const found: Certificate[] = [];
  for (let rest = bytes.toString('latin1'); rest.includes('-----BEGIN ') && found.length <= maxCertificates;) {
    const block = firstPemBlock(rest);
    if (block === undefined) throw badFormat(file, 'a PEM block in it is damaged');
    if (block.type !== 'CERTIFICATE') throw badFormat(file, `it holds a PEM block of type "${block.type}", want only "CERTIFICATE"`);
    found.push({ file, x509: parsed(block.bytes, file) });
    const end = '-----END CERTIFICATE-----';
    rest = rest.slice(rest.indexOf(end) + end.length);
  }
  if (found.length === 0) throw badFormat(file, 'it holds no PEM block');
  return found;
}

function parsed(der: Uint8Array, file: string): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw badFormat(file, 'a PEM block in it does not hold a certificate', cause);
  }
}

function demandOwn(leaf: Certificate, key: PublicKey, others: readonly Certificate[]): void {
  const isOf = ({ x509 }: Certificate): boolean => x509.publicKey.equals(key.object);
  if (isOf(leaf)) return;
  if (others.some(isOf)) throw wrongOrder(leaf.file, 'the certificate of the key is not the first');
  throw new TerminalError(
    'sign.certificate-mismatch',
    `Cannot use "${leaf.file}": ${shown(leaf.x509)} is for another key than the one beside it (${key.fingerprint})`,
    { fix: 'put key and certificate of the same issue there, both in one step' },
  );
}

/** Usages count where a certificate names them: without, it is good for everything (RFC 5280 4.2.1.3, 4.2.1.12). */
function demandUsage({ file, x509 }: Certificate): void {
  const extended = x509.keyUsage as readonly string[] | undefined;
  const lacks =
    keyUsageOf(x509)?.digitalSignature === false
      ? 'digitalSignature'
      : extended !== undefined && !extended.includes(codeSigning) && !extended.includes(anyUsage)
        ? 'codeSigning'
        : undefined;
  if (lacks === undefined) return;
  throw new TerminalError(
    'sign.certificate-usage',
    `Cannot use "${file}": ${shown(x509)} is not for ${lacks}, so no verifier would take it`,
    {
      fix: 'have it issued with key usage digitalSignature and extended key usage codeSigning (cert-manager: usages "digital signature" and "code signing")',
    },
  );
}

/** Node shows the extended key usage only. */
function keyUsageOf(x509: X509Certificate): ParsedCertificate['extKeyUsage'] {
  return ParsedCertificate.parse(Buffer.from(x509.raw)).extKeyUsage;
}

/** Each one must be issued by the next. */
function demandChain(all: readonly Certificate[]): void {
  for (const [index, { file, x509 }] of all.entries()) {
    const next = all[index + 1];
    if (next === undefined || isIssuedBy(x509, next.x509)) continue;
    if (all.some((other, place) => place !== index && isIssuedBy(x509, other.x509))) {
      throw wrongOrder(next.file, `${shown(x509)} is not followed by its issuer "${oneLine(x509.issuer)}"`);
    }
    throw new TerminalError(
      'sign.chain-broken',
      `Cannot use "${next.file}": it does not lead on from ${shown(x509)} of "${file}": its issuer "${oneLine(x509.issuer)}" is not there, or did not sign it`,
      { fix: 'give the certificates of the authorities that issued it, nothing else' },
    );
  }
}

function isIssuedBy(x509: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && x509.checkIssued(issuer) && x509.verify(issuer.publicKey);
}

function wrongOrder(file: string, reason: string): TerminalError {
  return new TerminalError('sign.chain-order', `Cannot use "${file}": ${reason}`, {
    fix: 'order the certificates: first that of the key, then each followed by its issuer, the root last if at all',
  });
}

function badFormat(file: string, reason: string, cause?: unknown): TerminalError {
  return new TerminalError('sign.certificate-format', `Cannot use "${file}" as certificates: ${reason}`, {
    fix: 'give certificates as PEM, the first that of the key',
    ...(cause !== undefined && { cause }),
  });
}

function pemOfAll(certificates: readonly Certificate[]): string {
  return certificates.map(({ x509 }) => pemOf('CERTIFICATE', x509.raw)).join('');
}

function shown({ subject, serialNumber }: X509Certificate): string {
  return `the certificate "${oneLine(subject)}" (serial ${serialNumber.slice(0, 40)})`;
}

function oneLine(name: string | undefined): string {
  return (name ?? '').replaceAll('\n', ', ').slice(0, 200);
}

function isoOf(date: Date): string {
  return date.toISOString().replace('.000Z', 'Z');
}
