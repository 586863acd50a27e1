import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { codeOf, retryOf, TerminalError } from '../../src/errors.ts';
import { oci } from '../../src/store/oci/oci.ts';
import type { OciOptions } from '../../src/store/oci/options.ts';
import { openReader } from '../../src/store/oci/reader.ts';
import { stores } from '../../src/store/stores.ts';
import { startCraneRegistry, startOciRegistry, startRefRegistry, startRegistry, type RegistryOptions } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';
import { attestationOf, ctx, imageOf, newKey, ociWorld, payloadIn, seen, signatureOf, tektonWorld, type World } from './store-world.ts';

const noRegistry = await missing('registry');
const noOciRegistry = await missing('ociregistry');
const noRefRegistry = await missing('refregistry');
const noCrane = await missing('crane');
const [key, rotatedKey] = [newKey(), newKey()];
const ownerOf = (mine: string) => async (other: { publicKey: string }) => await Promise.resolve(other.publicKey === mine);

/** A world whose server ends with it. */
async function over<Server extends AsyncDisposable>(start: Promise<Server>, open: (server: Server) => Promise<World>): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await open(stack.use(await start)));
  const life = stack.move();
  return { ...world, [Symbol.asyncDispose]: async () => await life.disposeAsync() };
}

async function distribution(server: RegistryOptions, options: (host: string) => Partial<OciOptions> = () => ({})): Promise<World> {
  return await over(
    startRegistry(server),
    async ({ host, caFile, dockerConfigDir }) => await ociWorld(host, { caFile, dockerConfig: dockerConfigDir, ...options(host) }),
  );
}

const worlds = [
  { name: 'tekton', skip: false, open: tektonWorld },
  {
    name: 'oci, layout folder',
    skip: false,
    open: async () => await over(scratch('store'), async ({ dir }) => await ociWorld('r.example', { directory: path.join(dir, 'layout') })),
  },
  {
    name: 'oci, ociregistry',
    skip: noOciRegistry,
    open: async () => await over(startOciRegistry(), async ({ host }) => await ociWorld(host, {})),
  },
  { name: 'oci, distribution', skip: noRegistry, open: async () => await distribution({}) },
  { name: 'oci, Basic authentication', skip: noRegistry, open: async () => await distribution({ auth: 'basic' }) },
  { name: 'oci, token authentication', skip: noRegistry, open: async () => await distribution({ auth: 'token' }) },
  { name: 'oci, TLS with an own CA', skip: noRegistry, open: async () => await distribution({ tls: true }) },
  {
    name: 'oci, TLS unverified',
    skip: noRegistry,
    open: async () => await distribution({ tls: true }, () => ({ caFile: undefined, insecure: true })),
  },
  {
    name: 'oci, one repository for all',
    skip: noRegistry,
    open: async () => await distribution({}, (host) => ({ repository: `${host}/signatures/all` })),
  },
  ...(['referrers', 'both'] as const).flatMap((layout) => [
    {
      name: `oci, ${layout}, layout folder`,
      skip: false,
      open: async () =>
        await over(scratch('store'), async ({ dir }) => await ociWorld('r.example', { directory: path.join(dir, 'layout'), layout })),
    },
    {
      name: `oci, ${layout}, ociregistry`,
      skip: noOciRegistry,
      open: async () => await over(startOciRegistry(), async ({ host }) => await ociWorld(host, { layout })),
    },
    {
      name: `oci, ${layout}, refregistry`,
      skip: noRefRegistry,
      open: async () => await over(startRefRegistry(), async ({ host }) => await ociWorld(host, { layout })),
    },
    {
      name: `oci, ${layout}, crane registry`,
      skip: noCrane,
      open: async () => await over(startCraneRegistry(), async ({ host }) => await ociWorld(host, { layout })),
    },
    { name: `oci, ${layout}, distribution`, skip: noRegistry, open: async () => await distribution({}, () => ({ layout })) },
  ]),
  {
    name: 'oci, referrers, token authentication',
    skip: noRegistry,
    open: async () => await distribution({ auth: 'token' }, () => ({ layout: 'referrers' })),
  },
  {
    name: 'oci, both, one repository for all',
    skip: noRegistry,
    open: async () => await distribution({}, (host) => ({ repository: `${host}/signatures/all`, layout: 'both' })),
  },
];

