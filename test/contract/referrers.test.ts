import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bundleOf } from '../../src/model/bundle.ts';
import { parseSha256, sha256Of } from '../../src/model/digest.ts';
import type { Logged } from '../../src/model/evidence.ts';
import { oci } from '../../src/store/oci/oci.ts';
import { output } from '../servers/command.ts';
import { crane } from '../servers/crane.ts';
import { startCraneRegistry, startOciRegistry, startRefRegistry, startRegistry, type Registry } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { startTimestampAuthority } from '../servers/timestamp-authority.ts';
import { missing } from '../servers/tools.ts';
import { clientOf } from './registry-client.ts';
import { attestationOf, ctx, imageOf, newKey, ociWorld, pushTestImage, seen, signatureOf } from './store-world.ts';

const key = newKey();
const indexType = 'application/vnd.oci.image.index.v1+json';
const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const bundles = oci.options.parse({ layout: 'referrers' });

const jsonAt = async (url: string): Promise<unknown> => {
  const answer = await fetch(url, { headers: { accept: `${indexType}, application/vnd.oci.image.manifest.v1+json` } });
  return answer.status === 200 ? await answer.json() : answer.status;
};

/** The same with another predicate type. */
const withType = (envelope: Logged, predicateType: string): Logged => ({ ...envelope, filing: { ...envelope.filing, predicateType } });

const registries = [
  { name: 'ociregistry', skip: await missing('ociregistry'), start: startOciRegistry, hasApi: true },
  { name: 'refregistry', skip: await missing('refregistry'), start: startRefRegistry, hasApi: true },
  { name: 'distribution', skip: await missing('registry'), start: async () => await startRegistry(), hasApi: false },
  { name: 'crane registry', skip: await missing('crane'), start: startCraneRegistry, hasApi: false },
];
for (const { name, skip, start, hasApi } of registries) {
  describe(`a bundle in ${name}`, { skip }, () => {
    let registry: Registry;
    before(async () => {
      registry = await start();
    });
    after(async () => await registry[Symbol.asyncDispose]());

    it('is a manifest as cosign makes it, found by its digest', async () => {
      const image = imageOf(`${registry.host}/app`, 'shape');
      const envelope = attestationOf([image], 'shape', key);
      await using world = await ociWorld(registry.host, { layout: 'referrers' });

      const receipt = await world.put(envelope);

      const digest = /@sha256:([0-9a-f]{64})#bundle$/.exec(receipt.places[0]?.address ?? '')?.[1];
      const bundle = Buffer.from(bundleOf(envelope));
      const empty = { mediaType: 'application/vnd.oci.empty.v1+json', size: 2, digest: `sha256:${sha256Of(Buffer.from('{}'))}` };
      assert.deepEqual(await jsonAt(`${registry.url}/v2/app/manifests/sha256:${digest}`), {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        artifactType: bundleType,
        config: { ...empty, artifactType: bundleType },
        layers: [{ mediaType: bundleType, size: bundle.length, digest: `sha256:${sha256Of(bundle)}` }],
        annotations: {
          'dev.sigstore.bundle.content': 'dsse-envelope',
          'dev.sigstore.bundle.predicateType': 'https://slsa.dev/provenance/v1',
        },
        subject: {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: `sha256:${image.digest}`,
          size: image.manifest.length,
        },
      });
    });

    it(hasApi ? 'is listed by the registry, so no tag lists it' : 'is listed at the fallback tag, with type and annotations', async () => {
      const image = imageOf(`${registry.host}/app`, 'listed');
      await using world = await ociWorld(registry.host, { layout: 'referrers' });
      const [first, second] = [attestationOf([image], 'one', key), attestationOf([image], 'two', key)];

      for (const envelope of [first, second, first]) await world.put(envelope);

      const there = await jsonAt(`${registry.url}/v2/app/manifests/sha256-${image.digest}`);
      if (hasApi) {
        assert.equal(there, 404);
        return;
      }
      const { mediaType, manifests } = there as { mediaType: string; manifests: readonly Record<string, unknown>[] };
      assert.equal(mediaType, indexType);
      assert.deepEqual(
        manifests.map(({ mediaType, artifactType, annotations }) => ({ mediaType, artifactType, annotations })),
        [1, 2].map(() => ({
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          artifactType: bundleType,
          annotations: {
            'dev.sigstore.bundle.content': 'dsse-envelope',
            'dev.sigstore.bundle.predicateType': 'https://slsa.dev/provenance/v1',
          },
        })),
      );
    });

    it('is not made where there is no image', async () => {
      const { repository, digest } = imageOf(`${registry.host}/app`, 'not pushed');
      await using store = await oci.open(bundles, ctx);

      await assert.rejects(store.put(attestationOf([{ repository, digest }], 'absent', key), ctx), {
        name: 'TransientError',
        code: 'oci.no-subject',
        message: `Cannot attach a bundle to "${repository}@sha256:${digest}": there is no such image`,
        fix: 'push the image before the run ends, or set storage.oci.layout to "tags", which needs no image',
      });
    });

    it('stands in the repository for all, and refers to the image in its own', async () => {
      const image = imageOf(`${registry.host}/app`, 'elsewhere');
      const envelope = attestationOf([image], 'elsewhere', key);
      await using world = await ociWorld(registry.host, { layout: 'referrers', repository: `${registry.host}/signatures/all` });

      const receipt = await world.put(envelope);

      assert.match(receipt.places[0]?.address ?? '', new RegExp(`^${registry.host}/signatures/all@sha256:[0-9a-f]{64}#bundle$`));
      assert.deepEqual((await world.get(receipt)).map(seen), world.expected(envelope));
      await using own = await ociWorld(registry.host, { layout: 'referrers' });
      assert.deepEqual(await own.list(image), []);
    });

    it('is one of several things that refer to an image, and the others are left out', async () => {
      const image = imageOf(`${registry.host}/app`, 'neighbours');
      const envelope = attestationOf([image], 'neighbours', key);
      await using world = await ociWorld(registry.host, { layout: 'referrers' });
      await world.put(envelope);
      await attachOther(registry.host, image);

      assert.deepEqual((await world.list(image)).map(seen), world.expected(envelope));
    });
  });
}

