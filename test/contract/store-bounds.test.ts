import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSha256, sha256Of } from '../../src/model/digest.ts';
import { OciOptions } from '../../src/store/oci/options.ts';
import { openReader } from '../../src/store/oci/reader.ts';
import { failureOf, short } from './registry-client.ts';
import { standIn, type Reply, type Seen } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

const digest = parseSha256('cd'.repeat(32));
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const dsseType = 'application/vnd.dsse.envelope.v1+json';
const maxResponseBytes = 4 * 1024 * 1024;

const blobOf = (index: number): string => `sha256:${index.toString(16).padStart(64, '0')}`;
const layersOf = (count: number, size: number, mediaType: string) =>
  Array.from({ length: count }, (_, index) => ({ mediaType, size, digest: blobOf(index) }));
const manifestOf = (layers: readonly object[]): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'x/y' },
    layers,
    subject: { digest: `sha256:${digest}` },
  });

/** A registry with one thing at the `.att` tag, and these manifests as referrers. */
function holding({ att, referrers = [] }: { readonly att?: string; readonly referrers?: readonly string[] }) {
  const byPath = new Map(referrers.map((text) => [`/v2/app/manifests/sha256:${sha256Of(Buffer.from(text))}`, text]));
  if (att !== undefined) byPath.set(`/v2/app/manifests/sha256-${digest}.att`, att);
  return ({ url }: Seen): Reply => {
    if (url.startsWith('/v2/app/referrers/')) {
      const manifests = referrers.map((text) => ({
        mediaType: manifestType,
        size: text.length,
        digest: `sha256:${sha256Of(Buffer.from(text))}`,
      }));
      return { status: 200, headers: { 'content-type': indexType }, body: JSON.stringify({ schemaVersion: 2, manifests }) };
    }
    const body = byPath.get(url);
    return body === undefined ? { status: 404 } : { status: 200, headers: { 'content-type': manifestType }, body };
  };
}

describe('reader.list', () => {
  const refused = [
    {
      name: '10 000 signatures at a tag',
      want: 'TerminalError oci.tag-full',
      held: { att: manifestOf(layersOf(10_000, 1, dsseType)) },
    },
    {
      name: 'layers that are too large together',
      want: 'TerminalError oci.too-large',
      held: { att: manifestOf(layersOf(9, maxResponseBytes, dsseType)) },
    },
    {
      name: 'one layer that is too large',
      want: 'TerminalError oci.too-large',
      held: { att: manifestOf(layersOf(1, maxResponseBytes + 1, dsseType)) },
    },
    {
      name: 'bundles that are too large together',
      want: 'TerminalError oci.too-large',
      held: {
        referrers: Array.from({ length: 9 }, (_, index) =>
          manifestOf([{ mediaType: bundleType, size: maxResponseBytes, digest: blobOf(index) }]),
        ),
      },
    },
    {
      name: 'one bundle that is too large',
      want: 'TerminalError oci.too-large',
      held: { referrers: [manifestOf(layersOf(1, maxResponseBytes + 1, bundleType))] },
    },
  ];
  for (const { name, want, held } of refused) {
    it(`refuses ${name}, and fetches none of it`, async () => {
      await using server = await standIn(holding(held));
      await using reader = await openReader(OciOptions.parse({ maxResponseBytes }), ctx);

      const error = await failureOf(reader.list({ repository: `${server.host}/app`, digest }, ctx));

      assert.equal(short(error), want);
      assert.deepEqual(
        server.seen.filter(({ url }) => url.includes('/blobs/')),
        [],
      );
    });
  }

  it('leaves out bundles whose blob is gone, and what refers to another image', async () => {
    const other = manifestOf(layersOf(1, 1, bundleType)).replace(digest, 'ef'.repeat(32));
    await using server = await standIn(holding({ referrers: [manifestOf(layersOf(1, 1, bundleType)), other] }));
    await using reader = await openReader(OciOptions.parse({ maxResponseBytes }), ctx);

    assert.deepEqual(await reader.list({ repository: `${server.host}/app`, digest }, ctx), []);
    assert.equal(server.seen.filter(({ url }) => url.includes('/blobs/')).length, 1);
  });
});
