import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { recorded, type Recorded, type World } from '../../test/recorded-io.ts';
import { scratch } from '../../test/servers/scratch.ts';
import { makeCa } from '../../test/servers/certificates.ts';
import { parseKeyRing, unknownStart } from '../model/key-ring.ts';
import { parsePublicKey } from '../model/public-key.ts';
import { x509 } from '../sign/x509.ts';
import { keysCommand } from './keys.ts';
import { meansOf } from './keys-world.ts';

const noCluster = async (): Promise<never> => await Promise.reject(new Error('no cluster'));
const keys = async (args: readonly string[], world: World = {}): Promise<Recorded> =>
  await recorded((io) => keysCommand(io, noCluster), args, world);
const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const password = { env: { COSIGN_PASSWORD: 'pw' } };
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** The public key of what lies in a folder now. */
async function publicIn(directory: string): Promise<string> {
  await using signer = await x509.open({ directory }, meansOf(noCluster), ctx);
  return signer.publicKey;
}

/** A folder like the Secret that `keys generate --k8s` fills. */
async function cosignFolder(dir: string): Promise<void> {
  await keys(['generate', '--output-key-prefix', join(dir, 'cosign')], password);
  await writeFile(join(dir, 'cosign.password'), 'pw');
}

describe('keys rotate', () => {
  it('replaces a cosign key by one with the same password, and keeps the old public key with an end', async () => {
    await using work = await scratch('rotate');
    await cosignFolder(work.dir);
    await chmod(join(work.dir, 'cosign.key'), 0o640);
    const old = await publicIn(work.dir);
    const before = Date.now();

    const said = await keys(['rotate', '--directory', work.dir, '--overlap', '1h']);

    const next = await publicIn(work.dir);
    const ring = parseKeyRing(await readFile(join(work.dir, 'keys.json')), 'ring');
    const [first, second] = ring;
    assert.notEqual(next, old);
    assert.deepEqual(
      ring.map(({ publicKey, signer }) => [publicKey, signer]),
      [
        [next, 'x509'],
        [old, 'x509'],
      ],
    );
    const start = first?.validFor.start.getTime() ?? 0;
    assert.ok(start >= before && start <= Date.now());
    assert.deepEqual(first?.validFor.end, undefined);
    assert.deepEqual(second?.validFor, { start: unknownStart, end: new Date(start + 3_600_000) });
    assert.deepEqual(said, {
      code: 0,
      stdout: '',
      stderr:
        `wrote cosign.key, cosign.pub, keys.json to ${work.dir}\nkey ${parsePublicKey(next).fingerprint}\n` +
        `old key ${parsePublicKey(old).fingerprint}: what it signs counts until ${new Date(start + 3_600_000).toISOString()}; "keys list" has it\n`,
    });
    assert.deepEqual((await readdir(work.dir)).toSorted(), ['cosign.key', 'cosign.password', 'cosign.pub', 'keys.json']);
    assert.equal(await readFile(join(work.dir, 'cosign.pub'), 'utf8'), next);
    assert.equal((await stat(join(work.dir, 'cosign.key'))).mode & 0o777, 0o640);
  });

  it('lets the signer own what its former keys signed', async () => {
    await using work = await scratch('rotate');
    await cosignFolder(work.dir);
    await using old = await x509.open({ directory: work.dir }, meansOf(noCluster), ctx);

    await keys(['rotate', '--directory', work.dir]);
    await keys(['rotate', '--directory', work.dir]);

    await using next = await x509.open({ directory: work.dir }, meansOf(noCluster), ctx);
    assert.equal(await old.isCurrent(ctx), false);
    assert.equal(await next.owns(await old.sign(Buffer.from('x'), ctx), ctx), true);
    assert.equal(parseKeyRing(await readFile(join(work.dir, 'keys.json')), 'ring').length, 3);
  });

  const types = [
    { name: 'P-384', key: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, args: [], becomes: 'ecdsa-p384' },
    { name: 'RSA of 3072 bits', key: generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey, args: [], becomes: 'rsa' },
    { name: 'Ed25519', key: generateKeyPairSync('ed25519').privateKey, args: [], becomes: 'ed25519' },
    {
      name: 'P-256 with another type',
      key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
      args: ['--type', 'ecdsa-p521'],
      becomes: 'ecdsa-p521',
    },
  ];
  for (const { name, key, args, becomes } of types) {
    it(`makes of an x509.pem with ${name} one with ${becomes}`, async () => {
      await using work = await scratch('rotate');
      await writeFile(join(work.dir, 'x509.pem'), pem(key));
      const old = await publicIn(work.dir);

      const said = await keys(['rotate', '--directory', work.dir, ...args]);

      const next = parsePublicKey(await publicIn(work.dir));
      assert.deepEqual([said.code, next.algorithm, next.pem === old], [0, becomes, false]);
      assert.equal(next.object.asymmetricKeyDetails?.modulusLength, key.asymmetricKeyDetails?.modulusLength);
      assert.deepEqual((await readdir(work.dir)).toSorted(), ['keys.json', 'x509.pem']);
      assert.equal((await stat(join(work.dir, 'x509.pem'))).mode & 0o777, 0o644);
    });
  }

  it('asks for the password where there is no file with it', async () => {
    await using work = await scratch('rotate');
    await keys(['generate', '--output-key-prefix', join(work.dir, 'cosign')], password);

    const wrong = await keys(['rotate', '--directory', work.dir], { env: { COSIGN_PASSWORD: 'hunter2' } });
    const right = await keys(['rotate', '--directory', work.dir], { answers: ['pw', 'pw'] });

    assert.deepEqual([wrong.code, right.code], [2, 0]);
    assert.match(wrong.stderr, /the password is wrong/);
    assert.equal(wrong.stderr.includes('hunter2'), false);
    const shown = await keys(['public', '--key', join(work.dir, 'cosign.key')], password);
    assert.equal(shown.stdout, await readFile(join(work.dir, 'cosign.pub'), 'utf8'));
  });

  it('takes the folder from the configuration', async () => {
    await using work = await scratch('rotate');
    await cosignFolder(work.dir);
    const old = await publicIn(work.dir);

    const said = await keys(['rotate', '--set', `signers.x509.directory=${work.dir}`]);

    assert.equal(said.code, 0, said.stderr);
    assert.notEqual(await publicIn(work.dir), old);
  });

  it('rotates once at a time', async () => {
    await using work = await scratch('rotate');
    await cosignFolder(work.dir);

    const said = await Promise.all([1, 2, 3].map(async () => await keys(['rotate', '--directory', work.dir])));

    const good = said.filter(({ code }) => code === 0).length;
    const ring = parseKeyRing(await readFile(join(work.dir, 'keys.json')), 'ring');
    assert.ok(good >= 1);
    assert.equal(ring.length, good + 1);
    assert.equal(ring[0]?.publicKey, await publicIn(work.dir));
    for (const { code, stderr } of said) if (code !== 0) assert.match(stderr, /another rotation is under way/);
  });

  it('refuses what it cannot rotate, and changes nothing', async () => {
    await using work = await scratch('rotate');
    const at = (...names: readonly string[]): string => join(work.dir, ...names);
    const ca = await makeCa(work.dir, 'ca');
    for (const name of ['empty', 'certified', 'mounted', 'tls', 'damaged']) await mkdir(at(name));
    const [key, certificate] = [await readFile(ca.keyFile, 'utf8'), await readFile(ca.certFile, 'utf8')];
    await writeFile(at('certified', 'x509.pem'), key);
    await writeFile(at('certified', 'cert.pem'), certificate);
    await writeFile(at('tls', 'tls.key'), key);
    await writeFile(at('tls', 'tls.crt'), certificate);
    await mkdir(at('mounted', '..1'));
    await writeFile(at('mounted', '..1', 'x509.pem'), key);
    await symlink('..1', at('mounted', '..data'));
    await symlink('..data/x509.pem', at('mounted', 'x509.pem'));
    await writeFile(at('damaged', 'x509.pem'), key);
    await writeFile(at('damaged', 'keys.json'), '{}');

    const rows = [
      { folder: 'empty', says: /Cannot find a signing key/ },
      { folder: 'certified', says: /has a certificate, and a new key needs one of its own/ },
      { folder: 'tls', says: /has a certificate/ },
      { folder: 'mounted', says: /is a mounted Secret\nfix: {3}.*keys rotate --k8s/ },
      { folder: 'damaged', says: /Cannot read the key ring ".*keys\.json"/ },
      { folder: 'none', says: /Cannot write .*ENOENT/ },
    ];
    for (const { folder, says } of rows) {
      const before = await readdir(at(folder)).catch(() => []);
      const said = await keys(['rotate', '--directory', at(folder)]);
      assert.deepEqual([said.code, said.stdout], [2, '']);
      assert.match(said.stderr, says);
      assert.deepEqual(await readdir(at(folder)).catch(() => []), before);
    }
    for (const args of [
      ['--directory', 'd', '--k8s', 'a/b'],
      ['--directory', work.dir, '--overlap', 'soon'],
      ['--directory', work.dir, '--type', 'dsa'],
      ['--signer', 'nobody'],
      ['--k8s', 'nothing'],
    ]) {
      assert.equal((await keys(['rotate', ...args])).code, 2);
    }
  });
});

