import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { TransientError } from '../errors.ts';
import type { Run, RunId } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { openDirectorySource, readRuns } from './directory.ts';
import type { Source } from './source.ts';

const uidOf = (name: string) => `uid-${name}`;

function yamlOf(name: string, more = '', kind = 'TaskRun'): string {
  return `apiVersion: tekton.dev/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ci, uid: ${uidOf(name)}}\n${more}`;
}
const done = 'status: {conditions: [{type: Succeeded, status: "True"}]}\n';
const idOf = (name: string, kind: RunId['kind'] = 'TaskRun'): RunId => ({ kind, namespace: 'ci', name, uid: uidOf(name) });

/** A folder, and a source that watches it and writes down what it tells. */
class Bed implements AsyncDisposable {
  readonly folder: string;
  readonly told: string[] = [];
  readonly warned: string[] = [];
  readonly source: Source;
  readonly ctx: Context;
  readonly #stop = new AbortController();
  #watching: Promise<void> | undefined;

  static async open(path = '.', settleMs = 0): Promise<Bed> {
    return new Bed(await mkdtemp(join(tmpdir(), 'chainsmith-watch-')), path, settleMs);
  }

  private constructor(folder: string, path: string, settleMs: number) {
    this.folder = folder;
    const write = (line: string) => {
      const { file, line: at, reason } = JSON.parse(line) as { readonly file: string; readonly line: number; readonly reason: string };
      this.warned.push(`${relative(folder, file) || '.'}:${at} ${reason.replaceAll(`${folder}/`, '')}`);
    };
    this.ctx = { signal: this.#stop.signal, logger: pino({ level: 'warn' }, { write }) };
    this.source = openDirectorySource({ path: join(folder, path), pollMs: 40, settleMs }, this.ctx);
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text);
  }

  /** Watches until everything that was there has been told. */
  async start(): Promise<void> {
    this.#watching = this.source.watch((change) => {
      this.told.push(
        change.kind === 'synced'
          ? `synced ${change.runKind}`
          : `${change.kind} ${change.run.name}${change.kind === 'seen' && change.isInitial ? ' at first' : ''}${change.run.isDone ? ' done' : ''}`,
      );
    }, this.ctx);
    await this.until(() => this.told.includes('synced PipelineRun'));
  }

  /** Polls, and says what was told when it takes too long. */
  async until(isSo: () => boolean): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!isSo()) {
      assert.ok(Date.now() < deadline, `told ${JSON.stringify(this.told)}, warned ${JSON.stringify(this.warned)}`);
      await sleep(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await rm(this.folder, { recursive: true, force: true });
  }
}

