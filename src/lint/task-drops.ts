import { meantHint } from '../extract/near-misses.ts';
import type { Drop } from '../model/artifact.ts';
import { at, isObject, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import type { Declaration, Declared } from './declared.ts';
import { blockText } from './edits.ts';
import { findingAt, type Edit, type Finding } from './finding.ts';
import { rulesFor, textOfRules } from './known-tasks.ts';
import type { Path } from './source.ts';
import { namesOf, type TaskDefinition } from './task-definition.ts';

const partners = [
  ['IMAGE_URL', 'IMAGE_DIGEST'],
  ['ARTIFACT_URI', 'ARTIFACT_DIGEST'],
  ['CHAINS-GIT_URL', 'CHAINS-GIT_COMMIT'],
] as const;

/** The other half of a pair: `a_IMAGE_DIGEST` for `a_IMAGE_URL`. */
export function partnerOf(name: string): string | undefined {
  for (const [one, other] of partners) {
    if (name.endsWith(one)) return name.slice(0, -one.length) + other;
    if (name.endsWith(other)) return name.slice(0, -other.length) + one;
  }
  return undefined;
}

/** The index of what a drop names: `status.results[IMAGE_URL]`. */
export function placeOf(
  { result }: Drop,
  declared: readonly { readonly name: string }[],
): { readonly name: string; readonly index: number } | undefined {
  const name = /^status\.results\[(.*)\]$/s.exec(result)?.[1];
  const index = declared.findIndex((one) => one.name === name);
  return name === undefined || index < 0 ? undefined : { name, index };
}

/** What extraction would drop of a task's results, with what mends it. */
export function dropFindings(task: TaskDefinition, declaration: Declaration, drops: readonly Drop[]): readonly Finding[] {
  const meant = new Set(declaration.results.map(({ name }) => meantHint(name)?.name));
  for (const param of declaration.params) meant.add(meantHint(textAt(param, 'name'))?.name);
  return drops.flatMap((drop) => {
    const place = placeOf(drop, declaration.results);
    if (place === undefined) return ofParam(task, declaration, drop);
    const path = [...task.path, 'results', place.index];
    const declared = declaration.results[place.index];
    if (declared === undefined) return [];
    if (drop.rule === 'extract.near-miss') return [nearMiss(task, declared, { path, declaration, drop })];
    if (drop.rule === 'extract.object-hint') return [notAnObject(task, declared, path)];
    const partner = partnerOf(place.name);
    const isHalf = drop.rule === 'extract.incomplete-pair' || drop.rule === 'extract.incomplete-git';
    // The other half is there, by a name that nobody reads: that is said of it.
    if (isHalf && partner !== undefined) return meant.has(partner) ? [] : [half(task, partner, { path, declaration, drop })];
    return [findingAt(drop.rule, task.object, path, { message: `the result "${declared.name}" is not used: ${drop.why}`, fix: drop.fix })];
  });
}

interface At {
  readonly path: Path;
  readonly declaration: Declaration;
  readonly drop: Drop;
}

function ofParam(task: TaskDefinition, { params }: Declaration, drop: Drop): readonly Finding[] {
  const name = /params\[(.*)\]$/s.exec(drop.result)?.[1] ?? '';
  const index = params.findIndex((param) => textAt(param, 'name') === name);
  const partner = partnerOf(name) ?? '';
  const fix = `Declare "${partner}", too, as a param or as a result that a step writes`;
  const saying = { message: `the param "${name}" is not used: ${drop.why}`, fix: partner === '' ? drop.fix : fix };
  return [findingAt(drop.rule, task.object, index < 0 ? task.path : [...task.path, 'params', index], saying)];
}

function nearMiss(task: TaskDefinition, { name }: Declared, { path, declaration, drop }: At): Finding {
  const { name: meant, pattern } = meantHint(name) ?? { name, pattern: name };
  // A name that would lose its beginning is left to a person: nothing says that it meant the same.
  const isWhole = pattern !== meant || bare(name) === bare(meant);
  const keepsAll = isWhole && !declaration.results.some((other) => other.name === meant);
  const edits = keepsAll ? renames(task, { path, from: name, to: meant }) : [];
  const yaml = keepsAll ? `- name: ${meant}\n` : undefined;
  const fix = keepsAll ? `Call the result "${meant}", in the steps and wherever pipelines ask for it, too` : drop.fix;
  return findingAt(drop.rule, task.object, path, {
    message: `the result "${name}" looks like "${meant}", but ${drop.why}`,
    fix,
    yaml,
    edits,
  });
}

interface Renaming {
  readonly path: Path;
  readonly from: string;
  readonly to: string;
}

/** The declaration, what the steps write, and what pipelines of the same files ask for. */
function renames({ object, path: spec, isStepAction, callers }: TaskDefinition, { path, from, to }: Renaming): readonly Edit[] {
  const name = escaped(from);
  const scope = isStepAction ? 'step\\.results' : 'results';
  const own = new RegExp(
    `(\\$\\(${scope}(?:\\.|\\[\\\\?["']))${name}((?:\\\\?["']\\])?\\.path\\)|\\\\?["']\\])|(/tekton/results/)${name}(?![-\\w.])`,
    'g',
  );
  const inSteps: readonly Edit[] = isStepAction
    ? [{ kind: 'replace', object, path: spec, pattern: own, by: `$1$3${to}$2` }]
    : [{ kind: 'replace', object, path: [...spec, 'steps'], pattern: own, by: `$1$3${to}$2` }];
  const asked = callers.map(({ object: caller, path: inside, task }): Edit => {
    const pattern = new RegExp(`(\\$\\((?:tasks|finally)\\.${escaped(task)}\\.results(?:\\.|\\[\\\\?["']))${name}(?![-\\w])`, 'g');
    return { kind: 'replace', object: caller, path: inside, pattern, by: `$1${to}` };
  });
  return [{ kind: 'set', object, path: [...path, 'name'], text: to }, ...inSteps, ...asked];
}

function notAnObject({ object }: TaskDefinition, { name, type, members }: Declared, path: Path): Finding {
  const missing = ['uri', 'digest'].filter((member) => !members.includes(member));
  const declared = Object.fromEntries(missing.map((member) => [member, { type: 'string' }]));
  const list = at(object.value, ...path.map(String).slice(0, -1));
  const result = Array.isArray(list) ? (list as readonly JsonObject[])[Number(path.at(-1))] : undefined;
  const hasType = isObject(result) && Object.hasOwn(result, 'type');
  const hasProperties = isObject(result) && Object.hasOwn(result, 'properties');
  const typed: readonly Edit[] = hasType
    ? [{ kind: 'set', object, path: [...path, 'type'], text: 'object' }]
    : [{ kind: 'put', object, path, name: 'type', value: 'object' }];
  const propertied: readonly Edit[] = hasProperties
    ? missing.map((member) => ({ kind: 'put', object, path: [...path, 'properties'], name: member, value: { type: 'string' } }))
    : [{ kind: 'put', object, path, name: 'properties', value: declared }];
  const why =
    type === 'object'
      ? `its properties lack ${missing.join(' and ')}`
      : `its type is ${type}, and it must be an object with uri and digest`;
  const properties = { ...Object.fromEntries(members.map((member) => [member, { type: 'string' }])), ...declared };
  return findingAt('extract.object-hint', object, path, {
    message: `the result "${name}" is not used: ${why}`,
    fix: `Declare it with type: object and the properties uri and digest, and let a step write {"uri": "…", "digest": "sha256:…"} to it`,
    yaml: blockText([{ name, type: 'object', properties }], 0),
    // A list of texts is no slip of the pen.
    edits: type === 'array' ? [] : [...(type === 'object' && hasType ? [] : typed), ...propertied],
  });
}

function half(task: TaskDefinition, partner: string, { path, declaration, drop }: At): Finding {
  const name = placeOf(drop, declaration.results)?.name ?? '';
  const isThere = declaration.results.some((result) => result.name === partner);
  const param = declaration.params.find((one) => textAt(one, 'name') === partner);
  const scope = task.isStepAction ? 'step.results' : 'results';
  const item = { name: partner, type: 'string' };
  const known = task.isStepAction ? [] : rulesFor(task.name, namesOf(declaration)).filter(({ hint }) => hint === partner);
  const mapped = known.length === 0 ? '' : `; or, when you may not edit the task, set extract.hints to "${textOfRules(known)}"`;
  const isParam = param !== undefined && drop.rule === 'extract.incomplete-pair';
  return findingAt(drop.rule, task.object, path, {
    message: `the result "${name}" is not used: "${partner}", which belongs to it, is ${isParam ? 'a param, and only results are read' : isThere ? 'no string' : 'not declared'}`,
    fix: isThere
      ? `Declare "${partner}" as a string`
      : `Declare the result "${partner}", and let a step write it to $(${scope}.${partner}.path)${mapped}`,
    yaml: blockText({ results: [item] }, 0),
    edits: isThere ? [] : [{ kind: 'append', object: task.object, path: [...task.path, 'results'], items: [item] }],
  });
}

/** The names of git params are compared exactly, too, and who runs the task gives them: they are not renamed. */
export function missedParams({ object, path, spec }: TaskDefinition): readonly Finding[] {
  return objectsAt(spec, 'params').flatMap((param, index) => {
    const name = textAt(param, 'name');
    const meant = meantHint(name)?.name ?? '';
    if (!meant.startsWith('CHAINS-GIT_')) return [];
    const message = `the param "${name}" looks like "${meant}", but no rule reads a param called so`;
    return [findingAt('extract.near-miss', object, [...path, 'params', index], { message, fix: `Call the param "${meant}"` })];
  });
}

/** Without what a slip of the pen changes. */
function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
