import { TerminalError } from '../errors.ts';
import type { Json } from './json.ts';

/** Deeper nesting than any statement has; Go's readers stop at the same depth. */
const maxDepth = 10_000;

/**
 * JSON as a verifier may trust it: valid UTF-8 without a byte order mark, at most `maxBytes`, no member name twice in one object.
 * Readers differ in which of two equal names they take, so a text with both could mean one thing to us and another to them.
 * `what` names the text in errors. Throws `json.too-large`, `json.malformed` and `json.duplicate-member`, never with a piece of the text
 * but the name of the member.
 */
export function parseStrictJson(bytes: Uint8Array, what: string, maxBytes: number): Json {
  if (bytes.length > maxBytes) {
    throw new TerminalError('json.too-large', `Cannot read ${what}: it has ${bytes.length} bytes, more than ${maxBytes}`);
  }
  const text = textOf(bytes, what);
  const value = valueOf(text, what);
  const twice = duplicateIn(text, what);
  if (twice !== undefined) {
    throw new TerminalError('json.duplicate-member', `Cannot read ${what}: the member "${twice.slice(0, 100)}" stands twice in one object`);
  }
  return value;
}

function textOf(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new TerminalError('json.malformed', `Cannot read ${what}: it is not valid UTF-8`, { cause: error });
  }
}

/** The parser's own message quotes the text, which may be anything: it is not passed on. */
function valueOf(text: string, what: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new TerminalError('json.malformed', `Cannot read ${what}: it is not valid JSON`);
  }
}

/** The first member name that an object has twice, escapes resolved. `text` is valid JSON, so only its structure is looked at. */
function duplicateIn(text: string, what: string): string | undefined {
  /** The names seen in each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let wantsName = false;
  for (let index = 0; index < text.length; index += 1) {
    const mark = text[index];
    if (mark === '{' || mark === '[') {
      open.push(mark === '{' ? new Set() : undefined);
      wantsName = mark === '{';
      if (open.length > maxDepth) throw new TerminalError('json.malformed', `Cannot read ${what}: it is nested deeper than ${maxDepth}`);
    } else if (mark === '}' || mark === ']') {
      open.pop();
    } else if (mark === ',') {
      wantsName = open.at(-1) !== undefined;
    } else if (mark === '"') {
      const end = endOfString(text, index);
      if (wantsName) {
        const name = JSON.parse(text.slice(index, end + 1)) as string;
        const names = open.at(-1);
        if (names?.has(name)) return name;
        names?.add(name);
        wantsName = false;
      }
      index = end;
    }
  }
  return undefined;
}

/** Index of the quote that closes the string opened at `start`: the next one with an even number of backslashes before it. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
}
