import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { attestCommand } from '../../src/cli/attest.ts';
import type { Image } from '../../src/model/artifact.ts';
import { parseSha256 } from '../../src/model/digest.ts';
import { openEnvelope } from '../../src/model/dsse.ts';
import { oci } from '../../src/store/oci/oci.ts';
import { openReader } from '../../src/store/oci/reader.ts';
import { ctx } from '../contract/store-world.ts';
import { recorded, type Recorded } from '../recorded-io.ts';
import { cosign, emptyTrustedRoot } from '../servers/cosign.ts';
import { crane, pushImage } from '../servers/crane.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';

/** A registry, a key of cosign's, and a configuration that uses both. */
interface World extends AsyncDisposable {
  readonly registry: Registry;
  /** In the world's own folder. */
  at(name: string): string;
  /** `attest` of these runs, with these keys beside the configuration. */
  attest(runs: readonly unknown[], ...set: readonly string[]): Promise<Recorded>;
  /** Exit code of cosign's judgement on an image by digest. */
  judge(version: 2 | 3, command: readonly string[], image: string): Promise<number>;
  /** How many signatures an image has, and the subjects of each of its statements. */
  seen(repository: string, digest: string): Promise<{ readonly signatures: number; readonly statements: readonly unknown[] }>;
}

