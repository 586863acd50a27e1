import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run, type Outcome } from '../servers/command.ts';
import { scratch } from '../servers/scratch.ts';
import { newTaskRun, succeeded } from './cluster.ts';

const root = path.join(import.meta.dirname, '../..');
const cli = path.join(root, 'src/cli/chainsmith.ts');

async function chainsmith(cwd: string, ...args: readonly string[]): Promise<Outcome> {
  return await run(process.execPath, [cli, ...args], { cwd });
}

describe('chainsmith explain', () => {
  it('says of a file what would be signed, and what was not used and how to mend it', async () => {
    await using folder = await scratch('explain');
    await cp(path.join(root, 'examples/runs'), path.join(folder.dir, 'runs'), { recursive: true });

    const { code, stdout } = await chainsmith(folder.dir, 'explain', '-f', 'runs/short-digest.yaml');

    assert.equal(code, 0);
    assert.match(stdout, /^signable {2}TaskRun shop\/build-docs-m2c8d\n/);
    assert.match(stdout, /not used status\.results\[IMAGE_URL\].*12 of 64 hex digits/);
  });

  const marked = (signed: string) => ({ annotations: { 'chains.tekton.dev/signed': signed } });
  const rows = [
    { name: 'running', object: newTaskRun('x'), code: 1, want: /^waiting .*\n {2}it has not completed yet/ },
    {
      name: 'signed',
      object: { ...newTaskRun('x'), metadata: { name: 'x', ...marked('true') }, ...succeeded(undefined) },
      code: 0,
      want: /^signed/,
    },
    {
      name: 'failed',
      object: { ...newTaskRun('x'), metadata: { name: 'x', ...marked('failed') }, ...succeeded(undefined) },
      code: 1,
      want: /^failed .*\n.*remove the annotation/,
    },
    {
      name: "somebody else's",
      object: { ...newTaskRun('x'), spec: { managedBy: 'other.example/x' }, ...succeeded(undefined) },
      code: 1,
      want: /^skipped .*\n.*other\.example\/x/,
    },
    {
      name: 'impossible',
      object: { ...newTaskRun('x'), spec: { params: [{ name: 'p' }] }, ...succeeded(undefined) },
      code: 1,
      want: /^unsignable .*\n.*\n.*format\.value-missing/,
    },
  ];
  for (const { name, object, code, want } of rows) {
    it(`tells a run that is ${name}`, async () => {
      await using folder = await scratch('explain');
      await writeFile(path.join(folder.dir, 'run.json'), JSON.stringify(object));

      const said = await chainsmith(folder.dir, 'explain', '-f', 'run.json');

      assert.equal(said.code, code, said.stdout + said.stderr);
      assert.match(said.stdout, want);
    });
  }

  it('knows from the journal what became of a run that is gone', async () => {
    await using folder = await scratch('explain');
    const signed = await chainsmith(folder.dir, 'attest', '-f', path.join(root, 'examples/runs/build-image.yaml'));
    assert.equal(signed.code, 0, signed.stderr);

    const { code, stdout } = await chainsmith(folder.dir, 'explain', '--journal', '--json', 'shop/build-web-7f3k2');

    assert.equal(code, 0);
    const { verdict, works } = JSON.parse(stdout) as { verdict: string; works: readonly { format: string; stores: readonly string[] }[] };
    assert.deepEqual([verdict, works.map(({ format }) => format)], ['signed', ['in-toto', 'simplesigning']]);
    assert.ok(works.every(({ stores }) => stores.every((store) => store.endsWith(', proven'))));
    const unknown = await chainsmith(folder.dir, 'explain', '--journal', 'shop/nobody');
    assert.deepEqual([unknown.code, unknown.stdout], [1, '']);
  });
});
