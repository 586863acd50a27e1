import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { recorded, type Recorded, type World } from '../../test/recorded-io.ts';
import { keyNames } from '../config/schema.ts';
import { configCommand } from './config.ts';

const run = async (args: readonly string[], world: World = {}): Promise<Recorded> => await recorded(configCommand, args, world);

async function configFile(text: string): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'chainsmith-config-'));
  const path = join(folder, 'chains.yaml');
  await writeFile(path, text);
  return { path, [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true, force: true }) };
}

describe('config check', () => {
  it('ends with 0 for a good configuration', async () => {
    assert.deepEqual(await run(['check']), { code: 0, stdout: 'the configuration is valid\n', stderr: '' });
  });

  it('lists warnings and still ends with 0', async () => {
    await using file = await configFile('apiVersion: v1\nkind: ConfigMap\ndata:\n  storage.oci.repositry: x\n');

    assert.deepEqual(await run(['check', '--config', file.path]), {
      code: 0,
      stdout: 'the configuration is valid, with 1 warning\n',
      stderr: `warning: storage.oci.repositry (file ${file.path}): there is no such key, so it is ignored; did you mean "storage.oci.repository"?\n`,
    });
  });

  it('says every error of every source at once and ends with 2', async () => {
    await using file = await configFile('retry.budget: long\nartifacts.oci.format: x\n');
    const env = { CHAINSMITH_CONCURRENCY: 'many' };

    const { code, stdout, stderr } = await run(['check', '--config', file.path, '--set', 'finalizer.hold=5', '--set', 'retry.budget=7d'], {
      env,
    });

    assert.deepEqual([code, stdout], [2, '']);
    assert.deepEqual(
      stderr.split('\n').map((line) => line.split(/;| = /)[0]),
      [
        'error:   artifacts.oci.format',
        'error:   concurrency',
        'error:   retry.budget',
        'error:   finalizer.hold',
        'the configuration is refused: 4 errors',
        '',
      ],
    );
  });

  it('speaks to machines', async () => {
    const { code, stdout, stderr } = await run(['check', '--json', '--set', 'concurrency=0']);

    assert.deepEqual([code, stderr], [2, '']);
    assert.deepEqual(JSON.parse(stdout), {
      valid: false,
      problems: [
        { key: 'concurrency', source: '--set', value: '0', reason: 'it is less than 1', fix: 'allowed: a whole number from 1 to 256' },
      ],
      warnings: [],
    });
  });

  it('ends with 2 for a file that is not there', async () => {
    const { code, stdout, stderr } = await run(['check', '--config', 'no/such/file']);

    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^error: Cannot read configuration "no\/such\/file": ENOENT/);
  });

  it('lists every key in its help', async () => {
    const { code, stdout } = await run(['check', '--help']);

    assert.equal(code, 0);
    assert.deepEqual(
      keyNames.filter((name) => !stdout.includes(`\n  ${name} `)),
      [],
    );
  });
});

describe('config show', () => {
  it('prints what is in force, where it came from, and no secret', async () => {
    const env = { CHAINSMITH_BUILDER_ID: 'https://env.example' };
    const set = ['storage.docdb.mongo-server-url=mongodb://me:hunter2@db', 'concurrency=4'];

    const { code, stdout, stderr } = await run(['show', ...set.flatMap((pair) => ['--set', pair])], { env });

    assert.equal(code, 0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(
      lines.filter((line) => line.at(-1) !== 'default'),
      [
        ['builder.id', 'https://env.example', 'environment'],
        ['storage.docdb.mongo-server-url', 'mongodb://***@db', '--set'],
        ['concurrency', '4', '--set'],
      ],
    );
    assert.ok(!`${stdout}${stderr}`.includes('hunter2'));
  });

  it('prints every key to machines', async () => {
    const { code, stdout } = await run(['show', '--json']);

    const shown = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(code, 0);
    assert.deepEqual(Object.keys(shown), keyNames);
    assert.deepEqual(shown['retry.budget'], { value: '168h', source: 'default' });
  });

  it('prints errors and nothing else for a bad configuration', async () => {
    const { code, stdout, stderr } = await run(['show', '--set', 'concurrency=0']);

    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^error: {3}concurrency = "0" \(--set\): it is less than 1/);
  });
});
