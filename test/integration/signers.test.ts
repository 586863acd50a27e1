import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { cosign, emptyTrustedRoot } from '../servers/cosign.ts';
import { startFaultProxy, type FaultProxy } from '../servers/fault-proxy.ts';
import { startOciRegistry, type Registry } from '../servers/registry.ts';
import { missing } from '../servers/tools.ts';
import { startVault, type Vault } from '../servers/vault.ts';
import { layersOf, pushTinyImage } from './cluster.ts';
import { chainsmith, envelopesOn, keyFolder, signersOf, startSigning, vaultKey, type Signing } from './signers-world.ts';

const reason = (await missing('etcd', 'kube-apiserver', 'vault')) || (await missing('ociregistry', 'cosign2', 'cosign3'));

describe('a run that two sign', { skip: reason }, () => {
  const stack = new AsyncDisposableStack();
  let vault: Vault;
  let registry: Registry;
  let signing: Signing;
  let toVault: FaultProxy;
  let toRegistry: FaultProxy;
  let keys: Readonly<Record<'x509' | 'kms', string>>;
  const images = new Map<string, { readonly repository: string; readonly digest: string }>();

  before(async () => {
    vault = stack.use(await startVault());
    await vault.makeKey('team', 'ecdsa-p256');
    registry = stack.use(await startOciRegistry());
    toVault = stack.use(await startFaultProxy(vault.host));
    toRegistry = stack.use(await startFaultProxy(registry.host));
    signing = stack.use(await startSigning({}));
    const tokenFile = path.join(signing.cluster.dir, 'vault-token');
    await writeFile(tokenFile, await vault.token());
    await signing.configure({
      'artifacts.taskrun.format': 'slsa/v2alpha4',
      'artifacts.taskrun.storage': 'tekton,oci',
      'artifacts.taskrun.signer': 'x509,kms',
      'artifacts.oci.signer': 'x509,kms',
      'storage.oci.layout': 'both',
      'signers.kms.kmsref': 'hashivault://team',
      'signers.kms.auth.address': toVault.url,
      'signers.kms.auth.token-path': tokenFile,
      'retry.max-delay': '1s',
    });
    await signing.namespaces('ci');
    keys = { x509: await readFile(signing.cluster.publicKey, 'utf8'), kms: await vaultKey(vault, 'team') };
  });

  after(async () => await stack.disposeAsync());

  const complete = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) {
      const digest = await pushTinyImage(registry.host, 'ci/app', name);
      const image = { repository: `${toRegistry.host}/ci/app`, digest };
      images.set(name, image);
      await signing.complete(name, { image });
    }
  };

  it('has two attestations and two signatures of its image, however often the controller is killed and whoever is away', async () => {
    await complete('one', 'two', 'three');
    await toRegistry.set({ kind: 'hang' });
    await signing.restart();
    await sleep(2_000);
    await signing.stop();
    await toRegistry.set({ kind: 'none' });
    await toVault.set({ kind: 'refuse' });
    await complete('four', 'five', 'six');
    await signing.after('Signer \\"kms\\"', async () => void (await signing.restart()));
    await sleep(500);
    await signing.stop();
    await toVault.set({ kind: 'none' });
    for (const lifeMs of [0, 150, 300]) {
      await signing.restart();
      await sleep(lifeMs);
      await signing.stop();
    }
    await signing.restart();

    for (const [name, { digest }] of images) {
      const annotations = await signing.signed(name);
      const envelopes = [...envelopesOn(annotations).entries()].toSorted(([a], [b]) => a.length - b.length);
      assert.deepEqual(
        envelopes.map(([, envelope]) => signersOf(envelope, keys)),
        [['x509'], ['kms']],
      );
      const uid = envelopes[0]?.[0] ?? '';
      assert.match(envelopes[1]?.[0] ?? '', new RegExp(`^${uid}-[0-9a-f]{4}$`));
      const tag = digest.replace(':', '-');
      const counts = [
        (await layersOf(registry.host, 'ci/app', `${tag}.att`)).length,
        (await layersOf(registry.host, 'ci/app', `${tag}.sig`)).length,
        await referrersOf(digest),
      ];
      // Of bundles two for the run, two for its image.
      assert.deepEqual(counts, [2, 2, 4], name);
    }
    assert.doesNotMatch(await signing.log(), /"outcome":"failed"/);
  });

  it('is verified with each key by itself, in tags and as bundles, and with no other key', async () => {
    const root = await emptyTrustedRoot(signing.cluster.dir);
    const files = new Map<string, string>();
    for (const [name, pem] of Object.entries(keys)) {
      files.set(name, path.join(signing.cluster.dir, `${name}.pub`));
      await writeFile(files.get(name) ?? '', pem);
    }
    files.set('nobody', (await keyFolder(path.join(signing.cluster.dir, 'nobody'))).publicFile);
    const { repository, digest } = images.get('four') ?? assert.fail();
    const image = `${repository}@${digest}`;

    const said: Record<string, readonly number[]> = {};
    for (const [name, file] of files) {
      const trust = ['--key', file, '--insecure-ignore-tlog', '--trusted-root', root];
      const type = ['--type', 'slsaprovenance1'];
      const codes = [
        await cosign(3, ['verify-attestation', ...trust, ...type, image]),
        await cosign(3, ['verify-attestation', ...trust, ...type, '--new-bundle-format=false', image]),
        await cosign(3, ['verify', ...trust, image]),
        await cosign(3, ['verify', ...trust, '--new-bundle-format=false', image]),
        await cosign(2, ['verify-attestation', ...trust, ...type, image]),
        await chainsmith(['verify', '--key', file, '--type', 'slsaprovenance1', image]),
      ].map(({ code }) => code);
      said[name] = codes;
    }

    assert.deepEqual(said, { x509: [0, 0, 0, 0, 0, 0], kms: [0, 0, 0, 0, 0, 0], nobody: said['nobody'] });
    assert.equal(said['nobody']?.includes(0), false, String(said['nobody']));
  });

  async function referrersOf(digest: string): Promise<number> {
    const { body } = await request(`${registry.url}/v2/ci/app/referrers/${digest}`);
    return ((await body.json()) as { manifests: readonly unknown[] }).manifests.length;
  }
});

