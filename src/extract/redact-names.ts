import { isList, isObject, type Json, type JsonObject } from '../model/json.ts';
import { sortedText } from '../model/json-text.ts';
import { matchesGlob } from './glob.ts';

/** The configuration keys `redact.*`. */
export interface RedactOptions {
  /** Globs on names. */
  readonly params: readonly string[];
  readonly results: readonly string[];
  readonly tokenShapes: boolean;
  /** Empty: made from the run's UID. */
  readonly salt: string;
}

type Named = 'params' | 'results';

/** The list that an object stands in says what its name is: of a param, or of a result. */
export function isNamed(item: Json | undefined, list: string, options: Pick<RedactOptions, Named>): item is JsonObject {
  if ((list !== 'params' && list !== 'results') || !isObject(item)) return false;
  // Steps report results to Tekton under `key`.
  const name = item['name'] ?? item['key'];
  return typeof name === 'string' && options[list].some((glob) => matchesGlob(glob, name));
}

/** Members of a param, param spec or result that hold its value. */
export const valueMembers = ['value', 'default', 'enum'] as const;
/** A value that only points at another one. */
export const isReference = (text: string): boolean => /^\$\([^()]*\)$/.test(text);

/** The texts that a value consists of; one of an odd type is its own JSON text (chains-provenance 2.3). */
export function textsOf(value: Json | undefined): readonly string[] {
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return value === '' || isReference(value) ? [] : [value];
  if (isList(value)) return value.flatMap((item) => (typeof item === 'string' || item === null ? textsOf(item) : [sortedText(item)]));
  if (isObject(value)) {
    return Object.values(value).flatMap((item) => (typeof item === 'string' || item === null ? textsOf(item) : [sortedText(item ?? null)]));
  }
  return [sortedText(value)];
}
