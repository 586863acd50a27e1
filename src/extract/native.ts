import type { Image } from '../model/artifact.ts';
import { at, isList, isObject, objectsAt, textAt, type Json, type JsonObject } from '../model/json.ts';
import { canonical } from '../model/json-text.ts';
import { parseDigest } from './digest.ts';
import { redactedDrop, type Drops } from './drops.ts';
import type { Facts } from './facts.ts';
import { asRepository } from './images.ts';
import { isHidden } from './marker.ts';
import { mergeItems, type Item } from './merge.ts';
import { fullName, parseReference } from './reference.ts';
import { trim } from './trim.ts';

/** One value of an output: where it is, what it is called, and whether the build is about it. `name` of the `Item` is the uri. */
export interface NativeOutput extends Item {
  /** Name of the TaskRun. */
  readonly run: string;
  readonly artifact: string;
  /** Of a step; undefined for the whole run. */
  readonly step: string | undefined;
  readonly isBuildOutput: boolean;
}

/**
 * What a TaskRun's native artifacts (TEP-0147) say that it used: of the run, then of its steps, each once. Tekton repeats what
 * steps say in `status.artifacts`.
 */
export function nativeInputs(facts: Facts, drops: Drops): readonly Item[] {
  return mergeItems(artifactsOf(facts, 'inputs', drops).flatMap((listed) => itemsOf(listed, drops)));
}

/** What they say that it made; an output that run and step both name stands once, and is a build output when either says so. */
export function nativeOutputs(facts: Facts, drops: Drops): readonly NativeOutput[] {
  const outputs = new Map<string, NativeOutput>();
  for (const listed of artifactsOf(facts, 'outputs', drops)) {
    const isBuildOutput = flagOf(listed, drops);
    for (const item of itemsOf(listed, drops)) {
      const artifact = textAt(listed.artifact, 'name');
      const key = JSON.stringify([item.name, Object.entries(item.digest).sort(([a], [b]) => (a < b ? -1 : 1))]);
      const known = outputs.get(key);
      if (known === undefined) outputs.set(key, { ...item, run: facts.name, artifact, step: listed.step, isBuildOutput });
      else if (isBuildOutput) outputs.set(key, { ...known, isBuildOutput });
    }
  }
  return [...outputs.values()];
}

/** Build outputs whose uri names an image with its registry: what a signature can be stored beside. A package URL is none. */
export function nativeImages(facts: Facts, drops: Drops): readonly Image[] {
  const images = nativeOutputs(facts, drops).flatMap(({ name, digest, isBuildOutput }) => {
    const base = isBuildOutput ? asRepository(name) : undefined;
    if (base === undefined || !/^[^/]*[.:][^/]*\/|^localhost\//.test(base)) return [];
    const image = parseReference(base, `sha256:${digest['sha256'] ?? ''}`);
    return typeof image === 'string' ? [] : [image];
  });
  return [...new Map(images.map((image) => [fullName(image), image])).values()];
}

interface Listed {
  readonly artifact: JsonObject;
  readonly step: string | undefined;
  readonly where: string;
}

function artifactsOf({ status, prefix }: Facts, member: 'inputs' | 'outputs', drops: Drops): readonly Listed[] {
  const listed = (holder: Json | undefined, place: string, step: string | undefined): readonly Listed[] => {
    const list = at(holder, member) ?? [];
    const where = `${prefix}${place}.${member}`;
    if (!isList(list)) return dropped(where, list, 'want a list of artifacts', drops);
    return list.flatMap((artifact): readonly Listed[] =>
      isObject(artifact)
        ? [{ artifact, step, where: `${where}[${textAt(artifact, 'name')}]` }]
        : dropped(where, artifact, 'an artifact is an object with a name and values', drops),
    );
  };
  const ofSteps = objectsAt(status, 'steps').flatMap((state) => {
    const name = textAt(state, 'name');
    return listed(state, `status.steps[${name}]`, name);
  });
  return [...listed(at(status, 'artifacts'), 'status.artifacts', undefined), ...ofSteps];
}

function dropped(where: string, value: Json, why: string, drops: Drops): readonly never[] {
  const fix = 'Write {"name": …, "values": [{"uri": …, "digest": {"sha256": …}}]}, and "buildOutput": true for what the build is about';
  drops.add({ result: where, value: shownOf(value), rule: 'extract.native-artifact', why, fix });
  return [];
}

/** A text as it is; of anything else, which may be of any size and depth, what it is. */
function shownOf(value: Json): string {
  if (typeof value === 'string') return value;
  if (isList(value)) return `a list of ${value.length}`;
  return isObject(value) ? `an object with ${Object.keys(value).slice(0, 5).join(', ').slice(0, 100) || 'no member'}` : canonical(value);
}

function itemsOf({ artifact, where }: Listed, drops: Drops): readonly Item[] {
  const values = at(artifact, 'values') ?? [];
  if (!isList(values)) return dropped(where, values, 'its values are no list', drops);
  return values.flatMap((value): readonly Item[] => {
    if (!isObject(value)) return dropped(where, value, 'want an object with uri and digest', drops);
    const uri = trim(textAt(value, 'uri'));
    if (isHidden(uri)) {
      drops.add({ result: where, value: uri, ...redactedDrop });
      return [];
    }
    if (uri === '') return dropped(where, value, 'it has no uri, or one that is no text', drops);
    const digest = digestOf(at(value, 'digest'), where, drops);
    return Object.keys(digest).length === 0 ? dropped(where, uri, 'it has no digest that can be used', drops) : [{ name: uri, digest }];
  });
}

const gitDigest = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** The usable entries of a digest map, normalised; the others are dropped. */
function digestOf(map: Json | undefined, where: string, drops: Drops): Readonly<Record<string, string>> {
  const good = (isObject(map) ? Object.entries(map) : []).flatMap(([algorithm, given]): readonly (readonly [string, string])[] => {
    const hex = typeof given === 'string' ? trim(given) : '';
    // in-toto's name for a commit, which has one of two lengths.
    if (algorithm === 'gitCommit' && gitDigest.test(hex)) return [[algorithm, hex] as const];
    const parsed = parseDigest(`${algorithm}:${hex}`);
    if (typeof parsed !== 'string') return [[parsed.algorithm, parsed.hex] as const];
    return dropped(where, `${algorithm}:${hex}`, `no digest: ${typeof given === 'string' ? parsed : 'want a string'}`, drops);
  });
  return Object.fromEntries(good);
}

/** Only `true` is true; another type is a mistake that would silently cost a subject. */
function flagOf({ artifact, where }: Listed, drops: Drops): boolean {
  const flag = at(artifact, 'buildOutput') ?? false;
  if (typeof flag !== 'boolean') dropped(where, flag, 'buildOutput is neither true nor false, so it is taken for false', drops);
  return flag === true;
}
