import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { keyKinds } from '../../test/contract/trust-log.ts';
import { base64Of } from '../model/base64.ts';
import { logIdOf, noteIdOf, spkiOf } from './log-key.ts';
import { emptyRoot, isWithin, parseTrustedRoot, trustedRootJsonOf } from './trusted-root.ts';

const seeds = JSON.parse(readFileSync(createRequire(import.meta.url).resolve('@sigstore/tuf/seeds.json'), 'utf8')) as Readonly<
  Record<string, { readonly targets: Readonly<Record<string, string>> }>
>;
const publicText = Buffer.from(Object.values(seeds)[0]?.targets['trusted_root.json'] ?? '', 'base64').toString();
const parse = (value: unknown) => parseTrustedRoot(Buffer.from(JSON.stringify(value)), 'a test');

interface Log {
  baseUrl: string;
  hashAlgorithm: string;
  publicKey: { rawBytes: string; keyDetails: string; validFor?: { start?: string; end?: string } };
  logId: { keyId: string };
}
interface Root {
  mediaType: string;
  tlogs: Log[];
  certificateAuthorities: { certChain: { certificates: { rawBytes: string }[] }; validFor?: object }[];
}
const publicRoot = () => JSON.parse(publicText) as Root;
/** The public instance's, with its first log changed. */
const changed = (change: (log: Log, root: Root) => void): Root => {
  const root = publicRoot();
  const [log] = root.tlogs;
  if (log !== undefined) change(log, root);
  return root;
};

