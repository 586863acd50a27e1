import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseSha256, sha256Of } from '../../src/model/digest.ts';
import { OciOptions } from '../../src/store/oci/options.ts';
import { openReader } from '../../src/store/oci/reader.ts';
import { clientOf, failureOf, guarded, short } from './registry-client.ts';
import { standIn, type Reply, type Seen } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

const indexType = 'application/vnd.oci.image.index.v1+json';
const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** A registry of one subject: what it says about referrers is the test's; manifests and tags are kept. */
function keeping(referrers: (request: Seen, kept: ReadonlyMap<string, string>) => Reply, onPut: Record<string, string> = {}) {
  const kept = new Map<string, string>();
  return guarded((request) => {
    const { method, url, body } = request;
    const path = url.split('?')[0] ?? '';
    if (path.startsWith('/v2/app/referrers/')) return referrers(request, kept);
    if (!path.startsWith('/v2/app/manifests/')) return { status: 200 };
    if (method === 'PUT') kept.set(path, body);
    if (method === 'PUT') return { status: 201, headers: onPut };
    const there = kept.get(path);
    if (there === undefined) return { status: 404 };
    const digest = `sha256:${sha256Of(Buffer.from(there))}`;
    return { status: 200, headers: { 'content-type': indexType, 'docker-content-digest': digest }, body: there };
  });
}

const subject = parseSha256('cd'.repeat(32));
const manifest = Buffer.from('{"schemaVersion":2}');
const referrer = {
  descriptor: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: sha256Of(manifest), size: manifest.length },
  bytes: manifest,
  subject,
};
const listing = (manifests: unknown): Reply => ({
  status: 200,
  headers: { 'content-type': indexType },
  body: JSON.stringify({ schemaVersion: 2, manifests }),
});
const entryOf = (index: number) => ({ mediaType: 'x/y', size: 1, digest: `sha256:${index.toString(16).padStart(64, '0')}` });
const tagPut = ({ method, url }: Seen): boolean => method === 'PUT' && url.endsWith(`/sha256-${subject}`);

