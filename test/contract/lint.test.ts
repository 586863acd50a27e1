import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import type { HintRule } from '../../src/extract/mapping.ts';
import { formatOf } from '../../src/format/formats.ts';
import type { LintOptions } from '../../src/lint/finding.ts';
import { fix } from '../../src/lint/fix.ts';
import { lint } from '../../src/lint/lint.ts';
import { sourceOf } from '../../src/lint/source.ts';
import { at, objectsAt, textAt, type Json, type JsonObject } from '../../src/model/json.ts';
import { runOf } from '../golden/rows.ts';

/** Tasks in the manner of those that everybody has, written for this test: what they declare, and how they write it. */
const tasks = {
  kaniko: `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: kaniko}
spec:
  params: [{name: IMAGE}]
  results:
    - name: IMAGE_DIGEST
    - name: IMAGE_URL
  steps:
    - name: build
      args: ["--destination=$(params.IMAGE)", "--digest-file=$(results.IMAGE_DIGEST.path)"]
    - name: url
      script: printf %s "$(params.IMAGE)" > "$(results.IMAGE_URL.path)"
`,
  'kaniko-of-old': `
apiVersion: tekton.dev/v1beta1
kind: Task
metadata: {name: kaniko-of-old}
spec:
  params: [{name: IMAGE}]
  results:
    - name: IMAGE-DIGEST
  steps:
    - name: build
      args: ["--destination=$(params.IMAGE)", "--digest-file=/tekton/results/IMAGE-DIGEST"]
`,
  buildah: `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: buildah}
spec:
  params: [{name: IMAGE}, {name: BUILD_ARGS, type: array, default: [""]}]
  results:
    - {name: IMAGE_DIGEST, description: Digest of the image just built.}
    - {name: IMAGE_URL, description: Where it is.}
    - {name: MANIFEST_LIST_DIGEST}
  steps:
    - name: build-and-push
      script: |
        buildah push --digestfile /tmp/digest "$(params.IMAGE)"
        tee "$(results.IMAGE_DIGEST.path)" < /tmp/digest
        echo "$(params.IMAGE)" | tee "$(results.IMAGE_URL.path)"
`,
  buildpacks: `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: buildpacks}
spec:
  params: [{name: APP_IMAGE}]
  results:
    - name: APP_IMAGE_DIGEST
    - name: APP_IMAGE_URL
  steps:
    - name: results
      script: |
        grep digest report.toml | cut -d'"' -f2 | tr -d '\\n' | tee "$(results.APP_IMAGE_DIGEST.path)"
        echo -n "$(params.APP_IMAGE)" | tee "$(results.APP_IMAGE_URL.path)"
`,
  'git-clone': `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: git-clone}
spec:
  params: [{name: url}, {name: revision, default: ""}]
  results:
    - name: commit
    - name: url
    - name: committer-date
  steps:
    - name: clone
      script: |
        printf "%s" "$(git rev-parse HEAD)" > "$(results.commit.path)"
        printf "%s" "$(params.url)" > "$(results.url.path)"
`,
  'jib-maven': `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: jib-maven}
spec:
  params: [{name: IMAGE}]
  results:
    - name: IMAGE_DIGEST
  steps:
    - name: digest
      script: cat target/jib-image.digest | tee $(results.IMAGE_DIGEST.path)
`,
  ko: `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: ko}
spec:
  params: [{name: KO_DOCKER_REPO}]
  steps:
    - name: build
      args: [build, .]
`,
  'ko-with-images': `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: ko-with-images}
spec:
  results: [{name: IMAGES}]
  steps:
    - name: build
      args: [build, ., --image-refs=$(results.IMAGES.path)]
`,
  'maven-deploy': `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: maven-deploy}
spec:
  results:
    - name: jar_ARTIFACT_OUTPUTS
      type: object
      properties: {uri: {type: string}, digest: {type: string}, isBuildArtifact: {type: string}}
    - name: source_ARTIFACT_INPUTS
      type: object
      properties: {uri: {type: string}, digest: {type: string}}
  steps:
    - name: deploy
      script: |
        printf '{"uri":"pkg:maven/a/b@1","digest":"sha256:%s","isBuildArtifact":"true"}' "$sum" > $(results.jar_ARTIFACT_OUTPUTS.path)
        printf '{"uri":"git+https://git.example/a","digest":"sha1:%s"}' "$commit" > $(results.source_ARTIFACT_INPUTS.path)
`,
} as const;

interface Expected {
  readonly outputs: readonly string[];
  readonly rules: readonly string[];
  /** With what `extract.hints` it speaks, and what it says then. */
  readonly mapped?: { readonly hints: readonly HintRule[]; readonly outputs: readonly string[] };
}

