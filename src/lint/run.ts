import { executedChildren, tasksWithChildren } from '../extract/children.ts';
import { Drops } from '../extract/drops.ts';
import { factsOf, type Facts } from '../extract/facts.ts';
import { matchesGlob } from '../extract/glob.ts';
import { imagesToSign } from '../extract/images.ts';
import { taskNamesOf } from '../extract/mapping.ts';
import { pipelineHints, podImages, stepHints, taskHints } from '../extract/materials.ts';
import { mergeItems, type Item } from '../extract/merge.ts';
import { nativeInputs, nativeOutputs } from '../extract/native.ts';
import { nearMisses } from '../extract/near-misses.ts';
import { looseSubjects, strictSubjects, strictTaskSubjects } from '../extract/subjects.ts';
import { withoutTokens } from '../extract/token-shapes.ts';
import { truncations } from '../extract/truncation.ts';
import type { Drop } from '../model/artifact.ts';
import { at, isList, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import { findingAt, type Finding, type LintOptions, type Output } from './finding.ts';
import { rulesFor, textOfRules } from './known-tasks.ts';
import type { LintObject, Path } from './source.ts';

export interface RunReport {
  readonly outputs: readonly Output[];
  readonly findings: readonly Finding[];
}

/** A run that has a status worth reading: what is only asked for is judged by its specification. */
export function hasRun({ value }: LintObject): boolean {
  return isList(at(value, 'status', 'results')) || objectsAt(value, 'status', 'conditions').length > 0;
}

/** What becomes of a run, and what extraction drops of it. `others` are the objects beside it: a PipelineRun's children are looked for there. */
export function lintRun(object: LintObject, others: readonly LintObject[], options: LintOptions): RunReport {
  const facts = factsOf(asV1(object), '', options.hints);
  const drops = new Drops();
  for (const { results } of [facts, ...facts.steps]) nearMisses(results, drops);
  truncations(facts, drops);
  const made =
    object.kind === 'TaskRun'
      ? ofTask(facts, drops, options)
      : ofPipeline(facts, drops, { children: childrenOf(object, others, options), options });
  const places = placesOf(object);
  const findings = drops.all.map((drop) => {
    const message = `${drop.result}${valueText(drop, options)}: ${drop.why}`;
    return findingAt(drop.rule, object, places.get(drop.result) ?? ['status'], { message, fix: drop.fix });
  });
  const outputs = [
    ...mergeItems(made.subjects).map((item) => ({ role: 'subject', what: textOf(item) }) as const),
    ...mergeItems(made.materials).map((item) => ({ role: 'material', what: textOf(item) }) as const),
  ];
  return {
    outputs,
    findings: [
      ...findings,
      ...made.silent.map((saying) => findingAt(saying.rule, object, saying.path, saying)),
      ...unmapped(object, facts, options),
    ],
  };
}

interface Made {
  readonly subjects: readonly Item[];
  readonly materials: readonly Item[];
  /** What is missed without a drop. */
  readonly silent: readonly { readonly rule: string; readonly path: Path; readonly message: string; readonly fix: string }[];
}

function ofTask(facts: Facts, drops: Drops, options: LintOptions): Made {
  const isStrict = options.strict.TaskRun;
  imagesToSign(facts.results, drops);
  const subjects = isStrict ? strictTaskSubjects(facts, drops) : looseSubjects(facts.results, drops);
  const materials = [...podImages(facts, drops), ...(isStrict ? stepHints(facts, drops) : []), ...taskHints(facts, drops)];
  const natives = nativesOf([facts], drops, { isStrict, isRead: options.nativeArtifacts });
  return { subjects: [...subjects, ...natives.subjects], materials: [...materials, ...natives.materials], silent: [] };
}

interface With {
  readonly children: readonly Facts[];
  readonly options: LintOptions;
}

/** Drops of children are told of the children: they stand in the same files. */
function ofPipeline(facts: Facts, drops: Drops, { children, options }: With): Made {
  const ofChildren = new Drops();
  const executed = executedChildren(tasksWithChildren(facts, children));
  const observed = options.deepInspection ? executed : [];
  const isStrict = options.strict.PipelineRun;
  const own = (isStrict ? strictSubjects : looseSubjects)(facts.results, drops);
  const theirs = executed.flatMap((child) => (isStrict ? strictTaskSubjects(child, ofChildren) : looseSubjects(child.results, ofChildren)));
  pipelineHints(facts, [], drops);
  const ran = executed.flatMap((child) => [...podImages(child, ofChildren), ...sourceOf(child)]);
  const materials = [...sourceOf(facts), ...ran, ...pipelineHints(facts, observed, ofChildren)];
  const natives = nativesOf([...observed, facts], ofChildren, { isStrict, isRead: options.nativeArtifacts });
  const subjects = [...own, ...(options.deepInspection ? theirs : []), ...natives.subjects];
  const silent = subjects.length === 0 && theirs.length > 0 ? [withoutSubject(theirs)] : [];
  return { subjects, materials: [...materials, ...natives.materials], silent };
}

function withoutSubject(theirs: readonly Item[]): Made['silent'][number] {
  const names = theirs.map(({ name }) => name).slice(0, 5);
  const message = `the run has no subject, although its TaskRuns made ${names.join(', ')}`;
  const fix = 'Make the results of the tasks results of the pipeline, or set artifacts.pipelinerun.enable-deep-inspection to "true"';
  return { rule: 'lint.unsurfaced', path: ['status'], message, fix };
}

interface Reading {
  readonly isStrict: boolean;
  readonly isRead: boolean;
}

/** Tekton's own artifacts (TEP-0147), where the configuration reads them. */
function nativesOf(told: readonly Facts[], drops: Drops, { isStrict, isRead }: Reading): Omit<Made, 'silent'> {
  if (!isRead) return { subjects: [], materials: [] };
  const outputs = told.flatMap((run) => nativeOutputs(run, drops)).filter(({ isBuildOutput }) => isBuildOutput || !isStrict);
  return { subjects: outputs.map(({ name, digest }) => ({ name, digest })), materials: told.flatMap((run) => nativeInputs(run, drops)) };
}

function sourceOf({ refSource }: Facts): readonly Item[] {
  return refSource === undefined ? [] : [{ name: refSource.uri, digest: refSource.digest }];
}

function childrenOf(run: LintObject, others: readonly LintObject[], options: LintOptions): readonly Facts[] {
  const taskRuns = others.filter(({ kind, namespace }) => kind === 'TaskRun' && namespace === run.namespace);
  return objectsAt(run.value, 'status', 'childReferences').flatMap((reference) => {
    const child = taskRuns.find(({ name }) => name === textAt(reference, 'name'));
    return child === undefined ? [] : [factsOf(asV1(child), `TaskRun ${child.name}: `, options.hints)];
  });
}

/** Results of a well-known task that `extract.hints` would make speak. */
function unmapped(object: LintObject, facts: Facts, options: LintOptions): readonly Finding[] {
  if (object.kind !== 'TaskRun') return [];
  const has = {
    results: facts.results.map(({ name }) => name),
    params: objectsAt(facts.spec, 'params').map((param) => textAt(param, 'name')),
  };
  const rules =
    taskNamesOf(facts.object)
      .map((name) => rulesFor(name, has))
      .find((found) => found.length > 0) ?? [];
  const before = outcomesOf(facts, options);
  if (rules.length === 0 || outcomesOf(factsOf(facts.object, '', [...options.hints, ...rules]), options) <= before) return [];
  const message = `nothing reads what the well-known task "${rules[0]?.task ?? ''}" tells in ${rules.map(({ from, name }) => `${from} ${name}`).join(' and ')}`;
  return [findingAt('lint.known-task', object, ['status', 'results'], { message, fix: `Set extract.hints to "${textOfRules(rules)}"` })];
}

function outcomesOf(facts: Facts, options: LintOptions): number {
  const { subjects, materials } = ofTask(facts, new Drops(), options);
  return subjects.length + materials.length;
}

/** The members that v1beta1 called otherwise. */
const renamed = [
  ['taskResults', 'results'],
  ['pipelineResults', 'results'],
] as const;

function asV1({ value }: LintObject): JsonObject {
  const status = at(value, 'status');
  const old = renamed.find(([before, now]) => at(status, now) === undefined && isList(at(status, before)));
  return old === undefined ? value : { ...value, status: { ...(status as JsonObject), [old[1]]: at(status, old[0]) } };
}

/** Where drops say that something is, as paths. */
function placesOf({ value }: LintObject): ReadonlyMap<string, Path> {
  const places = new Map<string, Path>();
  const list = (where: string, path: readonly string[]): void => {
    for (const [index, item] of objectsAt(value, ...path).entries()) {
      const place = `${where}[${textAt(item, 'name')}]`;
      places.set(place, [...path, index]);
      for (const member of ['imageID', 'terminated.message']) places.set(`${place}.${member}`, [...path, index, ...member.split('.')]);
      for (const [at, result] of objectsAt(item, 'results').entries())
        places.set(`${place}.results[${textAt(result, 'name')}]`, [...path, index, 'results', at]);
    }
  };
  for (const [old, now] of [...renamed, ['results', 'results'], ['steps', 'steps'], ['sidecars', 'sidecars']] as const)
    list(`status.${now}`, ['status', old]);
  list('spec.params', ['spec', 'params']);
  for (const spec of ['taskSpec', 'pipelineSpec']) list(`status.${spec}.params`, ['status', spec, 'params']);
  places.set('status.conditions', ['status', 'conditions']);
  return places;
}

/** What is found goes to logs of CI: no token, no password in a URL, and no value of a name that is to be redacted. */
function valueText({ result, value }: Drop, { hidden }: LintOptions): string {
  const names = [...result.matchAll(/\[([^[\]]*)\]/g)].map(([, name = '']) => name);
  if (value === '' || names.some((name) => hidden.some((glob) => matchesGlob(glob, name)))) return '';
  return ` = ${JSON.stringify(withoutTokens(value, () => '***').slice(0, 80))}`;
}

function textOf({ name, digest }: Item): string {
  return `${withoutTokens(name, () => '***')}@${Object.entries(digest)
    .map(([algorithm, hex]) => `${algorithm}:${hex}`)
    .join(',')}`;
}
