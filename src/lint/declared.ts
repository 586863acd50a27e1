import type { Drop } from '../model/artifact.ts';
import { at, isObject, objectsAt, textAt, type Json, type JsonObject } from '../model/json.ts';
import { Drops } from '../extract/drops.ts';
import { factsOf, type Facts } from '../extract/facts.ts';
import type { Hint } from '../extract/hint.ts';
import { imagesToSign } from '../extract/images.ts';
import { matchesGlob } from '../extract/glob.ts';
import type { HintRule } from '../extract/mapping.ts';
import { pipelineHints, taskHints } from '../extract/materials.ts';
import { isHintName, nearMisses } from '../extract/near-misses.ts';
import { looseSubjects, strictSubjects } from '../extract/subjects.ts';

export type ResultType = 'string' | 'array' | 'object';

/** A result that a Task, StepAction or Pipeline declares. */
export interface Declared {
  readonly name: string;
  readonly type: ResultType;
  /** Members of an object. */
  readonly members: readonly string[];
}

/** What is declared, and what the rules need to know of it. */
export interface Declaration {
  readonly kind: 'task' | 'pipeline';
  /** The name that `extract.hints` goes by. */
  readonly task: string;
  readonly results: readonly Declared[];
  readonly params: readonly JsonObject[];
}

/** A result, or a param, and the hint that it is read as: its own name, or what `extract.hints` says. */
export interface Origin {
  readonly from: 'result' | 'param';
  readonly name: string;
  readonly hint: string;
}

export interface Outcome {
  readonly role: 'subject' | 'material';
  readonly origins: readonly Origin[];
}

export interface Judgement {
  readonly outcomes: readonly Outcome[];
  /** What extraction would drop if every result were written as well as its type allows. */
  readonly drops: readonly Drop[];
}

/** As Tekton fills it in: an object when it has properties, otherwise a string. */
function declaredOf(result: JsonObject): Declared {
  const properties = at(result, 'properties');
  const members = isObject(properties) ? Object.keys(properties) : [];
  const type = textAt(result, 'type');
  const isKnown = type === 'string' || type === 'array' || type === 'object';
  return { name: textAt(result, 'name'), type: isKnown ? type : members.length > 0 ? 'object' : 'string', members };
}

/**
 * What a run would give if every declared result and param had the best value that its name and type allow: made by extraction itself,
 * over a run that is made up, so that the rules stand in one place. Drops that speak of values say nothing here, and are left out.
 */
export function judge(declaration: Declaration, rules: readonly HintRule[], isStrict: boolean): Judgement {
  const { kind, results, params } = declaration;
  const facts = factsOf(sampleRun(declaration, rules), '', rules);
  const drops = new Drops();
  const subjects = (isStrict ? strictSubjects : looseSubjects)(facts.results, drops);
  if (kind === 'task') imagesToSign(facts.results, drops);
  const materials = kind === 'task' ? taskHints(facts, drops) : pipelineHints(facts, [], drops);
  nearMisses(facts.results, drops);
  const names = [...results.map(({ name }) => name), ...params.map((param) => textAt(param, 'name'))];
  const originsIn = (items: readonly { readonly name: string; readonly digest: Readonly<Record<string, string>> }[]) =>
    items.map(({ name, digest }) =>
      originsOf([indexIn(name), ...Object.values(digest).map(indexOfDigest)], { facts, names, count: results.length }),
    );
  const outcomes = [
    ...originsIn(subjects).map((origins) => ({ role: 'subject' as const, origins })),
    ...originsIn(materials).map((origins) => ({ role: 'material' as const, origins })),
  ];
  return { outcomes: distinct(outcomes), drops: drops.all.filter(({ rule }) => !ofValues.has(rule)) };
}

const ofValues = new Set([
  'extract.image-reference',
  'extract.artifact-digest',
  'extract.digest-form',
  'extract.git-commit',
  'extract.not-an-image',
  'extract.truncated',
]);

/** The hint that a rule makes of a result or param of a task, for every rule that does. */
export function mappedNames(task: string, from: Origin['from'], name: string, rules: readonly HintRule[]): readonly string[] {
  return rules.filter((rule) => rule.from === from && rule.name === name && matchesGlob(rule.task, task)).map(({ hint }) => hint);
}

function sampleRun({ kind, task, results, params }: Declaration, rules: readonly HintRule[]): JsonObject {
  const hintOf = (from: Origin['from'], name: string) => (isHintName(name) ? name : (mappedNames(task, from, name, rules)[0] ?? name));
  const given = params.map((param, index) => {
    const { name, type, members } = declaredOf(param);
    return { name, value: sample({ name: hintOf('param', name), type, members }, results.length + index) };
  });
  const written = results.map((result, index) => ({
    name: result.name,
    value: sample({ ...result, name: hintOf('result', result.name) }, index),
  }));
  const reference = kind === 'task' ? { taskRef: { name: task } } : {};
  return { kind: kind === 'task' ? 'TaskRun' : 'PipelineRun', spec: { ...reference, params: given }, status: { results: written } };
}

/** A good value for a result of this name. The index is in every part of it, so that what comes out can be traced. */
function sample({ name, type, members }: Declared, index: number): Json {
  const place = `sample.example/r${index}`;
  const digest = `sha256:${hexOf(index, 64)}`;
  if (type === 'array') return [place];
  if (type === 'object') {
    const values: Readonly<Record<string, string>> = { uri: place, digest, isBuildArtifact: 'true' };
    return Object.fromEntries(members.map((member) => [member, Object.hasOwn(values, member) ? (values[member] ?? '') : 'sample']));
  }
  if (name.endsWith('DIGEST')) return digest;
  if (name === 'CHAINS-GIT_COMMIT') return hexOf(index, 40);
  return name === 'IMAGES' ? `${place}@${digest}` : place;
}

function hexOf(index: number, digits: number): string {
  return index.toString(16).padStart(digits, '0');
}

function indexIn(name: string): number | undefined {
  const found = /\/r(\d+)(?:\.git)?$/.exec(name)?.[1];
  return found === undefined ? undefined : Number(found);
}

function indexOfDigest(hex: string): number {
  return Number.parseInt(hex.slice(-12), 16);
}

interface Names {
  readonly facts: Facts;
  /** Of the results, then of the params. */
  readonly names: readonly string[];
  readonly count: number;
}

function originsOf(indexes: readonly (number | undefined)[], { facts, names, count }: Names): readonly Origin[] {
  const found = [...new Set(indexes)].filter((index) => index !== undefined);
  return found.map((index) => {
    const from = index < count ? 'result' : 'param';
    const name = names[index] ?? '';
    const isOwn = isHintName(name);
    const mapped = facts.results.find(({ mappedFrom }: Hint) => mappedFrom?.from === from && mappedFrom.name === name);
    return { from, name, hint: isOwn ? name : (mapped?.name ?? name) };
  });
}

/** A flagged output is a subject by its uri and by its image's name: one and the same here. */
function distinct(outcomes: readonly Outcome[]): readonly Outcome[] {
  return [...new Map(outcomes.map((outcome) => [JSON.stringify(outcome), outcome])).values()];
}

/** For people: `IMAGE_URL and IMAGE_DIGEST`, `CHAINS-GIT_URL (result url) and …`. */
export function textOfOrigins(origins: readonly Origin[]): string {
  return origins.map(({ from, name, hint }) => (name === hint && from === 'result' ? name : `${hint} (${from} ${name})`)).join(' and ');
}

/** The declared results of a spec. */
export function resultsOf(spec: JsonObject): readonly Declared[] {
  return objectsAt(spec, 'results').map(declaredOf);
}
