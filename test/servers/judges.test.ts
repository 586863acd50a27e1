import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { cosign, emptyTrustedRoot, signFlags, verifyFlags } from './cosign.ts';
import { pushImage } from './crane.ts';
import { startOciRegistry } from './registry.ts';
import { missingRekor1 } from './rekor1.ts';
import { scratch } from './scratch.ts';
import { verifyBundle } from './sigstore-go.ts';
import { startSigstore, type Sigstore } from './sigstore.ts';
import { missing } from './tools.ts';

const judges = ['cosign2', 'cosign3', 'sigstore-go', 'ociregistry', 'crane'] as const;
const noJudges = await missing(...judges, 'rekor-tiles', 'timestamp-authority', 'fulcio');
const noRekor1 = (await missing(...judges)) || (await missingRekor1());
const builder = { namespace: 'team', serviceAccount: 'builder' };
const identity = 'https://kubernetes.io/namespaces/team/serviceaccounts/builder';

describe('cosign, through our services', { skip: noJudges }, () => {
  it('3 signs by identity with Rekor 2, timestamps and a certificate log, and 2, 3 and sigstore-go believe it', async () => {
    await using world = await startWorld();
    await using sigstore = await startSigstore({ rekor: 'v2', fulcio: true, ct: true, tsa: true });
    const by = { identity, issuer: sigstore.issuer?.url ?? '' };
    const token = ['--identity-token', sigstore.issuer?.token({ kubernetes: builder }) ?? ''];
    await world.ok(3, ['sign', ...token, ...signFlags(3, sigstore), world.image]);
    await world.ok(3, ['attest', ...token, ...signFlags(3, sigstore), ...world.predicate, world.image]);

    for (const version of [2, 3] as const) {
      const flags = verifyFlags(version, sigstore, by);
      await world.ok(version, ['verify', ...flags, world.image]);
      await world.ok(version, ['verify-attestation', ...flags, '--type', 'slsaprovenance1', world.image]);
      const other = verifyFlags(version, sigstore, { ...by, identity: 'https://kubernetes.io/namespaces/team/serviceaccounts/other' });
      await world.refused(version, ['verify', ...other, world.image], /no matching CertificateIdentity found/);
    }
    const bundles = await world.bundles();
    assert.equal(bundles.length, 2);
    for (const bundle of bundles) {
      const judged = await verifyBundle({ bundle, by, trustedRoot: sigstore.trustedRootJson, artifact: world.digest });
      assert.deepEqual(judged, { ok: true, stderr: '' });
    }
    assert.equal(await sigstore.rekor?.size(), 2);
  });

  for (const key of ['P-256', 'Ed25519'] as const) {
    it(`3 signs by key with a Rekor 2 whose own key is ${key}, and 2 and 3 believe it`, async () => {
      await using world = await startWorld();
      await using sigstore = await startSigstore({ rekor: 'v2', rekor2: { key } });
      await world.ok(3, ['sign', '--key', 'k.key', ...signFlags(3, sigstore), world.image]);

      await judgeByKey(world, sigstore);
    });
  }

  it('3 signs by identity without a certificate log', async () => {
    await using world = await startWorld();
    await using sigstore = await startSigstore({ rekor: 'v2', fulcio: true, tsa: true });
    const by = { identity, issuer: sigstore.issuer?.url ?? '' };
    const token = ['--identity-token', sigstore.issuer?.token({ kubernetes: builder }) ?? ''];
    await world.ok(3, ['sign', ...token, ...signFlags(3, sigstore), world.image]);

    for (const version of [2, 3] as const) await world.ok(version, ['verify', ...verifyFlags(version, sigstore, by), world.image]);
  });

  it('3 signs by key with timestamps only', async () => {
    await using world = await startWorld();
    await using sigstore = await startSigstore({ rekor: 'none', tsa: true });
    await world.ok(3, ['sign', '--key', 'k.key', ...signFlags(3, sigstore), world.image]);

    await judgeByKey(world, sigstore);
  });
});

