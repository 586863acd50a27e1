import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import pino from 'pino';
import { paperLog } from '../../test/contract/trust-log.ts';
import { recorded, type Recorded, type World } from '../../test/recorded-io.ts';
import { startTufMirror } from '../../test/servers/tuf-mirror.ts';
import { openTrust } from '../trust/open.ts';
import { emptyRoot, trustedRootJsonOf, type Validity } from '../trust/trusted-root.ts';
import { trustCommand } from './trust.ts';

const run = async (args: readonly string[], world: World = {}): Promise<Recorded> => await recorded(trustCommand, args, world);
const day = 24 * 60 * 60 * 1000;
const inDays = (days: number): Date => new Date(Math.floor(Date.now() / 1000) * 1000 + days * day + 1000);

async function folder(): Promise<AsyncDisposable & { readonly path: string; readonly rootFile: (validity: Validity) => Promise<string> }> {
  const path = await mkdtemp(join(tmpdir(), 'chainsmith-trust-'));
  return {
    path,
    async rootFile(validFor) {
      const file = join(path, 'trusted_root.json');
      await writeFile(file, trustedRootJsonOf({ ...emptyRoot, logs: [{ ...log.trusted, validFor }] }));
      return file;
    },
    [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }),
  };
}
const log = paperLog(2);
const id = Buffer.from(log.trusted.logId).toString('hex');
const still: Validity = { start: new Date('2026-01-01'), end: undefined };

describe('trust show', () => {
  it('tells a person where trust is from, and each log with its time', async () => {
    await using here = await folder();
    const file = await here.rootFile(still);

    assert.deepEqual(await run(['show', '--root', file]), {
      code: 0,
      stderr: '',
      stdout: [
        `from  the file ${file}`,
        '',
        'log  https://log.example:8443',
        `  id     ${id}`,
        '  key    PKIX_ECDSA_P256_SHA_256',
        '  valid  from 2026-01-01T00:00:00.000Z',
        '',
      ].join('\n'),
    });
  });

  it('names what is over soon, is over, or is not yet', async () => {
    await using here = await folder();
    const cases = [
      { validFor: { start: inDays(-1), end: inDays(10) }, mark: 'soon over' },
      { validFor: { start: inDays(-1), end: inDays(31) }, mark: undefined },
      { validFor: { start: inDays(-2), end: inDays(-1) }, mark: 'over' },
      { validFor: { start: inDays(1), end: undefined }, mark: 'not yet' },
    ];

    for (const { validFor, mark } of cases) {
      const { stdout } = await run(['show', '--root', await here.rootFile(validFor)]);
      assert.match(
        stdout,
        mark === undefined ? /^log {2}https:\/\/log\.example:8443$/m : new RegExp(`^log {2}https://log\\.example:8443 {2}${mark}$`, 'm'),
      );
      assert.equal(stdout.includes('(10 days)'), mark === 'soon over');
    }
  });

  it('speaks to machines', async () => {
    await using here = await folder();
    const file = await here.rootFile({ ...still, end: new Date('2026-02-01') });

    const { code, stdout } = await run(['show', '--json', '--root', file]);

    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), {
      origin: `the file ${file}`,
      tuf: [],
      trusted: [
        {
          kind: 'log',
          url: 'https://log.example:8443',
          id,
          key: 'PKIX_ECDSA_P256_SHA_256',
          from: '2026-01-01T00:00:00.000Z',
          until: '2026-02-01T00:00:00.000Z',
          state: 'over',
        },
      ],
    });
  });

  it('says what the metadata of a TUF mirror says of itself, and goes on without the mirror', async () => {
    await using here = await folder();
    await using mirror = await startTufMirror({ 'trusted_root.json': await readFile(await here.rootFile(still), 'utf8') });
    const first = join(here.path, 'root.json');
    await writeFile(first, mirror.firstRoot);
    const args = ['--tuf-mirror', mirror.url, '--tuf-root', first];
    const world = { env: { XDG_CACHE_HOME: here.path } };

    const asked = await run(['show', ...args], world);
    await mirror.stop();
    const offline = await run(['show', '--offline', ...args], world);

    assert.equal(asked.code, 0, asked.stderr);
    assert.match(
      asked.stdout,
      new RegExp(`^from {2}the TUF mirror ${mirror.url}/\\n {6}root\\.json {6}version 1 {4}expires \\S+ \\(.*\\)\\n`),
    );
    assert.match(offline.stdout, new RegExp(`^from {2}the TUF mirror ${mirror.url}/, from the cache\\n`));
    assert.match(offline.stdout, /^log {2}https:\/\/log\.example:8443$/m);
  });

  it('goes by the configuration, and says when that trusts nothing', async () => {
    await using here = await folder();
    const file = await here.rootFile(still);

    assert.match((await run(['show', '--set', `trust.root=${file}`])).stdout, new RegExp(`^from {2}the file ${file}\\n`));
    assert.deepEqual(await run(['show']), {
      code: 0,
      stderr: '',
      stdout:
        'from  nothing: no trusted root is configured, and no service that could be asked\n\nnothing is trusted: signatures are verified by keys alone\n',
    });
  });

  it('refuses flags that contradict each other, and what cannot be read', async () => {
    await using here = await folder();
    const bad = join(here.path, 'bad.json');
    await writeFile(bad, '{}');
    const cases: readonly { readonly args: readonly string[]; readonly code: number; readonly says: RegExp }[] = [
      { args: ['--root', 'a', '--tuf-mirror', 'https://mirror.example'], code: 2, says: /--root and --tuf-mirror together/ },
      { args: ['--tuf-root', 'a'], code: 2, says: /--tuf-root without --tuf-mirror/ },
      { args: ['--root', join(here.path, 'absent')], code: 1, says: /ENOENT/ },
      { args: ['--root', bad], code: 1, says: /mediaType/ },
      { args: ['--tuf-mirror', 'https://mirror.example', '--cache', here.path], code: 1, says: /its first root is not known/ },
      {
        args: ['--tuf-mirror', 'https://mirror.example', '--tuf-root', bad, '--cache', here.path],
        code: 1,
        says: /is no root\.json of TUF/,
      },
      { args: ['--tuf-mirror', 'https://mirror.example'], code: 2, says: /neither XDG_CACHE_HOME nor HOME/ },
    ];

    for (const { args, code, says } of cases) {
      const said = await run(['show', ...args]);
      assert.match(said.stderr, says);
      assert.equal(said.code, code, said.stderr);
    }
  });
});

