import { InvalidArgumentError, type Command } from 'commander';
import { TerminalError } from '../errors.ts';
import type { Thresholds, WantedIdentity } from '../verify/policy.ts';

/** Short names of predicate types, as cosign has them (sigstore-wire 7.2). Anything else is a URI. */
export const predicateTypes: Readonly<Record<string, string>> = {
  slsaprovenance: 'https://slsa.dev/provenance/v0.2',
  slsaprovenance02: 'https://slsa.dev/provenance/v0.2',
  slsaprovenance1: 'https://slsa.dev/provenance/v1',
  spdx: 'https://spdx.dev/Document',
  spdxjson: 'https://spdx.dev/Document',
  cyclonedx: 'https://cyclonedx.org/bom',
  link: 'https://in-toto.io/Link/v1',
  vuln: 'https://cosign.sigstore.dev/attestation/vuln/v1',
  openvex: 'https://openvex.dev/ns',
  custom: 'https://cosign.sigstore.dev/attestation/v1',
};

/** As commander gives them. */
export interface VerifyOptions {
  readonly key: readonly string[];
  readonly keyRing?: string;
  readonly certificateIdentity?: string;
  readonly certificateIdentityRegexp?: string;
  readonly certificateOidcIssuer?: string;
  readonly certificateOidcIssuerRegexp?: string;
  readonly trustedRoot?: string;
  readonly offline: boolean;
  readonly logThreshold?: number;
  readonly timestampThreshold?: number;
  readonly insecureIgnoreTlog: boolean;
  readonly insecureIgnoreSct: boolean;
  readonly requireTrustedTime: boolean;
  readonly layout?: string;
  readonly type?: string;
  readonly json: boolean;
  readonly insecureRegistry: boolean;
  readonly ca?: string;
  readonly repository?: string;
  readonly envelope?: string;
  readonly bundle?: string;
  readonly blob?: string;
  readonly signature?: string;
}

export function withVerifyOptions(command: Command): Command {
  return command
    .argument('[image]', 'registry/repository:tag, registry/repository@sha256:…, or sha256:… with --layout, --envelope or --bundle')
    .option('--key <file>', 'public key (PEM) that must have signed; may be given several times, then any of them', collected, [])
    .option('--key-ring <file>', 'keys with the times for which they are trusted, as "chainsmith keys list --json" prints them')
    .option('--certificate-identity <name>', 'the identity in the certificate that must have signed, exactly')
    .option('--certificate-identity-regexp <pattern>', 'the same as a regular expression, which must match the whole name')
    .option('--certificate-oidc-issuer <url>', 'who vouched for the identity, exactly; mandatory with an identity')
    .option('--certificate-oidc-issuer-regexp <pattern>', 'the same as a regular expression, which must match the whole URL')
    .option(
      '--trusted-root <file>',
      'logs, authorities and CAs to believe (trusted_root.json); without it an identity is verified with those of public Sigstore',
    )
    .option('--offline', 'ask nobody but the registry: not even for a fresh trusted root', false)
    .option(
      '--log-threshold <n>',
      'demand entries in that many trusted logs (default: 1 with an identity, and with a trusted root that has logs)',
      countOf,
    )
    .option('--timestamp-threshold <n>', 'demand timestamps of that many trusted authorities', countOf)
    .option('--insecure-ignore-tlog', 'look at no log entry; then a certificate needs a timestamp', false)
    .option('--insecure-ignore-sct', 'demand no proof that a certificate was made in public', false)
    .option('--require-trusted-time', 'demand a time that a log or an authority vouches for; always so with an identity', false)
    .option('--layout <dir>', 'look in an OCI image layout instead of a registry')
    .option('--type <type>', `demand an attestation of this predicate type: ${Object.keys(predicateTypes).join(', ')}, or a URI`)
    .option('--json', 'print one JSON object', false)
    .option('--insecure-registry', 'allow plain http and certificates that nobody vouches for', false)
    .option('--ca <file>', 'CA certificates (PEM) of the registry')
    .option('--repository <repository>', 'look for signatures in this repository, not the one of the image (default: COSIGN_REPOSITORY)')
    .option('--envelope <file>', 'verify the DSSE envelope in this file; with an image, it must speak about that')
    .option('--bundle <file>', 'verify the Sigstore bundle in this file; with an image or --blob, it must speak about that')
    .option('--blob <file>', 'the file that --bundle or --signature must be about')
    .option('--signature <file>', 'verify this signature of the --blob, raw or base64')
    .addHelpText(
      'after',
      `
With keys alone no log is asked, and the output says so. With --trusted-root and a log in it, an entry of it is demanded, unless
--insecure-ignore-tlog. A key of a ring that has an end counts for signatures that a log or an authority saw before it; for one
that nobody saw the output says so, and --require-trusted-time refuses it.

Ends with 0 when something of the wanted kind verified, 1 when nothing did, 2 when it was asked wrongly.`,
    );
}