describe('parseTrustedRoot', () => {
  it('reads that of the public instance', () => {
    const root = parseTrustedRoot(Buffer.from(publicText), 'a test');

    assert.deepEqual(
      root.logs.map(({ baseUrl, validFor, publicKey }) => [baseUrl, publicKey.asymmetricKeyType, validFor.start.toISOString()]),
      [
        ['https://rekor.sigstore.dev', 'ec', '2021-01-12T11:53:27.000Z'],
        ['https://log2025-1.rekor.sigstore.dev', 'ed25519', '2025-09-23T00:00:00.000Z'],
      ],
    );
    assert.equal(root.ctLogs.length, 2);
    assert.deepEqual(
      root.certificateAuthorities.map(({ chain, validFor }) => [chain.length, validFor.end?.toISOString()]),
      [
        [1, '2022-12-31T23:59:59.999Z'],
        [2, undefined],
      ],
    );
    assert.deepEqual(
      root.timestampAuthorities.map(({ chain }) => chain.map(({ ca }) => ca)),
      [[false, true]],
    );
  });

  it('gives it back as text that says the same', () => {
    const text = trustedRootJsonOf(parseTrustedRoot(Buffer.from(publicText), 'a test'));
    const [ours, theirs] = [JSON.parse(text) as Root, publicRoot()];

    assert.equal(trustedRootJsonOf(parseTrustedRoot(Buffer.from(text), 'a test')), text);
    assert.deepEqual(
      ours.tlogs.map(({ logId, publicKey: { rawBytes, keyDetails } }) => ({ logId, rawBytes, keyDetails })),
      theirs.tlogs.map(({ logId, publicKey: { rawBytes, keyDetails } }) => ({ logId, rawBytes, keyDetails })),
    );
    assert.deepEqual(
      ours.certificateAuthorities.map(({ certChain }) => certChain),
      theirs.certificateAuthorities.map(({ certChain }) => certChain),
    );
  });

  it('reads one with nothing in it', () => {
    assert.deepEqual(parse({ mediaType: publicRoot().mediaType }), emptyRoot);
    assert.deepEqual(parse(JSON.parse(trustedRootJsonOf(emptyRoot))), emptyRoot);
  });

  for (const [kind, make] of Object.entries(keyKinds)) {
    it(`reads a log with a key of ${kind}, as Rekor 1 and as Rekor 2`, () => {
      const { publicKey } = make();
      const validFor = { start: new Date('2026-01-01'), end: undefined };
      const log = { baseUrl: 'https://log.example:3000', publicKey, validFor };
      const logs = [logIdOf(publicKey), noteIdOf(publicKey, 'log.example')].map((logId) => ({ ...log, logId }));

      const root = parseTrustedRoot(Buffer.from(trustedRootJsonOf({ ...emptyRoot, logs })), 'a test');

      assert.deepEqual(
        root.logs.map(({ logId, publicKey: key }) => [base64Of(logId), base64Of(spkiOf(key))]),
        logs.map(({ logId }) => [base64Of(logId), base64Of(spkiOf(publicKey))]),
      );
    });
  }

  it('leaves out a log whose kind of key is not known yet, and keeps the others', () => {
    const root = parse(changed((log) => void (log.publicKey.keyDetails = 'PKIX_ML_DSA_65')));

    assert.deepEqual(
      root.logs.map(({ baseUrl }) => baseUrl),
      ['https://log2025-1.rekor.sigstore.dev'],
    );
  });

  const refused: readonly { readonly name: string; readonly value: unknown; readonly says: RegExp }[] = [
    { name: 'another media type', value: { mediaType: 'application/vnd.dev.sigstore.trustedroot.v0.2+json' }, says: /mediaType/ },
    { name: 'none', value: {}, says: /mediaType/ },
    { name: 'a list', value: [], says: /the document/ },
    { name: 'snake case', value: { mediaType: publicRoot().mediaType, certificate_authorities: [] }, says: /certificate_authorities/ },
    {
      name: 'a log without a start',
      value: changed((log) => void (log.publicKey.validFor = {})),
      says: /tlogs\.0: publicKey\.validFor\.start is missing/,
    },
    { name: 'a log without validity', value: changed((log) => void delete log.publicKey.validFor), says: /start is missing/ },
    {
      name: 'an end before the start',
      value: changed((log) => void (log.publicKey.validFor = { start: '2026-01-02T00:00:00Z', end: '2026-01-01T00:00:00Z' })),
      says: /ends before it starts/,
    },
    { name: 'a time that is none', value: changed((log) => void (log.publicKey.validFor = { start: '2026-01-01' })), says: /RFC 3339/ },
    {
      name: 'a month that is none',
      value: changed((log) => void (log.publicKey.validFor = { start: '2026-13-01T00:00:00Z' })),
      says: /RFC 3339/,
    },
    {
      name: 'a misspelt end',
      value: changed((log) => void (log.publicKey.validFor = { start: '2026-01-01T00:00:00Z', ends: '2026-01-01T00:00:00Z' } as object)),
      says: /ends/,
    },
    {
      name: 'the id of another key',
      value: changed((log) => void (log.logId.keyId = base64Of(Buffer.alloc(32)))),
      says: /logId\.keyId is not that/,
    },
    {
      name: 'an id that is short',
      value: changed((log) => void (log.logId.keyId = log.logId.keyId.slice(0, 8))),
      says: /logId\.keyId is not that/,
    },
    {
      name: 'the id of Rekor 2 under another host',
      value: changed((_, root) => void (root.tlogs[1] = { ...(root.tlogs[1] as Log), baseUrl: 'https://other.example' })),
      says: /tlogs\.1: logId/,
    },
    {
      name: 'a key of another kind than it says',
      value: changed((log) => void (log.publicKey.keyDetails = 'PKIX_ECDSA_P384_SHA_384')),
      says: /not of the kind/,
    },
    { name: 'a key that is none', value: changed((log) => void (log.publicKey.rawBytes = 'AAAA')), says: /tlogs\.0/ },
    { name: 'broken base64', value: changed((log) => void (log.publicKey.rawBytes = 'A')), says: /base64/ },
    { name: 'another hash', value: changed((log) => void (log.hashAlgorithm = 'SHA2_512')), says: /hashAlgorithm/ },
    { name: 'a URL that is none', value: changed((log) => void (log.baseUrl = 'rekor')), says: /http or https URL/ },
    {
      name: 'an authority without certificates',
      value: changed((_, root) => void (root.certificateAuthorities = [{ certChain: { certificates: [] } }])),
      says: /certificates/,
    },
    {
      name: 'a certificate that is none',
      value: changed((_, root) => void (root.certificateAuthorities = [{ certChain: { certificates: [{ rawBytes: 'AAAA' }] } }])),
      says: /certificateAuthorities\.0/,
    },
    {
      name: 'three hundred logs',
      value: changed((log, root) => void (root.tlogs = Array.from({ length: 300 }, () => log))),
      says: /tlogs/,
    },
  ];
  for (const { name, value, says } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parse(value), { code: 'trust.root', message: says });
    });
  }

  it('refuses what is no JSON, has a member twice, or is huge', () => {
    const twice = publicText.replace('"tlogs"', '"tlogs": [], "tlogs"');
    for (const text of ['', '{', twice, `${publicText}${' '.repeat(1024 * 1024)}`]) {
      assert.throws(() => parseTrustedRoot(Buffer.from(text), 'a test'), { code: 'trust.root', message: /in a test/ });
    }
  });
});

describe('isWithin', () => {
  it('counts both ends in, and no end as for ever', () => {
    const [start, end] = [new Date(1000), new Date(2000)];
    const cases = [999, 1000, 2000, 2001].map((at) => isWithin({ start, end }, new Date(at)));

    assert.deepEqual([...cases, isWithin({ start, end: undefined }, new Date(1e12))], [false, true, true, false, true]);
  });
});
