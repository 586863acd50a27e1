import fc from 'fast-check';

/** Put together here, so that no scanner takes this file for a leak. */
export const secret = ['gh', 'p_', 'Zz9'.repeat(13)].join('');

const hex = '0123456789abcdef'.repeat(8);
const names = ['IMAGE_URL', 'IMAGE_DIGEST', 'x_IMAGE_URL', 'x_IMAGE_DIGEST', 'IMAGES', 'ARTIFACT_URI', 'ARTIFACT_DIGEST'];
const objectNames = ['a-ARTIFACT_OUTPUTS', 'b-ARTIFACT_OUTPUTS', 'ARTIFACT_INPUTS', 'CHAINS-GIT_URL', 'CHAINS-GIT_COMMIT'];
const odd = ['__proto__', 'constructor', 'toString', 'token', 'image_url', '10', '', '\u0000', '\ud800', '\u{1f600}'];

/** Mostly the first, so that rare things meet ordinary ones. */
function mostly<A, B>(usual: fc.Arbitrary<A>, rare: fc.Arbitrary<B>): fc.Arbitrary<A | B> {
  return fc.oneof({ weight: 8, arbitrary: usual }, { weight: 1, arbitrary: rare });
}

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...names, ...objectNames) },
  { weight: 1, arbitrary: fc.constantFrom(...odd) },
);
const sha256 = `sha256:${hex.slice(0, 64)}`;
const digest = mostly(
  fc.constantFrom(sha256, sha256, `sha256:${hex.slice(1, 65)}`, `sha1:${hex.slice(0, 40)}`, `sha512:${hex}`),
  fc.constantFrom(
    `SHA256: ${hex.slice(0, 64)}\n`,
    `sha256:${hex.slice(0, 60)}`,
    'sha256:',
    ':',
    hex.slice(0, 64),
    `${sha256}:`,
    sha256.toUpperCase(),
  ),
);
const uri = mostly(
  fc.constantFrom('r.io/app', 'r.io/app:v1', 'oci://r.io/a/b', 'foo', 'git+https://h/a.git'),
  fc.constantFrom('a.jar', 's3://b/f', 'pkg:npm/x@1', 'https://u:hunter2@h/x', '', ' ', 'R.IO//x', '\ud800', secret),
);
const text = mostly(
  fc.oneof(uri, digest, fc.constantFrom('a'.repeat(40), 'true', '$(tasks.a.results.b)', '$(params.token)', `echo ${secret}`)),
  fc.oneof(fc.string(), fc.constantFrom('\u0000', '\u2028<&>', '{"a":')),
);
const json = fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) });

const located = fc.record({
  uri: mostly(uri, json),
  digest: mostly(digest, json),
  isBuildArtifact: mostly(fc.constantFrom('true', 'false'), json),
});
const images = fc
  .array(
    fc.tuple(uri, digest).map(([base, sum]) => `${base}@${sum}`),
    { maxLength: 3 },
  )
  .map((list) => list.join(','));
const anyValue = fc.oneof(text, located, images, fc.array(text, { maxLength: 2 }), json);
/** What a name asks for, mostly. */
const fitting = (called: string): fc.Arbitrary<unknown> => {
  if (called.endsWith('DIGEST')) return digest;
  if (/UR[LI]$/.test(called)) return uri;
  if (/OUTPUTS$|INPUTS$/.test(called)) return located;
  return called === 'IMAGES' ? images : text;
};
const named = name.chain((called) =>
  fc.record({ name: fc.constant(called), value: mostly(fitting(called), anyValue), type: fc.constant('string') }),
);
const nearlyNamed = fc.oneof(
  { weight: 150, arbitrary: named },
  { weight: 1, arbitrary: fc.record({ name }) },
  { weight: 5, arbitrary: json },
);
const list = fc.array(nearlyNamed, { maxLength: 5 });
const defaults = fc.array(fc.record({ name, default: anyValue, type: fc.constant('string') }, { requiredKeys: ['name'] }), {
  maxLength: 2,
});

const digests = mostly(
  fc.constantFrom({ sha256: hex.slice(0, 64) }, { sha256: hex.slice(0, 64), md5: 5 }, { sha1: hex.slice(0, 40) }, {}),
  json,
);
const artifact = fc.record(
  {
    name,
    buildOutput: fc.constantFrom(true, false, 'true'),
    values: mostly(fc.array(fc.record({ uri, digest: digests }), { maxLength: 2 }), json),
  },
  { requiredKeys: [] },
);
const artifacts = fc.record(
  { inputs: mostly(fc.array(artifact, { maxLength: 2 }), json), outputs: mostly(fc.array(artifact, { maxLength: 2 }), json) },
  { requiredKeys: [] },
);

