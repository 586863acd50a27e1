import { TerminalError } from '../errors.ts';
import { isObject, type Json } from '../model/json.ts';
import { compareUtf8 } from '../model/json-text.ts';
import { apiTypes } from './api-types.ts';
import { listOf, mapOf, pointerTo, scalars, type Codec } from './codec.ts';

/** The types that payloads embed. */
export type ApiType = 'TaskRun' | 'TaskRunSpec' | 'PipelineRunSpec' | 'FeatureFlags' | 'TaskRef' | 'TaskRunResult';

interface Member {
  readonly name: string;
  /** Written even when empty. */
  readonly isAlways: boolean;
  readonly codec: Codec;
}

/**
 * Decodes an object as the Go type and encodes it again (chains-provenance 2.2): unknown members go, empty ones too, scalars
 * are normalised. `sorted` puts members by name, otherwise in the order of the Go struct.
 * Throws `TerminalError` `format.value-missing` or `format.deep`.
 */
export function reencode(type: ApiType, value: Json | undefined, sorted = true): Json {
  try {
    return typeOf(type).encode(value, sorted);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TerminalError('format.deep', `Cannot encode a ${type}: it is nested too deeply`, { cause: error });
  }
}

/** Types compiled so far, by their text in the table: compiled on first use, so that importing this file does nothing. */
const compiled = new Map<string, Codec>();
const lines = new Map<string, string>();

function typeOf(text: string): Codec {
  const known = compiled.get(text) ?? scalars.get(text);
  if (known !== undefined) return known;
  const codec = compile(text);
  compiled.set(text, codec);
  return codec;
}

function compile(text: string): Codec {
  if (text.startsWith('*')) return pointerTo(typeOf(text.slice(1)));
  if (text.startsWith('[]')) return listOf(typeOf(text.slice(2)));
  if (text.startsWith('map[string]')) return mapOf(typeOf(text.slice('map[string]'.length)));
  return structOf(text);
}

/** Members are compiled on first use: types refer to each other in circles. */
function structOf(type: string): Codec {
  let members: { readonly sorted: readonly Member[]; readonly struct: readonly Member[] } | undefined;
  return {
    fits: (value): value is Json => isObject(value),
    isEmpty: () => false,
    encode: (value, sorted) => {
      members ??= membersOf(type);
      return encodeStruct(sorted ? members.sorted : members.struct, isObject(value) ? value : {}, sorted);
    },
  };
}

function encodeStruct(members: readonly Member[], value: { readonly [name: string]: Json | undefined }, sorted: boolean): Json {
  const encoded: Record<string, Json> = {};
  for (const { name, isAlways, codec } of members) {
    const member = Object.hasOwn(value, name) ? value[name] : undefined;
    if (isAlways || (codec.fits(member) && !codec.isEmpty(member))) encoded[name] = codec.encode(member, sorted);
  }
  return encoded;
}

function membersOf(type: string) {
  if (lines.size === 0) for (const line of apiTypes.trim().split('\n')) lines.set(line.slice(0, line.indexOf(':')), line);
  const line = lines.get(type) ?? '';
  const struct = line
    .slice(type.length + 2)
    .split(', ')
    .map((member): Member => {
      const [, name = '', mark = '', of = ''] = /^(\w+)([!~]?):(.+)$/.exec(member) ?? [];
      return { name, isAlways: mark === '!', codec: typeOf(of) };
    });
  return { struct, sorted: struct.toSorted((a, b) => compareUtf8(a.name, b.name)) };
}
