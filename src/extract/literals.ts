import { goText } from '../model/json-text.ts';

/** Shorter values stand in other texts by chance (`main`, `true`), and are not looked for inside them. */
const minLength = 8;

/** Values to look for: the long ones anywhere, the short ones as a whole. */
export class Literals {
  /** What to look for, and the value that it stands for; longest first, so that one inside another is not found before it. */
  readonly #long: readonly (readonly [string, string])[];
  readonly #short: ReadonlySet<string>;

  constructor(values: Iterable<string>) {
    const all = [...new Set(values)];
    const long = all.filter((value) => value.length >= minLength).flatMap((value) => formsOf(value).map((form) => [form, value] as const));
    this.#long = long.sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1));
    this.#short = new Set(all.filter((value) => value.length < minLength));
  }

  get size(): number {
    return this.#long.length + this.#short.size;
  }

  isShort(text: string): boolean {
    return text.length < minLength && this.#short.has(text);
  }

  /** The text with every long value in it replaced by what `mark` gives for it. What was put in is not looked at again. */
  replaced(text: string, mark: (value: string) => string): string {
    // At even places stands what may still be searched, at odd ones what was put in.
    let parts: readonly string[] = [text];
    for (const [form, value] of this.#long) {
      if (form.length > text.length || !parts.some((part, index) => index % 2 === 0 && part.includes(form))) continue;
      parts = parts.flatMap((part, index) => (index % 2 === 0 ? between(part.split(form), () => mark(value)) : [part]));
    }
    return parts.length === 1 ? text : parts.join('');
  }
}

function between(pieces: readonly string[], put: () => string): readonly string[] {
  return pieces.flatMap((piece, index) => (index === 0 ? [piece] : [put(), piece]));
}

/** A value as it is, and as it stands inside JSON that ECMAScript or Go wrote. */
function formsOf(value: string): readonly string[] {
  return [...new Set([value, JSON.stringify(value).slice(1, -1), goText(value).slice(1, -1)])];
}
