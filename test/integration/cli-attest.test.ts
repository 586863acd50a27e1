import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run, type Outcome } from '../servers/command.ts';
import { scratch } from '../servers/scratch.ts';
import { newTaskRun, succeeded } from './cluster.ts';

const cli = path.join(import.meta.dirname, '../../src/cli/chainsmith.ts');
const image = { repository: 'registry.example/app', digest: `sha256:${'a1'.repeat(32)}` };
const token = `ghp_${'Ab1'.repeat(12)}`;

async function chainsmith(cwd: string, args: readonly string[], input = ''): Promise<Outcome> {
  return await run(process.execPath, [cli, ...args], { cwd, input });
}

type Line = Readonly<Record<string, unknown>>;
const linesOf = ({ stdout }: Outcome): readonly Line[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

describe('chainsmith attest', () => {
  it('prints with --dry-run --json one object for each work, and what cannot be made in its place', async () => {
    await using folder = await scratch('attest');
    await mkdir(path.join(folder.dir, 'runs'));
    const good = { ...newTaskRun('good'), ...succeeded(image) };
    const bad = { ...newTaskRun('bad'), spec: { params: [{ name: 'p' }] }, ...succeeded(undefined) };
    await writeFile(
      path.join(folder.dir, 'runs/a.json'),
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [good, bad, newTaskRun('running')] }),
    );

    const outcome = await chainsmith(folder.dir, [
      'attest',
      '--dry-run',
      '--json',
      '-f',
      'runs',
      '--set',
      'artifacts.taskrun.format=slsa/v2alpha4',
    ]);

    assert.equal(outcome.code, 1);
    const lines = linesOf(outcome);
    assert.deepEqual(
      lines.map((line) => Object.keys(line).join(' ')),
      [
        'file kind namespace name uid artifact key format payloadType payload dropped',
        'file kind namespace name uid artifact key format payloadType payload dropped',
        'file kind namespace name uid artifact key format payloadType error dropped',
      ],
    );
    assert.deepEqual(
      lines.map(({ file, name, artifact, format, payloadType }) => [file, name, artifact, format, payloadType]),
      [
        ['runs/a.json', 'good', 'taskrun', 'slsa/v2alpha4', 'application/vnd.in-toto+json'],
        ['runs/a.json', 'good', 'oci', 'simplesigning', 'application/vnd.dev.cosign.simplesigning.v1+json'],
        ['runs/a.json', 'bad', 'taskrun', 'slsa/v2alpha4', 'application/vnd.in-toto+json'],
      ],
    );
    assert.equal((lines[2]?.['error'] as { code: string } | undefined)?.code, 'format.value-missing');
    assert.match(outcome.stderr, /default\/running: not complete yet/);
  });

  it('takes what is not complete with --any-state, and reads the standard input', async () => {
    await using folder = await scratch('attest');

    const outcome = await chainsmith(
      folder.dir,
      ['attest', '--dry-run', '--json', '--any-state', '-f', '-'],
      JSON.stringify(newTaskRun('running')),
    );

    assert.equal(outcome.code, 0, outcome.stderr);
    assert.deepEqual(
      linesOf(outcome).map(({ file, name }) => [file, name]),
      [['-', 'running']],
    );
  });

  it('looks for the children of a PipelineRun in its own file only', async () => {
    await using folder = await scratch('attest');
    const pipeline = {
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: { name: 'p' },
      spec: { pipelineRef: { name: 'p' } },
      ...succeeded(undefined, {
        childReferences: [{ kind: 'TaskRun', name: 'child', pipelineTaskName: 't' }],
        pipelineSpec: { tasks: [{ name: 't' }] },
      }),
    };
    const child = { ...newTaskRun('child', { name: 'p', uid: 'u', task: 't' }), ...succeeded(undefined) };
    await writeFile(path.join(folder.dir, 'together.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [pipeline, child] }));
    await writeFile(path.join(folder.dir, 'alone.json'), JSON.stringify(pipeline));

    const unresolved = async (file: string): Promise<unknown> => {
      const [line] = linesOf(await chainsmith(folder.dir, ['attest', '--dry-run', '--json', '-f', file]));
      const statement = line?.['payload'] as { predicate: { buildConfig: { unresolved?: unknown[] } } } | undefined;
      return statement?.predicate.buildConfig.unresolved?.length;
    };

    assert.deepEqual([await unresolved('together.json'), await unresolved('alone.json')], [undefined, 1]);
  });

  it('signs once and proves, says how many values it redacted, and signs nothing again', async () => {
    await using folder = await scratch('attest');
    const secret = { ...newTaskRun('secret'), spec: { params: [{ name: 'token', value: token }] }, ...succeeded(image) };
    await writeFile(path.join(folder.dir, 'run.json'), JSON.stringify(secret));

    const first = await chainsmith(folder.dir, ['attest', '--json', '-f', 'run.json']);
    const second = await chainsmith(folder.dir, ['attest', '--json', '-f', 'run.json']);
    const payload = await chainsmith(folder.dir, ['attest', '--dry-run', '-f', 'run.json']);

    assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr);
    const [once] = linesOf(first);
    assert.deepEqual([once?.['outcome'], once?.['redacted']], ['signed', 1]);
    assert.deepEqual(linesOf(second)[0]?.['stored'], once?.['stored']);
    assert.match(payload.stdout, /redacted:/);
    for (const { stdout, stderr } of [first, second, payload]) assert.ok(!`${stdout}${stderr}`.includes(token));
  });

  it('refuses a run with a dropped hint when it is told to, and goes on with the others', async () => {
    await using folder = await scratch('attest');
    const short = { ...newTaskRun('a-short'), ...succeeded({ ...image, digest: 'sha256:abc' }) };
    const items = [short, { ...newTaskRun('b-good'), ...succeeded(image) }];
    await writeFile(path.join(folder.dir, 'runs.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

    const outcome = await chainsmith(folder.dir, ['attest', '--json', '-f', 'runs.json', '--set', 'extract.on-dropped=fail']);
    const dry = await chainsmith(folder.dir, ['attest', '--dry-run', '--json', '-f', 'runs.json', '--set', 'extract.on-dropped=fail']);

    assert.deepEqual([outcome.code, dry.code], [1, 1]);
    assert.deepEqual(
      linesOf(outcome).map((line) => [line['name'], line['outcome'], line['code']]),
      [
        ['a-short', 'failed', 'extract.dropped'],
        ['b-good', 'signed', undefined],
      ],
    );
    assert.deepEqual(
      linesOf(dry).map(({ name, error }) => [name, (error as { code: string } | undefined)?.code]),
      [
        ['a-short', 'extract.dropped'],
        ['b-good', undefined],
        ['b-good', undefined],
      ],
    );
  });
});
