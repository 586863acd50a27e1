import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { recorded, type Recorded, type World } from '../../test/recorded-io.ts';
import { parsePublicKey } from '../model/public-key.ts';
import { keysCommand } from './keys.ts';

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'keys-'));
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) };
}

async function keys(args: readonly string[], world: World = {}): Promise<Recorded> {
  return await recorded((io) => keysCommand(io, async () => await Promise.reject(new Error('no cluster'))), args, world);
}

const password = { env: { COSIGN_PASSWORD: 'pw' } };

describe('keys generate', () => {
  it('writes a key that only its owner reads, its public half, and nothing else', async () => {
    await using dir = await folder();
    const prefix = join(dir.path, 'k');

    const said = await keys(['generate', '--output-key-prefix', prefix], password);

    const publicKey = await readFile(`${prefix}.pub`, 'utf8');
    assert.deepEqual(said, {
      code: 0,
      stdout: '',
      stderr: `wrote ${prefix}.key and ${prefix}.pub\nkey ${parsePublicKey(publicKey).fingerprint}\n`,
    });
    assert.deepEqual((await readdir(dir.path)).toSorted(), ['k.key', 'k.pub']);
    assert.equal((await stat(`${prefix}.key`)).mode & 0o777, 0o600);
    assert.deepEqual(await keys(['public', '--key', `${prefix}.key`], password), { code: 0, stdout: publicKey, stderr: '' });
  });

  it('encrypts with the empty password when told so, whatever the environment says', async () => {
    await using dir = await folder();
    const prefix = join(dir.path, 'k');

    await keys(['generate', '--output-key-prefix', prefix, '--no-password'], password);

    assert.equal((await keys(['public', '--key', `${prefix}.key`], { env: { COSIGN_PASSWORD: '' } })).code, 0);
    assert.equal((await keys(['public', '--key', `${prefix}.key`], password)).code, 2);
  });

  it('asks for the password twice where there is a terminal', async () => {
    await using dir = await folder();
    const prefix = join(dir.path, 'k');

    const different = await keys(['generate', '--output-key-prefix', prefix], { answers: ['typed', 'tipped'] });
    const same = await keys(['generate', '--output-key-prefix', prefix], { answers: ['typed', 'typed'] });

    assert.deepEqual([different.code, different.stderr], [2, 'error: Cannot use the password: the two are not the same\n']);
    assert.equal(same.code, 0);
    assert.equal((await keys(['public', '--key', `${prefix}.key`], { env: { COSIGN_PASSWORD: 'typed' } })).code, 0);
  });

  it('says how to give a password where there is nobody to ask', async () => {
    await using dir = await folder();

    const said = await keys(['generate', '--output-key-prefix', join(dir.path, 'k')]);

    assert.deepEqual(said, {
      code: 2,
      stdout: '',
      stderr: 'error: Cannot ask for a password: there is no terminal\nfix:   set COSIGN_PASSWORD, or give --no-password\n',
    });
    assert.deepEqual(await readdir(dir.path), []);
  });

  for (const there of ['k.key', 'k.pub']) {
    it(`leaves a ${there} that is there alone, unless it is forced`, async () => {
      await using dir = await folder();
      await writeFile(join(dir.path, there), 'precious');
      const args = ['generate', '--output-key-prefix', join(dir.path, 'k')];

      const refused = await keys(args, password);

      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /it is already there\nfix: {3}.*--force/);
      assert.deepEqual(await readdir(dir.path), [there]);
      assert.equal(await readFile(join(dir.path, there), 'utf8'), 'precious');

      assert.equal((await keys([...args, '--force'], password)).code, 0);
      assert.deepEqual((await readdir(dir.path)).toSorted(), ['k.key', 'k.pub']);
      assert.equal(
        (await keys(['public', '--key', join(dir.path, 'k.key')], password)).stdout,
        await readFile(join(dir.path, 'k.pub'), 'utf8'),
      );
    });
  }

  const refused = [
    { name: 'a folder that is not there', args: ['generate', '--output-key-prefix', '/nonexistent/k'], says: /Cannot write .*: ENOENT/ },
    { name: 'a Secret without a namespace', args: ['generate', '--k8s', 'signing-secrets'], says: /want namespace\/secret/ },
    { name: 'a Secret whose name is a path', args: ['generate', '--k8s', 'a/..'], says: /want namespace\/secret/ },
    { name: 'an option that there is not', args: ['generate', '--out', 'k'], says: /unknown option '--out'/ },
    { name: 'a subcommand that there is not', args: ['make'], says: /unknown command 'make'/ },
  ];
  for (const { name, args, says } of refused) {
    it(`ends with 2 for ${name}`, async () => {
      const said = await keys(args, password);

      assert.deepEqual([said.code, said.stdout], [2, '']);
      assert.match(said.stderr, says);
    });
  }

  it('ends with 0 for --help, on stdout', async () => {
    const said = await keys(['generate', '--help']);

    assert.deepEqual([said.code, said.stderr], [0, '']);
    assert.match(said.stdout, /COSIGN_PASSWORD/);
  });
});

describe('keys public', () => {
  it('shows the key that a folder like the Secret signs with', async () => {
    await using dir = await folder();
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(dir.path, 'x509.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));

    const said = await keys(['public', '--directory', dir.path]);

    assert.deepEqual(said, { code: 0, stdout: publicKey.export({ type: 'spki', format: 'pem' }).toString(), stderr: '' });
  });

  it('takes the password from a file before the environment', async () => {
    await using dir = await folder();
    const prefix = join(dir.path, 'k');
    await keys(['generate', '--output-key-prefix', prefix], { env: { COSIGN_PASSWORD: 'other' } });
    await writeFile(join(dir.path, 'password'), 'other');

    const said = await keys(['public', '--key', `${prefix}.key`, '--password-file', join(dir.path, 'password')], password);

    assert.equal(said.stdout, await readFile(`${prefix}.pub`, 'utf8'));
  });

  const refused = [
    { name: 'a key that is not there', args: ['public', '--key', '/nonexistent'], says: /Cannot find "\/nonexistent"/ },
    {
      name: 'a folder without a key',
      args: ['public', '--directory', '/nonexistent'],
      says: /looked for x509.pem, cosign.key and tls.key/,
    },
    { name: 'two places at once', args: ['public', '--key', 'k', '--directory', 'd'], says: /--key and --directory/ },
    { name: 'a password for no file', args: ['public', '--password-file', 'p'], says: /without --key/ },
  ];
  for (const { name, args, says } of refused) {
    it(`ends with 2 for ${name}`, async () => {
      const said = await keys(args);

      assert.deepEqual([said.code, said.stdout], [2, '']);
      assert.match(said.stderr, says);
    });
  }
});
