import type { TerminalError } from '../errors.ts';
import { bytesOfBase64 } from './base64.ts';
import { isObject, type Json, type JsonObject } from './json.ts';

/** What was wrong with a message, and where in it: `verificationMaterial.tlogEntries[0].logIndex`. */
export type Refuse = (path: string, reason: string) => TerminalError;

/**
 * Reads one message of the proto3 JSON mapping as strictly as Go's protojson does, and where that is loose as strictly as a verifier may:
 * members that the message does not have are refused, names are lowerCamelCase only, `null` is an absent member, base64 is canonical.
 * Every reader gives undefined for what is absent or has its type's default, as proto3 knows no difference.
 */
export interface Message {
  readonly path: string;
  /** Whether the member stands there, and is not null. */
  has(name: string): boolean;
  /** Undefined for the empty text. */
  text(name: string): string | undefined;
  /** Undefined for no bytes. */
  bytes(name: string): Uint8Array | undefined;
  /** A 64-bit integer that is not negative and is safe in JavaScript, as text or number; 0 when absent. */
  count(name: string): number;
  message(name: string, members: readonly string[]): Message | undefined;
  messages(name: string, members: readonly string[]): readonly Message[];
  byteLists(name: string): readonly Uint8Array[];
  /** A member of an enumeration, by name or number. */
  choice<Name extends string>(name: string, names: Readonly<Record<Name, number>>): Name | undefined;
  refuse(name: string, reason: string): TerminalError;
}

export function messageOf(value: Json | undefined, path: string, members: readonly string[], fail: Refuse): Message {
  if (!isObject(value)) throw fail(path, 'it must be an object');
  const object: JsonObject = value;
  for (const name of Object.keys(object)) {
    if (!members.includes(name)) throw fail(path, `it has a member "${name.slice(0, 100)}" that is not known`);
  }
  const pathOf = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const refuse = (name: string, reason: string): TerminalError => fail(pathOf(name), reason);
  const valueOf = (name: string): Json | undefined => (Object.hasOwn(object, name) ? (object[name] ?? undefined) : undefined);
  const listOf = (name: string): readonly Json[] => {
    const list = valueOf(name) ?? [];
    if (!Array.isArray(list)) throw refuse(name, 'it must be a list');
    return list as readonly Json[];
  };
  const bytesOf = (text: Json | undefined, name: string): Uint8Array => {
    const bytes = typeof text === 'string' ? bytesOfBase64(text) : undefined;
    if (bytes === undefined) throw refuse(name, 'it must be canonical base64');
    return bytes;
  };
  return {
    path,
    has: (name) => valueOf(name) !== undefined,
    text(name) {
      const text = valueOf(name) ?? '';
      if (typeof text !== 'string') throw refuse(name, 'it must be a text');
      return text === '' ? undefined : text;
    },
    bytes(name) {
      const bytes = bytesOf(valueOf(name) ?? '', name);
      return bytes.length === 0 ? undefined : bytes;
    },
    count(name) {
      const number = numberOf(valueOf(name) ?? 0);
      if (number === undefined) throw refuse(name, 'it must be a whole number from 0 to 2^53 - 1, as a text of digits');
      return number;
    },
    message: (name, known) => (valueOf(name) === undefined ? undefined : messageOf(valueOf(name), pathOf(name), known, fail)),
    messages: (name, known) => listOf(name).map((each, index) => messageOf(each, `${pathOf(name)}[${index}]`, known, fail)),
    byteLists: (name) => listOf(name).map((each, index) => bytesOf(each, `${name}[${index}]`)),
    choice<Name extends string>(name: string, names: Readonly<Record<Name, number>>) {
      const value = valueOf(name);
      return (Object.keys(names) as Name[]).find((known) => value === known || value === names[known]);
    },
    refuse,
  };
}

function numberOf(value: Json): number | undefined {
  const number = typeof value === 'string' && /^(?:0|[1-9]\d{0,15})$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}
