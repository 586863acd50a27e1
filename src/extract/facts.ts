import { at, isObject, objectsAt, textAt, type Json, type JsonObject } from '../model/json.ts';
import type { Hint } from './hint.ts';
import { mappedHints, type HintRule } from './mapping.ts';
import { valueOf } from './value.ts';

export interface RefSource {
  readonly uri: string;
  readonly digest: Readonly<Record<string, string>>;
  readonly entryPoint: string;
}

/** What ran in the pod beside others: a step's or sidecar's state. */
export interface Container {
  readonly name: string;
  readonly imageID: string;
  readonly where: string;
  readonly results: readonly Hint[];
  readonly refSource: RefSource | undefined;
}

/** What the rules read of a TaskRun or PipelineRun, decoded once; odd types count as absent. */
export interface Facts {
  readonly object: JsonObject;
  readonly metadata: JsonObject;
  readonly spec: JsonObject;
  readonly status: JsonObject;
  readonly name: string;
  readonly uid: string;
  readonly results: readonly Hint[];
  readonly steps: readonly Container[];
  readonly sidecars: readonly Container[];
  readonly refSource: RefSource | undefined;
  /** What stands before the places that drops name. */
  readonly prefix: string;
  /** `status.completionTime` is there: the run counts as executed when it is a child (2.6). */
  readonly isComplete: boolean;
}

/**
 * Decodes a run. `prefix` is put before the places that drops name: empty, or `TaskRun build-1: ` for a child. `rules` are
 * `extract.hints`: what they map stands behind the run's own results.
 */
export function factsOf(object: JsonObject, prefix = '', rules: readonly HintRule[] = []): Facts {
  const status = objectAt(object, 'status');
  const metadata = objectAt(object, 'metadata');
  const completion = at(status, 'completionTime');
  const results = hintsOf(objectsAt(status, 'results'), `${prefix}status.results`);
  const mapped = mappedHints(object, { results, prefix }, rules);
  return {
    object,
    metadata,
    spec: objectAt(object, 'spec'),
    status,
    name: textAt(metadata, 'name'),
    uid: textAt(metadata, 'uid'),
    results: mapped.length === 0 ? results : [...results, ...mapped],
    steps: containersOf(objectsAt(status, 'steps'), `${prefix}status.steps`),
    sidecars: containersOf(objectsAt(status, 'sidecars'), `${prefix}status.sidecars`),
    refSource: refSourceOf(status),
    prefix,
    isComplete: typeof completion === 'string',
  };
}

/** The object at `path`, or an empty one. */
function objectAt(value: Json | undefined, ...path: readonly string[]): JsonObject {
  const found = at(value, ...path);
  return isObject(found) ? found : {};
}

/** A map of texts, or undefined when it is absent. `null` values are empty texts; members of another type count as absent. */
export function textMapAt(value: Json | undefined, ...path: readonly string[]): Readonly<Record<string, string>> | undefined {
  const found = at(value, ...path);
  if (!isObject(found)) return undefined;
  const members = Object.entries(found).filter(([, text]) => typeof text === 'string' || text === null);
  return Object.fromEntries(members.map(([name, text]) => [name, typeof text === 'string' ? text : '']));
}

export function hintsOf(objects: readonly JsonObject[], where: string): readonly Hint[] {
  return objects.map((object) => {
    const name = textAt(object, 'name');
    return { name, value: valueOf(object), where: `${where}[${name}]` };
  });
}

/** `provenance.refSource` of a run's status or of a step's state. */
function refSourceOf(holder: JsonObject): RefSource | undefined {
  const found = at(holder, 'provenance', 'refSource');
  if (!isObject(found)) return undefined;
  return { uri: textAt(found, 'uri'), digest: textMapAt(found, 'digest') ?? {}, entryPoint: textAt(found, 'entryPoint') };
}

function containersOf(states: readonly JsonObject[], where: string): readonly Container[] {
  return states.map((state) => {
    const name = textAt(state, 'name');
    const place = `${where}[${name}]`;
    const results = hintsOf(objectsAt(state, 'results'), `${place}.results`);
    return { name, imageID: textAt(state, 'imageID'), where: place, results, refSource: refSourceOf(state) };
  });
}