describe('openDirectorySource', () => {
  it('tells what is there, then that this was all', async () => {
    await using bed = await Bed.open();
    await mkdir(join(bed.folder, 'deep/er'), { recursive: true });
    await bed.write('b.yaml', yamlOf('b', done));
    await bed.write('deep/er/a.json', JSON.stringify({ apiVersion: 'tekton.dev/v1', kind: 'TaskRun', metadata: { name: 'a' } }));
    await bed.write('c.yml', `${yamlOf('c')}---\n${yamlOf('p', '', 'PipelineRun')}`);
    await bed.write('d.txt', yamlOf('d'));
    await bed.write('.hidden.yaml', yamlOf('e'));

    await bed.start();

    assert.deepEqual(bed.told, [
      'seen b at first done',
      'seen c at first',
      'seen p at first',
      'seen a at first',
      'synced TaskRun',
      'synced PipelineRun',
    ]);
    assert.deepEqual(bed.warned, []);
    assert.ok(Date.now() - bed.source.lastEventAt < 10_000);
  });

  it('tells a new file, its change, its renaming and its end', async () => {
    await using bed = await Bed.open();
    await bed.start();
    bed.told.length = 0;

    await bed.write('a.yaml', yamlOf('a'));
    await bed.until(() => bed.told.length === 1);
    await bed.write('a.yaml', yamlOf('a', done));
    await bed.until(() => bed.told.length === 2);
    await rename(join(bed.folder, 'a.yaml'), join(bed.folder, 'b.yaml'));
    await bed.write('c.yaml', yamlOf('c'));
    await bed.until(() => bed.told.length === 3);
    const found = await bed.source.get(idOf('a'), bed.ctx);
    await rm(join(bed.folder, 'b.yaml'));
    await bed.until(() => bed.told.length === 4);

    assert.deepEqual(bed.told, ['seen a', 'seen a done', 'seen c', 'gone a done']);
    assert.equal(found?.slim.isDone, true);
    assert.equal(await bed.source.get(idOf('a'), bed.ctx), undefined);
    assert.deepEqual(bed.warned, []);
  });

  it('does not tell a file again that was written with what it held', async () => {
    await using bed = await Bed.open();
    await bed.write('a.yaml', yamlOf('a'));
    await bed.start();

    await bed.write('a.yaml', yamlOf('a'));
    await bed.write('b.yaml', yamlOf('b'));
    await bed.until(() => bed.told.includes('seen b'));

    assert.deepEqual(bed.told, ['seen a at first', 'synced TaskRun', 'synced PipelineRun', 'seen b']);
  });

  it('waits until a file has been left alone, because half of one is valid, too', async () => {
    await using bed = await Bed.open('.', 1_000);
    await bed.start();
    const path = join(bed.folder, 'a.yaml');

    for (const line of yamlOf('a', 'spec: {}\n').split(/(?<=\n)/)) {
      await appendFile(path, line);
      await sleep(20);
    }
    await appendFile(path, done);
    await bed.until(() => bed.told.includes('seen a done'));

    assert.deepEqual(bed.told, ['synced TaskRun', 'synced PipelineRun', 'seen a done']);
    assert.deepEqual(bed.warned, []);
  });

  it('reads a file at once that was complete long ago', async () => {
    await using bed = await Bed.open('.', 60_000);
    await bed.write('a.yaml', yamlOf('a'));
    await utimes(join(bed.folder, 'a.yaml'), 1_000_000, 1_000_000);

    await bed.start();

    assert.deepEqual(bed.told, ['seen a at first', 'synced TaskRun', 'synced PipelineRun']);
  });

  it('reports a broken file once for each content, keeps what was known of it, and reads it when it is mended', async () => {
    await using bed = await Bed.open();
    await bed.write('a.yaml', yamlOf('a'));
    await bed.start();
    const path = join(bed.folder, 'a.yaml');

    await bed.write('a.yaml', `${yamlOf('b')}---\nx: "\n`);
    await bed.until(() => bed.told.includes('seen b'));
    await utimes(path, 1, 1);
    await bed.write('c.yaml', yamlOf('c'));
    await bed.until(() => bed.told.includes('seen c'));
    await assert.rejects(bed.source.get(idOf('a'), bed.ctx), (error) => error instanceof TransientError && error.code === 'watch.file');
    await bed.write('a.yaml', yamlOf('a', done));
    await bed.until(() => bed.told.includes('seen a done'));

    assert.deepEqual(bed.told.slice(3), ['seen b', 'seen c', 'gone b', 'seen a done']);
    assert.deepEqual(bed.warned, ['a.yaml:6 Missing closing "quote']);
  });

  it('reports what it cannot read, and goes on with the rest', async () => {
    await using bed = await Bed.open();
    await bed.write('a.yaml', yamlOf('a'));
    await bed.write('binary.yaml', '\u0000\u0001');
    await writeFile(join(bed.folder, 'latin.yaml'), Buffer.from([0x61, 0xe4, 0x0a]));
    await bed.write('empty.json', '');
    await writeFile(join(bed.folder, 'huge.json'), Buffer.alloc(33 * 1024 ** 2, ' '));
    await symlink('nowhere', join(bed.folder, 'link.yaml'));
    await symlink('.', join(bed.folder, 'circle'));
    await symlink('self.yaml', join(bed.folder, 'self.yaml'));
    await bed.start();

    await bed.write('b.yaml', yamlOf('b'));
    await bed.until(() => bed.told.includes('seen b'));

    assert.deepEqual(bed.told, ['seen a at first', 'synced TaskRun', 'synced PipelineRun', 'seen b']);
    assert.deepEqual(bed.warned.toSorted(), [
      'binary.yaml:1 it is no text in UTF-8',
      'empty.json:1 it is empty',
      'huge.json:1 it is larger than 32 MiB',
      'latin.yaml:1 it is no text in UTF-8',
      'link.yaml:1 it does not exist, or is a link to nothing',
      'self.yaml:1 its links go in a circle',
    ]);
  });

  it('does not take what it cannot look into for gone', async () => {
    await using bed = await Bed.open();
    await mkdir(join(bed.folder, '.real'));
    await bed.write('.real/a.yaml', yamlOf('a'));
    await symlink('.real', join(bed.folder, 'sub'));
    await bed.start();

    await symlink('sub', join(bed.folder, '.next'));
    await rename(join(bed.folder, '.next'), join(bed.folder, 'sub'));
    await bed.until(() => bed.warned.includes('sub:1 its links go in a circle'));
    await bed.write('b.yaml', yamlOf('b'));
    await bed.until(() => bed.told.includes('seen b'));

    assert.deepEqual(
      bed.told.filter((line) => line.startsWith('gone')),
      [],
    );
  });

  it('reports a run that stands in two files, and falls back to the other when one goes', async () => {
    await using bed = await Bed.open();
    await bed.write('a.yaml', yamlOf('x'));
    await bed.write('b.yaml', yamlOf('x', done));
    await bed.write('c.yaml', yamlOf('x').replace(uidOf('x'), 'other'));
    await bed.start();

    await rm(join(bed.folder, 'a.yaml'));
    await bed.until(() => bed.told.includes('seen x done'));

    assert.deepEqual(bed.told, ['seen x at first', 'synced TaskRun', 'synced PipelineRun', 'seen x done']);
    assert.deepEqual(bed.warned, [
      'b.yaml:1 TaskRun ci/x stands in a.yaml at line 1, too, with the same UID; that one counts',
      'c.yaml:1 TaskRun ci/x stands in a.yaml at line 1, too, with the same name; that one counts',
      'c.yaml:1 TaskRun ci/x stands in b.yaml at line 1, too, with the same name; that one counts',
    ]);
  });

  it('gives whole objects, and the children of a PipelineRun from its own file only', async () => {
    await using bed = await Bed.open();
    await bed.write('p.yaml', `${yamlOf('p', '', 'PipelineRun')}---\n${yamlOf('child', 'spec: {big: 9007199254740993}\n')}`);
    await bed.write('other.yaml', yamlOf('stranger'));
    await bed.start();

    const parent = await bed.source.get(idOf('p', 'PipelineRun'), bed.ctx);
    assert.ok(parent);
    const child = await bed.source.relative(parent, { kind: 'TaskRun', name: 'child' }, bed.ctx);

    assert.equal(JSON.stringify(child?.object['spec']), '{"big":9007199254740993}');
    assert.equal(await bed.source.relative(parent, { kind: 'TaskRun', name: 'stranger' }, bed.ctx), undefined);
    assert.equal(await bed.source.relative(parent, { kind: 'TaskRun', name: 'p' }, bed.ctx), undefined);
    assert.equal(await bed.source.get({ ...idOf('child'), uid: 'another' }, bed.ctx), undefined);
    assert.equal(await bed.source.get({ ...idOf('child'), name: 'another' }, bed.ctx), undefined);
  });

  it('does not give a file that has been changed since it was told', async () => {
    await using bed = await Bed.open('.', 60_000);
    await bed.write('a.yaml', yamlOf('a', done));
    await utimes(join(bed.folder, 'a.yaml'), 1_000_000, 1_000_000);
    await bed.start();

    await bed.write('a.yaml', yamlOf('a'));

    await assert.rejects(bed.source.get(idOf('a'), bed.ctx), /Cannot read run file ".*a\.yaml": it has just been changed/);
  });

  it('watches one file, before it is there and after it went', async () => {
    await using bed = await Bed.open('runs.txt');
    await bed.start();

    await bed.write('runs.txt', yamlOf('a'));
    await bed.until(() => bed.told.includes('seen a'));
    await rm(join(bed.folder, 'runs.txt'));
    await bed.until(() => bed.told.includes('gone a'));

    assert.deepEqual(bed.warned, Array(2).fill('runs.txt:1 it does not exist, or is a link to nothing'));
  });
});

