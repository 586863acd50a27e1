import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LintOptions } from './finding.ts';
import { lint } from './lint.ts';
import { rules } from './rules.ts';
import { sourceOf } from './source.ts';

const options: LintOptions = {
  deepInspection: false,
  strict: { TaskRun: false, PipelineRun: false },
  hints: [],
  nativeArtifacts: false,
  hidden: [],
};
const strict: LintOptions = { ...options, strict: { TaskRun: true, PipelineRun: true } };
const deep: LintOptions = { ...options, deepInspection: true };

/** Rules with the lines that they speak of. */
function found(text: string, chosen: LintOptions = options): readonly string[] {
  return lint([sourceOf('f', text)], chosen).findings.map(({ rule, line }) => `${line} ${rule}`);
}

function outputs(text: string, chosen: LintOptions = options): readonly string[] {
  return lint([sourceOf('f', text)], chosen).judged.flatMap((judged) => judged.outputs.map(({ role, what }) => `${role} ${what}`));
}

/** A Task; its results start at line 6. */
function task(results: string, more = '', name = 'build'): string {
  return `apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: ${name}}\nspec:\n  results:\n${results}${more}`;
}
/** A step that names everything that the results need. */
const writing = (...names: readonly string[]): string =>
  `  steps:\n    - name: s\n      script: |\n${names.map((name) => `        printf %s x > $(results.${name}.path)\n`).join('')}`;
/** A Pipeline; its tasks start at line 6. */
function pipeline(tasks: string, more = ''): string {
  return `apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: release}\nspec:\n  tasks:\n${tasks}${more}`;
}
const both = '    - name: IMAGE_URL\n    - name: IMAGE_DIGEST\n';
const wrote = writing('IMAGE_URL', 'IMAGE_DIGEST');
const output = (name: string, properties: string): string => `    - {name: ${name}, type: object, properties: {${properties}}}\n`;

interface Case {
  readonly name: string;
  readonly text: string;
  readonly expected: readonly string[];
  readonly options?: LintOptions;
}