/** Two manifests that refer to the image and hold no bundle: of another type, and with two layers. */
async function attachOther(host: string, image: ReturnType<typeof imageOf>): Promise<void> {
  await using client = await clientOf(host);
  const empty = { mediaType: 'application/vnd.oci.empty.v1+json', size: 2, digest: `sha256:${sha256Of(Buffer.from('{}'))}` };
  const subject = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: `sha256:${image.digest}`,
    size: image.manifest.length,
  };
  const layer = { ...empty, mediaType: bundleType };
  const manifests = [
    {
      artifactType: 'application/spdx+json',
      config: { ...empty, mediaType: 'application/spdx+json' },
      layers: [{ ...empty, mediaType: 'text/spdx' }],
    },
    { artifactType: bundleType, config: empty, layers: [layer, layer] },
    { artifactType: bundleType, config: empty, layers: [{ ...empty, mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2' }] },
  ];
  for (const { artifactType, ...rest } of manifests) {
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, artifactType, ...rest, subject }));
    const descriptor = { mediaType, digest: sha256Of(bytes), size: bytes.length, artifactType };
    await client.repository.attach({ descriptor, bytes, subject: image.digest }, ctx);
  }
}

describe('layouts', { skip: await missing('ociregistry') }, () => {
  let registry: Registry;
  before(async () => {
    registry = await startOciRegistry();
  });
  after(async () => await registry[Symbol.asyncDispose]());

  it('keep a raw signature at its tag only, and say so where there are no tags', async () => {
    const image = imageOf(`${registry.host}/app`, 'raw');
    const envelope = signatureOf(image, key);
    const placesOf = async (layout: 'tags' | 'referrers' | 'both') => {
      await using world = await ociWorld(registry.host, { layout });
      return await world.put(envelope);
    };

    const tagged = await placesOf('tags');

    assert.deepEqual(await placesOf('both'), tagged);
    assert.deepEqual(await placesOf('referrers'), {
      store: 'oci',
      places: [],
      note: 'it is a signature without envelope, which the layout "referrers" has no place for',
      annotations: {},
    });
  });

  it('keep the statement that signs an image in bundles only', async () => {
    const image = imageOf(`${registry.host}/app`, 'sign');
    const envelope = withType(attestationOf([image], 'sign', key), 'https://sigstore.dev/cosign/sign/v1');
    for (const layout of ['referrers', 'both'] as const) {
      await using world = await ociWorld(registry.host, { layout });

      const { places } = await world.put(envelope);

      assert.deepEqual(
        places.map(({ address }) => address.endsWith('#bundle')),
        [true],
      );
      assert.deepEqual(
        (await world.list(image)).map(({ kind }) => kind),
        ['bundle'],
      );
    }
  });

  it('give two places for each image with both', async () => {
    const images = ['one', 'two'].map((text) => imageOf(`${registry.host}/both`, text));
    await using world = await ociWorld(registry.host, { layout: 'both' });

    const receipt = await world.put(attestationOf(images, 'both', key));

    assert.deepEqual(
      receipt.places.map(({ image, address }) => [image?.digest, address.includes('.att@') ? 'tag' : 'bundle']),
      images.flatMap(({ digest }) => [
        [digest, 'tag'],
        [digest, 'bundle'],
      ]),
    );
    assert.deepEqual(
      (await world.get(receipt)).map(({ kind }) => kind),
      ['dsse', 'bundle', 'dsse', 'bundle'],
    );
  });

  it('say that a bundle is gone when the image is asked about and does not list it', async () => {
    const image = imageOf(`${registry.host}/app`, 'gone');
    await using world = await ociWorld(registry.host, { layout: 'referrers' });
    const receipt = await world.put(attestationOf([image], 'gone', key));
    const [place] = receipt.places;
    assert.ok(place);
    const other = { ...place, image: { repository: image.repository, digest: parseSha256('ab'.repeat(32)) } };

    await assert.rejects(world.get({ ...receipt, places: [other] }), { name: 'TransientError', code: 'store.oci.missing' });
  });

  it('have the time of a log in the manifest, and the end of the build without one', async () => {
    const image = imageOf(`${registry.host}/created`, 'created');
    const envelope = attestationOf([image], 'created', key);
    const finishedOn = '2026-08-20T10:00:00.5+02:00';
    const payload = Buffer.from(JSON.stringify({ predicate: { runDetails: { metadata: { finishedOn } } } }));
    const entry = {
      log: '',
      logIndex: 1,
      logId: Buffer.alloc(32, 1),
      kind: 'dsse',
      version: '0.0.1',
      integratedTime: 1_724_148_000,
      promise: Buffer.from('x'),
      proof: { logIndex: 1, rootHash: Buffer.alloc(32), treeSize: 2, hashes: [Buffer.alloc(32)], checkpoint: 'x' },
      body: Buffer.from('{"kind":"dsse","apiVersion":"0.0.1"}'),
    };
    await using world = await ociWorld(registry.host, { layout: 'referrers' });

    await world.put({ ...envelope, payload });
    await world.put({ ...envelope, payload, evidence: { entries: [entry], timestamps: [] } });

    const list = (await jsonAt(`${registry.url}/v2/created/referrers/sha256:${image.digest}`)) as {
      manifests: readonly { annotations: Record<string, string> }[];
    };
    assert.deepEqual(list.manifests.map(({ annotations }) => annotations['org.opencontainers.image.created'] ?? '').toSorted(), [
      '2024-08-20T10:00:00Z',
      '2026-08-20T08:00:00Z',
    ]);
  });
});

