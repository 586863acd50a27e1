import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseSha256, sha256Of } from '../../model/digest.ts';
import type { Envelope } from '../../model/envelope.ts';
import { addressOf, appended, isSame, layerOf, maxLayers, parseTagManifest, spotOf, tagOf, type Layer } from './cosign.ts';
import type { Manifest } from './repository.ts';

const hex = 'ab'.repeat(32);
const filing = {
  run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'u-1' },
  shortKey: 'taskrun-u-1',
  predicateType: 'https://slsa.dev/provenance/v1',
  images: [],
} as const;
const attestation: Envelope = {
  kind: 'dsse',
  payloadType: 'application/vnd.in-toto+json',
  payload: Buffer.from('statement'),
  signature: Buffer.from('signature'),
  body: Buffer.from('envelope'),
  publicKey: '',
  certificate: '',
  chain: '',
  filing,
};
const signature: Envelope = {
  ...attestation,
  kind: 'raw',
  payloadType: 'application/vnd.dev.cosign.simplesigning.v1+json',
  payload: Buffer.from('payload'),
  body: Buffer.from('signature'),
  certificate: 'CERT',
  chain: 'CHAIN',
  filing: { ...filing, predicateType: undefined },
};
const manifestOf = (bytes: Uint8Array): Manifest => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: sha256Of(bytes),
  bytes,
});

describe('layerOf', () => {
  it('gives an attestation as cosign writes it, certificate and chain there even when empty', () => {
    assert.deepEqual(layerOf(attestation), {
      mediaType: 'application/vnd.dsse.envelope.v1+json',
      size: 8,
      digest: `sha256:${sha256Of(Buffer.from('envelope'))}`,
      annotations: {
        'dev.cosignproject.cosign/signature': '',
        'dev.sigstore.cosign/certificate': '',
        'dev.sigstore.cosign/chain': '',
        predicateType: 'https://slsa.dev/provenance/v1',
      },
    });
  });

  it('gives an image signature with the payload as content and the signature beside it', () => {
    assert.deepEqual(layerOf(signature), {
      mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
      size: 7,
      digest: `sha256:${sha256Of(Buffer.from('payload'))}`,
      annotations: {
        'dev.cosignproject.cosign/signature': 'c2lnbmF0dXJl',
        'dev.sigstore.cosign/certificate': 'CERT',
        'dev.sigstore.cosign/chain': 'CHAIN',
      },
    });
  });
});

describe('tagOf', () => {
  it('names attestations and signatures', () => {
    assert.deepEqual([tagOf(parseSha256(hex), 'dsse'), tagOf(parseSha256(hex), 'raw')], [`sha256-${hex}.att`, `sha256-${hex}.sig`]);
  });
});

describe('appended', () => {
  it('makes the manifest and the config of Chains, byte for byte', () => {
    const layer = layerOf(attestation);

    const { mediaType, bytes, config } = appended(undefined, layer, 'r/a:t');

    assert.equal(
      Buffer.from(config).toString(),
      `{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["${layer.digest}"]},"config":{}}`,
    );
    assert.equal(config.length, 233);
    assert.equal(mediaType, 'application/vnd.oci.image.manifest.v1+json');
    assert.equal(
      Buffer.from(bytes).toString(),
      `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":233,"digest":"sha256:${sha256Of(config)}"},"layers":[${JSON.stringify(layer)}]}`,
    );
  });

  it("keeps somebody else's media types, layers and members", () => {
    const theirs = {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: 1, digest: `sha256:${hex}` },
      layers: [{ mediaType: 'x/y', size: 3, digest: `sha256:${hex}`, annotations: { a: 'b' }, urls: ['https://x.example'] }],
      annotations: { kept: 'yes' },
    };
    const layer = layerOf(signature);

    const next = appended(parseTagManifest(manifestOf(Buffer.from(JSON.stringify(theirs))), 'r/a:t'), layer, 'r/a:t');

    assert.equal(next.mediaType, theirs.mediaType);
    assert.deepEqual(JSON.parse(Buffer.from(next.bytes).toString()), {
      ...theirs,
      config: { mediaType: theirs.config.mediaType, size: next.config.length, digest: `sha256:${sha256Of(next.config)}` },
      layers: [...theirs.layers, layer],
    });
  });

  it('stops where cosign stops reading', () => {
    const layers = Array.from({ length: maxLayers }, () => layerOf(attestation));
    const full = { schemaVersion: 2 as const, config: { mediaType: 'x/y' }, layers };

    assert.throws(() => appended(full, layerOf(signature), 'r/a:t'), { name: 'TerminalError', code: 'oci.tag-full' });
    assert.doesNotThrow(() => appended({ ...full, layers: layers.slice(1) }, layerOf(signature), 'r/a:t'));
  });
});

