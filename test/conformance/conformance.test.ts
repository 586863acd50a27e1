import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sha256Of } from '../../src/model/digest.ts';
import { missingRekor1 } from '../servers/rekor1.ts';
import { signBundle, verifyBundle } from '../servers/sigstore-go.ts';
import { output, run } from '../servers/command.ts';
import { missing } from '../servers/tools.ts';
import { accepted, refused, type Case, type Tools } from './cases.ts';
import { runClient } from './client.ts';
import { makeFleeting, type Fleeting } from './forge.ts';
import type { BundleJson, RootJson } from './shapes.ts';
import { artifact, startWorld, statementOf, type Recipe, type Specimen, type World } from './world.ts';

const absent = [await missingRekor1(), await missing('rekor-tiles', 'timestamp-authority', 'fulcio', 'sigstore-go')];
const skip = absent.filter((reason) => reason !== false).join('; ') || false;
const digest = sha256Of(artifact);

/** Where sigstore-go judges otherwise, and why ours stands. */
const disagreements: Readonly<Record<string, string>> = {
  'bundle-with-root-cert_fail': 'it reads only the leaf of a chain; the suite wants the root refused',
  'dsse-statement-missing-type_fail': 'it does not look at _type; the suite wants it',
  'dsse-statement-unknown-type_fail': 'it does not look at _type; the suite wants it',
};

