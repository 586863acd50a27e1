import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { output, run, type Outcome } from '../servers/command.ts';
import { isAlive } from '../servers/lock.ts';
import { until } from '../servers/process.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';

const root = path.resolve(import.meta.dirname, '../..');
const name = `node-${process.platform}-${process.arch}`;
const version = process.versions.node;
/** Prints what it was given; what it does then is its second argument. */
const program = `
const [first, then] = process.argv.slice(2);
console.log(JSON.stringify([process.version, first, then]));
if (then === 'fail') process.exitCode = 7;
if (then === 'die') process.kill(process.pid, 'SIGKILL');
if (then === 'wait') {
  const timer = setTimeout(() => {}, 60_000);
  process.on('SIGTERM', () => { console.log('told to stop'); clearTimeout(timer); process.exitCode = 5; });
  console.log('ready');
}`;
/** No network: a closed port for a registry, and nothing in npm's cache. */
const offline = (dir: string): Record<string, string> => ({
  npm_config_registry: 'http://127.0.0.1:1/',
  npm_config_cache: path.join(dir, 'npm-cache'),
});

describe('bootstrap.mjs', () => {
  it('runs the program with its arguments, and says nothing when everything is there', async () => {
    await using checkout = await ready();

    assert.deepEqual(await boot(checkout, ['start', 'fail']), { code: 7, stdout: `["v${version}","start","fail"]\n`, stderr: '' });
  });

  it('refuses a script that it does not know', async () => {
    await using checkout = await ready();

    const { code, stderr } = await boot(checkout, ['strat']);

    assert.deepEqual(
      { code, stderr },
      { code: 2, stderr: 'Cannot run "strat": want one of start, chainsmith, test, check, golden, docs, bench, servers, protos, format\n' },
    );
  });

  it('hands a signal on, and ends as the program ends', async () => {
    await using checkout = await ready();
    const child = spawn(process.execPath, [at(checkout, 'bin/bootstrap.mjs'), 'start', 'wait'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = collect(child);
    await until('the program to be ready', 10_000, () => said().includes('ready'));

    child.kill('SIGTERM');

    assert.deepEqual(await once(child, 'close'), [5, null]);
    assert.match(said(), /told to stop/);
  });

  it('ends by the signal that ended the program', async () => {
    await using checkout = await ready();
    const child = spawn(process.execPath, [at(checkout, 'bin/bootstrap.mjs'), 'start', 'die'], { stdio: 'ignore' });

    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
  });

  it('is written for Node 12', async () => {
    const text = await readFile(path.join(root, 'bin/bootstrap.mjs'), 'utf8');
    const code = text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '');

    assert.deepEqual(code.match(/\?\.|\?\?|from 'node:|\|\|=|&&=|#\w+\(|^await |\d_\d|replaceAll|\.at\(|fs\.rm\(/gm), null);
  });
});

describe('bootstrap.mjs, for the pinned Node', () => {
  it('says in one sentence what to do when it cannot be fetched and the current one is too old', async () => {
    await using checkout = await ready({ runtime: 'absent' });

    const { code, stdout, stderr } = await boot(checkout, ['start'], { pretend: '20.1.0' });

    const log = path.join('bin', 'runtime', 'install.log');
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
    assert.equal(
      stderr,
      `Fetching Node ${version} …\nCannot start with Node 20.1.0: Node ${version} could not be fetched: npm ended with ECONNREFUSED ` +
        `(its words are in ${log}); install Node 24.15 or later, or connect once to the npm registry\n`,
    );
    assert.match(await readFile(at(checkout, log), 'utf8'), /ECONNREFUSED/);
  });

  it('says so too where Node is too old to fetch anything', async () => {
    await using checkout = await ready({ runtime: 'absent' });

    const { code, stderr } = await boot(checkout, ['start'], { pretend: '12.22.0' });

    assert.equal(code, 2);
    assert.equal(
      stderr,
      'Cannot start with Node 12.22.0: Node 12.22.0 is too old to fetch another; install Node 24.15 or later, or connect once to the npm registry\n',
    );
  });

  it('takes the current one when it suits', async () => {
    await using checkout = await ready({ runtime: 'absent' });

    const { code, stdout, stderr } = await boot(checkout, ['start']);

    assert.deepEqual({ code, stdout }, { code: 0, stdout: `["v${version}","start",null]\n` });
    assert.match(stderr, new RegExp(`^Fetching Node ${version} …\\nUsing Node ${version}: Node ${version} could not be fetched: .*\\n$`));
  });

  it('takes the current one where there is none for the platform', async () => {
    await using checkout = await ready({ runtime: 'other platform' });

    const { code, stderr } = await boot(checkout, ['start']);

    assert.deepEqual(
      { code, stderr },
      { code: 0, stderr: `Using Node ${version}: there is no Node package for ${process.platform} on ${process.arch}\n` },
    );
  });

  const versions = { '24.14.9': false, '24.15.0': true, '25.1.0': false, '26.0.0': true, '20.20.2': false };
  for (const [candidate, expected] of Object.entries(versions)) {
    it(`${expected ? 'is content' : 'is not content'} with ${candidate}`, async () => {
      await using checkout = await ready({ runtime: 'other platform' });

      assert.equal((await boot(checkout, ['start'], { pretend: candidate })).code === 0, expected);
    });
  }
});

describe('bootstrap.mjs, for the packages', () => {
  it('installs them once, and again when the lock file changes', async () => {
    await using checkout = await ready({ packages: 'absent' });

    const first = await boot(checkout, ['start']);
    const second = await boot(checkout, ['start']);
    const lock = at(checkout, 'package-lock.json');
    await writeFile(lock, (await readFile(lock, 'utf8')).replace('"packages": {', '"packages": {\n'));
    await rm(at(checkout, 'node_modules/.package-lock.json'));
    const third = await boot(checkout, ['start']);

    assert.deepEqual(
      [first, second, third].map(({ code, stderr }) => [code, stderr]),
      [
        [0, 'Installing 1 package …\n'],
        [0, ''],
        [0, 'Installing 1 package …\n'],
      ],
    );
  });

  it('leaves an installation that somebody made with npm ci as it is', async () => {
    await using checkout = await ready({ packages: 'absent' });
    await output('npm', ['ci', '--no-audit'], { cwd: checkout.dir, env: { ...process.env, ...offline(checkout.dir) } });

    assert.equal((await boot(checkout, ['start'])).stderr, '');
  });

  it('says in one sentence that they cannot be had, and tries again the next time', async () => {
    await using checkout = await ready({ packages: 'absent' });
    await copyFile(at(checkout, 'dep.tgz'), at(checkout, 'kept.tgz'));
    await rm(at(checkout, 'dep.tgz'));

    const failed = await boot(checkout, ['start']);
    await copyFile(at(checkout, 'kept.tgz'), at(checkout, 'dep.tgz'));
    const mended = await boot(checkout, ['start']);

    assert.equal(failed.code, 2);
    assert.match(
      failed.stderr,
      /^Installing 1 package …\nCannot install the packages: npm ended with ENOENT \(its words are in .*\); connect once .*\n$/,
    );
    assert.deepEqual([mended.code, mended.stderr], [0, 'Installing 1 package …\n']);
  });

  it('installs once when several start at the same time', async () => {
    await using checkout = await ready({ packages: 'absent' });

    const outcomes = await Promise.all(Array.from({ length: 4 }, async () => await boot(checkout, ['start'])));

    assert.deepEqual(
      outcomes.map(({ code }) => code),
      [0, 0, 0, 0],
    );
    assert.equal(outcomes.filter(({ stderr }) => stderr.includes('Installing')).length, 1);
    assert.equal(await readFile(at(checkout, 'node_modules/dep/package.json'), 'utf8'), '{"name":"dep","version":"1.0.0"}');
    assert.deepEqual(await readdir(at(checkout, 'bin/runtime')), ['install.log', 'node_modules', 'package-lock.json', 'package.json']);
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`does an installation again that ${signal} cut short`, async () => {
      await using checkout = await ready({ packages: 'from a registry' });
      await using registry = await silence();
      const env = { ...process.env, ...offline(checkout.dir), npm_config_registry: registry.url };
      const child = spawn(process.execPath, [at(checkout, 'bin/bootstrap.mjs'), 'start'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      await until('npm to ask the registry', 20_000, () => registry.connections() > 0);
      const npm = Number(await readFile(at(checkout, 'bin/runtime/.lock/child'), 'utf8'));

      child.kill(signal);

      assert.deepEqual(await once(child, 'close'), [null, signal]);
      // What SIGKILL leaves behind is an npm at work: the next one must wait for its end, not join it.
      assert.equal(isAlive(npm), signal === 'SIGKILL');
      const next = localPackage(checkout).then(async () => await boot(checkout, ['start']));
      if (signal === 'SIGKILL') process.kill(npm, 'SIGKILL');
      assert.equal((await next).code, 0);
      assert.equal(await readFile(at(checkout, 'node_modules/dep/package.json'), 'utf8'), '{"name":"dep","version":"1.0.0"}');
    });
  }
});

describe('bin/chainsmith', () => {
  it('runs through a symbolic link, from anywhere, and prints nothing of its own', async () => {
    await using checkout = await ready();
    await using elsewhere = await scratch('elsewhere');
    const link = path.join(elsewhere.dir, 'cs');
    await symlink(at(checkout, 'bin/chainsmith'), link);

    const outcome = await run(link, ['explain', 'fail'], { cwd: elsewhere.dir });

    assert.deepEqual(outcome, { code: 7, stdout: `["v${version}","explain","fail"]\n`, stderr: '' });
  });

  it('runs under the pinned Node when the current one is too old', async () => {
    await using checkout = await ready();

    const outcome = await boot(checkout, ['explain', 'fail'], { file: 'bin/chainsmith', pretend: '20.1.0' });

    assert.deepEqual(outcome, { code: 7, stdout: `["v${version}","explain","fail"]\n`, stderr: '' });
  });

  it('installs the packages of a fresh checkout first, with its words on stderr', async () => {
    await using checkout = await ready({ packages: 'absent' });

    const outcome = await boot(checkout, ['explain'], { file: 'bin/chainsmith' });

    assert.deepEqual(outcome, { code: 0, stdout: `["v${version}","explain",null]\n`, stderr: 'Installing 1 package …\n' });
  });

  it('runs in an image that has neither bootstrap nor runtime', async () => {
    await using checkout = await ready();
    await rm(at(checkout, 'bin/bootstrap.mjs'));
    await rm(at(checkout, 'bin/runtime'), { recursive: true });

    assert.equal((await boot(checkout, ['explain'], { file: 'bin/chainsmith' })).code, 0);
    assert.deepEqual(await boot(checkout, ['explain'], { file: 'bin/chainsmith', pretend: '20.1.0' }), {
      code: 2,
      stdout: '',
      stderr: 'Cannot run chainsmith with Node 20.1.0: install Node 24.15 or later\n',
    });
  });
});

interface Wish {
  readonly runtime?: 'there' | 'absent' | 'other platform';
  readonly packages?: 'there' | 'absent' | 'from a registry';
}

/** A checkout in a temporary folder: our own bin, a program that tells what it was given, and one package to install. */
async function ready(wish: Wish = {}): Promise<Scratch> {
  const checkout = await scratch('checkout');
  const runtime = at(checkout, 'bin/runtime');
  await mkdir(at(checkout, 'src/cli'), { recursive: true });
  for (const file of ['bootstrap.mjs', 'chainsmith', 'package.json']) await cp(path.join(root, 'bin', file), at(checkout, 'bin', file));
  await writeFile(at(checkout, 'src/cli/chainsmith.ts'), program);
  await mkdir(path.join(runtime, 'node_modules', name, 'bin'), { recursive: true });
  // The Node that runs this test stands for the pinned one.
  await symlink(process.execPath, path.join(runtime, 'node_modules', name, 'bin', 'node'));
  await writePackage(runtime, { optionalDependencies: { [name]: version } }, { [name]: { version, optional: true } });
  await localPackage(checkout);
  if (wish.packages === undefined) await boot(checkout, ['start']);
  if (wish.packages === 'from a registry')
    await writePackage(checkout.dir, { dependencies: { dep: '1.0.0' } }, { dep: { version: '1.0.0' } });
  if (wish.runtime === 'absent') await rm(path.join(runtime, 'node_modules'), { recursive: true });
  if (wish.runtime === 'other platform') await writePackage(runtime, {}, { 'node-plan9-mips': { version, optional: true } });
  return checkout;
}

async function localPackage(checkout: Scratch): Promise<void> {
  await mkdir(at(checkout, 'package'), { recursive: true });
  await writeFile(at(checkout, 'package/package.json'), '{"name":"dep","version":"1.0.0"}');
  await output('tar', ['-czf', at(checkout, 'dep.tgz'), '-C', checkout.dir, 'package']);
  await writePackage(checkout.dir, { dependencies: { dep: 'file:dep.tgz' } }, { dep: { version: '1.0.0', resolved: 'file:dep.tgz' } });
}

async function writePackage(dir: string, wants: object, packages: Readonly<Record<string, object>>): Promise<void> {
  const head = { name: 'checkout', version: '1.0.0' };
  const entries: Record<string, object> = {};
  for (const [it, entry] of Object.entries(packages)) entries[`node_modules/${it}`] = entry;
  await writeFile(path.join(dir, 'package.json'), JSON.stringify({ ...head, type: 'module', ...wants }));
  const lock = { ...head, lockfileVersion: 3, requires: true, packages: { '': { ...head, ...wants }, ...entries } };
  await writeFile(path.join(dir, 'package-lock.json'), JSON.stringify(lock, undefined, 2));
}

interface Boot {
  /** Default `bin/bootstrap.mjs`. */
  readonly file?: string;
  /** The version that the Node which starts it claims to have. */
  readonly pretend?: string;
}

async function boot(checkout: Scratch, args: readonly string[], options: Boot = {}): Promise<Outcome> {
  const preload = at(checkout, 'pretend.cjs');
  await writeFile(
    preload,
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: ${JSON.stringify(options.pretend)} } });`,
  );
  const file = at(checkout, options.file ?? 'bin/bootstrap.mjs');
  return await run(process.execPath, [...(options.pretend === undefined ? [] : ['-r', preload]), file, ...args], {
    cwd: checkout.dir,
    env: { ...process.env, ...offline(checkout.dir) },
  });
}

function at(checkout: Scratch, ...parts: readonly string[]): string {
  return path.join(checkout.dir, ...parts);
}

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}

/** A registry that takes calls and never answers. */
async function silence(): Promise<AsyncDisposable & { readonly url: string; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined).resume();
    server.once('close', () => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Cannot listen: no port');
  return {
    url: `http://127.0.0.1:${address.port}/`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.close();
      await Promise.resolve();
    },
  };
}
