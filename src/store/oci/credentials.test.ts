import assert from 'node:assert/strict';
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { openCredentials } from './credentials.ts';
import { parseRepository } from './reference.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const repository = parseRepository('r.example/app');
const basic = (username: string, password: string) => ({ kind: 'basic', username, password });

describe('openCredentials', () => {
  let dir = '';
  const path = process.env['PATH'];
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'chainsmith-credentials-'));
    process.env['PATH'] = `${dir}${delimiter}${path ?? ''}`;
  });
  after(async () => {
    process.env['PATH'] = path;
    await rm(dir, { recursive: true });
  });

  const write = async (name: string, config: unknown): Promise<string> => {
    const file = join(dir, name);
    await writeFile(`${file}.new`, JSON.stringify(config));
    await rename(`${file}.new`, file);
    return file;
  };
  const helper = async (name: string, script: string): Promise<void> => {
    const file = join(dir, `docker-credential-${name}`);
    await writeFile(file, `#!/bin/sh\n${script}\n`);
    await chmod(file, 0o755);
  };

  it('is anonymous without a path, and where there is nothing yet', async () => {
    assert.equal(await openCredentials(undefined).of(repository, ctx), undefined);
    assert.equal(await openCredentials(join(dir, 'absent')).of(repository, ctx), undefined);
  });

  it('reads the file anew when it changes, appears or goes', async () => {
    const file = join(dir, 'changing.json');
    const credentials = openCredentials(file);
    const seen = [await credentials.of(repository, ctx)];

    for (const password of ['one', 'two']) {
      await write('changing.json', { auths: { 'r.example': { username: 'me', password } } });
      seen.push(await credentials.of(repository, ctx));
    }
    await rm(file);
    seen.push(await credentials.of(repository, ctx));

    assert.deepEqual(seen, [undefined, basic('me', 'one'), basic('me', 'two'), undefined]);
  });

  for (const name of ['config.json', '.dockerconfigjson']) {
    it(`finds ${name} in a folder`, async () => {
      const folder = await mkdtemp(join(dir, 'folder-'));
      await writeFile(join(folder, name), '{"auths":{"r.example":{"username":"me","password":"p"}}}');

      assert.deepEqual(await openCredentials(folder).of(repository, ctx), basic('me', 'p'));
    });
  }

  it('refuses a file that turned bad, and takes it again when it is mended', async () => {
    const file = await write('mended.json', []);
    const credentials = openCredentials(file);

    await assert.rejects(credentials.of(repository, ctx), { code: 'oci.credentials' });
    await assert.rejects(credentials.of(repository, ctx), { code: 'oci.credentials' });
    await write('mended.json', { auths: { 'r.example': { username: 'me', password: 'p' } } });
    assert.deepEqual(await credentials.of(repository, ctx), basic('me', 'p'));
  });

  it('asks the helper of the host, with the server on its stdin', async () => {
    await helper('good', 'read server; printf \'{"ServerURL":"%s","Username":"%s","Secret":"%s"}\' "$server" "$1" "$server"');
    const file = await write('helper.json', { credHelpers: { 'r.example': 'good' }, credsStore: 'absent' });

    assert.deepEqual(await openCredentials(file).of(repository, ctx), basic('get', 'r.example'));
  });

  it('asks the store for all others, Docker Hub under its old URL', async () => {
    await helper('hub', 'read server; printf \'{"Username":"<token>","Secret":"%s"}\' "$server"');
    const file = await write('store.json', { credHelpers: { 'r.example': 'absent' }, credsStore: 'hub' });

    const credential = await openCredentials(file).of(parseRepository('busybox'), ctx);

    assert.deepEqual(credential, { kind: 'identity-token', username: '<token>', token: 'https://index.docker.io/v1/' });
  });

  it('goes on to the file, then to nobody, when the helper has none', async () => {
    await helper('empty', 'echo "credentials not found in native keychain"; exit 1');
    const file = await write('empty.json', { credsStore: 'empty', auths: { 'other.example': { username: 'me', password: 'p' } } });
    const credentials = openCredentials(file);

    assert.equal(await credentials.of(repository, ctx), undefined);
    assert.deepEqual(await credentials.of(parseRepository('other.example/a'), ctx), basic('me', 'p'));
  });

  const failures = [
    { name: 'is not installed', helper: 'nowhere', script: undefined, error: 'TerminalError' },
    { name: 'fails', helper: 'failing', script: 'echo "secret is hunter2"; exit 3', error: 'TransientError' },
    { name: 'answers nonsense', helper: 'babbling', script: 'echo hunter2', error: 'TransientError' },
    {
      name: 'answers without end',
      helper: 'endless',
      script: 'while :; do echo hunter2hunter2hunter2hunter2hunter2hunter2; done',
      error: 'TransientError',
    },
  ];
  for (const failure of failures) {
    it(`throws when the helper ${failure.name}, and shows nothing that it said`, async () => {
      if (failure.script !== undefined) await helper(failure.helper, failure.script);
      const file = await write(`${failure.helper}.json`, { credsStore: failure.helper });

      await assert.rejects(openCredentials(file).of(repository, ctx), (error: Error) => {
        assert.deepEqual({ name: error.name, code: 'code' in error && error.code }, { name: failure.error, code: 'oci.credential-helper' });
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      });
    });
  }

  it('stops the helper when it is told to stop', async () => {
    await helper('slow', 'sleep 60');
    const file = await write('slow.json', { credsStore: 'slow' });
    const stop = new AbortController();
    const asked = openCredentials(file).of(repository, { ...ctx, signal: stop.signal });

    stop.abort(new Error('told to stop'));

    await assert.rejects(asked, /told to stop/);
  });
});