const pair = ['subject IMAGE_URL and IMAGE_DIGEST'];
const expected: Readonly<Record<keyof typeof tasks, Expected>> = {
  kaniko: { outputs: pair, rules: [] },
  'kaniko-of-old': {
    outputs: [],
    rules: ['lint.known-task', 'extract.near-miss'],
    mapped: {
      hints: [
        { task: 'kaniko*', from: 'result', name: 'IMAGE-DIGEST', hint: 'IMAGE_DIGEST' },
        { task: 'kaniko*', from: 'param', name: 'IMAGE', hint: 'IMAGE_URL' },
      ],
      outputs: ['subject IMAGE_URL (param IMAGE) and IMAGE_DIGEST (result IMAGE-DIGEST)'],
    },
  },
  buildah: { outputs: pair, rules: [] },
  buildpacks: { outputs: ['subject APP_IMAGE_URL and APP_IMAGE_DIGEST'], rules: [] },
  'git-clone': {
    outputs: [],
    rules: ['lint.known-task'],
    mapped: {
      hints: [
        { task: 'git-clone', from: 'result', name: 'url', hint: 'CHAINS-GIT_URL' },
        { task: 'git-clone', from: 'result', name: 'commit', hint: 'CHAINS-GIT_COMMIT' },
      ],
      outputs: ['material CHAINS-GIT_URL (result url) and CHAINS-GIT_COMMIT (result commit)'],
    },
  },
  'jib-maven': {
    outputs: [],
    rules: ['lint.known-task', 'extract.incomplete-pair'],
    mapped: {
      hints: [{ task: 'jib-*', from: 'param', name: 'IMAGE', hint: 'IMAGE_URL' }],
      outputs: ['subject IMAGE_URL (param IMAGE) and IMAGE_DIGEST'],
    },
  },
  ko: { outputs: [], rules: ['lint.known-task'] },
  'ko-with-images': { outputs: ['subject IMAGES'], rules: [] },
  'maven-deploy': { outputs: ['subject jar_ARTIFACT_OUTPUTS', 'material source_ARTIFACT_INPUTS'], rules: [] },
};

function optionsOf(hints: readonly HintRule[] = [], isStrict = false): LintOptions {
  return { deepInspection: false, strict: { TaskRun: isStrict, PipelineRun: isStrict }, hints, nativeArtifacts: false, hidden: [] };
}

function told(text: string, options: LintOptions) {
  const { judged, findings } = lint([sourceOf('task.yaml', text)], options);
  return {
    outputs: judged.flatMap((one) => one.outputs.map(({ role, what }) => `${role} ${what}`)),
    rules: findings.map(({ rule }) => rule),
  };
}

/** A run of the task as it would go well. */
function goodRun(task: JsonObject): JsonObject {
  const hex = 'a'.repeat(64);
  const valueOf = (name: string, properties: Json | undefined): Json => {
    if (typeof properties === 'object' && properties !== null)
      return {
        uri: 'registry.example/app/jar',
        digest: `sha256:${hex}`,
        ...(Object.hasOwn(properties, 'isBuildArtifact') && { isBuildArtifact: 'true' }),
      };
    if (/digest/i.test(name)) return `sha256:${hex}`;
    if (/commit$/i.test(name)) return 'c'.repeat(40);
    return name === 'IMAGES' ? `registry.example/app@sha256:${hex}\n` : 'registry.example/app';
  };
  const results = objectsAt(task, 'spec', 'results').map((result) => {
    const name = textAt(result, 'name');
    return { name, value: valueOf(name, result['properties']) };
  });
  const params = objectsAt(task, 'spec', 'params').map((param) => ({ name: textAt(param, 'name'), value: 'registry.example/app' }));
  return {
    kind: 'TaskRun',
    metadata: { name: 'r', uid: 'u' },
    spec: { taskRef: { name: textAt(task, 'metadata', 'name') }, params },
    status: { results },
  };
}

describe('lint of well-known tasks', () => {
  for (const [name, { outputs, rules, mapped }] of Object.entries(expected)) {
    const text = tasks[name as keyof typeof tasks];
    it(`knows ${name}`, () => {
      assert.deepEqual(told(text, optionsOf()), { outputs, rules });
    });

    if (mapped) {
      it(`knows ${name} with extract.hints`, () => {
        const said = told(text, optionsOf(mapped.hints));

        assert.deepEqual(said.outputs, mapped.outputs);
        assert.equal(said.rules.includes('lint.known-task'), false);
      });
    }

    it(`has nothing left to mend in ${name} when it is mended`, () => {
      const once = fix([sourceOf('task.yaml', text)], optionsOf());

      assert.deepEqual(
        once.report.findings.filter(({ edits }) => edits.length > 0),
        [],
      );
      assert.equal(fix(once.sources, optionsOf()).sources[0]?.text, once.sources[0]?.text);
    });

    for (const format of ['in-toto', 'slsa/v2alpha3', 'slsa/v2alpha4']) {
      for (const hints of mapped ? [[], mapped.hints] : [[]]) {
        it(`foretells what ${format} says of a run of ${name}${hints.length > 0 ? ' with extract.hints' : ''}`, () => {
          const family = { run: runOf('TaskRun', goodRun(parse(text) as JsonObject)), children: [] };
          const payload = formatOf(format)?.payload(
            { family, image: undefined },
            { builderId: 'b', buildType: '', deepInspection: false, hints },
          );
          const statement = JSON.parse(Buffer.from(payload?.bytes ?? []).toString('utf8')) as Json;
          const materials = [
            ...objectsAt(statement, 'predicate', 'materials'),
            ...objectsAt(at(statement, 'predicate'), 'buildDefinition', 'resolvedDependencies'),
          ];

          const said = told(text, optionsOf(hints, format === 'slsa/v2alpha4')).outputs;

          assert.equal(
            said.some((output) => output.startsWith('subject')),
            (payload?.subjects ?? []).length > 0,
          );
          assert.equal(
            said.some((output) => output.startsWith('material')),
            materials.length > 0,
          );
        });
      }
    }
  }
});
