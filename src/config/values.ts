import { durationText, parseDuration, parseSize, sizeText, type Quantity } from './quantity.ts';

/**
 * What became of one text. `ignored`: as if it had not been given, said aloud (a bool that Chains does not parse).
 * `later`: understood, but what it asks for comes with a later version. `wrong`: refused.
 */
export type Parsed<T> =
  | { readonly kind: 'value'; readonly value: T; readonly warning?: string }
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'later'; readonly what: string }
  | { readonly kind: 'wrong'; readonly reason: string };

/** How the text of one key is read: the rules of chains-controller 2.2. `allowed` finishes the sentence "allowed: …". */
export interface ValueType<T> {
  readonly allowed: string;
  parse(text: string): Parsed<T>;
}

export const text: ValueType<string> = { allowed: 'any text', parse: (given) => ({ kind: 'value', value: given }) };

/** A file or folder; the empty text is none. Control characters are refused: they are a slip of the pen, and no file system wants them. */
export const path: ValueType<string> = {
  allowed: 'a path, relative to the working directory or absolute; empty for none',
  parse: (given) =>
    given.split('').some((letter) => letter < ' ')
      ? { kind: 'wrong', reason: 'it holds a control character' }
      : { kind: 'value', value: given },
};

export const httpUrl: ValueType<string> = {
  allowed: 'an http or https URL; empty for none',
  parse(given) {
    const isGood = given === '' || (URL.canParse(given) && ['http:', 'https:'].includes(new URL(given).protocol));
    return isGood ? { kind: 'value', value: given } : { kind: 'wrong', reason: 'it is no http or https URL' };
  },
};

/** A URL that is written into what everybody may read, so it holds no user, password, query or fragment. */
export const plainUrl: ValueType<string> = {
  allowed: 'an http or https URL without user, query and fragment; empty for none',
  parse(given) {
    const parsed = httpUrl.parse(given);
    if (parsed.kind !== 'value' || given === '') return parsed;
    const { username, password } = new URL(given);
    const isPlain = username === '' && password === '' && !/[?#]/.test(given);
    return isPlain ? parsed : { kind: 'wrong', reason: 'it has a user, a query or a fragment' };
  },
};

/** http and https URLs split at commas, each trimmed and once, in the order given. */
export const httpUrls: ValueType<readonly string[]> = {
  allowed: 'http or https URLs with commas between them; or empty for none',
  parse(given) {
    const urls = [...new Set(piecesOf(given))].filter((piece) => piece !== '');
    return urls.every((url) => plainUrl.parse(url).kind === 'value')
      ? { kind: 'value', value: urls }
      : { kind: 'wrong', reason: 'one of them is no http or https URL without user, query and fragment' };
  },
};

/** Whether a reference to a key holds what belongs into no reference: it is shown in errors. */
export function isBareReference(given: string): boolean {
  return !/:\/\/[^/]*@|[?#]/.test(given);
}

/** A reference to a key in a key management service; the empty text is none. */
export const keyReference: ValueType<string> = {
  allowed: 'scheme://… without user, query and fragment; empty for none',
  parse: (given) =>
    isBareReference(given) ? { kind: 'value', value: given } : { kind: 'wrong', reason: 'it has a user, a query or a fragment' },
};

/** `namespace/name`; the empty text is none. */
export const secretName: ValueType<{ readonly namespace: string; readonly name: string } | undefined> = {
  allowed: 'namespace/name of a Secret; or empty for none',
  parse(given) {
    if (given === '') return { kind: 'value', value: undefined };
    const [, namespace, name] = /^([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?)$/.exec(given) ?? [];
    if (namespace === undefined || name === undefined) return { kind: 'wrong', reason: 'want namespace/name' };
    return { kind: 'value', value: { namespace, name } };
  },
};

/** A whole number from 1; the empty text is none. */
export const wholeNumber: ValueType<number | undefined> = {
  allowed: 'a whole number from 1; or empty for none',
  parse(given) {
    if (given === '') return { kind: 'value', value: undefined };
    return /^[1-9]\d{0,8}$/.test(given)
      ? { kind: 'value', value: Number(given) }
      : { kind: 'wrong', reason: 'it is no whole number from 1' };
  },
};

/** So many a second; the empty text is none. */
export const rate: ValueType<number | undefined> = {
  allowed: 'a number above 0, such as 5 or 0.5; or empty for none',
  parse(given) {
    if (given === '') return { kind: 'value', value: undefined };
    const value = /^\d{1,6}(\.\d{1,6})?$/.test(given) ? Number(given) : 0;
    return value > 0 ? { kind: 'value', value } : { kind: 'wrong', reason: 'it is no number above 0' };
  },
};

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((word) => [word, false] as const),
]);

/** As Go's `strconv.ParseBool`. Anything else leaves the default, as in Chains; there silently, here with a warning. */
export const bool: ValueType<boolean> = {
  allowed: 'true or false (also 1 t T TRUE True, 0 f F FALSE False)',
  parse(given) {
    const value = booleans.get(given);
    return value === undefined ? { kind: 'ignored', reason: 'it is neither true nor false' } : { kind: 'value', value };
  },
};

/** Names that are understood: those that work now, and those that a later version brings. */
export interface Names<Name extends string> {
  readonly now: readonly Name[];
  readonly later?: readonly string[];
}

/** One of some names, compared exactly: no trimming, no change of case, and the empty text is not one of them. */
export function oneOf<Name extends string>(names: Names<Name>): ValueType<Name> {
  return { allowed: allowedNames(names), parse: (given) => nameIn(names, given) };
}

/** Names split at commas, each trimmed, each once, in ascending order; the empty text is the empty set. */
export function setOf<Name extends string>(names: Names<Name>): ValueType<readonly Name[]> {
  return {
    allowed: `${allowedNames(names)}; several with commas between them; or empty for none`,
    parse(given) {
      const found = new Set<Name>();
      for (const piece of piecesOf(given)) {
        const parsed = nameIn(names, piece);
        if (parsed.kind !== 'value') return parsed;
        found.add(parsed.value);
      }
      return { kind: 'value', value: [...found].toSorted() };
    },
  };
}

/** Any words split at commas, each trimmed, each once, in the order given; empty pieces say nothing and go. */
export const words: ValueType<readonly string[]> = {
  allowed: 'any words with commas between them; or empty for none',
  parse: (given) => ({ kind: 'value', value: [...new Set(piecesOf(given))].filter((word) => word !== '') }),
};

/** Namespaces split at commas; a piece that can name no namespace is refused, because it would match nothing, ever. */
export const namespaces: ValueType<readonly string[]> = {
  allowed: 'names of namespaces with commas between them; or empty for all',
  parse(given) {
    const names = [...new Set(piecesOf(given))];
    const wrong = names.find((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name));
    return wrong === undefined
      ? { kind: 'value', value: names }
      : { kind: 'wrong', reason: `"${shown(wrong)}" can be no namespace's name` };
  },
};

/** Names of signers split at commas, each once, in the order given; `none` alone is none. Whether there are such signers is a check between keys. */
export const signerList: ValueType<readonly string[]> = {
  allowed: 'x509, kms, none, or names of signers.named; several with commas between them',
  parse(given) {
    if (given === 'none') return { kind: 'value', value: [] };
    const names = [...new Set(piecesOf(given))];
    if (names.length === 0 || names.includes('')) return { kind: 'wrong', reason: 'an empty name is not allowed' };
    if (names.includes('none')) return { kind: 'wrong', reason: '"none" cannot stand beside others' };
    if (names.length > 8) return { kind: 'wrong', reason: 'more than 8 signers cannot sign one thing' };
    return { kind: 'value', value: names };
  },
};

interface Range {
  readonly min: number;
  readonly max: number;
}

export function count({ min, max }: Range): ValueType<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    parse(given) {
      if (!/^\d{1,15}$/.test(given)) return { kind: 'wrong', reason: 'it is no whole number' };
      return within({ kind: 'amount', amount: Number(given) }, { min, max }, String);
    },
  };
}