const tasks: readonly Case[] = [
  { name: 'a whole pair', text: task(both, wrote), expected: [] },
  { name: 'a task without results', text: 'apiVersion: tekton.dev/v1\nkind: Task\nspec: {steps: []}\n', expected: [] },
  { name: 'a url without its digest', text: task('    - name: IMAGE_URL\n'), expected: ['6 extract.incomplete-pair'] },
  { name: 'a digest without its url', text: task('    - name: a_IMAGE_DIGEST\n'), expected: ['6 extract.incomplete-pair'] },
  {
    name: 'halves with different prefixes',
    text: task('    - name: a_IMAGE_URL\n    - name: b_IMAGE_DIGEST\n'),
    expected: ['6 extract.incomplete-pair', '7 extract.incomplete-pair'],
  },
  {
    name: 'a half whose other half has the wrong case, once',
    text: task('    - name: IMAGE_URL\n    - name: image_digest\n'),
    expected: ['7 extract.near-miss'],
  },
  { name: 'ARTIFACT_URL', text: task('    - name: ARTIFACT_URL\n'), expected: ['6 extract.near-miss'] },
  { name: 'ARTIFACTS_OUTPUTS', text: task('    - name: x_ARTIFACTS_OUTPUTS\n'), expected: ['6 extract.near-miss'] },
  {
    name: 'a param that is a near miss',
    text: 'apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  params:\n    - name: chains-git-url\n',
    expected: ['5 extract.near-miss'],
  },
  { name: 'an artifact that is a string', text: task('    - name: ARTIFACT_OUTPUTS\n'), expected: ['6 extract.object-hint'] },
  {
    name: 'an artifact without a digest',
    text: task(output('ARTIFACT_INPUTS', 'uri: {type: string}')),
    expected: ['6 extract.object-hint'],
  },
  { name: 'a whole artifact', text: task(output('x_ARTIFACT_OUTPUTS', 'uri: {}, digest: {}')), expected: [] },
  { name: 'IMAGES that is an array', text: task('    - {name: IMAGES, type: array}\n'), expected: ['6 extract.images-type'] },
  { name: 'IMAGES that is a string', text: task('    - {name: IMAGES, type: string}\n'), expected: [] },
  {
    name: 'a digest that is an array, and the half that it leaves',
    text: task('    - name: IMAGE_URL\n    - {name: IMAGE_DIGEST, type: array}\n'),
    expected: ['6 extract.incomplete-pair', '7 extract.empty-hint'],
  },
  { name: 'a git url without its commit', text: task('    - name: CHAINS-GIT_URL\n'), expected: ['6 extract.incomplete-git'] },
  {
    name: 'a git url as a param, and the commit as a result',
    text: task('    - name: CHAINS-GIT_COMMIT\n', '  params: [{name: CHAINS-GIT_URL}]\n'),
    expected: [],
  },
  {
    name: 'a git param alone',
    text: 'apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  params:\n    - name: CHAINS-GIT_URL\n',
    expected: ['5 extract.incomplete-git'],
  },
  { name: 'an image and a digest by other names', text: task('    - name: digest\n    - name: image\n'), expected: ['7 lint.look-alike'] },
  {
    name: 'a url and a commit by other names',
    text: task('    - name: repo-url\n    - name: repo-commit\n'),
    expected: ['6 lint.look-alike'],
  },
  { name: 'two names that have nothing to do with each other', text: task('    - name: image\n    - name: app-digest\n'), expected: [] },
  { name: 'a hint that no step writes', text: task(both, writing('IMAGE_URL')), expected: ['7 lint.unwritten'] },
  { name: 'a hint that a StepAction may write', text: task(both, '  steps: [{name: s, ref: {name: kaniko}}]\n'), expected: [] },
  {
    name: 'a hint that a step gives',
    text: task('    - {name: IMAGES, value: $(steps.s.results.images)}\n', '  steps: [{name: s, image: i}]\n'),
    expected: [],
  },
  {
    name: 'a hint that a step writes by its path',
    text: task('    - name: IMAGES\n', '  steps: [{args: [--out=/tekton/results/IMAGES]}]\n'),
    expected: [],
  },
  {
    name: 'a commit with a line end',
    text: task(
      '    - name: CHAINS-GIT_URL\n    - name: CHAINS-GIT_COMMIT\n',
      `  steps:\n    - script: |\n        git rev-parse HEAD > $(results.CHAINS-GIT_COMMIT.path)\n        echo -n u > $(results.CHAINS-GIT_URL.path)\n`,
    ),
    expected: ['9 lint.line-end'],
  },
  {
    name: 'a commit without a line end',
    text: task(
      '    - name: CHAINS-GIT_URL\n    - name: CHAINS-GIT_COMMIT\n',
      `  steps:\n    - script: |\n        git rev-parse HEAD | tr -d '\\n' > $(results.CHAINS-GIT_COMMIT.path)\n        printf %s u > $(results.CHAINS-GIT_URL.path)\n`,
    ),
    expected: [],
  },
  {
    name: 'a digest with a line end, which is cut',
    text: task(both, `${wrote}        echo x > $(results.IMAGE_DIGEST.path)\n`),
    expected: [],
  },
  {
    name: 'a flag that is no text',
    text: task(
      output('ARTIFACT_OUTPUTS', 'uri: {}, digest: {}'),
      `  steps:\n    - script: echo '{"isBuildArtifact":true}' > $(results.ARTIFACT_OUTPUTS.path)\n`,
    ),
    expected: ['8 lint.flag-type'],
  },
  {
    name: 'a flag that is a text',
    text: task(
      output('ARTIFACT_OUTPUTS', 'uri: {}, digest: {}'),
      `  steps:\n    - script: echo '{"isBuildArtifact":"true"}' > $(results.ARTIFACT_OUTPUTS.path)\n`,
    ),
    expected: [],
  },
  {
    name: 'an output without a flag, for slsa/v2alpha4',
    options: strict,
    text: task(output('ARTIFACT_OUTPUTS', 'uri: {}, digest: {}')),
    expected: ['6 lint.unflagged'],
  },
  {
    name: 'an output with a flag, for slsa/v2alpha4',
    options: strict,
    text: task(output('ARTIFACT_OUTPUTS', 'uri: {}, digest: {}, isBuildArtifact: {}')),
    expected: [],
  },
  {
    name: 'an artifact pair, for slsa/v2alpha4',
    options: strict,
    text: task('    - name: ARTIFACT_URI\n    - name: ARTIFACT_DIGEST\n'),
    expected: ['6 lint.unread-pair'],
  },
  { name: 'an artifact pair', text: task('    - name: ARTIFACT_URI\n    - name: ARTIFACT_DIGEST\n'), expected: [] },
  {
    name: "a step's result that stays in the step",
    text: 'apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n    - name: s\n      results:\n        - name: IMAGES\n',
    expected: ['7 lint.step-result'],
  },
  {
    name: "a step's result, for slsa/v2alpha4",
    options: strict,
    text: 'apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n    - name: s\n      results:\n        - name: IMAGES\n',
    expected: [],
  },
  { name: 'git-clone', text: task('    - name: url\n    - name: commit\n', '', 'git-clone'), expected: ['5 lint.known-task'] },
  {
    name: 'git-clone when extract.hints knows it',
    options: {
      ...options,
      hints: [
        { task: 'git-clone', from: 'result', name: 'url', hint: 'CHAINS-GIT_URL' },
        { task: 'git-clone', from: 'result', name: 'commit', hint: 'CHAINS-GIT_COMMIT' },
      ],
    },
    text: task('    - name: url\n    - name: commit\n', '', 'git-clone'),
    expected: [],
  },
  { name: 'ko without results', text: task('    []\n', '', 'ko'), expected: ['5 lint.known-task'] },
  {
    name: 'a StepAction with half a pair',
    text: 'apiVersion: tekton.dev/v1beta1\nkind: StepAction\nspec:\n  results:\n    - name: IMAGE_URL\n',
    expected: ['5 extract.incomplete-pair', '5 lint.unwritten'],
  },
  { name: 'a v1beta1 Task', text: task('    - name: IMAGE_URL\n').replace('/v1', '/v1beta1'), expected: ['6 extract.incomplete-pair'] },
  {
    name: 'an inline task of a TaskRun that has not run',
    text: 'apiVersion: tekton.dev/v1\nkind: TaskRun\nspec:\n  taskSpec:\n    results:\n      - name: IMAGE_URL\n',
    expected: ['6 extract.incomplete-pair'],
  },
  { name: 'another group', text: task('    - name: IMAGE_URL\n').replace('tekton.dev', 'example.dev'), expected: [] },
];

