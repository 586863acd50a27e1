import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { recorded, type Recorded, type World } from '../../test/recorded-io.ts';
import { rules } from '../lint/rules.ts';
import { lintCommand } from './lint.ts';

const run = async (args: readonly string[], world: World = {}): Promise<Recorded> => await recorded(lintCommand, args, world);
const mending = join(import.meta.dirname, '../../examples/lint/build-and-release.yaml');
const known = join(import.meta.dirname, '../../examples/lint/well-known-tasks.yaml');
const hints = 'extract.hints=git-clone:url=CHAINS-GIT_URL, git-clone:commit=CHAINS-GIT_COMMIT, jib-maven:params.IMAGE=IMAGE_URL';

async function folderOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'chainsmith-lint-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(path, name, '..'), { recursive: true });
    await writeFile(join(path, name), content);
  }
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) };
}

const half = 'apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: build}\nspec:\n  results:\n    - name: IMAGE_URL # where\n';
const whole = `${half}    - name: IMAGE_DIGEST\n      type: string\n`;

describe('lint', () => {
  it('ends with 0 when it finds nothing, and says what would be made', async () => {
    await using folder = await folderOf({ 'task.yaml': whole });
    const file = join(folder.path, 'task.yaml');

    assert.deepEqual(await run(['-f', file]), {
      code: 0,
      stdout: `${file}:1 Task build\n  subject  IMAGE_URL and IMAGE_DIGEST\nnothing found\n`,
      stderr: '',
    });
  });

  it('ends with 1 when it finds something, and says where, why, the fix and the YAML', async () => {
    await using folder = await folderOf({ 'task.yaml': half });
    const file = join(folder.path, 'task.yaml');

    assert.deepEqual(await run(['-f', folder.path]), {
      code: 1,
      stdout: [
        `${file}:1 Task build`,
        '  no subject and no material',
        `${file}:6:7: error extract.incomplete-pair: the result "IMAGE_URL" is not used: "IMAGE_DIGEST", which belongs to it, is not declared`,
        '  fix: Declare the result "IMAGE_DIGEST", and let a step write it to $(results.IMAGE_DIGEST.path) (--fix does it)',
        '    results:',
        '      - name: IMAGE_DIGEST',
        '        type: string',
        '1 found, 1 of them for --fix',
        '',
      ].join('\n'),
      stderr: '',
    });
  });

  it('says broken files with their line, and what cannot be read', async () => {
    await using folder = await folderOf({ 'a.yaml': 'kind: [\n', 'b.yaml': new Uint8Array([0xff, 0xfe]), 'c.yml': '', 'd.txt': 'kind: [' });

    const { code, stdout } = await run(['-f', folder.path, join(folder.path, 'none.yaml'), '--format', 'json']);

    const { findings } = JSON.parse(stdout) as { findings: readonly { file: string; line: number; rule: string }[] };
    assert.equal(code, 1);
    assert.deepEqual(
      findings.map(({ file, line, rule }) => [file.slice(folder.path.length + 1), line, rule]),
      [
        ['a.yaml', 2, 'lint.unreadable'],
        ['b.yaml', 1, 'lint.unreadable'],
        ['none.yaml', 1, 'lint.unreadable'],
      ],
    );
  });

  it('says that there is nothing to look at', async () => {
    await using folder = await folderOf({ 'a.yaml': 'apiVersion: v1\nkind: ConfigMap\n' });

    assert.deepEqual(await run(['-f', folder.path]), {
      code: 0,
      stdout: 'nothing found\n',
      stderr: 'there are no Tekton objects to look at\n',
    });
  });

  it('ends with 0 when it only has something to note', async () => {
    const text = `apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r}\nstatus:\n  results: []\n  steps:\n    - {name: s, imageID: ""}\n`;
    await using folder = await folderOf({ 'run.yaml': text });

    const { code, stdout } = await run(['-f', folder.path]);

    assert.equal(code, 0);
    assert.match(stdout, /run\.yaml:7:26: note extract\.image-id: /);
  });

  const misused = [
    { name: 'no file', args: [] },
    { name: 'a format that there is not', args: ['-f', mending, '--format', 'xml'] },
    { name: 'an unknown flag', args: ['-f', mending, '--mend'] },
    { name: 'a wrong configuration', args: ['-f', mending, '--set', 'extract.hints=nonsense'] },
  ] as const;
  for (const { name, args } of misused) {
    it(`ends with 2 for ${name}`, async () => {
      const { code, stdout } = await run(args);

      assert.deepEqual([code, stdout], [2, '']);
    });
  }

  it('judges as the configuration says', async () => {
    const rulesOf = async (...args: readonly string[]) => {
      const { stdout } = await run(['-f', known, '--format', 'json', ...args]);
      return (JSON.parse(stdout) as { findings: readonly { rule: string }[] }).findings.map(({ rule }) => rule);
    };

    assert.deepEqual(await rulesOf(), ['lint.known-task', 'lint.known-task', 'lint.unsurfaced']);
    assert.deepEqual(await rulesOf('--deep-inspection'), ['lint.known-task', 'lint.known-task']);
    assert.deepEqual(await rulesOf('--set', 'artifacts.pipelinerun.enable-deep-inspection=true', '--set', hints), []);
  });

  it('takes the subjects of slsa/v2alpha4 when a configuration asks for it', async () => {
    const text = half.replace('- name: IMAGE_URL # where', '- {name: ARTIFACT_OUTPUTS, type: object, properties: {uri: {}, digest: {}}}');
    await using folder = await folderOf({ 'task.yaml': text, 'chains.yml': 'artifacts.taskrun.format: slsa/v2alpha4\n' });
    const file = join(folder.path, 'task.yaml');

    const loose = await run(['-f', file, '--format', 'json']);
    const strict = await run(['-f', file, '--format', 'json', '--config', join(folder.path, 'chains.yml')]);

    assert.equal(loose.code, 0);
    assert.match(strict.stdout, /"rule": "lint.unflagged"/);
  });

  it('prints one mended file and nothing else, and what is left on stderr', async () => {
    await using folder = await folderOf({ 'task.yaml': half });

    const fixed = await run(['-f', folder.path, '--fix']);

    assert.deepEqual([fixed.code, fixed.stdout], [0, whole]);
    assert.match(fixed.stderr, /nothing found\n$/);
  });

  it('prints those of several files that change, each with its name', async () => {
    await using folder = await folderOf({ 'a.yaml': half, 'b.yaml': whole, 'c.yaml': `---\n${half}` });

    const { stdout } = await run(['-f', folder.path, '--fix']);

    const [a, c] = ['a.yaml', 'c.yaml'].map((name) => join(folder.path, name));
    assert.equal(stdout, `---\n# ${a}\n${whole}# ${c}\n---\n${whole}`);
  });

  it('mends the example, but for what a person must', async () => {
    const { code, stdout, stderr } = await run(['-f', mending, '--fix']);
    await using folder = await folderOf({ 'mended.yaml': stdout });
    const again = await run(['-f', folder.path, '--fix']);

    assert.equal(code, 1);
    assert.equal(again.stdout, stdout);
    assert.match(stderr, /3 found, 0 of them for --fix\n$/);
    assert.match(stdout, /# The quotes around true are missing\./);
  });
});

/** What SARIF 2.1.0 (OASIS) demands of the members that are written here. */
const Sarif = z.strictObject({
  $schema: z.url(),
  version: z.literal('2.1.0'),
  runs: z.array(
    z.strictObject({
      tool: z.strictObject({
        driver: z.strictObject({
          name: z.string().min(1),
          rules: z.array(
            z.strictObject({
              id: z.string().min(1),
              shortDescription: z.strictObject({ text: z.string().min(1) }),
              defaultConfiguration: z.strictObject({ level: z.enum(['none', 'note', 'warning', 'error']) }),
            }),
          ),
        }),
      }),
      columnKind: z.enum(['utf16CodeUnits', 'unicodeCodePoints']),
      results: z.array(
        z.strictObject({
          ruleId: z.string(),
          ruleIndex: z.int().min(0),
          level: z.enum(['none', 'note', 'warning', 'error']),
          message: z.strictObject({ text: z.string().min(1) }),
          locations: z.array(
            z.strictObject({
              physicalLocation: z.strictObject({
                artifactLocation: z.strictObject({ uri: z.string().min(1) }),
                region: z.strictObject({ startLine: z.int().min(1), startColumn: z.int().min(1) }),
              }),
            }),
          ),
        }),
      ),
    }),
  ),
});

describe('lint --format sarif', () => {
  it('has the shape of SARIF 2.1.0, its rules, levels and places', async () => {
    await using folder = await folderOf({ 'a b#c.yaml': half });
    const { code, stdout } = await run(['-f', mending, folder.path, '--format', 'sarif']);

    const [log] = Sarif.parse(JSON.parse(stdout)).runs;
    const results = log?.results ?? [];

    assert.equal(code, 1);
    assert.deepEqual(new Set(log?.tool.driver.rules.map(({ id }) => id)), new Set(Object.keys(rules)));
    for (const { ruleId, ruleIndex, level } of results) {
      assert.equal(log?.tool.driver.rules[ruleIndex]?.id, ruleId);
      assert.equal(log?.tool.driver.rules[ruleIndex]?.defaultConfiguration.level, level);
    }
    const last = results.at(-1)?.locations[0]?.physicalLocation;
    assert.equal(new URL(last?.artifactLocation.uri ?? '', 'file:///').pathname.endsWith('/a%20b%23c.yaml'), true);
    assert.deepEqual(last?.region, { startLine: 6, startColumn: 7 });
  });

  it('has no results when nothing is found', async () => {
    await using folder = await folderOf({ 'task.yaml': whole });

    const { code, stdout } = await run(['-f', folder.path, '--format', 'sarif']);

    assert.equal(code, 0);
    assert.deepEqual(Sarif.parse(JSON.parse(stdout)).runs[0]?.results, []);
  });
});
