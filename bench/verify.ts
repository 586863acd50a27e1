import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import type { Image } from '../src/model/artifact.ts';
import type { Context } from '../src/observe/context.ts';
import { OciOptions } from '../src/store/oci/options.ts';
import { openReader } from '../src/store/oci/reader.ts';
import { parseTrustedRoot } from '../src/trust/trusted-root.ts';
import { verify as judge } from '../src/verify/verify.ts';
import { run } from '../test/servers/command.ts';
import { cosign, signFlags, verifyFlags } from '../test/servers/cosign.ts';
import { pushImage } from '../test/servers/crane.ts';
import { startRegistry } from '../test/servers/registry.ts';
import { scratch } from '../test/servers/scratch.ts';
import { startSigstore } from '../test/servers/sigstore.ts';
import type { BenchOptions } from './backlog.ts';

const attestations = 5;
/** A process takes some 100 ms: so many are enough, and not too many. */
const processes = 10;
const chainsmith = path.join(import.meta.dirname, '..', 'bin', 'chainsmith');

/** An image with five attestations by identity, in a log and stamped: verified by us and by cosign, over the same registry. */
export async function verify({ runs, say }: BenchOptions): Promise<void> {
  const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
  await using sigstore = await startSigstore({ rekor: 'v2', fulcio: true, ct: true, tsa: true });
  await using registry = await startRegistry();
  await using work = await scratch('bench');
  const reference = `${registry.host}/team/app@${await pushImage(`${registry.host}/team/app:v1`, 'hello')}`;
  await writeFile(path.join(work.dir, 'predicate.json'), '{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"y"}}}');
  await writeFile(path.join(work.dir, 'token'), sigstore.issuer?.token() ?? '');
  const attest = ['attest', '--identity-token', 'token', '--type', 'slsaprovenance1', '--predicate', 'predicate.json'];
  for (let index = 0; index < attestations; index += 1) {
    const { code, stderr } = await cosign(3, [...attest, ...signFlags(3, sigstore), reference], { cwd: work.dir });
    if (code !== 0) throw new Error(`Cannot attest: ${stderr}`);
  }
  const identity = { san: 'https://kubernetes.io/namespaces/default/serviceaccounts/default', issuer: sigstore.issuer?.url ?? '' };
  const trust = parseTrustedRoot(await readFile(sigstore.trustedRootFile), 'the bench');
  await using reader = await openReader(OciOptions.parse({ insecure: true }), ctx);
  const image = await reader.resolve(reference, ctx);

  const once = async (image: Image): Promise<void> => {
    const stored = await reader.list(image, ctx);
    const verdicts = stored.map((each) => judge(each, { identity, trust, image, predicateType: 'https://slsa.dev/provenance/v1' }));
    if (verdicts.filter(({ kind }) => kind === 'verified').length !== attestations)
      throw new Error(`Cannot verify: ${JSON.stringify(verdicts)}`);
  };
  const stored = await reader.list(image, ctx);
  const pure = await rateOf(runs, () => {
    for (const each of stored) judge(each, { identity, trust, image });
  });
  const withRegistry = await rateOf(runs, async () => await once(image));
  const who = ['--certificate-identity', identity.san, '--certificate-oidc-issuer', identity.issuer];
  const ours = await rateOf(processes, async () => {
    const args = ['verify', reference, ...who, '--trusted-root', sigstore.trustedRootFile, '--type', 'slsaprovenance1', '--offline'];
    const { code, stdout, stderr } = await run(chainsmith, args);
    if (code !== 0) throw new Error(`Cannot verify: ${stdout}${stderr}`);
  });
  const flags = verifyFlags(3, sigstore, { identity: identity.san, issuer: identity.issuer });
  const theirs = await rateOf(processes, async () => {
    const { code, stderr } = await cosign(3, ['verify-attestation', '--type', 'slsaprovenance1', ...flags, reference]);
    if (code !== 0) throw new Error(`Cannot verify with cosign: ${stderr}`);
  });
  const perImage = `images/s with ${attestations} attestations each (by identity, Rekor 2, timestamp)`;
  say(`verifier alone      ${pure.toFixed(1)} ${perImage}, ${(pure * attestations).toFixed(0)} attestations/s`);
  say(`with the registry   ${withRegistry.toFixed(1)} images/s, in one warm process`);
  say(`chainsmith verify   ${ours.toFixed(2)} images/s, a process for each`);
  say(`cosign 3            ${theirs.toFixed(2)} images/s, verify-attestation, a process for each`);
  say(`ratio               ${(withRegistry / theirs).toFixed(1)} warm, ${(ours / theirs).toFixed(2)} as processes`);
}

/** Times a second, after a tenth as many to warm up. */
async function rateOf(count: number, work: () => void | Promise<void>): Promise<number> {
  for (let index = 0; index < count / 10; index += 1) await work();
  const startedAt = performance.now();
  for (let index = 0; index < count; index += 1) await work();
  return (count * 1000) / (performance.now() - startedAt);
}