const buildTask = `${task(both, wrote)}---\n`;
const known = '    - {name: clone, taskRef: {name: git-clone}}\n';
const pipelines: readonly Case[] = [
  {
    name: 'a pipeline without results of a task that makes an image',
    text: buildTask + pipeline('    - {name: b, taskRef: {name: build}}\n'),
    expected: ['19 lint.unsurfaced'],
  },
  {
    name: 'the same with deep inspection',
    options: deep,
    text: buildTask + pipeline('    - {name: b, taskRef: {name: build}}\n'),
    expected: [],
  },
  {
    name: 'a pipeline that tells of the image',
    text:
      buildTask +
      pipeline(
        '    - {name: b, taskRef: {name: build}}\n',
        '  results:\n    - {name: IMAGE_URL, value: $(tasks.b.results.IMAGE_URL)}\n    - {name: IMAGE_DIGEST, value: $(tasks.b.results.IMAGE_DIGEST)}\n',
      ),
    expected: [],
  },
  {
    name: 'a pipeline that tells of the image by another name',
    text:
      buildTask +
      pipeline('    - {name: b, taskRef: {name: build}}\n', '  results:\n    - {name: image, value: $(tasks.b.results.IMAGE_URL)}\n'),
    expected: ['19 lint.unsurfaced'],
  },
  {
    name: 'a pipeline that tells half of it',
    text:
      buildTask +
      pipeline('    - {name: b, taskRef: {name: build}}\n', '  results:\n    - {name: IMAGE_URL, value: $(tasks.b.results.IMAGE_URL)}\n'),
    expected: ['21 extract.incomplete-pair'],
  },
  {
    name: 'an image of a task that is well known',
    text: pipeline('    - {name: b, taskRef: {name: kaniko}}\n'),
    expected: ['6 lint.unsurfaced'],
  },
  {
    name: 'an inline task',
    text: pipeline('    - name: b\n      taskSpec:\n        results:\n          - name: IMAGES\n'),
    expected: ['6 lint.unsurfaced'],
  },
  {
    name: 'half a pair of an inline task',
    text: pipeline('    - name: b\n      taskSpec:\n        results:\n          - name: IMAGE_URL\n'),
    expected: ['9 extract.incomplete-pair'],
  },
  {
    name: "a custom task's specification",
    text: pipeline('    - name: b\n      taskSpec:\n        apiVersion: example.dev/v1\n        results:\n          - name: IMAGE_URL\n'),
    expected: [],
  },
  { name: 'a clone whose results nobody reads', text: pipeline(known), expected: ['6 lint.known-task'] },
  {
    name: 'a clone whose results are those of the pipeline',
    text: pipeline(
      known,
      '  results:\n    - {name: CHAINS-GIT_URL, value: $(tasks.clone.results.url)}\n    - {name: CHAINS-GIT_COMMIT, value: $(tasks.clone.results.commit)}\n',
    ),
    expected: [],
  },
  {
    name: 'a clone beside git params',
    text: pipeline(known, '  params: [{name: CHAINS-GIT_URL}, {name: CHAINS-GIT_COMMIT}]\n'),
    expected: [],
  },
  { name: 'jib, whose url is a param', text: pipeline('    - {name: b, taskRef: {name: jib-maven}}\n'), expected: ['6 lint.known-task'] },
  { name: 'ko', text: pipeline('    - {name: b, taskRef: {name: ko}}\n'), expected: ['6 lint.known-task'] },
  {
    name: 'a result of a task that is not there',
    text: pipeline('    - {name: a, taskRef: {name: x}}\n', '  results:\n    - {name: r, value: $(tasks.b.results.r)}\n'),
    expected: ['8 lint.missing-task'],
  },
  {
    name: 'a result that the task does not have',
    text: pipeline(
      '    - {name: a, taskSpec: {results: [{name: s}]}}\n',
      '  results:\n    - {name: r, value: "$(tasks.a.results[\'r\'])"}\n',
    ),
    expected: ['8 lint.missing-result'],
  },
  {
    name: 'a result of finally, asked for as one of tasks',
    text: pipeline(
      '    []\n',
      '  finally: [{name: f, taskSpec: {results: [{name: r}]}}]\n  results:\n    - {name: r, value: $(tasks.f.results.r)}\n',
    ),
    expected: ['9 lint.finally-result'],
  },
  {
    name: 'a result of finally',
    text: pipeline(
      '    []\n',
      '  finally: [{name: f, taskSpec: {results: [{name: r}]}}]\n  results:\n    - {name: r, value: $(finally.f.results.r)}\n',
    ),
    expected: [],
  },
  {
    name: 'an artifact that is not asked for as a whole',
    text: pipeline(
      `    - {name: a, taskSpec: {results: [{name: x_ARTIFACT_OUTPUTS, type: object, properties: {uri: {}, digest: {}}}]}}\n`,
      '  results:\n    - {name: x_ARTIFACT_OUTPUTS, value: $(tasks.a.results.x_ARTIFACT_OUTPUTS)}\n',
    ),
    expected: ['8 extract.object-hint'],
  },
  {
    name: 'an artifact that is asked for as a whole',
    text: pipeline(
      `    - {name: a, taskSpec: {results: [{name: x_ARTIFACT_OUTPUTS, type: object, properties: {uri: {}, digest: {}}}]}}\n`,
      '  results:\n    - {name: x_ARTIFACT_OUTPUTS, type: object, value: "$(tasks.a.results.x_ARTIFACT_OUTPUTS[*])"}\n',
    ),
    expected: [],
  },
  { name: 'a near miss', text: pipeline('    []\n', '  results:\n    - {name: image-url, value: x}\n'), expected: ['8 extract.near-miss'] },
  {
    name: 'half a git source',
    text: pipeline('    []\n', '  results:\n    - {name: CHAINS-GIT_COMMIT, value: x}\n'),
    expected: ['8 extract.incomplete-git'],
  },
  {
    name: 'an inline pipeline of a PipelineRun',
    text: 'apiVersion: tekton.dev/v1\nkind: PipelineRun\nspec:\n  pipelineSpec:\n    tasks:\n      - {name: b, taskRef: {name: kaniko}}\n',
    expected: ['6 lint.unsurfaced'],
  },
];