describe('cosign, through our Rekor 1', { skip: noRekor1 }, () => {
  it('2 signs by key in tags and in bundles, 3 in both, and all believe it', async () => {
    await using sigstore = await startSigstore({ rekor: 'v1' });
    const url = ['--rekor-url', sigstore.rekor?.url ?? ''];
    const ways = [
      { version: 2, flags: ['-y', ...url] },
      { version: 2, flags: signFlags(2, sigstore) },
      { version: 3, flags: signFlags(3, sigstore) },
      { version: 3, flags: ['-y', '--use-signing-config=false', '--new-bundle-format=false', ...url] },
    ] as const;
    let bundles = 0;
    for (const { version, flags } of ways) {
      await using world = await startWorld();
      await world.ok(version, ['sign', '--key', 'k.key', ...flags, world.image]);
      await world.ok(version, ['attest', '--key', 'k.key', ...flags, ...world.predicate, world.image]);

      await judgeByKey(world, sigstore);
      for (const bundle of await world.bundles()) {
        // A lone envelope came from a tag, and is no bundle.
        if (!bundle.includes('verificationMaterial')) continue;
        const judged = await verifyBundle({
          bundle,
          by: world.publicKeyPem,
          trustedRoot: sigstore.trustedRootJson,
          artifact: world.digest,
        });
        assert.deepEqual(judged, { ok: true, stderr: '' });
        bundles += 1;
      }
    }
    assert.equal(bundles, 4);
    assert.equal(await sigstore.rekor?.size(), 8);
  });
});

/** A registry with an image, and a key pair of cosign's. */
interface World extends AsyncDisposable {
  readonly image: string;
  readonly digest: string;
  readonly publicKeyPem: string;
  readonly emptyRoot: string;
  readonly predicate: readonly string[];
  readonly ok: (version: 2 | 3, args: readonly string[]) => Promise<void>;
  readonly refused: (version: 2 | 3, args: readonly string[], says: RegExp) => Promise<void>;
  readonly bundles: () => Promise<readonly string[]>;
}

async function startWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startOciRegistry());
  const { dir: cwd } = stack.use(await scratch('judges'));
  const digest = await pushImage(`${registry.host}/t/app:v1`, 'hello');
  const image = `${registry.host}/t/app@${digest}`;
  const ok: World['ok'] = async (version, args) => {
    const { code, stderr } = await cosign(version, args, { cwd });
    assert.equal(code, 0, `cosign${version} ${args.join(' ')}: ${stderr}`);
  };
  await ok(3, ['generate-key-pair', '--output-key-prefix', 'k']);
  await writeFile(path.join(cwd, 'predicate.json'), '{"buildDefinition":{"buildType":"t"},"runDetails":{"builder":{"id":"t"}}}');
  const life = stack.move();
  return {
    image,
    digest,
    publicKeyPem: await readFile(path.join(cwd, 'k.pub'), 'utf8'),
    emptyRoot: await emptyTrustedRoot(cwd),
    predicate: ['--type', 'slsaprovenance1', '--predicate', 'predicate.json'],
    ok,
    async refused(version, args, says) {
      const { code, stderr } = await cosign(version, args, { cwd });
      assert.notEqual(code, 0);
      assert.match(stderr, says);
    },
    async bundles() {
      return (await cosign(3, ['download', 'attestation', image], { cwd })).stdout.trim().split('\n');
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

/** Of an entry or a timestamp, in a bundle and in a tag. */
const untrusted = /0 < 1|rekor log public key not found/;

/** Both versions believe the image's signature, and would not if nothing were trusted. */
async function judgeByKey(world: World, sigstore: Sigstore): Promise<void> {
  for (const version of [2, 3] as const) {
    await world.ok(version, ['verify', ...verifyFlags(version, sigstore, { keyFile: 'k.pub' }), world.image]);
    const nothing = { ...sigstore, trustedRootFile: world.emptyRoot };
    await world.refused(version, ['verify', ...verifyFlags(version, nothing, { keyFile: 'k.pub' }), world.image], untrusted);
  }
}