describe('keys list', () => {
  it('shows the ring of a folder, the key in use first', async () => {
    await using work = await scratch('list');
    await cosignFolder(work.dir);
    const old = await publicIn(work.dir);
    await keys(['rotate', '--directory', work.dir]);
    const next = await publicIn(work.dir);

    const said = await keys(['list', '--directory', work.dir]);

    const [first = '', second = '', ...rest] = said.stdout.split('\n');
    assert.deepEqual([said.code, said.stderr, rest], [0, '', ['']]);
    assert.match(first, /^in use {2}SHA256:\S+ {2}ecdsa-p256 {2}x509 +since \d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.match(second, /^former {2}SHA256:\S+ {2}ecdsa-p256 {2}x509 +until \d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.deepEqual([first.includes(parsePublicKey(next).fingerprint), second.includes(parsePublicKey(old).fingerprint)], [true, true]);
  });

  it('prints a ring that it reads again, with the key of a folder without a ring', async () => {
    await using work = await scratch('list');
    await writeFile(join(work.dir, 'x509.pem'), pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey));

    const said = await keys(['list', '--set', `signers.x509.directory=${work.dir}`, '--json']);

    const ring = join(work.dir, 'ring.json');
    await writeFile(ring, said.stdout);
    assert.deepEqual(
      parseKeyRing(Buffer.from(said.stdout), 'list').map(({ publicKey, validFor }) => [publicKey, validFor]),
      [[await publicIn(work.dir), { start: unknownStart, end: undefined }]],
    );
    const listed = await keys(['list', '--ring', ring]);
    assert.match(listed.stdout, /^known {3}SHA256:\S+ {2}ecdsa-p256 {2}x509\n$/);
  });

  it('lists what the journal knows when it is told to', async () => {
    await using work = await scratch('list');
    await writeFile(join(work.dir, 'x509.pem'), pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey));
    const sets = ['--set', `signers.x509.directory=${work.dir}`, '--set', `journal.url=sqlite://${join(work.dir, 'journal.db')}`];

    const said = await keys(['list', '--journal', ...sets]);

    assert.deepEqual([said.code, said.stdout.split('\n').length, said.stderr], [0, 2, '']);
  });

  it('lists the ring though the key cannot be opened, and ends with 1', async () => {
    await using work = await scratch('list');
    await cosignFolder(work.dir);
    await keys(['rotate', '--directory', work.dir]);
    await writeFile(join(work.dir, 'cosign.password'), 'hunter2');

    const said = await keys(['list', '--directory', work.dir]);

    assert.deepEqual([said.code, said.stdout.split('\n').length], [1, 3]);
    assert.match(said.stderr, /^problem: Cannot decrypt ".*cosign\.key": the password is wrong/);
    assert.equal(said.stderr.includes('hunter2'), false);
  });

  it('ends with 2 for a ring that is none', async () => {
    await using work = await scratch('list');
    await writeFile(join(work.dir, 'ring'), '[]');

    for (const args of [
      ['--ring', join(work.dir, 'ring')],
      ['--ring', join(work.dir, 'none')],
      ['--ring', 'r', '--directory', 'd'],
    ]) {
      const said = await keys(['list', ...args]);
      assert.deepEqual([said.code, said.stdout], [2, '']);
    }
  });
});