const stepName = fc.constantFrom('build', 'unnamed-0', '');
const provenance = fc.record(
  {
    refSource: mostly(fc.record({ uri, digest: digests, entryPoint: text }, { requiredKeys: [] }), json),
    featureFlags: mostly(fc.record({ maxResultSize: json, enableArtifacts: json }), json),
  },
  { requiredKeys: [] },
);
const imageID = fc.oneof(
  fc.constantFrom(`r.io/tool@sha256:${hex.slice(0, 64)}`, `docker-pullable://r.io/t:v1@sha256:${hex.slice(0, 64)}`),
  json,
);
const message = fc.constantFrom('', '[{"key":"token","value":"x","type":1}]', '[{"key":', 'tknz:x', `[{"key":"r","value":"${secret}"}]`);
const state = fc.record(
  {
    name: stepName,
    imageID,
    results: list,
    provenance,
    terminated: fc.record({ message }),
    inputs: json,
    outputs: fc.array(artifact, { maxLength: 1 }),
  },
  { requiredKeys: ['name', 'imageID'] },
);
const step = fc.record(
  {
    name: stepName,
    script: text,
    args: mostly(fc.array(text, { maxLength: 2 }), json),
    command: fc.array(json, { maxLength: 2 }),
    env: fc.array(named, { maxLength: 1 }),
    timeout: json,
    computeResources: json,
  },
  { requiredKeys: [] },
);
const time = mostly(
  fc.constantFrom('2024-05-01T10:00:00Z', '2024-05-01T10:00:00.120+02:00'),
  fc.constantFrom('0001-01-01T00:00:00Z', 'x', 5, null),
);
const conditions = fc.constantFrom([{ type: 'Succeeded', status: 'True' }], [], [{ type: 5 }], 'x', [
  { reason: 'TaskRunResultLargerThanAllowedLimit' },
]);
const strings = fc.oneof(
  fc.dictionary(fc.constantFrom('tekton.dev/pipelineTask', 'chains.tekton.dev/reproducible', ...odd), text, { maxKeys: 3 }),
  json,
);

const metadata = fc.record({
  name: fc.constantFrom('run', 'a', 5),
  namespace: fc.constant('ns'),
  uid: fc.constantFrom('uid-1', ''),
  labels: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom({ 'tekton.dev/pipelineTask': 'a' }, { 'tekton.dev/pipelineTask': 'b' }) },
    { weight: 1, arbitrary: strings },
  ),
  annotations: strings,
});
const reference = fc.record({ name: text, resolver: fc.constantFrom('git', 'cluster', 'Cluster', ''), params: list }, { requiredKeys: [] });
const spec = fc.record(
  {
    params: list,
    taskRef: reference,
    pipelineRef: reference,
    timeout: fc.constantFrom('1h', 'x', 5),
    podTemplate: json,
    workspaces: json,
    retries: json,
    serviceAccountName: json,
    taskRunTemplate: json,
  },
  { requiredKeys: [] },
);
const shared = { startTime: time, completionTime: time, conditions, results: list, provenance, artifacts: mostly(artifacts, json) };
const taskStatus = fc.record(
  {
    ...shared,
    taskSpec: mostly(fc.record({ params: defaults, steps: fc.array(step, { maxLength: 2 }) }, { requiredKeys: [] }), json),
    steps: fc.array(state, { maxLength: 2 }),
    sidecars: fc.array(state, { maxLength: 1 }),
  },
  { requiredKeys: [] },
);
const task = fc.record(
  {
    name: fc.constantFrom('a', 'b'),
    runAfter: json,
    params: list,
    taskRef: reference,
    taskSpec: mostly(fc.record({ steps: fc.array(step, { maxLength: 1 }), spec: json }), json),
    when: fc.array(fc.record({ input: text, values: json }), { maxLength: 1 }),
    matrix: json,
  },
  { requiredKeys: ['name'] },
);
// A child reference may name anything, the run itself too.
const references = fc.array(
  fc.record({ name: fc.constantFrom('run', 'a', '__proto__'), kind: fc.constantFrom('TaskRun', 'PipelineRun', 'CustomRun', '') }),
  { maxLength: 3 },
);
const pipelineSpec = fc.record(
  { params: defaults, tasks: fc.array(task, { maxLength: 2 }), finally: mostly(fc.array(task, { maxLength: 1 }), json) },
  { requiredKeys: [] },
);
const pipelineStatus = fc.record(
  { ...shared, pipelineSpec: mostly(pipelineSpec, json), childReferences: references },
  { requiredKeys: [] },
);

const run = (status: fc.Arbitrary<unknown>): fc.Arbitrary<string> =>
  fc
    .record(
      {
        apiVersion: fc.constant('tekton.dev/v1'),
        metadata,
        spec: fc.oneof({ weight: 9, arbitrary: spec }, { weight: 1, arbitrary: json }),
        status: fc.oneof({ weight: 9, arbitrary: status }, { weight: 1, arbitrary: json }),
      },
      { requiredKeys: ['metadata'] },
    )
    .map((object) => JSON.stringify(object))
    .chain((text) => fc.constantFrom(text, text, text, roughened(text)));

const oddMembers = `"params":[],"__proto__":{"x":1},"podTemplate":${'['.repeat(50)}${']'.repeat(50)},"status":"\\ud800"`;

/** What `JSON.stringify` never writes: numbers that JavaScript changes, members that stand twice, deep nesting, halves of pairs. */
function roughened(text: string): string {
  return text
    .replace(/:0([,}])/g, ':-0$1')
    .replace(/:(\d)([,}])/g, ':$1e3$2')
    .replace(/:true([,}])/, ':9007199254740993$1')
    .replace(/"spec":\{(\}?)/, (_, end: string) => `"spec":{${oddMembers}${end === '' ? ',' : '}'}`);
}

/** A run of either kind and its children, as texts. */
export const families: fc.Arbitrary<{ readonly main: string; readonly children: readonly string[] }> = fc.record({
  main: fc.oneof(run(taskStatus), run(pipelineStatus)),
  children: fc.array(run(taskStatus), { maxLength: 2 }),
});