describe('trust export', () => {
  it('writes a root that reads as the same, to stdout or a file', async () => {
    await using here = await folder();
    const file = await here.rootFile(still);
    const out = join(here.path, 'out.json');

    assert.deepEqual(await run(['export', '--root', file]), { code: 0, stderr: '', stdout: await readFile(file, 'utf8') });
    const { code, stdout, stderr } = await run(['export', '--root', file, '--out', out]);
    assert.deepEqual([code, stdout, stderr], [0, '', `wrote ${out}, from the file ${file}\n`]);
    assert.equal(await readFile(out, 'utf8'), await readFile(file, 'utf8'));
    assert.match((await run(['export', '--root', file, '--out', here.path])).stderr, /Cannot write/);
  });

  it('has nothing of the public mirror before it was asked once, but its first root', async () => {
    await using here = await folder();
    const seeds = createRequire(import.meta.url).resolve('@sigstore/tuf/seeds.json');
    const [seed] = Object.values(JSON.parse(await readFile(seeds, 'utf8')) as Readonly<Record<string, { readonly 'root.json': string }>>);
    const first = createHash('sha256')
      .update(Buffer.from(seed?.['root.json'] ?? '', 'base64'))
      .digest('hex')
      .slice(0, 12);
    const { signal } = new AbortController();

    await assert.rejects(openTrust({ tuf: { cache: here.path, isOffline: true } }, { signal, logger: pino({ level: 'silent' }) }), {
      code: 'trust.tuf-unreachable',
    });
    assert.equal(await readFile(join(here.path, `tuf-repo-cdn.sigstore.dev-${first}`, 'root.json'), 'base64'), seed?.['root.json']);
  });
});