const digest = `sha256:${'1'.repeat(64)}`;
const taskRun = (results: string, more = ''): string =>
  `apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: b}\n${more}status:\n  completionTime: "2026-05-04T09:13:41Z"\n  results:\n${results}`;
const runs: readonly Case[] = [
  {
    name: 'a run with an image',
    text: taskRun(`    - {name: IMAGE_URL, value: reg.example/app}\n    - {name: IMAGE_DIGEST, value: "${digest}"}\n`),
    expected: [],
  },
  {
    name: 'a short digest',
    text: taskRun('    - {name: IMAGE_URL, value: reg.example/app}\n    - {name: IMAGE_DIGEST, value: "sha256:abc"}\n'),
    expected: ['7 extract.image-reference'],
  },
  {
    name: 'half a pair',
    text: taskRun('    - {name: x, value: y}\n    - {name: IMAGE_URL, value: reg.example/app}\n'),
    expected: ['8 extract.incomplete-pair'],
  },
  { name: 'a near miss', text: taskRun('    - {name: image_url, value: reg.example/app}\n'), expected: ['7 extract.near-miss'] },
  {
    name: 'results of v1beta1',
    text: taskRun('    - {name: IMAGE_URL, value: reg.example/app}\n')
      .replace('results:', 'taskResults:')
      .replace('/v1', '/v1beta1')
      .replace('status:', 'status:\n  conditions: [{type: Succeeded}]'),
    expected: ['8 extract.incomplete-pair'],
  },
  {
    name: 'a container that never started',
    text: `${taskRun('    []\n')}  steps:\n    - {name: s, imageID: ""}\n`,
    expected: ['9 extract.image-id'],
  },
  {
    name: 'a half given as a param',
    text: taskRun('    []\n', 'spec:\n  params:\n    - {name: CHAINS-GIT_URL, value: https://git.example/a}\n'),
    expected: ['6 extract.incomplete-git'],
  },
  {
    name: 'a run of git-clone',
    text: taskRun(
      `    - {name: url, value: https://git.example/a}\n    - {name: commit, value: ${'c'.repeat(40)}}\n`,
      'spec: {taskRef: {name: git-clone}}\n',
    ),
    expected: ['8 lint.known-task'],
  },
  {
    name: 'a PipelineRun whose TaskRun made an image that it does not tell',
    text:
      `apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: p}\nstatus:\n  conditions: [{type: Succeeded}]\n  childReferences: [{kind: TaskRun, name: b}]\n  pipelineSpec: {tasks: [{name: build}]}\n---\n` +
      taskRun(`    - {name: IMAGES, value: "reg.example/app@${digest}"}\n`).replace(
        '{name: b}',
        '{name: b, labels: {tekton.dev/pipelineTask: build}}',
      ),
    expected: ['5 lint.unsurfaced'],
  },
];

