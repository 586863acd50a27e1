import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { request } from 'undici';
import { run } from '../servers/command.ts';
import { startServer, until } from '../servers/process.ts';
import { startRegistry } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { filesIn, leaksIn } from './canary-world.ts';
import { newTaskRun, succeeded } from './cluster.ts';

const cli = path.join(import.meta.dirname, '../../src/cli/chainsmith.ts');
const keyPassword = 'canary-key-password-7f1c';
const wrongPassword = 'canary-wrong-password-93ab';

describe('what is configured as a secret', () => {
  it('is in no log, error, metric, journal or stored object, whether things go well or not', async () => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry({ auth: 'basic' }));
    const { dir } = stack.use(await scratch('canary'));
    const inDir = (name: string): string => path.join(dir, name);
    for (const folder of ['keys', 'runs', 'docker', 'wrong']) await mkdir(inDir(folder));
    const made = await run(process.execPath, [cli, 'keys', 'generate', '--output-key-prefix', inDir('keys/cosign')], {
      env: { ...process.env, COSIGN_PASSWORD: keyPassword },
    });
    assert.equal(made.code, 0, made.stderr);
    await writeFile(inDir('keys/cosign.password'), keyPassword);
    const good = await readFile(path.join(registry.dockerConfigDir ?? '', 'config.json'), 'utf8');
    const auth = Buffer.from(`${registry.username}:${wrongPassword}`).toString('base64');
    await writeFile(inDir('docker/config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
    const hex = 'c0'.repeat(32);
    const image = { repository: `${registry.host}/ci/app`, digest: `sha256:${hex}` };
    await writeFile(inDir('runs/one.json'), JSON.stringify({ ...newTaskRun('one'), ...succeeded(image) }));
    const config = {
      'artifacts.taskrun.storage': 'oci',
      'journal.url': `sqlite://${inDir('journal.db')}`,
      'signers.x509.directory': inDir('keys'),
      'storage.oci.docker-config': inDir('docker'),
    };
    await writeFile(inDir('config.json'), JSON.stringify(config));
    const flags = ['--log-level', 'debug', '--config', inDir('config.json')];

    // Refused first, with the wrong credentials, then let in; and a key that does not open.
    const refused = await run(process.execPath, [cli, 'attest', '-f', inDir('runs'), ...flags]);
    await writeFile(inDir('docker/config.json'), good);
    await writeFile(inDir('runs/two.json'), JSON.stringify({ ...newTaskRun('two'), ...succeeded(image) }));
    const controller = stack.use(
      await startServer({
        name: 'controller',
        file: process.execPath,
        ports: 1,
        args: ([port]) => [cli, 'controller', '--source', `dir:${inDir('runs')}`, '--listen', `127.0.0.1:${port}`, ...flags],
        env: { COSIGN_PASSWORD: keyPassword },
        readyUrl: ([port]) => `http://127.0.0.1:${port}/readyz`,
        isReady: (status) => status === 200,
        stop: 'kill',
      }),
    );
    await until('a run to end', 30_000, () => controller.log().includes('"outcome":"signed"'));
    const metrics = await (await request(`http://127.0.0.1:${controller.ports[0]}/metrics`)).body.text();
    await writeFile(inDir('keys/cosign.password'), wrongPassword);
    const locked = await run(process.execPath, [cli, 'keys', 'public', '--directory', inDir('keys')]);
    const shown = await run(process.execPath, [
      cli,
      'config',
      'show',
      '--json',
      '--set',
      `signers.kms.auth.token=${wrongPassword}`,
      '--set',
      `storage.docdb.mongo-server-url=mongodb://u:${wrongPassword}@h`,
    ]);
    await controller[Symbol.asyncDispose]();

    assert.deepEqual([refused.code, locked.code], [1, 2], JSON.stringify(refused));
    assert.match(refused.stdout, /denied|refused|401/i);
    const journal = await filesIn(dir, 'journal.db');
    const said = { controller: controller.log(), metrics, journal, outputs: JSON.stringify([made, refused, locked, shown]) };
    const leaks = leaksIn(said, { keyPassword, wrongPassword, registry: registry.password ?? '' });
    assert.deepEqual(leaks, []);
    assert.ok(journal.length > 10_000 && metrics.includes('chainsmith_attempts_total'));
  });
});