describe('who signs whose runs', { skip: reason }, () => {
  const stack = new AsyncDisposableStack();
  let signing: Signing;
  const keys: Record<string, string> = {};

  before(async () => {
    signing = stack.use(await startSigning({}));
    await signing.namespaces('team-a', 'team-b', 'other');
    keys['x509'] = await readFile(signing.cluster.publicKey, 'utf8');
    for (const name of ['a', 'b', 'gold']) keys[name] = (await keyFolder(path.join(signing.cluster.dir, name))).publicPem;
    await signing.configure(configured(rules));
    await signing.restart();
  });

  after(async () => await stack.disposeAsync());

  const rules = [
    { namespaces: ['team-a'], artifacts: ['oci'], signers: ['b'] },
    { namespaces: ['team-a'], signers: ['a'] },
    { namespaces: ['team-*'], labels: { tier: 'gold' }, signers: ['gold'] },
    { namespaces: ['team-*'], signers: ['b'] },
    { namespaces: ['team-b'], signers: ['a'] },
  ];
  const configured = (given: object): Readonly<Record<string, string>> => ({
    'artifacts.taskrun.storage': 'tekton',
    'artifacts.oci.storage': '',
    'signers.named': JSON.stringify(
      Object.fromEntries(['a', 'b', 'gold'].map((name) => [name, { kind: 'x509', directory: path.join(signing.cluster.dir, name) }])),
    ),
    'signers.rules': JSON.stringify(given),
  });
  const signerOf = async (name: string, namespace: string, metadata: object = {}): Promise<readonly string[]> => {
    await signing.complete(name, { namespace, metadata });
    const envelopes = envelopesOn(await signing.signed(name, namespace));
    return [...envelopes.values()].flatMap((envelope) => signersOf(envelope, keys));
  };
  /** Whatever a namespace may think of to be taken for team A. */
  const disguise = {
    labels: { team: 'a', 'tekton.dev/pipeline': 'team-a', namespace: 'team-a', tier: 'silver' },
    annotations: { 'chains.tekton.dev/signer': 'a', 'chainsmith.dev/signer': 'a', 'signers.rules': 'a' },
  };

  const rows = [
    { name: "a team's runs are signed by its own key, and an artifacts filter keeps others off", namespace: 'team-a', want: ['a'] },
    { name: 'no label and no annotation picks the key of another team', namespace: 'team-b', metadata: disguise, want: ['b'] },
    { name: 'nor does it in a namespace of nobody', namespace: 'other', metadata: disguise, want: ['x509'] },
    { name: 'a label narrows a rule', namespace: 'team-b', metadata: { labels: { tier: 'gold' } }, want: ['gold'] },
    { name: 'the first rule that fits counts', namespace: 'team-a', metadata: { labels: { tier: 'gold' } }, want: ['a'] },
  ];
  for (const [index, { name, namespace, metadata, want }] of rows.entries()) {
    it(name, async () => {
      assert.deepEqual(await signerOf(`run-${index}`, namespace, metadata), want);
    });
  }

  it('a change of the rules counts without a restart, for what completes after it', async () => {
    await signing.configure(configured([{ namespaces: ['team-a'], signers: ['gold', 'b'] }]), 'applied');

    assert.deepEqual((await signerOf('changed', 'team-a')).toSorted(), ['b', 'gold']);
    assert.deepEqual(await signerOf('changed', 'team-b'), ['x509']);
  });

  it('a rule with a signer that there is not is refused, and the last good rules stay', async () => {
    await signing.configure(configured([{ namespaces: ['team-a'], signers: ['mallory'] }]), 'refused');

    assert.match(await signing.log(), /there is no signer \\"mallory\\"/);
    assert.deepEqual((await signerOf('kept', 'team-a')).toSorted(), ['b', 'gold']);
  });
});
