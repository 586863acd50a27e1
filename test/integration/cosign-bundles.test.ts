import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseSha256 } from '../../src/model/digest.ts';
import type { OciOptions } from '../../src/store/oci/options.ts';
import { attestationOf, imageStatementOf, newKey, ociWorld, signatureOf } from '../contract/store-world.ts';
import { cosign, emptyTrustedRoot } from '../servers/cosign.ts';
import { pushImage } from '../servers/crane.ts';
import { startCraneRegistry, startOciRegistry, startRefRegistry, startRegistry, type Registry } from '../servers/registry.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';

type Layout = OciOptions['layout'];

const [key, stranger] = [newKey(), newKey()];
const judges = ['crane', 'cosign2', 'cosign3'] as const;
const provenance = ['verify-attestation', '--type', 'slsaprovenance1'];

/** What a controller stores with each layout: provenance, and the image signature in the form that the layout has a place for. */
async function sign(registry: Registry, image: string, options: Partial<OciOptions>): Promise<void> {
  const [repository = '', digest = ''] = image.split('@');
  const subject = { repository, digest: parseSha256(digest) };
  await using world = await ociWorld(registry.host, options);
  await world.put(attestationOf([subject], 'run', key));
  if (options.layout !== 'referrers') await world.put(signatureOf(subject, key));
  if (options.layout !== 'tags') await world.put(imageStatementOf(subject, key));
}

async function pushed(registry: Registry, name: string): Promise<string> {
  const repository = `${registry.host}/${name}`;
  return `${repository}@${await pushImage(`${repository}:v1`, name)}`;
}

/** The command lines of the documentation: a key, no log. */
async function flagsOf(files: Scratch, publicKey: string): Promise<readonly string[]> {
  const file = path.join(files.dir, 'key.pub');
  await writeFile(file, publicKey);
  return ['--key', file, '--insecure-ignore-tlog', '--trusted-root', await emptyTrustedRoot(files.dir)];
}

const registries = [
  { name: 'ociregistry', skip: await missing('ociregistry', ...judges), start: startOciRegistry },
  { name: 'refregistry', skip: await missing('refregistry', ...judges), start: startRefRegistry },
  { name: 'distribution', skip: await missing('registry', ...judges), start: async () => await startRegistry() },
  { name: 'crane registry', skip: await missing(...judges), start: startCraneRegistry },
];
for (const { name, skip, start } of registries) {
  describe(`what the oci store keeps in ${name}`, { skip }, () => {
    let registry: Registry;
    let files: Scratch;
    before(async () => {
      files = await scratch('cosign-bundles');
      registry = await start();
    });
    after(async () => {
      await registry[Symbol.asyncDispose]();
      await files[Symbol.asyncDispose]();
    });

    for (const layout of ['tags', 'referrers', 'both'] as const) {
      it(`is accepted by cosign 2 and 3 with the layout ${layout}, for the key that signed and no other`, async () => {
        const image = await pushed(registry, layout);
        await sign(registry, image, { layout });

        const codes: Record<string, readonly boolean[]> = {};
        for (const version of [2, 3] as const) {
          for (const command of [['verify'], provenance]) {
            const verdicts = [];
            for (const { publicKey } of [key, stranger]) {
              verdicts.push((await cosign(version, [...command, ...(await flagsOf(files, publicKey)), image])).code === 0);
            }
            codes[`${command[0]} ${version}`] = verdicts;
          }
        }

        const good = [true, false];
        assert.deepEqual(codes, { 'verify 2': good, 'verify-attestation 2': good, 'verify 3': good, 'verify-attestation 3': good });
      });

      it(`is shown by cosign tree and download attestation with the layout ${layout}`, async () => {
        const image = await pushed(registry, `shown-${layout}`);
        await sign(registry, image, { layout });

        const tree = await cosign(3, ['tree', image]);
        const downloaded = await cosign(3, ['download', 'attestation', image]);

        assert.equal(tree.code, 0, tree.stderr);
        const wanted: Record<Layout, readonly RegExp[]> = {
          tags: [/\.att/, /\.sig/],
          referrers: [/slsa\.dev\/provenance\/v1/, /sigstore\.dev\/cosign\/sign\/v1/],
          both: [/\.att/, /\.sig/, /slsa\.dev\/provenance\/v1/, /sigstore\.dev\/cosign\/sign\/v1/],
        };
        for (const line of wanted[layout]) assert.match(tree.stdout, line);
        const kinds = downloaded.stdout
          .trim()
          .split('\n')
          .map((line) => (line.includes('"dsseEnvelope"') ? 'bundle' : 'envelope'));
        const counts: Record<Layout, readonly string[]> = {
          tags: ['envelope'],
          referrers: ['bundle', 'bundle'],
          both: ['bundle', 'bundle', 'envelope'],
        };
        assert.deepEqual(kinds, counts[layout]);
      });
    }

    it('is accepted at its tags, too, with the layout both', async () => {
      const image = await pushed(registry, 'old');
      await sign(registry, image, { layout: 'both' });

      const flags = [...(await flagsOf(files, key.publicKey)), '--new-bundle-format=false'];
      const codes = [];
      for (const command of [['verify'], provenance]) codes.push((await cosign(3, [...command, ...flags, image])).code);

      assert.deepEqual(codes, [0, 0]);
    });

    it('is found by cosign 3 in a repository of its own', async () => {
      const image = await pushed(registry, 'apart');
      const target = `${registry.host}/signatures/all`;
      await sign(registry, image, { layout: 'referrers', repository: target });

      const flags = await flagsOf(files, key.publicKey);
      const codes = [];
      for (const env of [{ COSIGN_REPOSITORY: target }, {}])
        for (const command of [['verify'], provenance]) codes.push((await cosign(3, [...command, ...flags, image], { env })).code === 0);

      assert.deepEqual(codes, [true, true, false, false]);
    });

    it('stands beside what cosign writes, whoever came first', async () => {
      const image = await pushed(registry, 'beside');
      const own = await cosign(3, ['generate-key-pair', '--output-key-prefix', 'own'], { cwd: files.dir });
      assert.equal(own.code, 0, own.stderr);
      const theirs = ['sign', '--key', path.join(files.dir, 'own.key'), '-y', '--tlog-upload=false', '--use-signing-config=false', image];
      const first = await cosign(3, theirs);
      await sign(registry, image, { layout: 'referrers' });
      const second = await cosign(3, theirs);

      assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr);
      const flags = await flagsOf(files, key.publicKey);
      const others = ['--key', path.join(files.dir, 'own.pub'), ...flags.slice(2)];
      const codes = [];
      for (const all of [flags, others]) codes.push((await cosign(3, ['verify', ...all, image])).code);
      assert.deepEqual(codes, [0, 0]);
    });
  });
}

describe('what the oci store keeps in a layout folder', { skip: await missing('registry', ...judges) }, () => {
  it('is found by cosign 3 beside the image that was saved there', async () => {
    await using registry = await startRegistry();
    await using files = await scratch('cosign-local');
    const image = await pushed(registry, 'saved');
    const folder = path.join(files.dir, 'layout');
    const saved = await cosign(3, ['save', '--dir', folder, image]);
    assert.equal(saved.code, 0, saved.stderr);
    await sign(registry, image, { layout: 'referrers', directory: folder });

    const codes = [];
    for (const { publicKey } of [key, stranger]) {
      const flags = [...(await flagsOf(files, publicKey)), '--local-image'];
      for (const command of [['verify'], provenance]) codes.push((await cosign(3, [...command, ...flags, folder])).code === 0);
    }

    assert.deepEqual(codes, [true, true, false, false]);
  });
});