for (const { name, skip, open } of worlds) {
  describe(`store: ${name}`, { skip }, () => {
    let world: World;
    before(async () => {
      world = await open();
    });
    after(async () => await world[Symbol.asyncDispose]());

    it('gives the bytes of an attestation back', async () => {
      const envelope = attestationOf([imageOf(`${world.host}/app`, 'attestation')], 'one', key);

      const back = await world.get(await world.put(envelope));

      assert.deepEqual(back.map(seen), world.expected(envelope));
    });

    it('gives the bytes of an image signature back', async () => {
      const envelope = signatureOf(imageOf(`${world.host}/app`, 'signature'), key);

      const back = await world.get(await world.put(envelope));

      assert.deepEqual(back.map(seen), world.expected(envelope));
    });

    it('keeps one copy of what is put twice, and gives the same receipt', async () => {
      const image = imageOf(`${world.host}/twice`, 'twice');
      for (const envelope of [attestationOf([image], 'twice', key), signatureOf(image, key)]) {
        const first = await world.put(envelope);
        const [second, third] = await Promise.all([world.put(envelope), world.put(envelope)]);

        assert.deepEqual([second, third], [first, first]);
        const wanted = world.expected(envelope);
        assert.deepEqual(
          (await world.list(image))
            .map(seen)
            .filter((one) => wanted.includes(one))
            .toSorted(),
          wanted.toSorted(),
        );
      }
    });

    it('loses none of 16 that come at once', async () => {
      const image = imageOf(`${world.host}/crowd`, 'crowd');
      const envelopes = Array.from({ length: 16 }, (_, index) => attestationOf([image], `crowd-${index}`, key));

      const receipts = await Promise.all(envelopes.map(async (envelope) => await world.put(envelope)));

      const back = await Promise.all(receipts.map(async (receipt) => await world.get(receipt)));
      assert.deepEqual(back.flat().map(seen), envelopes.flatMap(world.expected));
      const there = new Set((await world.list(image)).map(seen));
      assert.deepEqual(
        envelopes.flatMap(world.expected).filter((one) => !there.has(one)),
        [],
      );
    });
  });
}

for (const { name, skip, open } of worlds.filter((world) => world.name.startsWith('oci'))) {
  describe(`signatures and attestations by image: ${name}`, { skip }, () => {
    let world: World;
    before(async () => {
      world = await open();
    });
    after(async () => await world[Symbol.asyncDispose]());

    it('keeps the same payload by a rotated key beside the first', async () => {
      const image = imageOf(`${world.host}/rotated`, 'rotated');
      const [old, young] = [signatureOf(image, key), signatureOf(image, rotatedKey)];

      const receipts = [await world.put(old), await world.put(young), await world.put(old)];

      assert.deepEqual((await world.list(image)).map(seen), [old, young].flatMap(world.expected));
      const back = await Promise.all(receipts.map(async (receipt) => await world.get(receipt)));
      assert.deepEqual(back.flat().map(seen), [old, young, old].flatMap(world.expected));
    });

    it('files an envelope at every image, and one bad image hides no other', async () => {
      const images = ['one', 'two'].map((text) => imageOf(`${world.host}/several`, text));
      const good = attestationOf(images, 'good', key);
      const mixed = attestationOf([imageOf('NOT/a repository', 'bad'), ...images], 'mixed', key);

      const receipt = await world.put(good);
      const failure = world.put(mixed);

      // With a repository for all it does not matter what an image's own is.
      // But a bundle names it as its subject.
      if (name === 'oci, one repository for all') await failure;
      else await assert.rejects(failure, (error) => codeOf(error) === 'oci.reference' && retryOf(error) === 'never');
      assert.deepEqual(
        receipt.places.map(({ image }) => image),
        images.flatMap((image) => world.expected(good).map(() => image)),
      );
      // Tags keep the order in which they were written, lists of referrers keep none.
      const wanted = [good, mixed].flatMap(world.expected);
      for (const image of images) assert.deepEqual((await world.list(image)).map(seen).toSorted(), wanted.toSorted());
    });

    it('lists nothing for an image that has nothing', async () => {
      assert.deepEqual(await world.list(imageOf(`${world.host}/nothing`, 'nothing')), []);
    });
  });
}

describe('oci, without an image', () => {
  it('says why a registry keeps nothing', async () => {
    await using store = await oci.open(oci.options.parse({}), ctx);

    assert.deepEqual(await store.put(attestationOf([], 'alone', key), ctx), {
      store: 'oci',
      places: [],
      note: 'it is about no image, so there is no place for it in a registry',
      annotations: {},
    });
  });

  it('is kept in a layout folder under its short key', async () => {
    await using folder = await scratch('store');
    const directory = path.join(folder.dir, 'layout');
    await using world = await ociWorld('r.example', { directory });
    const envelope = attestationOf([], 'alone', key);

    const receipt = await world.put(envelope);

    assert.match(receipt.places[0]?.address ?? '', /^oci:.*\/layout:taskrun-alone\.att@sha256:[0-9a-f]{64}$/);
    assert.deepEqual((await world.get(receipt)).map(seen), [seen(envelope)]);
  });
});

