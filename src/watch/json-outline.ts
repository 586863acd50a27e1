/** What the parsed value of a JSON text no longer tells. Offsets are indices into the text. */
export interface JsonOutline {
  /** Where the objects start that are elements of a list in the outermost object: the `items` of a `List`, in order. */
  readonly items: readonly number[];
  /** The first member that an object has twice. Readers differ in which one they take, so such a text means two things. */
  readonly duplicate: { readonly name: string; readonly offset: number } | undefined;
}

/** Reads the structure of a text that is known to be valid JSON. One pass, no recursion. */
export function outlineOf(text: string): JsonOutline {
  const items: number[] = [];
  /** The names seen in each open object; undefined for an open list. */
  const open: (Set<string> | undefined)[] = [];
  let duplicate: JsonOutline['duplicate'];
  let isName = false;
  for (const match of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g)) {
    const [token] = match;
    const offset = match.index;
    if (token === '{' || token === '[') {
      if (token === '{' && open.length === 2 && open[0] !== undefined && open[1] === undefined) items.push(offset);
      open.push(token === '{' ? new Set() : undefined);
      isName = token === '{';
    } else if (token === '}' || token === ']') {
      open.pop();
      isName = false;
    } else if (token === ',') {
      isName = open.at(-1) !== undefined;
    } else if (isName) {
      const name = String(JSON.parse(token));
      const names = open.at(-1);
      if (names?.has(name)) duplicate ??= { name, offset };
      names?.add(name);
      isName = false;
    }
  }
  return { items, duplicate };
}
