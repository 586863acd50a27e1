import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import pino from 'pino';
import { CodedError } from '../../src/errors.ts';
import type { Context } from '../../src/observe/context.ts';
import { openTrust, type OpenTrust } from '../../src/trust/open.ts';
import { scratch } from '../servers/scratch.ts';
import { trustedRootOf } from '../servers/trusted-root.ts';
import { newTufKey, startTufMirror, type TufMirror } from '../servers/tuf-mirror.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const first = trustedRootOf({});
const second = `${first}\n`;
const past = '2020-01-01T00:00:00Z';

/** A mirror with a trusted root, and a client of it with a cache of its own. */
async function world(): Promise<AsyncDisposable & { readonly mirror: TufMirror; readonly cache: string; readonly open: Open }> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('tuf'));
  const mirror = stack.use(await startTufMirror({ 'trusted_root.json': first }));
  const root = path.join(dir, 'first-root.json');
  await writeFile(root, mirror.firstRoot);
  const cache = path.join(dir, 'cache');
  const life = stack.move();
  return {
    mirror,
    cache,
    open: async (more = {}) => await openTrust({ tuf: { mirror: `${mirror.url}/`, root, cache, ...more } }, ctx),
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
}
type Open = (more?: { readonly isOffline?: boolean; readonly root?: string }) => Promise<OpenTrust>;