describe('a bundle with a timestamp and no log', { skip: await missing('ociregistry', 'timestamp-authority') }, () => {
  it('has the time of the timestamp in its manifest', async () => {
    await using registry = await startOciRegistry();
    await using authority = await startTimestampAuthority();
    await using files = await scratch('timestamp');
    const [data, query] = ['data', 'query'].map((name) => path.join(files.dir, name));
    await writeFile(data ?? '', 'signature');
    await output('openssl', ['ts', '-query', '-data', data ?? '', '-sha256', '-cert', '-out', query ?? '']);
    const headers = { 'content-type': 'application/timestamp-query' };
    const before = Math.floor(Date.now() / 1000) * 1000;
    const answer = await fetch(authority.url, { method: 'POST', headers, body: await readFile(query ?? '') });
    const response = new Uint8Array(await answer.arrayBuffer());
    const envelope = attestationOf([imageOf(`${registry.host}/app`, 'stamped')], 'stamped', key);
    await using world = await ociWorld(registry.host, { layout: 'referrers' });

    await world.put({ ...envelope, evidence: { entries: [], timestamps: [{ authority: authority.url, over: 'signature', response }] } });

    const [image] = envelope.filing.images;
    const list = (await jsonAt(`${registry.url}/v2/app/referrers/sha256:${image?.digest}`)) as {
      manifests: readonly { annotations: Record<string, string> }[];
    };
    const created = list.manifests[0]?.annotations['org.opencontainers.image.created'] ?? '';
    assert.match(created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.ok(Date.parse(created) >= before && Date.parse(created) <= Date.now(), created);
  });
});

describe('a fallback tag that somebody else writes, too', { skip: await missing('registry', 'crane') }, () => {
  it('keeps what was there, and is not overwritten when it is no list', async () => {
    await using registry = await startRegistry();
    const [image, taken] = [imageOf(`${registry.host}/app`, 'theirs'), imageOf(`${registry.host}/app`, 'taken')];
    for (const it of [image, taken]) await pushTestImage(it, bundles);
    const theirs = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      size: image.manifest.length,
      digest: `sha256:${image.digest}`,
    };
    const list = { schemaVersion: 2, mediaType: indexType, manifests: [theirs], annotations: { kept: 'yes' } };
    const put = await fetch(`${registry.url}/v2/app/manifests/sha256-${image.digest}`, {
      method: 'PUT',
      headers: { 'content-type': indexType },
      body: JSON.stringify(list),
    });
    assert.equal(put.status, 201);
    await crane(['tag', `${registry.host}/app@sha256:${taken.digest}`, `sha256-${taken.digest}`]);
    await using store = await oci.open(bundles, ctx);

    await store.put(attestationOf([image], 'theirs', key), ctx);

    const there = (await jsonAt(`${registry.url}/v2/app/manifests/sha256-${image.digest}`)) as typeof list;
    assert.deepEqual(there.annotations, { kept: 'yes' });
    assert.deepEqual(there.manifests[0], theirs);
    assert.equal(there.manifests.length, 2);
    await assert.rejects(store.put(attestationOf([taken], 'taken', key), ctx), { name: 'TerminalError', code: 'oci.manifest' });
  });
});