describe('parseTagManifest', () => {
  const refused = [
    { name: 'an index', text: '{"schemaVersion":2,"manifests":[]}' },
    { name: 'text', text: 'hello' },
    {
      name: 'a layer without a digest',
      text: '{"schemaVersion":2,"config":{"mediaType":"x"},"layers":[{"mediaType":"x","size":1,"digest":"md5:1"}]}',
    },
  ];
  for (const { name, text } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseTagManifest(manifestOf(Buffer.from(text)), 'r/a:t'), { name: 'TerminalError', code: 'oci.manifest' });
    });
  }
});

describe('isSame', () => {
  const layer = layerOf(signature);
  const changed = (change: Partial<Layer>): Layer => ({ ...layer, ...change });
  const table = [
    { name: 'itself', other: changed({}), same: true },
    {
      name: 'other certificates',
      other: changed({ annotations: { ...layer.annotations, 'dev.sigstore.cosign/certificate': 'X' } }),
      same: true,
    },
    {
      name: 'another signature over the same payload',
      other: changed({ annotations: { ...layer.annotations, 'dev.cosignproject.cosign/signature': 'AAAA' } }),
      same: false,
    },
    { name: 'another content', other: changed({ digest: `sha256:${hex}` }), same: false },
    { name: 'another media type', other: changed({ mediaType: 'x/y' }), same: false },
  ];
  for (const { name, other, same } of table) it(`says ${same} of ${name}`, () => assert.equal(isSame(layer, other), same));
});

describe('addressOf', () => {
  const digest = fc.stringMatching(/^[0-9a-f]{64}$/).map(parseSha256);

  it('is read back by spotOf', () => {
    const spot = fc.record(
      {
        repository: fc.constantFrom('', 'r.example/a', '[::1]:5000/a/b', 'localhost:5000/x'),
        tag: fc.constantFrom('taskrun-u.att', `sha256-${hex}.sig`),
        layer: digest,
        signature: fc.option(digest, { nil: undefined }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(spot, fc.constantFrom('', 'oci:/a b:c/d:', 'oci:.chainsmith/layout:'), (there, prefix) => {
        assert.deepEqual(spotOf(addressOf(there, prefix), prefix), there);
      }),
    );
  });

  it('shows registry, repository, tag and layer', () => {
    const layer = parseSha256(hex);

    assert.equal(addressOf({ repository: 'r:5/a', tag: 't.att', layer, signature: undefined }, ''), `r:5/a:t.att@sha256:${hex}`);
    assert.equal(addressOf({ repository: '', tag: 't.att', layer, signature: layer }, 'oci:d:'), `oci:d:t.att@sha256:${hex}#${hex}`);
  });

  for (const address of ['', 'r/a:t', `r/a:t@sha256:${hex}x`, `oci:other:r/a b:t@sha256:${hex}`]) {
    it(`refuses "${address}"`, () => assert.throws(() => spotOf(address, ''), { code: 'store.oci.address' }));
  }

  it('refuses a place in another folder', () => {
    assert.throws(() => spotOf(`oci:one:r/a:t@sha256:${hex}`, 'oci:two:'), { code: 'store.oci.address' });
  });
});