describe('openTrust from a TUF mirror', () => {
  it('follows every root since the first, an expired one between them too, and tells versions and ends', async () => {
    await using here = await world();
    const { mirror, open } = here;
    const keys = [newTufKey(), newTufKey()];
    mirror.publish({ versions: { root: 2 }, expires: { root: past } });
    mirror.publish({
      versions: { root: 3 },
      expires: { root: mirror.edition().expires.targets },
      rootKeys: keys,
      rootSigners: [...mirror.edition().rootKeys, ...keys],
      onlineKey: newTufKey(),
      targets: { 'trusted_root.json': second },
    });

    const trust = await open();

    assert.equal(trust.json, second);
    assert.equal(trust.origin, `the TUF mirror ${mirror.url}/`);
    assert.deepEqual(
      trust.roles.map(({ role, version, expires }) => [role, version, expires.toISOString()]),
      [
        ['root', 3, new Date(mirror.edition().expires.root).toISOString()],
        ['timestamp', 3, new Date(mirror.edition().expires.timestamp).toISOString()],
        ['snapshot', 3, new Date(mirror.edition().expires.snapshot).toISOString()],
        ['targets', 3, new Date(mirror.edition().expires.targets).toISOString()],
      ],
    );
    assert.deepEqual(mirror.asked.slice(0, 4), ['2.root.json', '3.root.json', '4.root.json', 'timestamp.json']);
  });

  it('is current for six hours, and not past the end of the timestamp', async () => {
    await using here = await world();
    const soon = new Date(Date.now() + 60 * 60 * 1000);
    here.mirror.publish({ expires: { timestamp: soon.toISOString().replace(/\.\d+Z$/, 'Z') } });

    const trust = await here.open();

    assert.equal(await trust.isCurrent(new Date()), true);
    assert.equal(await trust.isCurrent(soon), false);
  });

  it('takes a newer target at the next opening, and downloads none twice', async () => {
    await using here = await world();
    assert.equal((await here.open()).json, first);
    here.mirror.asked.length = 0;

    assert.equal((await here.open()).json, first);
    assert.deepEqual(here.mirror.asked, ['2.root.json', 'timestamp.json']);
    here.mirror.publish({ targets: { 'trusted_root.json': second } });

    assert.equal((await here.open()).json, second);
  });

  const attacks: readonly { readonly name: string; readonly attack: (mirror: TufMirror) => void; readonly code: string }[] = [
    {
      name: 'a timestamp that has expired (freeze)',
      attack: (m) => m.publish({ expires: { timestamp: past } }),
      code: 'trust.tuf-expired',
    },
    { name: 'a snapshot that has expired', attack: (m) => m.publish({ expires: { snapshot: past } }), code: 'trust.tuf-expired' },
    { name: 'targets that have expired', attack: (m) => m.publish({ expires: { targets: past } }), code: 'trust.tuf-expired' },
    {
      name: 'a last root that has expired',
      attack: (m) => m.publish({ versions: { root: 2 }, expires: { root: past } }),
      code: 'trust.tuf-expired',
    },
    {
      name: 'an older timestamp than was seen (rollback)',
      attack: (m) => m.publish({ versions: { timestamp: 3, snapshot: 5, targets: 5 } }),
      code: 'trust.tuf-rollback',
    },
    {
      name: 'a new timestamp with an older snapshot',
      attack: (m) => m.publish({ versions: { timestamp: 6, snapshot: 1, targets: 5 } }),
      code: 'trust.tuf-rollback',
    },
    {
      name: 'a new snapshot with older targets',
      attack: (m) => m.publish({ versions: { timestamp: 6, snapshot: 6, targets: 1 } }),
      code: 'trust.tuf-rollback',
    },
    {
      name: 'a root that skips a version',
      attack: (m) => {
        m.publish({ versions: { root: 3 } });
        m.files.set('2.root.json', m.files.get('3.root.json') ?? Buffer.alloc(0));
      },
      code: 'trust.tuf-rollback',
    },
    {
      name: 'a new root that only the new keys signed',
      attack: (m) => m.publish({ versions: { root: 2 }, rootKeys: [newTufKey(), newTufKey()] }),
      code: 'trust.tuf-signature',
    },
    {
      name: 'a new root that one of two keys signed',
      attack: (m) => m.publish({ versions: { root: 2 }, rootSigners: m.edition().rootKeys.slice(0, 1) }),
      code: 'trust.tuf-signature',
    },
    { name: 'metadata that a stranger signed', attack: (m) => m.publish({ onlineKey: newTufKey() }), code: 'trust.tuf-signature' },
    {
      name: 'a target with other bytes',
      attack: (m) => {
        m.publish({ targets: { 'trusted_root.json': second } });
        const [name = ''] = [...m.files.keys()].filter((file) => file.startsWith('targets/') && m.files.get(file)?.toString() === second);
        m.files.set(name, Buffer.from(second.replace('tlogs', 'tlogz')));
      },
      code: 'trust.tuf-mismatch',
    },
    {
      name: 'a target that is longer',
      attack: (m) => {
        m.publish({ targets: { 'trusted_root.json': second } });
        for (const [file, bytes] of m.files) if (file.startsWith('targets/')) m.files.set(file, Buffer.concat([bytes, Buffer.from(' ')]));
      },
      code: 'trust.tuf-mismatch',
    },
    {
      name: 'a snapshot with other bytes than the timestamp says',
      attack: (m) => {
        const { onlineKey, ...older } = m.edition();
        m.publish({ versions: { timestamp: 6, snapshot: 6, targets: 6 } });
        const kept = m.files.get('timestamp.json') ?? Buffer.alloc(0);
        m.publish({ ...older, onlineKey, versions: { timestamp: 6, snapshot: 6, targets: 7 } });
        m.files.set('timestamp.json', kept);
      },
      code: 'trust.tuf-mismatch',
    },
    {
      name: 'an endless timestamp',
      attack: (m) => void m.files.set('timestamp.json', Buffer.alloc(20_000, 32)),
      code: 'trust.tuf-mismatch',
    },
    {
      name: 'a timestamp that is no JSON',
      attack: (m) => void m.files.set('timestamp.json', Buffer.from('{')),
      code: 'trust.tuf-malformed',
    },
    { name: 'no timestamp', attack: (m) => void m.files.delete('timestamp.json'), code: 'trust.tuf-malformed' },
    { name: 'no such target', attack: (m) => m.publish({ targets: { 'other.json': first } }), code: 'trust.tuf-target' },
    { name: 'a target that is no trusted root', attack: (m) => m.publish({ targets: { 'trusted_root.json': '{}' } }), code: 'trust.root' },
  ];
  for (const { name, attack, code } of attacks) {
    it(`refuses ${name}`, async () => {
      await using here = await world();
      here.mirror.publish({ versions: { timestamp: 5, snapshot: 5, targets: 5 } });
      assert.equal((await here.open()).json, first);

      attack(here.mirror);

      await assert.rejects(here.open(), (error) => {
        assert.ok(error instanceof CodedError);
        assert.equal(error.code, code, error.message);
        assert.match(error.message, new RegExp(here.mirror.url.replaceAll('.', String.raw`\.`)));
        return true;
      });
    });
  }

  it('begins with its own first root only, and refuses one that does not meet its own threshold', async () => {
    await using here = await world();
    const weak = path.join(here.cache, '..', 'weak.json');
    const root = JSON.parse(here.mirror.firstRoot) as { signatures: unknown[] };
    await writeFile(weak, JSON.stringify({ ...root, signatures: root.signatures.slice(0, 1) }));
    await using other = await startTufMirror({ 'trusted_root.json': second });
    const strange = path.join(here.cache, '..', 'strange.json');
    await writeFile(strange, other.firstRoot);
    await here.open();

    await assert.rejects(here.open({ root: weak }), { code: 'trust.tuf-signature' });
    await assert.rejects(here.open({ root: strange }), { code: 'trust.tuf-signature' });
    await assert.rejects(here.open({ root: path.join(here.cache, 'absent.json') }), { code: 'trust.tuf-root' });
    assert.equal((await here.open()).json, first);
  });

  it('goes on with its cache when the mirror is down, until that has expired', async ({ mock }) => {
    await using here = await world();
    const soon = new Date(Date.now() + 60 * 60 * 1000);
    here.mirror.publish({ expires: { timestamp: soon.toISOString().replace(/\.\d+Z$/, 'Z') } });
    await here.open();
    await here.mirror.stop();

    const trust = await here.open();

    assert.equal(trust.json, first);
    assert.equal(trust.origin, `the TUF mirror ${here.mirror.url}/, from the cache`);
    assert.equal(await trust.isCurrent(new Date()), false);
    assert.equal((await here.open({ isOffline: true })).json, first);
    mock.timers.enable({ apis: ['Date'], now: soon });
    await assert.rejects(here.open(), {
      code: 'trust.tuf-unreachable',
      name: 'TransientError',
      message: /timestamp\.json in the cache expired at/,
    });
    await assert.rejects(here.open({ isOffline: true }), { code: 'trust.tuf-unreachable' });
  });

  it('asks nobody when it is offline, and says so when nothing is cached', async () => {
    await using here = await world();

    await assert.rejects(here.open({ isOffline: true }), { code: 'trust.tuf-unreachable' });

    assert.deepEqual(here.mirror.asked, []);
  });

  it('does not believe a cache that somebody wrote into', async () => {
    await using here = await world();
    await here.open();
    const [folder = ''] = await readdir(here.cache);
    const target = path.join(here.cache, folder, 'targets', 'trusted_root.json');
    await writeFile(target, second);
    const timestamp = path.join(here.cache, folder, 'timestamp.json');
    await writeFile(timestamp, (await readFile(timestamp, 'utf8')).replace('"version":1', '"version":9'));

    assert.equal((await here.open()).json, first);
    await writeFile(path.join(here.cache, folder, 'root.json'), '{"signed');
    assert.equal((await here.open()).json, first);
  });

  it('stops when it is told to', async () => {
    await using here = await world();
    const stopped = AbortSignal.abort(new Error('told to stop'));
    const root = path.join(here.cache, '..', 'first-root.json');

    await assert.rejects(openTrust({ tuf: { mirror: here.mirror.url, root, cache: here.cache } }, { ...ctx, signal: stopped }), {
      message: 'told to stop',
    });
  });

  it('needs the first root of a private mirror, and a cache that can be written', async () => {
    await using here = await world();
    const root = path.join(here.cache, '..', 'first-root.json');

    await assert.rejects(openTrust({ tuf: { mirror: here.mirror.url, cache: here.cache } }, ctx), { code: 'trust.tuf-root' });
    await assert.rejects(openTrust({ tuf: { mirror: here.mirror.url, root, cache: root } }, ctx), { code: 'trust.cache' });
    await assert.rejects(openTrust({ tuf: { mirror: 'ftp://mirror.example', root, cache: here.cache } }, ctx), {
      code: 'trust.tuf-mirror',
    });
  });
});
