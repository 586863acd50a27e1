import { existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { parseSha256, sha256Of } from '../../src/model/digest.ts';
import { parseSigningConfig, selectServices } from '../../src/tlog/signing-config.ts';
import { parseTrustedRoot } from '../../src/trust/trusted-root.ts';
import type { Blob, Policy } from '../../src/verify/policy.ts';
import { verify } from '../../src/verify/verify.ts';
import { bundleTextOf, envelopeOf, evidenceOf, keyless } from './sign.ts';

const options = {
  bundle: { type: 'string' },
  key: { type: 'string' },
  'certificate-identity': { type: 'string' },
  'certificate-oidc-issuer': { type: 'string' },
  'identity-token': { type: 'string' },
  'trusted-root': { type: 'string' },
  'signing-config': { type: 'string' },
  'in-toto': { type: 'boolean', default: false },
  staging: { type: 'boolean', default: false },
} as const;

/**
 * The protocol of sigstore-conformance (sigstore-wire 8.1) over our verifier and signers. Gives the exit code; what is said is for people.
 * Only with a trusted root and a signing configuration: it asks no TUF mirror.
 */
export async function runClient(args: readonly string[], say: (line: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [command, subject, ...more] = positionals;
  if (subject === undefined || more.length > 0 || values.bundle === undefined || values['trusted-root'] === undefined) {
    say('want sign-bundle or verify-bundle, --bundle FILE, --trusted-root FILE, and a file or digest');
    return 2;
  }
  try {
    const root = parseTrustedRoot(await readFile(values['trusted-root']), values['trusted-root']);
    if (command === 'sign-bundle') {
      const config = parseSigningConfig(await readFile(values['signing-config'] ?? ''), 'the signing configuration');
      const { fulcio = '', rekor, tsa } = selectServices(config, { now: new Date(), rekorVersions: [1, 2] });
      await using signer = await keyless(fulcio, values['identity-token'] ?? '', root);
      const envelope = await envelopeOf({ kind: values['in-toto'] ? 'dsse' : 'message', bytes: await readFile(subject) }, signer);
      const [log] = rekor.map(({ url, majorApiVersion }) => ({ url, version: majorApiVersion === 2 ? (2 as const) : (1 as const) }));
      await writeFile(values.bundle, bundleTextOf(envelope, await evidenceOf(envelope, { log, timestampUrls: tsa }, root)));
      return 0;
    }
    const body = await readFile(values.bundle);
    const { 'certificate-identity': san, 'certificate-oidc-issuer': issuer, key } = values;
    const policy: Policy = {
      trust: root,
      ...(key === undefined ? { identity: { san: san ?? '', issuer: issuer ?? '' } } : { keys: [await readFile(key, 'utf8')] }),
      blob: await blobOf(subject),
    };
    const verdict = verify({ kind: 'bundle', place: { address: values.bundle, image: undefined }, body }, policy);
    say(verdict.kind === 'verified' ? 'verified' : `${verdict.check}: ${verdict.reason}`);
    return verdict.kind === 'verified' ? 0 : 1;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

/** A digest when it looks like one and is no file. */
async function blobOf(subject: string): Promise<Blob> {
  if (/^sha256:[0-9a-f]{64}$/.test(subject) && !existsSync(subject)) return { sha256: parseSha256(subject) };
  const bytes = await readFile(subject);
  const [sha384 = '', sha512 = ''] = ['sha384', 'sha512'].map((algorithm) => createHash(algorithm).update(bytes).digest('hex'));
  return { sha256: sha256Of(bytes), sha384, sha512, bytes };
}

if (import.meta.main) process.exitCode = await runClient(process.argv.slice(2), (line) => void process.stderr.write(`${line}\n`));