const broken: readonly Case[] = [
  { name: 'a text that is no YAML', text: 'a: [\n  b', expected: ['2 lint.unreadable'] },
  { name: 'a key that stands twice', text: 'kind: Task\nspec: {}\nspec: {}\n', expected: ['3 lint.unreadable'] },
  {
    name: 'one broken document, and says the others',
    text: `a: b: c\n---\n${task('    - name: IMAGE_URL\n')}`,
    expected: ['1 lint.unreadable', '8 extract.incomplete-pair'],
  },
  {
    name: 'an alias bomb',
    text: `a: &a [x, x]\n${'bcdefghijklm'
      .split('')
      .map((letter, index) => `${letter}: &${letter} [${`*${'abcdefghijklm'[index] ?? ''},`.repeat(9)}]\n`)
      .join('')}`,
    expected: ['1 lint.unreadable'],
  },
];

describe('lint', () => {
  for (const { name, text, expected, options: chosen } of [...tasks, ...pipelines, ...runs, ...broken]) {
    it(`${expected.length === 0 ? 'has nothing against' : 'tells'} ${name}`, () => {
      assert.deepEqual(found(text, chosen), expected);
    });
  }

  it('has a case for every rule', () => {
    const told = new Set(
      [...tasks, ...pipelines, ...runs, ...broken].flatMap(({ expected }) => expected.map((line) => line.split(' ')[1])),
    );
    // These speak of values, and are held by the tests of extraction.
    const ofValues = ['extract.artifact-digest', 'extract.digest-form', 'extract.git-commit', 'extract.truncated', 'extract.not-an-image'];

    assert.deepEqual(
      Object.keys(rules).filter((rule) => !told.has(rule)),
      ofValues.toSorted((one, other) => Object.keys(rules).indexOf(one) - Object.keys(rules).indexOf(other)),
    );
  });

  it('unfolds lists, and finds what is in them', () => {
    const list = `apiVersion: v1\nkind: List\nitems:\n  - apiVersion: tekton.dev/v1\n    kind: Task\n    spec:\n      results:\n        - name: IMAGE_URL\n`;
    const typed = `{"apiVersion":"tekton.dev/v1","kind":"TaskList","items":[\n{"spec":{"results":[\n{"name":"IMAGE_URL"}]}}]}`;

    assert.deepEqual(found(list), ['8 extract.incomplete-pair']);
    assert.deepEqual(found(typed), ['3 extract.incomplete-pair']);
  });

  it('sees files together', () => {
    const report = lint(
      [sourceOf('a.yaml', pipeline('    - {name: b, taskRef: {name: build}}\n')), sourceOf('b.yaml', task(both, wrote))],
      options,
    );

    assert.deepEqual(
      report.findings.map(({ rule, file }) => [rule, file]),
      [['lint.unsurfaced', 'a.yaml']],
    );
  });

  it('says what would become of each result', () => {
    const text = task(
      `${both}    - name: IMAGES\n    - name: CHAINS-GIT_COMMIT\n${output('a_ARTIFACT_INPUTS', 'uri: {}, digest: {}')}${output('b_ARTIFACT_OUTPUTS', 'uri: {}, digest: {}')}`,
      '  params: [{name: CHAINS-GIT_URL}]\n',
    );

    assert.deepEqual(outputs(text), [
      'subject IMAGE_URL and IMAGE_DIGEST',
      'subject IMAGES',
      'subject b_ARTIFACT_OUTPUTS',
      'material CHAINS-GIT_URL (param CHAINS-GIT_URL) and CHAINS-GIT_COMMIT',
      'material a_ARTIFACT_INPUTS',
    ]);
  });

  it('says what becomes of the tasks of a pipeline with deep inspection', () => {
    const text = pipeline('    - {name: b, taskRef: {name: kaniko}}\n');

    assert.deepEqual(outputs(text), []);
    assert.deepEqual(outputs(text, deep), ['subject IMAGE_URL and IMAGE_DIGEST']);
  });

  it('shows no token, no password and no value that is to be redacted', () => {
    const token = `ghp_${'a'.repeat(36)}`;
    const text = taskRun(
      `    - {name: image_url, value: ${token}}\n    - {name: secret_IMAGE_URL, value: hunter2}\n    - {name: CHAINS-GIT_URL, value: "https://me:hunter2@git.example/a"}\n    - {name: CHAINS-GIT_COMMIT, value: ${'c'.repeat(40)}}\n`,
    );

    const report = JSON.stringify(lint([sourceOf('f', text)], { ...options, hidden: ['secret*'] }), (name, value: unknown) =>
      name === 'edits' ? [] : value,
    );

    assert.match(report, /image_url/);
    assert.doesNotMatch(report, /hunter2|ghp_/);
  });

  it('names the rules for extract.hints that a known task needs', () => {
    const { findings } = lint([sourceOf('f', task('    - name: IMAGE-DIGEST\n', '  params: [{name: IMAGE}]\n', 'kaniko'))], options);

    assert.deepEqual(
      findings.filter(({ rule }) => rule === 'lint.known-task').map(({ fix }) => fix),
      ['Set extract.hints to "kaniko:IMAGE-DIGEST=IMAGE_DIGEST, kaniko:params.IMAGE=IMAGE_URL"'],
    );
  });
});
