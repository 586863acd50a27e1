import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LintOptions } from './finding.ts';
import { fix } from './fix.ts';
import { lint } from './lint.ts';
import { sourceOf } from './source.ts';

const options: LintOptions = {
  deepInspection: false,
  strict: { TaskRun: false, PipelineRun: false },
  hints: [],
  nativeArtifacts: false,
  hidden: [],
};

function fixed(text: string, chosen: LintOptions = options): string {
  return fix([sourceOf('f', text)], chosen).sources[0]?.text ?? '';
}
function mendable(text: string): readonly string[] {
  return lint([sourceOf('f', text)], options)
    .findings.filter(({ edits }) => edits.length > 0)
    .map(({ rule, line }) => `${line} ${rule}`);
}

const head = 'apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: build}\nspec:\n';

interface Case {
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

const cases: readonly Case[] = [
  {
    name: 'adds the other half of a pair, and keeps comments',
    before: `${head}  # what is made\n  results:\n    - name: IMAGE_URL # where\n      description: a\n    # the steps\n  steps: [] # none\n`,
    after: `${head}  # what is made\n  results:\n    - name: IMAGE_URL # where\n      description: a\n    - name: IMAGE_DIGEST\n      type: string\n    # the steps\n  steps: [] # none\n`,
  },
  {
    name: 'adds to a list that is not indented',
    before: `${head}  results:\n  - name: IMAGE_URL\n  steps: []\n`,
    after: `${head}  results:\n  - name: IMAGE_URL\n  - name: IMAGE_DIGEST\n    type: string\n  steps: []\n`,
  },
  {
    name: 'adds to a list in brackets',
    before: `${head}  results: [{name: IMAGE_URL}]\n`,
    after: `${head}  results: [{name: IMAGE_URL}, {"name":"IMAGE_DIGEST","type":"string"}]\n`,
  },
  {
    name: 'adds to the end of a file without a line end',
    before: `${head}  results:\n    - name: CHAINS-GIT_URL`,
    after: `${head}  results:\n    - name: CHAINS-GIT_URL\n    - name: CHAINS-GIT_COMMIT\n      type: string`,
  },
  {
    name: 'keeps the line ends of Windows',
    before: `${head}  results:\n    - name: IMAGE_URL\n`.replaceAll('\n', '\r\n'),
    after: `${head}  results:\n    - name: IMAGE_URL\n    - name: IMAGE_DIGEST\n      type: string\n`.replaceAll('\n', '\r\n'),
  },
  {
    name: 'renames a near miss, where it is declared and where it is written',
    before: `${head}  results:\n    - name: "image-digest"\n    - name: image-url\n  steps:\n    - script: |\n        a > $(results.image-digest.path) # results.image-digest\n        b > "$(results["image-url"].path)"\n      args: ["/tekton/results/image-digest", '$(results.image-digest-2.path)']\n`,
    after: `${head}  results:\n    - name: "IMAGE_DIGEST"\n    - name: IMAGE_URL\n  steps:\n    - script: |\n        a > $(results.IMAGE_DIGEST.path) # results.image-digest\n        b > "$(results["IMAGE_URL"].path)"\n      args: ["/tekton/results/IMAGE_DIGEST", '$(results.image-digest-2.path)']\n`,
  },
  {
    name: 'renames before it completes a pair',
    before: `${head}  results:\n    - name: IMAGE_URL\n    - name: image_digest\n`,
    after: `${head}  results:\n    - name: IMAGE_URL\n    - name: IMAGE_DIGEST\n`,
  },
  {
    name: 'makes an object of an artifact',
    before: `${head}  results:\n    - name: a_ARTIFACT_OUTPUTS\n      type: string # a file\n    - name: b_ARTIFACT_INPUTS\n      description: b\n`,
    after: `${head}  results:\n    - name: a_ARTIFACT_OUTPUTS\n      type: object # a file\n      properties:\n        uri:\n          type: string\n        digest:\n          type: string\n    - name: b_ARTIFACT_INPUTS\n      description: b\n      type: object\n      properties:\n        uri:\n          type: string\n        digest:\n          type: string\n`,
  },
  {
    name: 'adds the property that an artifact lacks',
    before: `${head}  results:\n    - name: ARTIFACT_OUTPUTS\n      type: object\n      properties:\n        uri: {type: string}\n`,
    after: `${head}  results:\n    - name: ARTIFACT_OUTPUTS\n      type: object\n      properties:\n        uri: {type: string}\n        digest:\n          type: string\n`,
  },
  {
    name: "makes a step's result one of the task, before its steps",
    before: `${head}  params: []\n  steps:\n    - name: s\n      ref: {name: build}\n      results:\n        - name: IMAGES\n`,
    after: `${head}  params: []\n  results:\n    - name: IMAGES\n      type: string\n      value: $(steps.s.results.IMAGES)\n  steps:\n    - name: s\n      ref: {name: build}\n      results:\n        - name: IMAGES\n`,
  },
  {
    name: 'surfaces what tasks make, in every document of a file',
    before: `kind: Pipeline\napiVersion: tekton.dev/v1\nspec:\n  tasks:\n    - {name: clone, taskRef: {name: git-clone}}\n    - {name: one, taskRef: {name: kaniko}}\n    - {name: two, taskRef: {name: kaniko}}\n--- # next\n# kept\napiVersion: v1\nkind: ConfigMap\n`,
    after: `kind: Pipeline\napiVersion: tekton.dev/v1\nspec:\n  tasks:\n    - {name: clone, taskRef: {name: git-clone}}\n    - {name: one, taskRef: {name: kaniko}}\n    - {name: two, taskRef: {name: kaniko}}\n  results:\n    - name: CHAINS-GIT_URL\n      value: $(tasks.clone.results.url)\n    - name: CHAINS-GIT_COMMIT\n      value: $(tasks.clone.results.commit)\n    - name: IMAGE_URL\n      value: $(tasks.one.results.IMAGE_URL)\n    - name: IMAGE_DIGEST\n      value: $(tasks.one.results.IMAGE_DIGEST)\n    - name: two_IMAGE_URL\n      value: $(tasks.two.results.IMAGE_URL)\n    - name: two_IMAGE_DIGEST\n      value: $(tasks.two.results.IMAGE_DIGEST)\n--- # next\n# kept\napiVersion: v1\nkind: ConfigMap\n`,
  },
  {
    name: 'asks finally for what is of finally, and objects for the whole',
    before: `kind: Pipeline\napiVersion: tekton.dev/v1\nspec:\n  finally:\n    - name: f\n      taskSpec:\n        results:\n          - {name: a_ARTIFACT_OUTPUTS, type: object, properties: {uri: {}, digest: {}}}\n  results:\n    - name: a_ARTIFACT_OUTPUTS\n      value: $(tasks.f.results.a_ARTIFACT_OUTPUTS)\n`,
    after: `kind: Pipeline\napiVersion: tekton.dev/v1\nspec:\n  finally:\n    - name: f\n      taskSpec:\n        results:\n          - {name: a_ARTIFACT_OUTPUTS, type: object, properties: {uri: {}, digest: {}}}\n  results:\n    - name: a_ARTIFACT_OUTPUTS\n      value: "$(finally.f.results.a_ARTIFACT_OUTPUTS[*])"\n      type: object\n`,
  },
  {
    name: 'keeps the form of JSON',
    before: `{\n\t"apiVersion": "tekton.dev/v1",\n\t"kind": "Task",\n\t"spec": {"results": [{"name": "IMAGE_URL", "n": 12345678901234567890}]}\n}\n`,
    after: `{\n\t"apiVersion": "tekton.dev/v1",\n\t"kind": "Task",\n\t"spec": {"results": [{"name": "IMAGE_URL", "n": 12345678901234567890}, {"name":"IMAGE_DIGEST","type":"string"}]}\n}\n`,
  },
  {
    name: 'mends the elements of a list',
    before: `apiVersion: v1\nkind: List\nitems:\n- apiVersion: tekton.dev/v1\n  kind: Task\n  spec:\n    results:\n    - name: IMAGE_URL\n`,
    after: `apiVersion: v1\nkind: List\nitems:\n- apiVersion: tekton.dev/v1\n  kind: Task\n  spec:\n    results:\n    - name: IMAGE_URL\n    - name: IMAGE_DIGEST\n      type: string\n`,
  },
  {
    name: 'leaves what an alias brings in',
    before: `${head}  results: &results\n    - name: x\n  other:\n    results: *results\n`,
    after: `${head}  results: &results\n    - name: x\n  other:\n    results: *results\n`,
  },
  {
    name: 'surfaces nothing that no step writes yet',
    before: `kind: Pipeline\napiVersion: tekton.dev/v1\nspec:\n  tasks:\n    - name: a\n      taskSpec:\n        results:\n          - name: IMAGES\n        steps:\n          - image: i\n`,
    after: `kind: Pipeline\napiVersion: tekton.dev/v1\nspec:\n  tasks:\n    - name: a\n      taskSpec:\n        results:\n          - name: IMAGES\n        steps:\n          - image: i\n`,
  },
];

describe('fix', () => {
  for (const { name, before, after } of cases) {
    it(name, () => {
      assert.equal(fixed(before), after);
    });
    it(`${name}: and then has nothing left to do`, () => {
      assert.equal(fixed(after), after);
      assert.deepEqual(mendable(after), []);
    });
  }

  it('renames in the pipelines of other files, too', () => {
    const task = sourceOf('task.yaml', `${head}  results:\n    - name: image_url\n    - name: image_digest\n`);
    const text = `kind: Pipeline\napiVersion: tekton.dev/v1\nspec:\n  tasks:\n    - {name: b, taskRef: {name: build}}\n    - name: other\n      params:\n        - {name: p, value: $(tasks.b.results.image_url)}\n        - {name: q, value: $(tasks.c.results.image_url)}\n`;

    const { sources } = fix([task, sourceOf('pipeline.yaml', text)], options);

    assert.match(sources[1]?.text ?? '', /\$\(tasks\.b\.results\.IMAGE_URL\)\}\n.*\$\(tasks\.c\.results\.image_url\)\}/);
    assert.match(sources[0]?.text ?? '', /- name: IMAGE_URL\n {4}- name: IMAGE_DIGEST\n/);
  });

