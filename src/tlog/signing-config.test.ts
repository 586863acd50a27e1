import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CodedError } from '../errors.ts';
import { parseSigningConfig, selectServices, type SelectedServices } from './signing-config.ts';

const mediaType = 'application/vnd.dev.sigstore.signingconfig.v0.2+json';
const now = new Date('2026-06-01T00:00:00Z');

type Row = readonly [url: string, version: number, operator: string, start?: string, end?: string];

function service([url, majorApiVersion, operator, start = '2025-01-01T00:00:00Z', end]: Row): unknown {
  return { url: `https://${url}`, majorApiVersion, operator, validFor: { start, ...(end !== undefined && { end }) } };
}

function bytes(document: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(document));
}

function select(members: Readonly<Record<string, unknown>>, rekorVersions: readonly number[] = [1, 2]): SelectedServices {
  return selectServices(parseSigningConfig(bytes({ mediaType, ...members }), 'sc.json'), { now, rekorVersions });
}

const shards: readonly Row[] = [
  ['old.example', 1, 'one'],
  ['log2025.example', 2, 'one', '2025-06-01T00:00:00Z'],
  ['log2026.example', 2, 'one', '2026-05-01T00:00:00Z'],
  ['log2027.example', 2, 'one', '2026-12-01T00:00:00Z'],
  ['other.example', 2, 'two', '2025-03-01T00:00:00Z'],
  ['gone.example', 2, 'three', '2025-03-01T00:00:00Z', '2026-05-31T23:59:59Z'],
];

describe('selectServices', () => {
  const rows: readonly {
    readonly name: string;
    readonly config: unknown;
    readonly versions?: readonly number[];
    readonly want: readonly string[];
  }[] = [
    { name: 'ANY takes the newest shard of the highest version', config: { selector: 'ANY' }, want: ['log2026.example 2'] },
    { name: 'ALL takes the newest shard of each operator', config: { selector: 'ALL' }, want: ['log2026.example 2', 'other.example 2'] },
    { name: 'EXACT takes so many operators', config: { selector: 'EXACT', count: 2 }, want: ['log2026.example 2', 'other.example 2'] },
    { name: 'EXACT 1 takes one', config: { selector: 'EXACT', count: 1 }, want: ['log2026.example 2'] },
    { name: 'a generation that we do not speak does not count', config: { selector: 'ALL' }, versions: [1], want: ['old.example 1'] },
  ];
  for (const { name, config, versions, want } of rows) {
    it(name, () => {
      const { rekor } = select({ rekorTlogUrls: shards.map(service), rekorTlogConfig: config }, versions);

      assert.deepEqual(
        rekor.map(({ url, majorApiVersion }) => `${url.slice('https://'.length)} ${majorApiVersion}`),
        want,
      );
    });
  }

  it('takes both ends of a validity for valid', () => {
    const at = now.toISOString();
    const config = { tsaUrls: [service(['a.example/ts', 1, 'a', at, at])], tsaConfig: { selector: 'ANY' } };

    assert.deepEqual(select(config).tsa, ['https://a.example/ts']);
  });

  it('takes the newest certificate authority and issuer without a selector', () => {
    const config = {
      caUrls: [service(['ca1.example', 1, 'a']), service(['ca2.example', 1, 'a', '2026-01-01T00:00:00Z'])],
      oidcUrls: [service(['issuer.example', 1, 'a'])],
    };

    assert.deepEqual(select(config), { rekor: [], tsa: [], fulcio: 'https://ca2.example', oidc: 'https://issuer.example' });
  });

  it('gives nothing of what the configuration does not have', () => {
    assert.deepEqual(select({}), { rekor: [], tsa: [], fulcio: undefined, oidc: undefined });
  });

  it('passes over members that it does not know', () => {
    const config = { tsaUrls: [{ ...Object(service(['a.example', 1, 'a'])), colour: 'red' }], tsaConfig: { selector: 'ANY' }, news: [] };

    assert.deepEqual(select(config).tsa, ['https://a.example']);
  });

  const refused: readonly { readonly name: string; readonly members: Readonly<Record<string, unknown>>; readonly message: RegExp }[] = [
    {
      name: 'more operators than there are',
      members: { rekorTlogUrls: shards.map(service), rekorTlogConfig: { selector: 'EXACT', count: 3 } },
      message:
        /^tlog\.no-service Cannot choose from rekorTlogUrls of sc\.json: want 3 of version 1 or 2 that are valid at 2026-06-01T00:00:00\.000Z, found 2/,
    },
    {
      name: 'services of which none is valid',
      members: { tsaUrls: [service(['a.example', 1, 'a', '2026-06-01T00:00:01Z'])], tsaConfig: { selector: 'ALL' } },
      message: /^tlog\.no-service Cannot choose from tsaUrls of sc\.json: want 1 of version 1 that is valid at .*, found 0/,
    },
    {
      name: 'services without a selector',
      members: { tsaUrls: [service(['a.example', 1, 'a'])] },
      message: /^tlog\.signing-config .*tsaConfig is missing/,
    },
    {
      name: 'an exact number that is none',
      members: { tsaUrls: [service(['a.example', 1, 'a'])], tsaConfig: { selector: 'EXACT' } },
      message: /^tlog\.signing-config .*wants an exact number/,
    },
    {
      name: 'a selector that it does not know',
      members: { tsaUrls: [], tsaConfig: { selector: 'SOME' } },
      message: /^tlog\.signing-config .*tsaConfig\.selector/,
    },
    {
      name: 'a URL of another scheme',
      members: { caUrls: [{ url: 'file:///etc/passwd', majorApiVersion: 1, validFor: {} }] },
      message: /^tlog\.signing-config .*caUrls\.0\.url: want an http or https URL/,
    },
    {
      name: 'the first version of the format',
      members: { mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.1+json' },
      message: /^tlog\.signing-config .*mediaType/,
    },
  ];
  for (const { name, members, message } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => select(members),
        (error) => error instanceof CodedError && message.test(`${error.code} ${error.message}`),
      );
    });
  }
});

describe('parseSigningConfig', () => {
  for (const { name, text } of [
    { name: 'what is no JSON', text: '<html>' },
    { name: 'a member twice', text: `{"mediaType":"${mediaType}","caUrls":[],"caUrls":[]}` },
  ]) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseSigningConfig(Buffer.from(text), 'sc.json'), { code: 'tlog.signing-config' });
    });
  }
});