function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function countOf(value: string): number {
  const count = Number(value);
  if (/^[1-9]\d?$/.test(value) && count <= 32) return count;
  throw new InvalidArgumentError('want a whole number from 1 to 32.');
}

/** Throws `cli.usage` and `cli.no-key` for options that do not go together, or leave open what is to be verified, or by whom. */
export function checkUsage(reference: string | undefined, options: VerifyOptions): void {
  const { envelope, bundle, blob, signature, layout } = options;
  const files = Object.entries({ envelope, bundle, signature }).flatMap(([name, file]) => (file === undefined ? [] : [`--${name}`]));
  if (reference === undefined && files.length === 0 && blob === undefined) {
    throw usage(
      'Cannot verify nothing: neither an image nor --envelope, --bundle or --blob was given',
      'name an image, as registry/repository:tag',
    );
  }
  if (files.length > 1) throw usage(`Cannot use ${files.join(' and ')} together`, 'verify one of them at a time');
  if (files.length > 0 && layout !== undefined)
    throw usage(`Cannot use ${files[0]} and --layout together`, 'give the file, or where to look');
  if (blob !== undefined && reference !== undefined) throw usage('Cannot bind to an image and to a --blob at once', 'give one of them');
  if (blob !== undefined && bundle === undefined && signature === undefined)
    throw usage('Cannot verify a --blob alone: it has no signature in it', 'give --bundle FILE or --signature FILE');
  if (signature !== undefined && blob === undefined)
    throw usage('Cannot verify a --signature alone: it does not say of what it is', 'give --blob FILE');
  checkSigner(options);
  if (options.insecureIgnoreTlog && options.logThreshold !== undefined)
    throw usage('Cannot demand log entries and ignore them: --log-threshold and --insecure-ignore-tlog', 'leave one of them out');
}

function checkSigner(options: VerifyOptions): void {
  const { certificateIdentity, certificateIdentityRegexp, certificateOidcIssuer, certificateOidcIssuerRegexp } = options;
  const names = [certificateIdentity, certificateIdentityRegexp].filter((given) => given !== undefined);
  const issuers = [certificateOidcIssuer, certificateOidcIssuerRegexp].filter((given) => given !== undefined);
  const isKeyed = options.key.length > 0 || options.keyRing !== undefined;
  if (names.length > 1 || issuers.length > 1)
    throw usage('Cannot demand an identity or issuer both exactly and by a pattern', 'give one of them');
  if (names.length !== issuers.length) {
    throw usage(
      'Cannot verify an identity without its issuer, nor the other way round: anybody may call himself anything',
      'give --certificate-identity and --certificate-oidc-issuer together',
    );
  }
  if (isKeyed && names.length > 0) throw usage('Cannot demand a key and an identity: a signature has one of them', 'give one of them');
  if (isKeyed || names.length > 0) return;
  throw new TerminalError('cli.no-key', 'Cannot verify without a key or an identity: a signature by anybody proves nothing', {
    fix: 'give the public key with --key FILE ("chainsmith keys public" prints that of the signer), or --certificate-identity and --certificate-oidc-issuer',
  });
}

/** Undefined when keys are used. Throws `cli.usage` for a pattern that is none. */
export function identityOf(options: VerifyOptions): WantedIdentity | undefined {
  const san = wanted(options.certificateIdentity, options.certificateIdentityRegexp);
  const issuer = wanted(options.certificateOidcIssuer, options.certificateOidcIssuerRegexp);
  return san !== undefined && issuer !== undefined ? { san, issuer } : undefined;
}

function wanted(exact: string | undefined, pattern: string | undefined): string | RegExp | undefined {
  if (exact === '' || pattern === '') throw usage('Cannot demand an empty identity or issuer', 'write whom you trust');
  if (pattern === undefined) return exact;
  try {
    return new RegExp(pattern, 'u');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TerminalError('cli.usage', `Cannot use the pattern "${pattern}": ${reason}`, { cause, fix: 'write it as JavaScript does' });
  }
}

/** Only what was said: the verifier knows the defaults. */
export function thresholdsOf(options: VerifyOptions): Partial<Thresholds> {
  const { logThreshold, timestampThreshold, insecureIgnoreTlog, insecureIgnoreSct } = options;
  return {
    ...(logThreshold !== undefined && { log: logThreshold }),
    ...(insecureIgnoreTlog && { log: 0 }),
    ...(timestampThreshold !== undefined && { timestamps: timestampThreshold }),
    ...(insecureIgnoreSct && { scts: 0 }),
  };
}

export function usage(message: string, fix: string): TerminalError {
  return new TerminalError('cli.usage', message, { fix });
}