  it('leaves nothing to do, whatever the names and types are', () => {
    const names = [
      'IMAGE_URL',
      'image_digest',
      'IMAGE-DIGEST',
      'a_IMAGE_URL',
      'ARTIFACT_URL',
      'ARTIFACT_DIGEST',
      'x_ARTIFACTS_OUTPUTS',
      'IMAGES',
      'CHAINS-GIT_URL',
      'commit',
      'my_images',
    ];
    const result = fc.record({ name: fc.constantFrom(...names), type: fc.constantFrom('string', 'object', 'array', undefined) });
    const list = fc.uniqueArray(result, { selector: ({ name }) => name, maxLength: 6 });
    fc.assert(
      fc.property(list, list, fc.boolean(), (results, surfaced, isBlock) => {
        const declared = results.map(({ name, type }) => `    - {name: ${name}${type === undefined ? '' : `, type: ${type}`}}\n`).join('');
        const inline = results.map(({ name }) => `{name: ${name}}`).join(', ');
        const asked = surfaced.map(({ name }) => `    - name: ${name}\n      value: $(tasks.a.results.${name})\n`).join('');
        const spec = isBlock && results.length > 0 ? `  results:\n${declared}` : `  results: [${inline}]\n`;
        const pipeline = `---\napiVersion: tekton.dev/v1\nkind: Pipeline\nspec:\n  tasks: [{name: a, taskRef: {name: build}}]\n${asked === '' ? '' : `  results:\n${asked}`}`;

        const once = fixed(`${head}${spec}${pipeline}`);

        assert.equal(fixed(once), once);
        assert.deepEqual(mendable(once), []);
        assert.deepEqual(sourceOf('f', once).problems, []);
      }),
      { numRuns: 300 },
    );
  });

