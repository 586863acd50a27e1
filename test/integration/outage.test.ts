import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFaultProxy, type Fault } from '../servers/fault-proxy.ts';
import { startServer, until, type RunningServer } from '../servers/process.ts';
import { startRegistry } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { run } from '../servers/command.ts';
import { layersOf, newTaskRun, succeeded } from './cluster.ts';

const root = path.join(import.meta.dirname, '../..');
const cli = path.join(root, 'src/cli/chainsmith.ts');

/** A folder with a key and a place for runs, and the flags that make a controller work on it against a registry. */
interface Place {
  readonly dir: string;
  readonly runs: string;
  readonly flags: readonly string[];
}

async function newPlace(dir: string): Promise<Place> {
  const keys = path.join(dir, 'keys');
  const runs = path.join(dir, 'runs');
  for (const folder of [keys, runs]) await mkdir(folder, { recursive: true });
  const made = await run(process.execPath, [cli, 'keys', 'generate', '--no-password', '--output-key-prefix', path.join(keys, 'cosign')]);
  assert.equal(made.code, 0, made.stderr);
  await writeFile(path.join(keys, 'cosign.password'), '');
  const values = {
    'artifacts.taskrun.storage': 'oci',
    'artifacts.taskrun.format': 'slsa/v2alpha4',
    'journal.url': `sqlite://${path.join(dir, 'journal.db')}`,
    'signers.x509.directory': keys,
    'retry.max-delay': '1s',
    'lanes.backfill.since': '8760h',
  };
  return { dir, runs, flags: Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]) };
}

async function startController({ runs, flags }: Place): Promise<RunningServer> {
  return await startServer({
    name: 'controller',
    file: process.execPath,
    ports: 1,
    args: ([port]) => [cli, 'controller', '--source', `dir:${runs}`, '--listen', `127.0.0.1:${port}`, ...flags],
    readyUrl: ([port]) => `http://127.0.0.1:${port}/readyz`,
    isReady: (status) => status === 200,
    stop: 'kill',
  });
}

/** Completed TaskRuns, each with an image of its own; gives the tags of their attestations. */
async function dropRuns({ runs }: Place, registry: string, count: number, name = 'run'): Promise<readonly string[]> {
  const tags: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const hex = Buffer.from(`${name}-${index}`.padEnd(32, '.')).toString('hex');
    const run = { ...newTaskRun(`${name}-${index}`), ...succeeded({ repository: `${registry}/ci/app`, digest: `sha256:${hex}` }) };
    await writeFile(path.join(runs, `${name}-${index}.json`), JSON.stringify(run));
    tags.push(`sha256-${hex}`);
  }
  return tags;
}

async function counts(registry: string, tags: readonly string[]): Promise<readonly string[]> {
  return await Promise.all(
    tags.map(
      async (tag) =>
        `${(await layersOf(registry, 'ci/app', `${tag}.att`)).length}/${(await layersOf(registry, 'ci/app', `${tag}.sig`)).length}`,
    ),
  );
}