/** Milliseconds; `min` and `max` are milliseconds, too. */
export function duration(range: Range): ValueType<number> {
  return {
    allowed: `a duration such as 30s, 5m or 168h, from ${durationText(range.min)} to ${durationText(range.max)}`,
    parse: (given) => within(parseDuration(given), range, durationText),
  };
}

/** Bytes; `min` and `max` are bytes, too. */
export function size(range: Range): ValueType<number> {
  return {
    allowed: `a size such as 16Mi, 1Gi or plain bytes, from ${sizeText(range.min)} to ${sizeText(range.max)}`,
    parse: (given) => within(parseSize(given), range, sizeText),
  };
}

/** A text as it may stand in a message: one line, no control characters, at most 200 characters. */
export function shown(given: string): string {
  const line = JSON.stringify(given.length > 200 ? `${given.slice(0, 200)}…` : given);
  return line.slice(1, -1);
}

function within(parsed: Quantity, { min, max }: Range, print: (amount: number) => string): Parsed<number> {
  if (parsed.kind === 'wrong') return parsed;
  if (parsed.amount < min) return { kind: 'wrong', reason: `it is less than ${print(min)}` };
  if (parsed.amount > max) return { kind: 'wrong', reason: `it is more than ${print(max)}` };
  return { kind: 'value', value: parsed.amount };
}

function piecesOf(given: string): readonly string[] {
  return given === '' ? [] : given.split(',').map((piece) => piece.trim());
}

function nameIn<Name extends string>(names: Names<Name>, given: string): Parsed<Name> {
  const value = names.now.find((name) => name === given);
  if (value !== undefined) return { kind: 'value', value };
  if (names.later?.includes(given)) return { kind: 'later', what: `"${given}"` };
  return { kind: 'wrong', reason: given === '' ? 'an empty name is not allowed' : `"${shown(given)}" is not one of them` };
}

function allowedNames<Name extends string>({ now, later = [] }: Names<Name>): string {
  const list = now
    .toSorted()
    .map((name) => (name === '' ? 'empty' : name))
    .join(', ');
  return later.length === 0 ? list : `${list} (later: ${later.toSorted().join(', ')})`;
}
