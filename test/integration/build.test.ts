import assert from 'node:assert/strict';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run } from '../servers/command.ts';
import { scratch } from '../servers/scratch.ts';

const root = path.join(import.meta.dirname, '../..');

describe('the build of the image', () => {
  it('gives a program that signs, as the Dockerfile lays it out', async () => {
    await using folder = await scratch('build');
    const inFolder = (name: string): string => path.join(folder.dir, name);
    const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
    const built = await run(process.execPath, [compiler, '-p', path.join(root, 'tsconfig.build.json'), '--outDir', inFolder('dist')], {
      cwd: root,
    });
    assert.equal(built.code, 0, built.stdout);
    await cp(path.join(root, 'config'), inFolder('dist/config'), { recursive: true });
    await cp(path.join(root, 'package.json'), inFolder('package.json'));
    await symlink(path.join(root, 'node_modules'), inFolder('node_modules'));

    const program = inFolder('dist/src/cli/chainsmith.js');
    const keys = await run(process.execPath, [program, 'keys', 'generate', '--no-password', '--output-key-prefix', inFolder('cosign')], {
      cwd: folder.dir,
    });
    assert.equal(keys.code, 0, keys.stderr);
    const flags = ['--set', `signers.x509.directory=${folder.dir}`, '--set', `journal.url=sqlite://${inFolder('journal.db')}`];
    const signed = await run(process.execPath, [program, 'attest', '-f', path.join(root, 'examples/runs'), ...flags], { cwd: folder.dir });

    assert.equal(signed.code, 2, 'there is no password beside the key, which is bad configuration');
    await writeFile(inFolder('cosign.password'), '');
    const again = await run(process.execPath, [program, 'attest', '--json', '-f', path.join(root, 'examples/runs'), ...flags], {
      cwd: folder.dir,
    });
    assert.equal(again.code, 0, again.stderr);
    const outcomes = again.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { outcome: string }).outcome);
    assert.deepEqual(outcomes, ['signed', 'signed', 'signed', 'signed', 'signed']);
    const library = `
      import { verifyBundle } from 'chainsmith/verify';
      process.stdout.write(verifyBundle(Buffer.from('{}'), { keys: [] }).check);`;
    const asked = await run(process.execPath, ['--input-type=module', '--eval', library], { cwd: folder.dir });
    assert.equal(asked.stdout, 'policy', asked.stderr);
    assert.match(await readFile(inFolder('dist/src/verify/library.d.ts'), 'utf8'), /export declare function verifyBundle/);
    assert.match(await readFile(path.join(root, 'Dockerfile'), 'utf8'), /dist\/src\/cli\/chainsmith\.js/);
  });
});