describe('attach', () => {
  it('asks again for what a registry acknowledged and does not list yet', async () => {
    let asked = 0;
    const reply = keeping(
      () => ((asked += 1) < 3 ? listing(null) : listing([{ ...referrer.descriptor, digest: `sha256:${referrer.descriptor.digest}` }])),
      {
        'oci-subject': `sha256:${subject}`,
      },
    );
    await using server = await standIn(reply);
    await using client = await clientOf(server.host);

    await client.repository.attach(referrer, ctx);

    assert.equal(asked, 3);
    assert.deepEqual(server.seen.filter(tagPut), []);
  });

  it('is an error when it never lists it', async () => {
    await using server = await standIn(keeping(() => listing([]), { 'oci-subject': `sha256:${subject}` }));
    await using client = await clientOf(server.host);

    const error = await failureOf(client.repository.attach(referrer, ctx));

    assert.equal(short(error), 'TransientError oci.not-listed');
  });

  for (const { name, reply } of [
    { name: 'lists nothing and acknowledges nothing', reply: listing([]) },
    { name: 'has no such API', reply: { status: 404 } },
    { name: 'has no such method', reply: { status: 405 } },
    { name: 'answers with a page', reply: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' } },
  ]) {
    it(`writes the fallback tag where a registry ${name}`, async () => {
      await using server = await standIn(keeping(() => reply));
      await using client = await clientOf(server.host);

      await client.repository.attach(referrer, ctx);

      const [put, ...more] = server.seen.filter(tagPut);
      assert.equal(more.length, 0);
      assert.deepEqual(JSON.parse(put?.body ?? ''), {
        schemaVersion: 2,
        mediaType: indexType,
        manifests: [{ ...referrer.descriptor, digest: `sha256:${referrer.descriptor.digest}` }],
      });
    });
  }

  it('writes no fallback tag when the registry could not be asked', async () => {
    await using server = await standIn(keeping(() => ({ status: 403 })));
    await using client = await clientOf(server.host);

    const error = await failureOf(client.repository.attach(referrer, ctx));

    assert.equal(short(error), 'TerminalError oci.denied');
    assert.deepEqual(server.seen.filter(tagPut), []);
  });

  it('says that a registry does not take a subject', async () => {
    const reply = ({ method }: Seen): Reply =>
      method === 'PUT' ? { status: 400, body: '{"errors":[{"code":"MANIFEST_INVALID"}]}' } : { status: 404 };
    await using server = await standIn(guarded(reply));
    await using client = await clientOf(server.host);

    const error = await failureOf(client.repository.attach(referrer, ctx));

    assert.equal(short(error), 'TerminalError oci.refused');
    assert.match(error.fix ?? '', /storage.oci.layout to "tags"/);
  });
});

describe('a list of referrers', () => {
  it('is read over all its pages', async () => {
    const reply = keeping(({ url }) => {
      const page = Number(new URL(url, 'http://x').searchParams.get('page') ?? 0);
      const link = page < 2 ? { link: `</v2/app/referrers/sha256:${subject}?page=${page + 1}>; rel="next"` } : {};
      const { headers, ...rest } = listing([entryOf(page)]);
      return { ...rest, headers: { ...headers, ...link } };
    });
    await using server = await standIn(reply);
    await using client = await clientOf(server.host);

    const found = await client.repository.referrers(subject, ctx);

    assert.deepEqual(
      found.map(({ digest }) => Number(`0x${digest}`)),
      [0, 1, 2],
    );
  });

  const refused = [
    { name: 'pages without end', want: 'TerminalError oci.too-many', link: '<?again>; rel="next"', manifests: [entryOf(1)] },
    { name: 'a next page elsewhere', want: 'TransientError oci.protocol', link: '<http://127.0.0.2:1/v2/x>; rel="next"', manifests: [] },
    { name: 'a next page that is no URL', want: 'TransientError oci.protocol', link: '<http://[>; rel=next', manifests: [] },
    {
      name: '10 001 entries',
      want: 'TerminalError oci.too-many',
      link: '',
      manifests: Array.from({ length: 10_001 }, (_, index) => entryOf(index)),
    },
    { name: 'entries that are none', want: 'TransientError oci.protocol', link: '', manifests: [{ digest: 1 }] },
  ];
  for (const { name, want, link, manifests } of refused) {
    it(`is refused with ${name}`, async () => {
      const { headers, ...rest } = listing(manifests);
      const reply = keeping(() => ({ ...rest, headers: { ...headers, ...(link !== '' && { link }) } }));
      await using server = await standIn(reply);
      await using client = await clientOf(server.host, { maxBytes: 4 * 1024 * 1024 });

      assert.equal(short(await failureOf(client.repository.referrers(subject, ctx))), want);
    });
  }

  it('with more bundles than anybody looks at is refused, whoever asks', async () => {
    const many = Array.from({ length: 1_001 }, (_, index) => ({ ...entryOf(index), artifactType: bundleType }));
    await using server = await standIn(({ url }) => (url.includes('/referrers/') ? listing(many) : { status: 404 }));
    await using reader = await openReader(OciOptions.parse({}), ctx);

    const error = await failureOf(reader.list({ repository: `${server.host}/app`, digest: subject }, ctx));

    assert.equal(short(error), 'TerminalError oci.too-many');
    assert.ok(server.seen.length < 10, `${server.seen.length} requests`);
  });

  it('is not read from a registry that may not be asked', async () => {
    await using server = await standIn(keeping(() => ({ status: 403 })));
    await using client = await clientOf(server.host);

    assert.equal(short(await failureOf(client.repository.referrers(subject, ctx))), 'TerminalError oci.denied');
  });
});

describe('compressed answers', () => {
  // 64 MiB of nothing in 64 KiB.
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const plain = `sha256:${sha256Of(bomb)}`;
  const asks = [
    {
      name: 'blob',
      ask: async (client: Awaited<ReturnType<typeof clientOf>>) => await client.repository.blob({ digest: plain, size: bomb.length }, ctx),
    },
    { name: 'manifest', ask: async (client: Awaited<ReturnType<typeof clientOf>>) => await client.repository.manifest('t', ctx) },
    {
      name: 'list of referrers',
      ask: async (client: Awaited<ReturnType<typeof clientOf>>) => await client.repository.referrers(subject, ctx),
    },
  ];
  for (const { name, ask } of asks) {
    it(`are refused for a ${name}, and never unpacked`, async () => {
      const headers = { 'content-type': indexType, 'content-encoding': 'gzip' };
      await using server = await standIn(guarded(() => ({ status: 200, headers, body: bomb })));
      await using client = await clientOf(server.host);
      const before = process.memoryUsage().arrayBuffers;

      const error = await failureOf(ask(client));

      assert.equal(short(error), 'TransientError oci.protocol');
      assert.match(error.message, /compressed, which was not asked for/);
      assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024);
      assert.equal(server.headers.at(-1)?.['accept-encoding'], 'identity');
    });
  }

  it('are bytes like others when nobody says that they are compressed', async () => {
    await using server = await standIn(guarded(() => ({ status: 200, body: bomb })));
    await using client = await clientOf(server.host);

    const blob = await client.repository.blob({ digest: plain, size: bomb.length }, ctx);

    assert.equal(blob?.length, bomb.length);
  });
});
