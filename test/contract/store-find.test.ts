import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { sha256Of } from '../../src/model/digest.ts';
import type { LogEntry, Logged } from '../../src/model/evidence.ts';
import { pemOf } from '../../src/model/pem.ts';
import { annotationKeys, layerOf, parseTagManifest, tagOf } from '../../src/store/oci/cosign.ts';
import { oci } from '../../src/store/oci/oci.ts';
import { openRepositories } from '../../src/store/oci/open.ts';
import type { OciOptions } from '../../src/store/oci/options.ts';
import type { Wanted } from '../../src/store/store.ts';
import { makeCa, makeCertificate } from '../servers/certificates.ts';
import { startOciRegistry, startRegistry, type Registry } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';
import {
  attestationOf,
  ctx,
  imageOf,
  imageStatementOf,
  keyOf,
  newKey,
  payloadIn,
  pushTestImage,
  type Key,
  type TestImage,
} from './store-world.ts';

const [key, stranger] = [newKey(), newKey()];

interface Identity {
  readonly key: Key;
  /** Leaf, and the chain above it. */
  readonly certificate: string;
  readonly chain: string;
}

const entry: LogEntry = {
  log: 'https://log.example',
  logIndex: 7,
  logId: Buffer.alloc(32, 1),
  kind: 'dsse',
  version: '0.0.1',
  integratedTime: 1_724_148_000,
  promise: Buffer.from('promise'),
  proof: { logIndex: 1, rootHash: Buffer.alloc(32, 2), treeSize: 2, hashes: [Buffer.alloc(32, 3)], checkpoint: 'log.example\n2\n' },
  body: Buffer.from('{"kind":"dsse","apiVersion":"0.0.1"}'),
};
const timestamps = [
  { authority: 'https://tsa.example', over: 'signature', response: Buffer.from('signature') },
  { authority: 'https://tsa.example', over: 'body', response: Buffer.from('body') },
] as const;
const evidence = { entries: [entry], timestamps };

/** As it is read back: from the bundle with proof, from the tag without, and nobody says there which log or authority it was. */
const bundled = { entries: [{ ...entry, log: '' }], timestamps: [{ ...timestamps[0], authority: '' }] };
const tagged = { entries: [{ ...entry, log: '', proof: undefined }], timestamps: [{ ...timestamps[1], authority: '' }] };