describe('a controller whose registry is in trouble', () => {
  const faults: readonly { readonly name: string; readonly fault: Fault }[] = [
    { name: 'refuses connections', fault: { kind: 'refuse' } },
    { name: 'answers 503', fault: { kind: 'status', status: 503 } },
    { name: 'answers 429 with Retry-After', fault: { kind: 'status', status: 429, retryAfter: 1 } },
    { name: 'answers with a page of HTML', fault: { kind: 'lie', body: '<html>Sign in</html>', contentType: 'text/html' } },
    { name: 'cuts its answers', fault: { kind: 'truncate', bytes: 40 } },
  ];
  for (const { name, fault } of faults) {
    it(`signs what completed meanwhile when it ${name} and comes back`, async () => {
      await using stack = new AsyncDisposableStack();
      const registry = stack.use(await startRegistry());
      const proxy = stack.use(await startFaultProxy(registry.host));
      const place = await newPlace(stack.use(await scratch('outage')).dir);
      await proxy.set(fault);
      const tags = await dropRuns(place, proxy.host, 5);
      const controller = stack.use(await startController(place));

      await until('an attempt to fail', 20_000, () => controller.log().includes('attempt failed'));
      assert.deepEqual(
        await counts(registry.host, tags),
        tags.map(() => '0/0'),
      );
      await proxy.set({ kind: 'none' });
      await until('everything to be signed', 60_000, async () => (await counts(registry.host, tags)).every((count) => count === '1/1'));

      assert.ok(!controller.log().includes('"outcome":"failed"'), controller.log());
    });
  }

  it('leaves one of each, however often it is killed', async () => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const place = await newPlace(stack.use(await scratch('killed')).dir);
    const tags = await dropRuns(place, registry.host, 60);

    for (let life = 0; life < 5; life += 1) {
      const controller = await startController(place);
      // Not waiting for anything is the point: each life ends at another place of the path.
      await sleep(40 + life * 60);
      await controller[Symbol.asyncDispose]();
    }
    stack.use(await startController(place));
    await until('everything to be signed', 60_000, async () => (await counts(registry.host, tags)).every((count) => count === '1/1'));

    assert.deepEqual(
      await counts(registry.host, tags),
      tags.map(() => '1/1'),
    );
  });

  it('signs nothing twice when its journal is lost', async () => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const place = await newPlace(stack.use(await scratch('lost')).dir);
    const tags = await dropRuns(place, registry.host, 10);
    const first = await startController(place);
    await until('everything to be signed', 60_000, async () => (await counts(registry.host, tags)).every((count) => count === '1/1'));
    await first[Symbol.asyncDispose]();

    const other = { ...place, flags: place.flags.map((flag) => flag.replace('journal.db', 'another.db')) };
    const second = stack.use(await startController(other));
    await until('all runs to end', 60_000, () => (second.log().match(/run ended/g) ?? []).length >= tags.length);

    assert.deepEqual(
      await counts(registry.host, tags),
      tags.map(() => '1/1'),
    );
  });

  it('signs nothing twice when its journal is lost and the registry is away just then', async () => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const proxy = stack.use(await startFaultProxy(registry.host));
    const place = await newPlace(stack.use(await scratch('lost-away')).dir);
    const tags = await dropRuns(place, proxy.host, 5);
    const first = await startController(place);
    await until('everything to be signed', 60_000, async () => (await counts(registry.host, tags)).every((count) => count === '1/1'));
    await first[Symbol.asyncDispose]();

    await proxy.set({ kind: 'refuse' });
    const other = { ...place, flags: place.flags.map((flag) => flag.replace('journal.db', 'another.db')) };
    const second = stack.use(await startController(other));
    await until('every run to fail once', 30_000, () => new Set(second.log().match(/default\/run-\d/g)).size === tags.length);
    await proxy.set({ kind: 'none' });
    await until('all runs to end', 60_000, () => (second.log().match(/run ended/g) ?? []).length >= tags.length);

    assert.deepEqual(
      await counts(registry.host, tags),
      tags.map(() => '1/1'),
    );
  });

  it('does not start on a journal that another controller has', async () => {
    await using stack = new AsyncDisposableStack();
    const place = await newPlace(stack.use(await scratch('second')).dir);
    stack.use(await startController(place));

    const second = await run(process.execPath, [
      cli,
      'controller',
      '--source',
      `dir:${place.runs}`,
      '--listen',
      '127.0.0.1:0',
      ...place.flags,
    ]);

    assert.equal(second.code, 1);
    assert.match(second.stderr, /Cannot open journal .*journal\.db.*\n.*fix: +stop the other process/);
  });

  it('goes on with the other runs when one file is broken, and takes it up when it is mended', async () => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const place = await newPlace(stack.use(await scratch('broken')).dir);
    const tags = await dropRuns(place, registry.host, 2);
    const file = path.join(place.runs, 'run-0.json');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, whole.slice(0, 300));
    const controller = stack.use(await startController(place));
    await until('the good one to be signed', 30_000, async () => (await counts(registry.host, tags))[1] === '1/1');
    await until('the broken one to be told', 10_000, () => controller.log().includes('run-0.json'));

    await writeFile(file, whole);
    await until('the mended one to be signed', 30_000, async () => (await counts(registry.host, tags))[0] === '1/1');

    assert.deepEqual((await readdir(place.runs)).length, 2);
  });
});