describe('oci, find', () => {
  const places = [
    { name: 'a layout folder', skip: false, isFolder: true },
    { name: 'a registry', skip: noRegistry, isFolder: false },
  ];
  for (const { name, skip, isFolder } of places) {
    it(`gives in ${name} the envelope over the same payload by the same key, and no other`, { skip }, async () => {
      await using stack = new AsyncDisposableStack();
      const { dir } = stack.use(await scratch('find'));
      const server = isFolder ? undefined : stack.use(await startRegistry());
      const options = oci.options.parse(server === undefined ? { directory: path.join(dir, 'layout') } : {});
      const store = stack.use(await oci.open(options, ctx));
      assert.ok(store.proof === 'read-back');
      const image = imageOf(`${server?.host ?? 'r.example'}/find`, 'find');
      const envelopes = [
        attestationOf([image], 'mine', key),
        attestationOf([image], 'mine', rotatedKey),
        attestationOf([image], 'hers', key),
        signatureOf(image, key),
        signatureOf(image, rotatedKey),
      ];
      const absent = attestationOf([image], 'gone', key);
      const ask = async ({ filing, publicKey }: typeof absent, of: typeof absent) =>
        await store.find({ filing, payload: payloadIn(of), publicKey, owns: ownerOf(publicKey) }, ctx);

      const before = await ask(absent, absent);
      for (const envelope of envelopes) await store.put(envelope, ctx);

      assert.equal(before, undefined);
      assert.equal(await ask(absent, absent), undefined);
      for (const envelope of envelopes) assert.deepEqual(await ask(envelope, envelope), envelope);
    });
  }
});

describe('oci, get', () => {
  it('says that a place is gone', async () => {
    await using folder = await scratch('store');
    await using world = await ociWorld('r.example', { directory: path.join(folder.dir, 'a') });
    const receipt = await world.put(signatureOf(imageOf('r.example/gone', 'gone'), key));
    const elsewhere = { ...receipt, places: receipt.places.map((place) => ({ ...place, address: place.address.replace('/a:', '/b:') })) };
    await using other = await ociWorld('r.example', { directory: path.join(folder.dir, 'b') });

    await assert.rejects(other.get(elsewhere), { name: 'TransientError', code: 'store.oci.missing' });
    await assert.rejects(other.get(receipt), { name: 'TerminalError', code: 'store.oci.address' });
  });
});

describe('openReader', { skip: noRegistry }, () => {
  it('resolves tags and digests, and says what is not there', async () => {
    await using server = await startRegistry();
    const options = oci.options.parse({});
    await using store = await oci.open(options, ctx);
    await using reader = await openReader(options, ctx);
    const image = imageOf(`${server.host}/app`, 'resolve');
    await store.put(attestationOf([image], 'resolve', key), ctx);

    const byTag = await reader.resolve(`${server.host}/app:sha256-${image.digest}.att`, ctx);

    assert.equal(byTag.repository, `${server.host}/app`);
    assert.deepEqual(await reader.resolve(`${server.host}/app@sha256:${byTag.digest}`, ctx), byTag);
    await assert.rejects(reader.resolve(`${server.host}/app`, ctx), { name: 'TerminalError', code: 'oci.not-found' });
    await assert.rejects(reader.resolve('UPPER', ctx), TerminalError);
  });
});

describe('oci, without credentials', { skip: noRegistry }, () => {
  for (const auth of ['basic', 'token'] as const) {
    it(`is denied where ${auth} is wanted, and says what to do`, async () => {
      await using server = await startRegistry({ auth });
      await using store = await oci.open(oci.options.parse({}), ctx);

      await assert.rejects(store.put(signatureOf(imageOf(`${server.host}/app`, 'denied'), key), ctx), {
        name: 'TerminalError',
        code: 'oci.denied',
        fix: 'give credentials for this repository that allow it in the docker configuration (storage.oci.docker-config)',
      });
    });
  }

  it('does not go on in clear text when a certificate is not believed', async () => {
    await using server = await startRegistry({ tls: true });
    await using store = await oci.open(oci.options.parse({}), ctx);

    await assert.rejects(store.put(signatureOf(imageOf(`${server.host}/app`, 'tls'), key), ctx), {
      name: 'TransientError',
      code: 'http.tls',
    });
  });

  it('asks for one token where many are served', async () => {
    await using server = await startRegistry({ auth: 'token' });
    await using world = await ociWorld(server.host, { dockerConfig: server.dockerConfigDir });
    const image = imageOf(`${server.host}/tokens`, 'tokens');

    await Promise.all(Array.from({ length: 8 }, async (_, index) => await world.put(attestationOf([image], `t-${index}`, key))));

    assert.equal(server.tokensGiven?.(), 1);
  });
});

describe('stores', () => {
  it('has a row for each store, whose options have defaults', () => {
    assert.deepEqual(Object.keys(stores).toSorted(), ['oci', 'tekton']);
    for (const { options } of Object.values(stores)) assert.ok(options.safeParse({}).success);
  });
});