describe('readRuns', () => {
  it('reads files, folders and what is piped in', async () => {
    await using bed = await Bed.open();
    await bed.write('a.yaml', yamlOf('a'));
    await bed.write('b.yaml', `${yamlOf('b')}---\nkind: x\n`);
    await bed.write('c.txt', yamlOf('c'));
    async function* stdin() {
      yield Buffer.from(yamlOf('d').slice(0, 20));
      yield await Promise.resolve(Buffer.from(yamlOf('d').slice(20)));
    }

    const read: unknown[] = [];
    const names = (runs: readonly Run[]) => runs.map(({ name }) => name);
    for await (const { file, runs, problems } of readRuns(
      [bed.folder, join(bed.folder, 'c.txt'), '-', join(bed.folder, 'none')],
      stdin(),
    )) {
      read.push([relative(bed.folder, file), names(runs), problems]);
    }

    const missing = { line: 1, column: 1, message: 'it does not exist, or is a link to nothing' };
    assert.deepEqual(read, [
      ['a.yaml', ['a'], []],
      ['b.yaml', ['b'], [{ line: 5, column: 1, message: 'apiVersion is missing: every object of a file needs both' }]],
      ['c.txt', ['c'], []],
      [relative(bed.folder, '-'), ['d'], []],
      ['none', [], [missing]],
    ]);
  });
});
