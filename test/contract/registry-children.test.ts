import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Image } from '../../src/model/artifact.ts';
import { parseSha256, sha256Of } from '../../src/model/digest.ts';
import { oci } from '../../src/store/oci/oci.ts';
import { openReader } from '../../src/store/oci/reader.ts';
import { scratch } from '../servers/scratch.ts';
import { failureOf, short } from './registry-client.ts';
import { standIn } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  image: 'application/vnd.oci.image.manifest.v1+json',
  docker: 'application/vnd.docker.distribution.manifest.v2+json',
} as const;

/** A document as a registry has it, and the descriptor that points to it. */
interface Made {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly body: string;
}

function made(mediaType: string, value: unknown): Made {
  const body = JSON.stringify(value);
  return { mediaType, digest: `sha256:${sha256Of(Buffer.from(body))}`, size: body.length, body };
}
const descriptor = ({ mediaType, digest, size }: Omit<Made, 'body'>) => ({ mediaType, digest, size });
const manifest = (name: string, mediaType: string = types.image) =>
  made(mediaType, { schemaVersion: 2, mediaType, config: { name }, layers: [] });
const indexOf = (entries: readonly Omit<Made, 'body'>[], mediaType: string = types.index) =>
  made(mediaType, { schemaVersion: 2, mediaType, manifests: entries.map(descriptor) });

const [one, two, three] = [manifest('one'), manifest('two', types.docker), manifest('three')];
const nested = indexOf([two, three], types.list);
const many = (count: number) => Array.from({ length: count }, (_, index) => manifest(`many-${index}`));

/** So many indexes, each the only child of the one before. */
function tower(height: number): readonly Made[] {
  const floors: Made[] = [indexOf([one])];
  while (floors.length < height) floors.unshift(indexOf([floors[0] ?? one]));
  return floors;
}

interface Row {
  readonly name: string;
  /** What the registry has; the first is asked about. */
  readonly there: readonly Made[];
  readonly children?: readonly Omit<Made, 'body'>[];
  readonly fails?: string;
}

const rows: readonly Row[] = [
  { name: 'an image has none', there: [one], children: [] },
  { name: "Docker's image has none", there: [two], children: [] },
  { name: 'an index has its manifests, which need not be there', there: [indexOf([one, two])], children: [one, two] },
  { name: 'a Docker list has its manifests', there: [indexOf([two, one], types.list)], children: [two, one] },
  {
    name: 'an index without a media type is one by its members',
    there: [made(types.index, { schemaVersion: 2, manifests: [descriptor(one)] })],
    children: [one],
  },
  {
    name: 'an index that the registry calls an image is one all the same',
    there: [{ ...indexOf([one]), mediaType: types.image }],
    children: [one],
  },
  {
    name: 'an index within an index, each manifest once',
    there: [indexOf([nested, one, two]), nested],
    children: [nested, one, two, three],
  },
  { name: 'an empty index has none', there: [indexOf([])], children: [] },
  {
    name: 'what is no manifest, or has another digest than SHA-256, is left out',
    there: [
      indexOf([
        { mediaType: 'application/x-tar', digest: one.digest, size: 1 },
        { mediaType: types.image, digest: `sha512:${'0'.repeat(128)}`, size: 1 },
        { mediaType: types.image, digest: '../../../etc/passwd', size: 1 },
        three,
      ]),
    ],
    children: [three],
  },
  { name: '64 manifests are read', there: [indexOf(many(64))], children: many(64) },
  { name: '65 are too many', there: [indexOf(many(65))], fails: 'TerminalError oci.index-bounds' },
  { name: 'four levels are read', there: tower(4), children: [...tower(4).slice(1), one] },
  { name: 'five are too many', there: tower(5), fails: 'TerminalError oci.index-bounds' },
  {
    name: 'a nested index that says that it is huge is not asked for',
    there: [indexOf([{ ...nested, size: 5 * 1024 * 1024 }])],
    fails: 'TerminalError oci.index-bounds',
  },
  { name: 'an index that is not there may come yet', there: [], fails: 'TransientError oci.no-image' },
  { name: 'so may a nested one', there: [indexOf([nested])], fails: 'TransientError oci.no-image' },
  {
    name: 'an index that is an image, too, is refused',
    there: [made(types.index, { schemaVersion: 2, manifests: [], layers: [] })],
    fails: 'TerminalError oci.index',
  },
  {
    name: 'so is one of another version',
    there: [made(types.index, { schemaVersion: 1, manifests: [] })],
    fails: 'TerminalError oci.index',
  },
  {
    name: 'so is one with something else for a manifest',
    there: [made(types.index, { schemaVersion: 2, manifests: [null] })],
    fails: 'TerminalError oci.index',
  },
  { name: 'so is a list', there: [made(types.index, [])], fails: 'TerminalError oci.index' },
  { name: 'a page is no manifest', there: [made('text/html', 'hello')], fails: 'TransientError oci.protocol' },
  {
    name: 'another document than the one asked for is nonsense',
    there: [{ ...one, digest: two.digest }],
    fails: 'TransientError oci.protocol',
  },
];

describe('the children of an image', () => {
  for (const { name, there, children, fails } of rows) {
    it(name, async () => {
      const wanted = there[0]?.digest ?? nested.digest;
      await using registry = await standIn(({ url }) => {
        const found = there.find(({ digest }) => url === `/v2/team/app/manifests/${digest}`);
        return found === undefined ? { status: 404 } : { status: 200, headers: { 'content-type': found.mediaType }, body: found.body };
      });
      // Signatures go elsewhere: the index is in the image's own repository all the same.
      await using reader = await openReader(oci.options.parse({ repository: 'elsewhere.example/signatures' }), ctx);
      const imageOf = (digest: string): Image => ({ repository: `${registry.host}/team/app`, digest: parseSha256(digest) });

      const found = reader.children(imageOf(wanted), ctx);

      if (fails === undefined)
        assert.deepEqual(
          await found,
          children?.map(({ digest }) => imageOf(digest)),
        );
      else assert.equal(short(await failureOf(found)), fails);
      assert.deepEqual(
        registry.seen.filter(({ method, url }) => method !== 'GET' || !/^\/v2\/(team\/app\/manifests\/sha256:[0-9a-f]{64})?$/.test(url)),
        [],
      );
    });
  }

  it('are none in a folder that does not have the image', async () => {
    await using work = await scratch('children');
    await using reader = await openReader(oci.options.parse({ directory: work.dir }), ctx);

    assert.deepEqual(await reader.children({ repository: 'r.example/app', digest: parseSha256(one.digest) }, ctx), []);
  });
});