describe('keys public, of a configuration', () => {
  it('shows the key of the signer that it uses', async () => {
    await using work = await scratch('public');
    await cosignFolder(work.dir);

    const said = await keys(['public', '--set', `signers.x509.directory=${work.dir}`]);

    assert.deepEqual(said, { code: 0, stdout: await readFile(join(work.dir, 'cosign.pub'), 'utf8'), stderr: '' });
  });

  it('says that a keyless signer has no lasting key', async () => {
    const said = await keys(['public', '--set', 'signers.x509.fulcio.enabled=true']);

    assert.deepEqual([said.code, said.stdout], [2, '']);
    assert.match(said.stderr, /"x509": it is keyless, with a new key for each certificate\nfix: {3}verify .* by identity and issuer/);
  });

  it('asks which one is meant when there are several', async () => {
    await using work = await scratch('public');
    await cosignFolder(work.dir);
    const sets = ['--set', `signers.named={team: {kind: x509, directory: ${work.dir}}}`, '--set', 'artifacts.oci.signer=team'];

    const several = await keys(['public', ...sets]);
    const one = await keys(['public', ...sets, '--signer', 'team']);
    const none = await keys(['public', ...sets, '--signer', 'nobody']);

    assert.match(several.stderr, /the configuration uses x509, team\nfix: {3}name one with --signer/);
    assert.equal(one.stdout, await readFile(join(work.dir, 'cosign.pub'), 'utf8'));
    assert.match(none.stderr, /Cannot find a signer "nobody" in the configuration\nfix: {3}name one of x509, team/);
    assert.deepEqual([several.code, one.code, none.code], [2, 0, 2]);
  });
});
