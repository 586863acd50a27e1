import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { cosign } from '../servers/cosign.ts';
import { run } from '../servers/command.ts';
import { until } from '../servers/process.ts';
import { scratch } from '../servers/scratch.ts';

const root = path.join(import.meta.dirname, '../..');
const cli = path.join(root, 'src/cli/chainsmith.ts');
const exampleRuns = 5;

interface Started extends AsyncDisposable {
  readonly text: () => string;
  /** Interrupts it as Ctrl-C does; gives its exit code. */
  readonly interrupt: () => Promise<number | null>;
}

function start(cwd: string): Started {
  const child = spawn(process.execPath, [cli, 'start', '--listen', '127.0.0.1:0'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const ended = once(child, 'exit');
  return {
    text: () => text,
    interrupt: async () => {
      child.kill('SIGINT');
      await ended;
      return child.exitCode;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The commands that stand behind a label, each as its arguments. */
function commandsIn(text: string, label: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => line.trim().startsWith(label))
    .map((line) => line.trim().slice(label.length).trim().split(' '));
}

const wordsIn = (text: string, word: string): number => text.split(word).length - 1;

describe('chainsmith start', () => {
  it('signs the examples, and prints commands that cosign 3 and chainsmith accept', async () => {
    await using folder = await scratch('start');
    await cp(path.join(root, 'examples'), path.join(folder.dir, 'examples'), { recursive: true });
    await using first = start(folder.dir);
    await until('the examples to be signed', 30_000, () => wordsIn(first.text(), 'signed and proven') === exampleRuns);

    const judged = commandsIn(first.text(), 'check with');
    const ours = commandsIn(first.text(), 'or with');
    assert.deepEqual([judged.length, ours.length], [exampleRuns, exampleRuns]);
    for (const [program, ...args] of judged) {
      assert.equal(program, 'cosign');
      const { code, stderr } = await cosign(3, args, { cwd: folder.dir });
      assert.equal(code, 0, `${args.join(' ')}\n${stderr}`);
    }
    for (const [program, ...args] of ours) {
      assert.equal(program, 'bin/chainsmith');
      const { code, stdout, stderr } = await run(process.execPath, [cli, ...args], { cwd: folder.dir });
      assert.equal(code, 0, `${args.join(' ')}\n${stdout}${stderr}`);
    }
    assert.equal(await first.interrupt(), 0);
  });

  it('signs what is dropped in while it runs, and nothing again when it is started again', async () => {
    await using folder = await scratch('start');
    await cp(path.join(root, 'examples'), path.join(folder.dir, 'examples'), { recursive: true });
    {
      await using first = start(folder.dir);
      await until('the examples to be signed', 30_000, () => wordsIn(first.text(), 'signed and proven') === exampleRuns);
      const file = path.join(folder.dir, 'examples/runs/build-image.yaml');
      const other = (await readFile(file, 'utf8')).replaceAll('7f3k2', 'x9x9x').replace('5b0c1c1e', '6b0c1c1e');
      await writeFile(path.join(folder.dir, 'examples/runs/another.yaml'), other);
      await until('the new one to be signed', 30_000, () => first.text().includes('signed and proven  TaskRun shop/build-web-x9x9x'));
      assert.equal(await first.interrupt(), 0);
    }
    const index = await readFile(path.join(folder.dir, '.chainsmith/oci/index.json'), 'utf8');
    await using second = start(folder.dir);
    await until('all runs to be known', 30_000, () => wordsIn(second.text(), 'signed before') === exampleRuns + 1);

    assert.equal(wordsIn(second.text(), 'signed and proven'), 0);
    assert.equal(await readFile(path.join(folder.dir, '.chainsmith/oci/index.json'), 'utf8'), index);
  });
});
