import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { sha256Of } from '../../model/digest.ts';
import { openLayout } from './layout.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const maxBytes = 1024 * 1024;
const bytesOf = (text: string): Uint8Array => Buffer.from(JSON.stringify({ text }));

/** Another process with the same code; `script` sees `layout`, `update` and `ctx`. Its output must say that it is there. */
function other(folder: string, script: string, how: { readonly wrapper?: readonly string[]; readonly isNobody?: boolean } = {}) {
  const source = `
    import { pino } from ${JSON.stringify(import.meta.resolve('pino'))};
    import { openLayout } from ${JSON.stringify(new URL('layout.ts', import.meta.url).href)};
    const ctx = { signal: AbortSignal.timeout(60_000), logger: pino({ level: 'silent' }) };
    const layout = openLayout(${JSON.stringify(folder)}, ${maxBytes});
    const update = async (tag, change) => await layout.repository('r.example/a', 'pull,push').update(tag, change, ctx);
    const say = (text) => process.stdout.write(text);
    ${script}`;
  const [file, ...args] = [...(how.wrapper ?? []), process.execPath, '--input-type=module', '--eval', source];
  // Modes of files do not hold root back.
  const uid = how.isNobody === true && process.getuid?.() === 0 ? 65_534 : undefined;
  return spawn(file ?? process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], ...(uid !== undefined && { uid }) });
}

async function outputOf(child: ReturnType<typeof other>): Promise<string> {
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  return output;
}

