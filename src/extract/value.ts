import { isList, isObject, type Json, type JsonObject } from '../model/json.ts';
import { compareUtf8, sortedText } from '../model/json-text.ts';

/** The value union of params and results (chains-provenance 2.3). `missing`: the member is not there at all. */
export type Value =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly string[] }
  | { readonly kind: 'object'; readonly members: Readonly<Record<string, string>> }
  | { readonly kind: 'missing' };

/** Decodes the member `name` of a param, param spec or result. */
export function valueOf(holder: JsonObject, name: 'value' | 'default' = 'value'): Value {
  const json = Object.hasOwn(holder, name) ? holder[name] : undefined;
  if (json === undefined) return { kind: 'missing' };
  if (typeof json === 'string') return { kind: 'string', text: json };
  if (json === null) return { kind: 'string', text: '' };
  if (isList(json) && json.every(isText)) return { kind: 'array', items: json.map((item) => item ?? '') };
  if (isObject(json)) {
    const members = Object.entries(json);
    if (members.every(isTextMember)) return { kind: 'object', members: textMap(members) };
  }
  return { kind: 'string', text: sortedText(json) };
}

/** The string arm; empty for an array or an object. */
export function stringOf(value: Value): string {
  return value.kind === 'string' ? value.text : '';
}

/** As it is encoded again: members sorted. Undefined for a missing value, which has no encoding (E-60). */
export function jsonOf(value: Value): Json | undefined {
  if (value.kind === 'string') return value.text;
  if (value.kind === 'array') return value.items;
  return value.kind === 'object' ? value.members : undefined;
}

function isText(value: Json | undefined): value is string | null {
  return typeof value === 'string' || value === null;
}

function isTextMember(member: readonly [string, Json | undefined]): member is [string, string | null] {
  return isText(member[1]);
}

/** `Object.fromEntries` defines members, so a member called `__proto__` stays one. */
function textMap(members: readonly (readonly [string, string | null])[]): Readonly<Record<string, string>> {
  return Object.fromEntries(members.map(([name, text]) => [name, text ?? ''] as const).toSorted(([a], [b]) => compareUtf8(a, b)));
}
