import { TerminalError } from '../errors.ts';
import { isList, isObject, isRawNumber, type Json } from '../model/json.ts';
import { compareUtf8, orderedText } from '../model/json-text.ts';
import { jsonOf, valueOf } from '../extract/value.ts';
import { durationText } from './duration.ts';
import { quantityText } from './quantity.ts';
import { isZeroTime, parseTime, timeText } from './time.ts';

/** How one type is decoded and encoded again. JSON of another type counts as absent. */
export interface Codec {
  /** Is it JSON of this type? */
  fits(value: Json | undefined): value is Json;
  /** Is it what Go leaves out under `omitempty`? Asked only of what fits. */
  isEmpty(value: Json): boolean;
  /** The encoding of what fits, and the empty value of what does not. `sorted`: members by name, else in struct order. */
  encode(value: Json | undefined, sorted: boolean): Json;
}

const text: Codec = {
  fits: (value): value is Json => typeof value === 'string',
  isEmpty: (value) => value === '',
  encode: (value) => (typeof value === 'string' ? value : ''),
};

const bool: Codec = {
  fits: (value): value is Json => typeof value === 'boolean',
  isEmpty: (value) => value === false,
  encode: (value) => value === true,
};

const int: Codec = {
  fits: (value): value is Json => Number.isInteger(numberOf(value)),
  isEmpty: (value) => numberOf(value) === 0,
  encode: (value) => (int.fits(value) ? value : 0),
};

// A time as Kubernetes writes it, on a day that every month has: nothing to reckon. Nearly all times are like this.
const settledTime = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const zeroTime = '0001-01-01T00:00:00Z';

const time: Codec = {
  fits: (value): value is Json => typeof value === 'string' && (settledTime.test(value) || parseTime(value) !== undefined),
  isEmpty: (value) => time.encode(value, true) === null,
  encode: (value) => {
    if (typeof value !== 'string') return null;
    if (settledTime.test(value)) return value === zeroTime ? null : value;
    const instant = parseTime(value);
    return instant === undefined || isZeroTime(instant) ? null : timeText(instant);
  },
};

const duration: Codec = {
  fits: (value): value is Json => typeof value === 'string' && durationText(value) !== undefined,
  isEmpty: (value) => duration.encode(value, true) === '0s',
  encode: (value) => (typeof value === 'string' ? durationText(value) : undefined) ?? '0s',
};

/** Text that is no quantity stays as it is: it says what was asked for. */
const quantity: Codec = {
  fits: (value): value is Json => typeof value === 'string' || numberOf(value) !== undefined,
  isEmpty: () => false,
  encode: (value) => {
    if (!quantity.fits(value)) return '0';
    const given = typeof value === 'string' ? value : orderedText(value);
    return quantityText(given) ?? given;
  },
};

const intOrString: Codec = {
  fits: (value): value is Json => typeof value === 'string' || int.fits(value),
  isEmpty: () => false,
  encode: (value) => (intOrString.fits(value) ? value : 0),
};

/** The value union. `null` is the empty text; a missing one has no encoding (E-60). */
const value: Codec = {
  fits: (json): json is Json => json !== undefined,
  isEmpty: () => false,
  encode: (json) => {
    const encoded = json === undefined ? undefined : jsonOf(valueOf({ value: json }));
    if (encoded !== undefined) return encoded;
    const fix = 'Give every param and result a value';
    throw new TerminalError('format.value-missing', 'Cannot encode a param or result: it has no member "value"', { fix });
  },
};

/** Any JSON, unchanged. */
const raw: Codec = {
  fits: (json): json is Json => json !== undefined,
  isEmpty: () => false,
  encode: (json) => json ?? null,
};

export const scalars: ReadonlyMap<string, Codec> = new Map(
  Object.entries({ string: text, bool, int, time, duration, quantity, intOrString, value, raw, rawjson: raw }),
);

/** A slice. Elements that are `null` are empty values; elements of another type are left out. */
export function listOf(element: Codec): Codec {
  return {
    fits: (json): json is Json => isList(json),
    isEmpty: (json) => isList(json) && json.length === 0,
    encode: (json, sorted) => {
      if (!isList(json)) return null;
      return json.flatMap((item) => (item === null || element.fits(item) ? [element.encode(item, sorted)] : []));
    },
  };
}

/** A map, its members always sorted. */
export function mapOf(element: Codec): Codec {
  return {
    fits: (json): json is Json => isObject(json),
    isEmpty: (json) => isObject(json) && Object.keys(json).length === 0,
    encode: (json, sorted) => {
      if (!isObject(json)) return null;
      const members = Object.entries(json).filter(([, member]) => member === null || element.fits(member));
      members.sort(([a], [b]) => compareUtf8(a, b));
      return Object.fromEntries(members.map(([name, member]) => [name, element.encode(member, sorted)]));
    },
  };
}

/** A pointer is left out when absent or null, and kept when what it points at is empty. */
export function pointerTo(target: Codec): Codec {
  return {
    fits: (json): json is Json => json !== null && target.fits(json),
    isEmpty: () => false,
    encode: (json, sorted) => (json !== null && target.fits(json) ? target.encode(json, sorted) : null),
  };
}

function numberOf(json: Json | undefined): number | undefined {
  if (typeof json === 'number') return json;
  return isRawNumber(json) ? Number(json.rawJSON) : undefined;
}
