import { TerminalError } from '../errors.ts';
import { isList, isRawNumber, type Json, type JsonObject } from './json.ts';

/** How JSON is written. The rules and their reasons: chains-provenance 9.2 to 9.6. */
interface Style {
  /** Members ascending by UTF-8 bytes; otherwise as the object has them. */
  readonly sorted: boolean;
  /** Numbers beyond the range of doubles are refused. */
  readonly finite: boolean;
  /** `<`, `>`, `&`, U+2028 and U+2029 as escapes, as Go's ordinary encoder does. */
  readonly html: boolean;
}

/** Deeper input is an attack or a mistake: Tekton's own types nest less than 20 levels. */
const maxDepth = 1000;

/**
 * Members sorted at every level: what stands inside a predicate. Numbers stay as they were received: Tekton Chains writes the nearest double,
 * which is what a reader makes of either text. A number that no double is near (`1e400`) is refused, because readers differ in what
 * they make of it. Throws `TerminalError` `json.*`.
 */
export function canonical(value: Json): string {
  return write(value, { sorted: true, finite: true, html: false }, 0);
}

/** Members sorted at every level, numbers as received: the text that a param or result of an odd type becomes. */
export function sortedText(value: Json): string {
  return write(value, { sorted: true, finite: false, html: false }, 0);
}

/** Members in the given order, numbers as received. */
export function orderedText(value: Json): string {
  return write(value, { sorted: false, finite: false, html: false }, 0);
}

/** As Go's ordinary JSON encoder writes a struct: members in the given order, numbers exact, HTML characters escaped (9.6). */
export function goText(value: Json): string {
  return write(value, { sorted: false, finite: false, html: true }, 0);
}

/** Ascending by UTF-8 bytes, which is by code point; JavaScript's own order differs above U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? rank(x) - rank(y) : x - y;
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above every other unit. */
function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

function write(value: Json, style: Style, depth: number): string {
  if (typeof value === 'string') return quote(value, style);
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (value === null) return 'null';
  if (depth > maxDepth) throw new TerminalError('json.deep', `Cannot write JSON: it is nested deeper than ${maxDepth} levels`);
  if (isList(value)) {
    let text = '';
    for (const element of value) text += (text === '' ? '' : ',') + write(element, style, depth + 1);
    return `[${text}]`;
  }
  if (isRawNumber(value)) return rawText(value.rawJSON, style);
  return writeObject(value, style, depth);
}

function writeObject(value: JsonObject, style: Style, depth: number): string {
  let text = '';
  for (const name of namesOf(value, style.sorted)) {
    const member = value[name];
    if (member === undefined) continue;
    text += `${text === '' ? '' : ','}${quote(name, style)}:${write(member, style, depth + 1)}`;
  }
  return `{${text}}`;
}

/** JavaScript lists integer-like names first, so the given order of a map that has one is lost: maps are sorted anyway (9.6). */
function namesOf(value: JsonObject, sorted: boolean): readonly string[] {
  const names = Object.keys(value);
  const first = names[0]?.charCodeAt(0) ?? 0;
  const isGiven = !sorted && !(first >= 0x30 && first <= 0x39);
  if (isGiven || names.every((name, index) => index === 0 || compareUtf8(names[index - 1] ?? '', name) < 0)) return names;
  return names.sort(compareUtf8);
}

function rawText(text: string, { finite }: Style): string {
  if (finite) numberText(Number(text));
  return text;
}

/** The shortest round-trip form, as ECMAScript prints it, but for negative zero (9.4). */
function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new TerminalError('json.number', `Cannot write JSON: ${value} is no JSON number`);
  return Object.is(value, -0) ? '-0' : String(value);
}

// What most names and short values are made of needs no escape in either style, and a test is cheaper than a call.
const plain = /^[\w \-./:@$(){}=,+*#]*$/;
const htmlCharacters = /[<>&\u2028\u2029]/g;

function quote(text: string, style: Style): string {
  if (text.length < 100 && plain.test(text)) return `"${text}"`;
  const quoted = JSON.stringify(text.isWellFormed() ? text : text.toWellFormed());
  return style.html ? quoted.replace(htmlCharacters, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`) : quoted;
}