const registries = [
  { name: 'ociregistry', skip: await missing('ociregistry'), start: startOciRegistry },
  { name: 'distribution', skip: await missing('registry'), start: async () => await startRegistry() },
];
for (const { name, skip, start } of registries) {
  describe(`find in ${name}`, { skip }, () => {
    let registry: Registry;
    let identity: Identity;
    before(async () => {
      registry = await start();
      await using files = await scratch('find');
      const ca = await makeCa(files.dir, 'ca');
      const leaf = await makeCertificate(files.dir, { name: 'leaf', issuer: ca, extensions: ['basicConstraints=critical,CA:FALSE'] });
      identity = {
        key: keyOf(await readFile(leaf.keyFile, 'utf8')),
        // As a bundle gives it back: the text of a PEM says nothing.
        certificate: pemOf('CERTIFICATE', new X509Certificate(await readFile(leaf.certFile)).raw),
        chain: await readFile(ca.certFile, 'utf8'),
      };
    });
    after(async () => await registry[Symbol.asyncDispose]());

    const put = async (layout: OciOptions['layout'], envelope: Logged): Promise<void> => {
      const options = oci.options.parse({ layout });
      for (const image of envelope.filing.images) await pushTestImage(image as TestImage, options);
      await using store = await oci.open(options, ctx);
      await store.put(envelope, ctx);
    };
    const find = async (layout: OciOptions['layout'], of: Logged, wanted: Partial<Wanted> = {}): Promise<Logged | undefined> => {
      await using store = await oci.open(oci.options.parse({ layout }), ctx);
      assert.ok(store.proof === 'read-back');
      const owns = async ({ publicKey }: { readonly publicKey: string }) => await Promise.resolve(publicKey === of.publicKey);
      return await store.find({ filing: of.filing, payload: payloadIn(of), publicKey: of.publicKey, owns, ...wanted }, ctx);
    };
    const logged = (text: string, by: Key = key): Logged => ({
      ...attestationOf([imageOf(`${registry.host}/app`, text)], text, by),
      evidence,
    });

    it('gives a bundle with all its evidence and the very body that was sealed', async () => {
      const envelope = logged('bundle');

      await put('referrers', envelope);

      assert.deepEqual(await find('referrers', envelope), { ...envelope, evidence: bundled });
      assert.deepEqual(await find('both', envelope), { ...envelope, evidence: bundled });
      assert.equal(await find('tags', envelope), undefined);
    });

    it('gives what a tag has with the layout referrers, too, so that nothing is signed twice when the layout changes', async () => {
      const envelope = logged('tag');

      await put('tags', envelope);

      for (const layout of ['tags', 'referrers', 'both'] as const) {
        assert.deepEqual(await find(layout, envelope), { ...envelope, evidence: tagged });
      }
    });

    it('gives from both layouts together the proof, the chain and both timestamps', async () => {
      const { certificate, chain } = identity;
      const envelope = { ...logged('together', identity.key), certificate, chain };

      await put('both', envelope);

      const wanted = {
        publicKey: undefined,
        owns: async (it: { certificate: string }) => await Promise.resolve(it.certificate === certificate),
      };
      const found = await find('both', envelope, wanted);
      assert.deepEqual(found, { ...envelope, evidence: { ...bundled, timestamps: [...bundled.timestamps, ...tagged.timestamps] } });
      assert.deepEqual(await find('referrers', envelope, wanted), found);
    });

    it('gives the chain only where a tag has it', async () => {
      const { certificate, chain } = identity;
      const envelope = { ...logged('keyless', identity.key), certificate, chain };

      await put('referrers', envelope);

      assert.deepEqual(await find('referrers', envelope, { publicKey: undefined }), { ...envelope, chain: '', evidence: bundled });
    });

    it('gives nothing of another signer, whatever is said of who signed', async () => {
      const envelope = logged('mine');
      const hers = logged('mine', stranger);
      // Signed by a stranger, with our certificate beside it.
      const forged = { ...hers, certificate: identity.certificate };

      for (const layout of ['referrers', 'tags'] as const) {
        await put(layout, hers);
        await put(layout, forged);
      }

      assert.equal(await find('both', envelope), undefined);
      assert.equal(await find('both', envelope, { owns: async () => await Promise.resolve(true) }), undefined);
      assert.equal(await find('both', envelope, { publicKey: undefined, owns: async () => await Promise.resolve(true) }), undefined);
    });

    it('gives nothing over another payload, nor by a signer that nobody owns', async () => {
      const envelope = logged('owned');
      await put('both', envelope);

      assert.equal(await find('both', logged('other')), undefined);
      assert.equal(await find('both', envelope, { owns: async () => await Promise.resolve(false) }), undefined);
      assert.equal(await find('both', envelope, { publicKey: undefined }), undefined);
    });

    it('gives of several bundles that with the most evidence', async () => {
      const envelope = logged('several');
      await put('referrers', { ...envelope, evidence: { entries: [], timestamps: [] } });
      await put('referrers', envelope);

      assert.deepEqual((await find('referrers', envelope))?.evidence, bundled);
    });

    it('gives the statement that signs an image', async () => {
      const envelope = imageStatementOf(imageOf(`${registry.host}/app`, 'statement'), key);
      await put('both', envelope);

      assert.deepEqual(await find('both', envelope), envelope);
    });

    it('leaves out annotations that cannot be read', async () => {
      const envelope = logged('broken');
      await put('tags', envelope);
      await using repositories = await openRepositories(oci.options.parse({}), ctx);
      const [image] = envelope.filing.images;
      assert.ok(image);
      const tag = tagOf(image.digest, 'dsse');
      await repositories.repository(image.repository, 'pull,push').update(
        tag,
        async (there) => {
          assert.ok(there);
          const manifest = parseTagManifest(there, tag);
          const broken = { [annotationKeys.logBundle]: 'broken', [annotationKeys.timestamp]: '{}' };
          const layers = manifest.layers.map((layer) => ({ ...layer, annotations: { ...layer.annotations, ...broken } }));
          const bytes = Buffer.from(JSON.stringify({ ...manifest, layers }));
          return await Promise.resolve(sha256Of(bytes) === there.digest ? undefined : { mediaType: there.mediaType, bytes });
        },
        ctx,
      );

      assert.deepEqual(await find('tags', envelope), { ...envelope, evidence: { entries: [], timestamps: [] } });
    });
  });
}

describe('the layer of what was logged', () => {
  it('is the same when it is found and stored again', () => {
    const envelope = { ...attestationOf([imageOf('r.example/app', 'again')], 'again', key), evidence };

    assert.deepEqual(layerOf({ ...envelope, evidence: tagged }), layerOf(envelope));
  });
});
