import type { Command } from 'commander';
import { verify } from '../verify/verify.ts';
import type { Policy } from '../verify/policy.ts';
import { newCommand, type Io } from './io.ts';
import { readFiles, readKeys } from './verify-files.ts';
import { lookUp, type Found } from './verify-lookup.ts';
import { checkUsage, identityOf, predicateTypes, thresholdsOf, withVerifyOptions, type VerifyOptions } from './verify-options.ts';
import { isProof, reportOf, type Finding } from './verify-report.ts';
import { readTrust } from './verify-trust.ts';

/** `chainsmith verify`: 0 when something of the wanted kind verified, 1 when nothing did, 2 when it was asked wrongly. */
export function verifyCommand(io: Io): Command {
  const command = newCommand(io, 'verify').description(
    'verify the signatures and attestations of an image, or those in a file: a DSSE envelope, a Sigstore bundle, a signature of a blob',
  );
  return withVerifyOptions(command).action(async (image: string | undefined, options: VerifyOptions) => {
    await run(image, options, io);
  });
}

async function run(reference: string | undefined, options: VerifyOptions, io: Io): Promise<void> {
  const ctx = io.context();
  checkUsage(reference, options);
  const identity = identityOf(options);
  const keys = await readKeys(options);
  const trust = await readTrust(options, io.env, ctx);
  const { bundle, envelope, signature } = options;
  const isFile = bundle !== undefined || envelope !== undefined || signature !== undefined;
  const found: Found = isFile ? await readFiles(reference, options) : await lookUp(reference ?? '', { ...options, env: io.env }, ctx);
  const policy: Policy = {
    ...(identity === undefined ? { keys } : { identity }),
    ...(trust && { trust }),
    thresholds: thresholdsOf(options),
    requireTrustedTime: options.requireTrustedTime,
    ...(found.image && { image: found.image }),
    ...(found.blob && { blob: found.blob }),
  };
  const findings = found.stored.map((stored): Finding => ({
    kind: stored.kind,
    address: stored.place.address,
    verdict: verify(stored, policy),
  }));
  const predicateType = options.type === undefined ? undefined : (predicateTypes[options.type] ?? options.type);
  const report = {
    reference,
    image: found.image,
    blob: found.blob && { file: options.blob, sha256: found.blob.sha256 },
    predicateType,
    keys,
    findings,
  };
  reportOf(report, options.json, io);
  io.end(findings.some((finding) => isProof(finding, predicateType)) ? 0 : 1);
}
