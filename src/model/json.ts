import { TerminalError } from '../errors.ts';

/** A number that JavaScript would change (`1.0`, `-0`, 9007199254740993) may be a raw number instead: see `isRawNumber`. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: Json | undefined;
}

/** What `JSON.rawJSON` makes: the text of a number as it was received. `JSON.stringify` writes that text. */
export interface RawNumber {
  readonly rawJSON: string;
}
interface RawJson {
  rawJSON(text: string): RawNumber & JsonObject;
  isRawJSON(value: unknown): boolean;
}
// The library types of TypeScript 7.0 do not know these two members yet; Node 22 and later have them.
// The library of TypeScript does not know these two yet (TC39, JSON.parse source text access).
const raw = JSON as unknown as RawJson;

/** A number that is written as this text, which must be that of a JSON number: a `SyntaxError` otherwise. */
export function rawNumberOf(text: string): unknown {
  return raw.rawJSON(text);
}

export function isRawNumber(value: unknown): value is RawNumber {
  return raw.isRawJSON(value);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !raw.isRawJSON(value);
}

/** Follows `path` through objects; undefined when anything on the way is not an object or lacks the member. Own members only. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let here = value;
  for (const name of path) {
    if (!isObject(here) || !Object.hasOwn(here, name)) return undefined;
    here = here[name];
  }
  return here;
}

/** The text at `path`; empty when absent or something else, as Go decodes an absent string. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** The objects of the list at `path`. `null` elements are empty objects, as Go decodes them; anything else is left out. */
export function objectsAt(value: Json | undefined, ...path: readonly string[]): readonly JsonObject[] {
  const found = at(value, ...path);
  if (!isList(found)) return [];
  return found.every(isObject) ? found : found.map((element) => element ?? {}).filter(isObject);
}

/** `Array.isArray` that keeps the element type of a readonly list. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

// A number token stands after `:`, `,`, `[` or at the start, and before `,`, `]`, `}` or the end. At risk are those with a
// fraction, an exponent, 16 digits or more, and -0. A match inside a string only costs time.
const riskyNumber = /(?:^|[:,[])\s*-?(?:\d{16,}|0(?<=-0)|\d+(?:\.\d+)?[eE][+-]?\d+|\d+\.\d+)\s*(?:[,\]}]|$)/;
const surrogateEscape = /\\u[dD][89a-fA-F]/;
// Read left to right, so that an escaped backslash before `ud800` is not mistaken for an escape.
const escapes = /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|[^])/g;

/**
 * Parses JSON so that writing it gives the same numbers. Lone surrogates become U+FFFD, the last of several equal members wins,
 * `__proto__` is a member like any other. Throws `TerminalError` `json.malformed`.
 */
export function parseJson(text: string): Json {
  const clean = surrogateEscape.test(text) ? text.replace(escapes, wellFormedEscape) : text;
  try {
    return (riskyNumber.test(clean) ? JSON.parse(clean, keepNumber) : JSON.parse(clean)) as Json;
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'it is not JSON' : 'it is nested too deeply';
    throw new TerminalError('json.malformed', `Cannot parse "${text.slice(0, 80)}": ${reason}`, { cause: error });
  }
}

function keepNumber(_name: string, value: Json, context?: { readonly source?: string }): Json {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  return String(value) === context.source && !Object.is(value, -0) ? value : raw.rawJSON(context.source);
}

/** A whole pair is 12 characters long and stays; half a pair is 6 long and becomes U+FFFD. */
function wellFormedEscape(escape: string): string {
  return escape.length === 6 && surrogateEscape.test(escape) ? '\\ufffd' : escape;
}
