import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSha256, sha256Of } from '../../model/digest.ts';
import { noEvidence, type LogEntry, type Logged } from '../../model/evidence.ts';
import { isSame, layerOf, maxLayers, parseTagManifest, tagOf, withLayer, type Layer, type TagManifest } from './cosign.ts';
import type { Manifest } from './repository.ts';

const hex = 'ab'.repeat(32);
const filing = {
  run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'u-1' },
  shortKey: 'taskrun-u-1',
  predicateType: 'https://slsa.dev/provenance/v1',
  images: [],
} as const;
const attestation: Logged = {
  kind: 'dsse',
  payloadType: 'application/vnd.in-toto+json',
  payload: Buffer.from('statement'),
  signature: Buffer.from('signature'),
  body: Buffer.from('envelope'),
  publicKey: '',
  certificate: '',
  chain: '',
  evidence: noEvidence,
  filing,
};
const signature: Logged = {
  ...attestation,
  kind: 'raw',
  payloadType: 'application/vnd.dev.cosign.simplesigning.v1+json',
  payload: Buffer.from('payload'),
  body: Buffer.from('signature'),
  certificate: 'CERT',
  chain: 'CHAIN',
  filing: { ...filing, predicateType: undefined },
};
const entry: LogEntry = {
  log: 'https://log.example',
  logIndex: 5,
  logId: Buffer.from(hex, 'hex'),
  kind: 'dsse',
  version: '0.0.1',
  integratedTime: 1_724_148_000,
  promise: Buffer.from('promise'),
  proof: undefined,
  body: Buffer.from('{"kind":"dsse","apiVersion":"0.0.1"}'),
};
const timestamps = [
  { authority: 'https://tsa.example', over: 'signature', response: Buffer.from('s') },
  { authority: 'https://tsa.example', over: 'body', response: Buffer.from('b') },
] as const;
const logged: Logged = { ...attestation, evidence: { entries: [{ ...entry, promise: undefined }, entry], timestamps } };
const added = (...[current, layer]: [TagManifest | undefined, Layer]) => {
  const next = withLayer(current, layer, 'r/a:t');
  assert.ok(next);
  return next;
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

  it('has beside it the entry of a log that gave a promise, and the timestamp over what verifiers look at', () => {
    const bundle =
      `{"SignedEntryTimestamp":"cHJvbWlzZQ==","Payload":{"body":"${Buffer.from(entry.body).toString('base64')}",` +
      `"integratedTime":1724148000,"logIndex":5,"logID":"${hex}"}}`;
    const beside = (it: Logged) =>
      Object.fromEntries(Object.entries(layerOf(it).annotations ?? {}).filter(([key]) => /bundle|timestamp/.test(key)));

    assert.deepEqual(beside(logged), {
      'dev.sigstore.cosign/bundle': bundle,
      'dev.sigstore.cosign/rfc3161timestamp': '{"SignedRFC3161Timestamp":"Yg=="}',
    });
    assert.deepEqual(beside({ ...signature, evidence: logged.evidence }), {
      'dev.sigstore.cosign/bundle': bundle,
      'dev.sigstore.cosign/rfc3161timestamp': '{"SignedRFC3161Timestamp":"cw=="}',
    });
    assert.deepEqual(beside(attestation), {});
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

describe('withLayer', () => {
  it('makes the manifest and the config of Chains, byte for byte', () => {
    const layer = layerOf(attestation);

    const { mediaType, bytes, config } = added(undefined, layer);

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

    const next = added(parseTagManifest(manifestOf(Buffer.from(JSON.stringify(theirs))), 'r/a:t'), layer);

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

    assert.throws(() => withLayer(full, layerOf(signature), 'r/a:t'), { name: 'TerminalError', code: 'oci.tag-full' });
    assert.doesNotThrow(() => withLayer({ ...full, layers: layers.slice(1) }, layerOf(signature), 'r/a:t'));
  });
});

describe('withLayer, for what is there', () => {
  const holding = (...layers: readonly Layer[]) => ({ schemaVersion: 2 as const, config: { mediaType: 'x/y' }, layers: [...layers] });

  it('has nothing to do for the same envelope with the same evidence', () => {
    assert.equal(withLayer(holding(layerOf(logged)), layerOf(logged), 'r/a:t'), undefined);
  });

  it('adds the evidence to what was stored without it, in its place', () => {
    const next = added(holding(layerOf(attestation), layerOf(signature)), layerOf(logged));

    const { layers } = JSON.parse(Buffer.from(next.bytes).toString()) as { layers: readonly Layer[] };
    assert.deepEqual(layers, [layerOf(logged), layerOf(signature)]);
  });

  it('takes nothing away, and changes nothing that is there', () => {
    const other = { ...logged, evidence: { ...logged.evidence, entries: [{ ...entry, logIndex: 7 }] } };

    assert.equal(withLayer(holding(layerOf(logged)), layerOf(attestation), 'r/a:t'), undefined);
    assert.equal(withLayer(holding(layerOf(logged)), layerOf(other), 'r/a:t'), undefined);
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