describe('openLayout', () => {
  let dir = '';
  let folder = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'chainsmith-layout-'));
    folder = join(dir, 'layout');
  });
  afterEach(async () => await rm(dir, { recursive: true }));

  const write = async (tag: string, text: string, repository = 'r.example/a'): Promise<void> => {
    await using layout = openLayout(folder, maxBytes);
    await layout
      .repository(repository, 'pull,push')
      .update(tag, async () => await Promise.resolve({ mediaType, bytes: bytesOf(text) }), ctx);
  };
  const read = async (tag: string, repository = 'r.example/a'): Promise<string | undefined> => {
    await using layout = openLayout(folder, maxBytes);
    const manifest = await layout.repository(repository, 'pull').manifest(tag, ctx);
    return manifest && Buffer.from(manifest.bytes).toString();
  };

  it('is empty before the first write, and makes nothing by being looked at', async () => {
    await using layout = openLayout(folder, maxBytes);
    const repository = layout.repository('r.example/a', 'pull');

    assert.deepEqual([await repository.manifest('t', ctx), await repository.resolve('t', ctx)], [undefined, undefined]);
    assert.deepEqual(await readdir(dir), []);
  });

  it('writes an image layout that anybody reads', async () => {
    await write('sha256-x.att', 'one');
    await write('taskrun-u.att', 'two', '');

    const entry = (text: string, name: string) => ({
      mediaType,
      size: bytesOf(text).length,
      digest: `sha256:${sha256Of(bytesOf(text))}`,
      annotations: { 'org.opencontainers.image.ref.name': name },
    });
    assert.equal(await readFile(join(folder, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}');
    assert.deepEqual(JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')), {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [entry('one', 'r.example/a:sha256-x.att'), entry('two', 'taskrun-u.att')],
    });
    assert.deepEqual(await readdir(join(folder, '.tmp')), []);
  });

  it("changes its own tag and leaves everybody else's entry as it is", async () => {
    await write('t', 'one');
    const file = join(folder, 'index.json');
    const index = JSON.parse(await readFile(file, 'utf8')) as { manifests: Record<string, unknown>[] };
    const theirs = { mediaType: 'x/y', digest: `sha256:${'ab'.repeat(32)}`, size: 1, platform: { os: 'linux' } };
    await writeFile(file, JSON.stringify({ ...index, manifests: [theirs, ...index.manifests], annotations: { kept: 'yes' } }));

    await write('t', 'two');

    const after = JSON.parse(await readFile(file, 'utf8')) as { manifests: unknown[]; annotations: unknown };
    assert.deepEqual([after.manifests.length, after.manifests[0], after.annotations], [2, theirs, { kept: 'yes' }]);
    assert.equal(await read('t'), '{"text":"two"}');
  });

  it('gives blobs back, and nothing for what is not there', async () => {
    await write('t', 'one');
    await using layout = openLayout(folder, maxBytes);
    const repository = layout.repository('r.example/a', 'pull');
    const digest = `sha256:${sha256Of(bytesOf('one'))}`;

    assert.deepEqual(await repository.blob({ digest, size: bytesOf('one').length }, ctx), Buffer.from(bytesOf('one')));
    assert.equal(await repository.blob({ digest: `sha256:${'0'.repeat(64)}`, size: 1 }, ctx), undefined);
    await assert.rejects(repository.blob({ digest, size: 1 }, ctx), { code: 'store.layout.corrupt' });
  });

  it('refuses a blob that changed, and one that is too large', async () => {
    await write('t', 'one');
    const file = join(folder, 'blobs', 'sha256', sha256Of(bytesOf('one')));
    await writeFile(file, bytesOf('two'));
    await assert.rejects(read('t'), { name: 'TerminalError', code: 'store.layout.corrupt' });

    await writeFile(file, Buffer.alloc(maxBytes + 1));
    await assert.rejects(read('t'), { name: 'TerminalError', code: 'store.layout.too-large' });
  });

  const corruptions = [
    { name: 'a cut index.json', file: 'index.json', text: '{"schemaVersion":2,"mani' },
    { name: 'an empty index.json', file: 'index.json', text: '' },
    { name: 'an index.json of another shape', file: 'index.json', text: '{"schemaVersion":2,"manifests":{}}' },
    { name: 'an unknown layout version', file: 'oci-layout', text: '{"imageLayoutVersion":"2.0.0"}' },
    { name: 'no index.json', file: 'index.json', text: undefined },
  ];
  for (const { name, file, text } of corruptions) {
    it(`refuses ${name}, names the file and overwrites nothing`, async () => {
      await write('t', 'one');
      const path = join(folder, file);
      await (text === undefined ? rm(path) : writeFile(path, text));

      for (const attempt of [async () => await write('t', 'two'), async () => await write('u', 'three'), async () => await read('t')]) {
        await assert.rejects(attempt, (error: Error) => {
          assert.deepEqual(
            { name: error.name, code: 'code' in error && error.code },
            { name: 'TerminalError', code: 'store.layout.corrupt' },
          );
          assert.ok(error.message.startsWith(`Cannot read "${path}": `), error.message);
          return true;
        });
      }
      assert.equal(await readFile(path, 'utf8').catch(() => undefined), text);
    });
  }

  it('refuses a file where the folder should be', async () => {
    await writeFile(folder, 'a file');

    await assert.rejects(write('t', 'one'), { name: 'TerminalError', code: 'store.layout.corrupt' });
  });

  it('says that a folder is read-only', async () => {
    await write('t', 'one');
    await chmod(dir, 0o755);
    for (const part of ['.', '.tmp', 'blobs', 'blobs/sha256']) await chmod(join(folder, part), 0o555);
    for (const part of ['.lock', 'index.json']) await chmod(join(folder, part), 0o444);

    const child = other(
      folder,
      `try { await update('t', async () => ({ mediaType: 'x/y', bytes: Buffer.alloc(9) })); say('written'); } catch (error) { say(error.name + ' ' + error.code); }`,
      { isNobody: true },
    );

    assert.equal(await outputOf(child), 'TerminalError store.layout.read-only');
    for (const part of ['.', '.tmp', 'blobs', 'blobs/sha256']) await chmod(join(folder, part), 0o755);
  });

  it('says that the disk is full, and leaves what was there', async () => {
    await write('t', 'one');
    const before = await readFile(join(folder, 'index.json'), 'utf8');

    // A limit of the shell on the size of files: 512 bytes.
    const child = other(
      folder,
      `try { await update('t', async () => ({ mediaType: 'x/y', bytes: Buffer.alloc(4096) })); say('written'); } catch (error) { say(error.code); }`,
      { wrapper: ['/bin/sh', '-c', 'ulimit -f 1; exec "$0" "$@"'] },
    );

    assert.equal(await outputOf(child), 'store.layout.full');
    assert.equal(await readFile(join(folder, 'index.json'), 'utf8'), before);
    assert.deepEqual(await readdir(join(folder, '.tmp')), []);
  });

  it('loses nothing between processes', async () => {
    const script = (name: string): string => `
      for (let n = 0; n < 8; n += 1) {
        await update('shared', async (current) => {
          const names = current === undefined ? [] : JSON.parse(Buffer.from(current.bytes).toString()).names;
          return { mediaType: 'x/y', bytes: Buffer.from(JSON.stringify({ names: [...names, '${name}' + n] })) };
        });
      }
      say('done');`;

    const outputs = await Promise.all(['a', 'b', 'c'].map(async (name) => await outputOf(other(folder, script(name)))));

    assert.deepEqual(outputs, ['done', 'done', 'done']);
    const { names } = JSON.parse((await read('shared')) ?? '{}') as { names: readonly string[] };
    const wanted = ['a', 'b', 'c'].flatMap((name) => Array.from({ length: 8 }, (_, n) => `${name}${n}`));
    assert.deepEqual(names.toSorted(), wanted);
  });

  it('goes on at once when a process is killed while it holds the lock', async () => {
    await write('t', 'one');
    const child = other(folder, `await update('t', async () => { say('held'); await new Promise((r) => setTimeout(r, 60_000)); });`);
    await once(child.stdout, 'data');
    const blocked = write('t', 'two');
    const early = await Promise.race([blocked.then(() => 'written'), new Promise((resolve) => setTimeout(resolve, 100, 'waiting'))]);

    child.kill('SIGKILL');
    await blocked;

    assert.deepEqual([early, await read('t')], ['waiting', '{"text":"two"}']);
  });

  it('waits no longer when it is told to stop', async () => {
    await write('t', 'one');
    const child = other(folder, `await update('t', async () => { say('held'); await new Promise((r) => setTimeout(r, 60_000)); });`);
    await once(child.stdout, 'data');
    await using layout = openLayout(folder, maxBytes);
    const signal = AbortSignal.timeout(50);

    const blocked = layout
      .repository('r.example/a', 'pull,push')
      .update('t', async () => await Promise.resolve(undefined), { ...ctx, signal });

    await assert.rejects(blocked, { name: 'TimeoutError' }).finally(() => child.kill('SIGKILL'));
  });

  it('sweeps what killed processes left, but nothing new', async () => {
    const scratch = join(folder, '.tmp');
    await mkdir(scratch, { recursive: true });
    for (const name of ['old', 'new']) await writeFile(join(scratch, name), '');
    await utimes(join(scratch, 'old'), 0, 0);

    await write('t', 'one');

    assert.deepEqual(await readdir(scratch), ['new']);
  });
});
