import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import { TerminalError } from '../errors.ts';
import { parseSha256 } from '../model/digest.ts';
import { maxEnvelopeBytes } from '../model/dsse.ts';
import { parsePublicKey } from '../model/public-key.ts';
import { verify } from '../verify/verify.ts';
import { newCommand, type Io } from './io.ts';
import { lookUp, type Found } from './verify-lookup.ts';
import { isProof, reportOf, type Finding, type KeyFile } from './verify-report.ts';

/** Short names of predicate types, as cosign has them (sigstore-wire 7.2). Anything else is a URI. */
export const predicateTypes: Readonly<Record<string, string>> = {
  slsaprovenance: 'https://slsa.dev/provenance/v0.2',
  slsaprovenance02: 'https://slsa.dev/provenance/v0.2',
  slsaprovenance1: 'https://slsa.dev/provenance/v1',
};

interface VerifyOptions {
  readonly key: readonly string[];
  readonly layout?: string;
  readonly type?: string;
  readonly json: boolean;
  readonly insecureRegistry: boolean;
  readonly ca?: string;
  readonly repository?: string;
  readonly envelope?: string;
  readonly bundle?: string;
}

/** `chainsmith verify`: 0 when something of the wanted kind verified, 1 when nothing did, 2 when it was asked wrongly. */
export function verifyCommand(io: Io): Command {
  return newCommand(io, 'verify')
    .description('verify the signatures and attestations of an image, or one DSSE envelope')
    .argument('[image]', 'registry/repository:tag, registry/repository@sha256:…, or sha256:… with --layout or --envelope')
    .option('--key <file>', 'public key (PEM) that must have signed; may be given several times, then any of them', collected, [])
    .option('--layout <dir>', 'look in an OCI image layout instead of a registry')
    .option('--type <type>', `demand an attestation of this predicate type: ${Object.keys(predicateTypes).join(', ')}, or a URI`)
    .option('--json', 'print one JSON object', false)
    .option('--insecure-registry', 'allow plain http and certificates that nobody vouches for', false)
    .option('--ca <file>', 'CA certificates (PEM) of the registry')
    .option('--repository <repository>', 'look for signatures in this repository, not the one of the image (default: COSIGN_REPOSITORY)')
    .option('--envelope <file>', 'verify the DSSE envelope in this file; with an image, it must speak about that')
    .option('--bundle <file>', 'verify a Sigstore bundle (not in this version)')
    .action(async (image: string | undefined, options: VerifyOptions) => {
      await run(image, options, io);
    });
}

function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function run(reference: string | undefined, options: VerifyOptions, io: Io): Promise<void> {
  const ctx = io.context();
  checkUsage(reference, options);
  const keys = await Promise.all(options.key.map(async (file) => await readKey(file)));
  const predicateType = options.type === undefined ? undefined : (predicateTypes[options.type] ?? options.type);
  const found =
    options.envelope === undefined
      ? await lookUp(reference ?? '', { ...options, env: io.env }, ctx)
      : await readEnvelope(options.envelope, reference);
  const policy = { keys: keys.map(({ key }) => key.pem), ...(found.image && { image: found.image }) };
  const findings = found.stored.map((stored): Finding => ({
    kind: stored.kind,
    address: stored.place.address,
    verdict: verify(stored, policy),
  }));
  const report = { reference, image: found.image, predicateType, keys, findings };
  reportOf(report, options.json, io);
  io.end(findings.some((finding) => isProof(finding, predicateType)) ? 0 : 1);
}

function checkUsage(reference: string | undefined, options: VerifyOptions): void {
  if (options.bundle !== undefined) {
    throw usage('Cannot verify a Sigstore bundle: this version reads DSSE envelopes and what Tekton Chains and cosign store under tags', {
      fix: 'verify the image itself, or give a DSSE envelope with --envelope',
    });
  }
  if (reference === undefined && options.envelope === undefined) {
    throw usage('Cannot verify nothing: neither an image nor --envelope was given', { fix: 'name an image, as registry/repository:tag' });
  }
  if (options.envelope !== undefined && options.layout !== undefined) throw usage('Cannot use --envelope and --layout together');
  if (options.key.length === 0) {
    throw new TerminalError('cli.no-key', 'Cannot verify without a key: a signature proves nothing unless the key is known', {
      fix: 'give the public key with --key FILE; "chainsmith keys public" prints that of the signer',
    });
  }
}

async function readEnvelope(file: string, reference: string | undefined): Promise<Found> {
  const body = await readBounded(file, maxEnvelopeBytes);
  const digest = reference === undefined ? undefined : parseSha256(reference.slice(reference.lastIndexOf('@') + 1));
  return {
    image: digest && { digest, repository: undefined },
    stored: [{ kind: 'dsse', place: { address: file, image: undefined }, body }],
  };
}

async function readKey(file: string): Promise<KeyFile> {
  const text = (await readBounded(file, 64 * 1024)).toString('latin1');
  try {
    return { file, key: parsePublicKey(text) };
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    const fix = error.fix?.replaceAll('FILE', file);
    throw new TerminalError('cli.key', `Cannot verify with "${file}": ${error.message}`, {
      cause: error,
      ...(fix !== undefined && { fix }),
    });
  }
}

/** One byte more than `maxBytes` at the most, so that what reads it can refuse it for its size. Throws `cli.unreadable`. */
async function readBounded(file: string, maxBytes: number): Promise<Buffer> {
  try {
    await using handle = await open(file);
    const chunks: Buffer[] = [];
    // `end` counts from 0 and is itself read.
    for await (const chunk of handle.createReadStream({ end: maxBytes, autoClose: false })) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new TerminalError('cli.unreadable', `Cannot read "${file}": ${reason}`, { cause: error });
  }
}

function usage(message: string, detail?: { readonly fix: string }): TerminalError {
  return new TerminalError('cli.usage', message, detail);
}