async function startWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const { dir } = stack.use(await scratch('per-artifact'));
  const at = (name: string): string => path.join(dir, name);
  await cosign(2, ['generate-key-pair', '--output-key-prefix', at('cosign')]);
  await writeFile(at('cosign.password'), 'pw');
  const config = {
    'artifacts.taskrun.format': 'slsa/v2alpha4',
    'artifacts.taskrun.storage': 'oci',
    'artifacts.pipelinerun.format': 'slsa/v2alpha4',
    'artifacts.pipelinerun.storage': 'oci',
    'signers.x509.directory': dir,
    'journal.url': `sqlite://${at('journal.db')}`,
  };
  await writeFile(at('config.json'), JSON.stringify(config));
  const flags = ['--key', at('cosign.pub'), '--insecure-ignore-tlog', '--trusted-root', await emptyTrustedRoot(dir)];
  const reader = stack.use(await openReader(oci.options.parse({}), ctx));
  const life = stack.move();
  return {
    registry,
    at,
    async attest(runs, ...set) {
      await writeFile(at('runs.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: runs }));
      const settings = set.flatMap((one) => ['--set', one]);
      return await recorded(attestCommand, ['-f', at('runs.json'), '--config', at('config.json'), '--json', ...settings]);
    },
    judge: async (version, command, image) => (await cosign(version, [...command, ...flags, image])).code,
    async seen(repository, digest) {
      const image: Image = { repository, digest: parseSha256(digest) };
      const all = await reader.list(image, ctx);
      const bodies = all.flatMap((stored) => (stored.kind === 'dsse' ? [openEnvelope(stored.body)] : []));
      const statements = bodies.map(({ payload }) => (JSON.parse(Buffer.from(payload).toString('utf8')) as { subject: unknown }).subject);
      return { signatures: all.length - statements.length, statements };
    },
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
}

const subject = (name: string, digest: string) => ({ name, digest: { sha256: parseSha256(digest) } });

/** A run that is complete and has these results, and a step with those. */
function runOf(kind: 'TaskRun' | 'PipelineRun', name: string, results: readonly unknown[], ofStep: readonly unknown[] = []): unknown {
  const conditions = [{ type: 'Succeeded', status: 'True' }];
  const times = { startTime: '2026-05-04T10:00:00Z', completionTime: '2026-05-04T10:01:00Z' };
  const steps = kind === 'TaskRun' ? { steps: [{ name: 'build', results: ofStep }] } : {};
  return {
    apiVersion: 'tekton.dev/v1',
    kind,
    metadata: { name, namespace: 'ci', uid: `uid-of-${name}` },
    spec: {},
    status: { conditions, ...times, results, ...steps },
  };
}
const imageResults = (url: string, digest: string) => [
  { name: 'IMAGE_URL', type: 'string', value: url },
  { name: 'IMAGE_DIGEST', type: 'string', value: digest },
];

/** Two images and an index of them; digests in this order, the index first. */
async function pushIndex(repository: string): Promise<readonly [string, string, string]> {
  const children = [await pushImage(`${repository}:amd64`, 'amd64'), await pushImage(`${repository}:arm64`, 'arm64')] as const;
  const manifests = children.flatMap((digest) => ['-m', `${repository}@${digest}`]);
  const { code, stderr } = await crane(['index', 'append', ...manifests, '-t', `${repository}:v1`]);
  assert.equal(code, 0, stderr);
  const { stdout } = await crane(['digest', `${repository}:v1`]);
  return [stdout.trim(), ...children];
}

const everything = ['artifacts.oci.provenance=true', 'artifacts.oci.recursive=true', 'artifacts.oci.sign-subjects=true'];
const commands = [['verify'], ['verify-attestation', '--type', 'slsaprovenance1']] as const;

describe('attest, for each image', { skip: await missing('registry', 'crane', 'cosign2', 'cosign3') }, () => {
  it('gives cosign a signature and a statement for an index and its children, each once, however often it is asked', async () => {
    await using world = await startWorld();
    const repository = `${world.registry.host}/team/app`;
    const [index, ...children] = await pushIndex(repository);
    const run = runOf('TaskRun', 'build', imageResults(`${repository}:v1`, index));
    const seenNow = async () => await Promise.all([index, ...children].map(async (digest) => await world.seen(repository, digest)));

    const first = await world.attest([run], ...everything);
    const afterFirst = await seenNow();
    const again = await world.attest([run], ...everything);
    // As a new Pod with an empty volume has it: what the registry holds is found, and not made again.
    const lost = await world.attest([run], ...everything, `journal.url=sqlite://${world.at('another.db')}`);

    assert.deepEqual([first.code, again.code, lost.code], [0, 0, 0], `${first.stdout}${first.stderr}${again.stdout}${lost.stdout}`);
    const one = (digest: string) => [subject(repository, digest)];
    assert.deepEqual(afterFirst, [
      { signatures: 1, statements: [one(index), one(index)] },
      ...children.map((digest) => ({ signatures: 1, statements: [one(digest)] })),
    ]);
    assert.deepEqual(await seenNow(), afterFirst);
    for (const digest of [index, ...children])
      for (const version of [2, 3] as const)
        for (const command of commands)
          assert.equal(
            await world.judge(version, command, `${repository}@${digest}`),
            0,
            `cosign ${version} ${command.join(' ')} ${digest}`,
          );
  });

  it('leaves children alone by default, and cosign finds nothing there', async () => {
    await using world = await startWorld();
    const repository = `${world.registry.host}/team/app`;
    const [index, amd64] = await pushIndex(repository);

    const { code } = await world.attest([runOf('TaskRun', 'build', imageResults(repository, index))]);

    assert.equal(code, 0);
    assert.deepEqual(await world.seen(repository, index), { signatures: 1, statements: [[subject(repository, index)]] });
    assert.deepEqual(await world.seen(repository, amd64), { signatures: 0, statements: [] });
    assert.notEqual(await world.judge(3, ['verify'], `${repository}@${amd64}`), 0);
  });

  it('signs what a step and a PipelineRun made when asked, one signature for both', async () => {
    await using world = await startWorld();
    const repository = `${world.registry.host}/team/app`;
    const digest = await pushImage(`${repository}:v1`, 'hello');
    const results = imageResults(repository, digest);
    const task = runOf('TaskRun', 'build', [], results);
    const pipeline = runOf('PipelineRun', 'release', results);

    const without = await world.attest([task, pipeline], `journal.url=sqlite://${world.at('without.db')}`);
    const before = await world.seen(repository, digest);
    const signed = await world.attest([task, pipeline], 'artifacts.oci.sign-subjects=true');

    assert.deepEqual([without.code, signed.code], [0, 0], signed.stdout);
    assert.equal(before.signatures, 0);
    assert.deepEqual(await world.seen(repository, digest), { ...before, signatures: 1 });
    assert.equal(await world.judge(2, ['verify'], `${repository}@${digest}`), 0);
  });

  it('makes everything else when an index is not there, says why, and ends it when it is', async () => {
    await using world = await startWorld();
    const [here, there] = [`${world.registry.host}/team/app`, `${world.registry.host}/team/later`];
    const [index, amd64] = await pushIndex(here);
    const run = runOf('TaskRun', 'build', [{ name: 'IMAGES', value: `${here}@${index},${there}@${index}` }]);

    const early = await world.attest([run], 'artifacts.oci.recursive=true');
    const meanwhile = [await world.seen(here, amd64), await world.seen(there, index), await world.seen(there, amd64)];
    await pushIndex(there);
    const late = await world.attest([run], 'artifacts.oci.recursive=true');

    const line = JSON.parse(early.stdout) as { outcome: string; code: string; reason: string };
    assert.deepEqual([early.code, line.outcome, line.code], [1, 'failed', 'oci.no-image']);
    assert.ok(line.reason.startsWith(`Cannot look for children of "${there}@${index}": the registry does not have it. Fix: `), line.reason);
    const both = [subject(here, index), subject(there, index)];
    assert.deepEqual(meanwhile, [
      { signatures: 1, statements: [[subject(here, amd64)]] },
      { signatures: 1, statements: [both] },
      { signatures: 0, statements: [] },
    ]);
    assert.equal(late.code, 0, late.stdout);
    assert.deepEqual(await world.seen(there, amd64), { signatures: 1, statements: [[subject(there, amd64)]] });
    assert.deepEqual(await world.seen(here, index), { signatures: 1, statements: [both] });
  });

  it('shows what it would make, and asks no registry, when dry', async () => {
    await using world = await startWorld();
    const digest = `sha256:${'ab'.repeat(32)}`;
    // Nobody listens there.
    const repository = '127.0.0.1:1/team/app';
    await writeFile(world.at('run.json'), JSON.stringify(runOf('TaskRun', 'build', imageResults(repository, digest))));
    const args = ['-f', world.at('run.json'), '--config', world.at('config.json'), '--dry-run', '--json'];

    const { code, stdout, stderr } = await recorded(attestCommand, [...args, ...everything.flatMap((one) => ['--set', one])]);

    const key = 'taskrun-uid-of-build';
    assert.equal(code, 0);
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { key: string }).key),
      [key, `${key}/${repository}@${digest}`, `${repository}@${digest}`],
    );
    assert.equal(stderr, 'TaskRun ci/build: children of image indexes are not looked up by --dry-run\n');
  });
});