describe('sigstore-conformance', { skip }, () => {
  let world: World;
  let fleeting: Fleeting;
  const specimens = new Map<string, Promise<Specimen>>();
  before(async () => {
    world = await startWorld(digest);
    fleeting = await makeFleeting(world.dir, world.identity);
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
  });

  /** Each recipe is made once; cases change copies. */
  async function specimenOf(recipe: Recipe): Promise<Specimen> {
    const name = JSON.stringify(recipe);
    const made = specimens.get(name) ?? world.make(recipe);
    specimens.set(name, made);
    return await made;
  }

  interface Made {
    readonly bundle: string;
    readonly root: string;
    readonly by: string | { readonly identity: string; readonly issuer: string };
    readonly subject: Uint8Array;
  }

  async function made({ of, change, by = of.by, artifact: subject = artifact }: Case): Promise<Made> {
    const specimen = await specimenOf(of);
    const bundle = JSON.parse(specimen.text) as BundleJson;
    const root = JSON.parse(world.rootJson) as RootJson;
    const other: Tools['other'] = async (more) => JSON.parse((await world.make({ ...of, ...more })).text) as BundleJson;
    const text = await change?.(bundle, root, { world, specimen, fleeting, other, sha256: digest });
    const { san: identity, issuer } = world.identity;
    const strangePem = await output('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout']);
    const stranger = by === 'other-key' ? await output('openssl', ['pkey', '-pubout'], { input: strangePem }) : '';
    const who = by === 'identity' ? { identity, issuer } : by === 'key' ? world.key.pem : stranger;
    return { bundle: text ?? JSON.stringify(bundle), root: JSON.stringify(root), by: who, subject };
  }

  /** By our client, in this process: what it says, or nothing when it is content. */
  async function ours({ bundle, root, by, subject }: Made): Promise<string> {
    const at = (name: string): string => path.join(world.dir, name);
    await writeFile(at('bundle.json'), bundle);
    await writeFile(at('root.json'), root);
    await writeFile(at('a.txt'), subject);
    if (typeof by === 'string') await writeFile(at('key.pub'), by);
    const who =
      typeof by === 'string' ? ['--key', at('key.pub')] : ['--certificate-identity', by.identity, '--certificate-oidc-issuer', by.issuer];
    const said: string[] = [];
    const code = await runClient(
      ['verify-bundle', '--bundle', at('bundle.json'), ...who, '--trusted-root', at('root.json'), at('a.txt')],
      (line) => said.push(line),
    );
    assert.equal(code === 0, said.join() === 'verified', said.join());
    return code === 0 ? '' : said.join();
  }

  for (const row of accepted) {
    it(`accepts ${row.name}`, async () => {
      const specimen = await made(row);

      const judgement = await verifyBundle({
        bundle: specimen.bundle,
        by: specimen.by,
        trustedRoot: specimen.root,
        artifact: specimen.subject,
      });

      assert.equal(await ours(specimen), '');
      if (disagreements[row.name] === undefined) assert.ok(judgement.ok, judgement.stderr);
      else assert.ok(!judgement.ok, 'sigstore-go agrees now');
    });
  }

  for (const row of refused) {
    it(`refuses ${row.name}`, async () => {
      const specimen = await made(row);

      const judgement = await verifyBundle({
        bundle: specimen.bundle,
        by: specimen.by,
        trustedRoot: specimen.root,
        artifact: specimen.subject,
      });

      const said = await ours(specimen);
      assert.notEqual(said, '');
      if (row.check !== undefined) assert.match(said, new RegExp(`^${row.check}: `));
      if (disagreements[row.name] === undefined) assert.ok(!judgement.ok, 'sigstore-go takes it');
      else assert.ok(judgement.ok, 'sigstore-go agrees now');
    });
  }

  for (const { inToto, services } of [
    { inToto: false, services: 'a Rekor 1' },
    { inToto: true, services: 'a Rekor 1' },
    { inToto: false, services: 'a Rekor 2' },
    { inToto: true, services: 'a Rekor 2' },
  ]) {
    it(`signs ${inToto ? 'a statement' : 'a file'} into ${services} by the executable, and sigstore-go verifies it`, async () => {
      const at = (name: string): string => path.join(world.dir, name);
      const { issuer, signingConfigJson } = world.sigstore;
      const config = JSON.parse(signingConfigJson) as { rekorTlogUrls: object[] };
      if (services === 'a Rekor 2')
        config.rekorTlogUrls = config.rekorTlogUrls.map((row) => ({ ...row, url: world.rekor2.url, majorApiVersion: 2 }));
      const subject = inToto ? statementOf(digest) : artifact;
      await writeFile(at('config.json'), JSON.stringify(config));
      await writeFile(at('root.json'), world.rootJson);
      await writeFile(at('input'), subject);
      await writeFile(at('artifact'), artifact);
      const roots = ['--trusted-root', at('root.json')];
      const identityToken = issuer?.token() ?? '';
      const client = path.join(import.meta.dirname, 'client');
      const how = ['sign-bundle', ...(inToto ? ['--in-toto'] : []), '--identity-token', identityToken, '--bundle', at('signed.json')];

      const signed = await run(client, [...how, ...roots, '--signing-config', at('config.json'), at('input')]);
      assert.equal(signed.code, 0, signed.stderr);
      const { san: identity, issuer: url } = world.identity;
      const bundle = await readFile(at('signed.json'), 'utf8');
      const judgement = await verifyBundle({ bundle, by: { identity, issuer: url }, trustedRoot: world.rootJson, artifact });
      const who = ['--certificate-identity', identity, '--certificate-oidc-issuer', url, ...roots];
      const byFile = await run(client, ['verify-bundle', '--bundle', at('signed.json'), ...who, at('artifact')]);
      const byDigest = await run(client, ['verify-bundle', '--bundle', at('signed.json'), ...who, `sha256:${digest}`]);
      const byOther = await run(client, ['verify-bundle', '--bundle', at('signed.json'), ...who, `sha256:${sha256Of(Buffer.from('x'))}`]);

      assert.deepEqual([judgement.ok, byFile.code, byDigest.code, byOther.code], [true, 0, 0, 1], judgement.stderr + byFile.stderr);
    });
  }

  it('verifies what sigstore-go signs', async () => {
    const identityToken = world.sigstore.issuer?.token() ?? '';
    const { rootJson: trustedRoot } = world;
    const bundle = await signBundle({ identityToken, signingConfig: world.sigstore.signingConfigJson, trustedRoot, artifact });
    const by = { identity: world.identity.san, issuer: world.identity.issuer };

    assert.equal(await ours({ bundle, root: trustedRoot, by, subject: artifact }), '');
    assert.match(await ours({ bundle, root: trustedRoot, by, subject: Buffer.from('x') }), /^blob: /);
  });
});