  it('never fails, whatever the objects are', () => {
    const kinds = ['Task', 'StepAction', 'Pipeline', 'TaskRun', 'PipelineRun', 'List'];
    const member = fc.constantFrom(
      'spec',
      'status',
      'results',
      'steps',
      'tasks',
      'taskSpec',
      'pipelineSpec',
      'params',
      'name',
      'value',
      'properties',
      'type',
      'taskRef',
      'items',
      '__proto__',
      'conditions',
      'childReferences',
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom('IMAGE_URL', 'image_digest', 'ARTIFACT_OUTPUTS', 'git-clone', 'object', '$(tasks.a.results.b)'),
        fc.jsonValue(),
        tie('object'),
        fc.array(tie('object'), { maxLength: 4 }),
      ),
      object: fc.dictionary(member, tie('value'), { maxKeys: 5, noNullPrototype: false }),
    }));
    fc.assert(
      fc.property(fc.constantFrom(...kinds), value, value, (kind, spec, status) => {
        const text = JSON.stringify({ apiVersion: 'tekton.dev/v1', kind, metadata: { name: 'git-clone' }, spec, status, items: [spec] });

        assert.doesNotThrow(() => fix([sourceOf('f', text)], options));
        assert.doesNotThrow(() =>
          fix([sourceOf('f', text)], { ...options, deepInspection: true, strict: { TaskRun: true, PipelineRun: true } }),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('never fails, whatever the text is', () => {
    const whole = readFileSync(new URL('../../examples/lint/build-and-release.yaml', import.meta.url), 'utf8');
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(40), fc.string({ unit: 'binary', maxLength: 6 }), (start, length, put) => {
        const text = whole.slice(0, start) + put + whole.slice(start + length);

        assert.doesNotThrow(() => fix([sourceOf('f', text)], options));
      }),
      { numRuns: 200 },
    );
  });
});
