/** A changed bundle, and what was changed, in words. */
export interface Mutation {
  readonly what: string;
  readonly text: string;
}

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
type Path = readonly (string | number)[];

/** Every byte of the text, changed in three ways: another letter twice, and another case. */
export function* bytesChanged(text: string): Generator<Mutation> {
  const bytes = Buffer.from(text);
  for (const [at, byte] of bytes.entries()) {
    for (const other of [byte ^ 1, byte ^ 2, byte ^ 0x20]) {
      const changed = Buffer.from(bytes);
      changed[at] = other;
      yield { what: `byte ${at} is ${JSON.stringify(String.fromCharCode(other))}`, text: changed.toString('latin1') };
    }
  }
}

/** Every cut, from the front and from the back, of a text; each hundredth. */
export function* cuts(text: string): Generator<Mutation> {
  for (let at = 0; at < text.length; at += 100) {
    yield { what: `cut at ${at}`, text: text.slice(0, at) };
    yield { what: `cut before ${at}`, text: text.slice(at + 1) };
  }
}

/** Every member, list element and value: gone, null, empty, of another type, doubled; and a stranger in every object. */
export function* fieldsChanged(text: string): Generator<Mutation> {
  const original = JSON.parse(text) as Json;
  const made = (path: Path, how: string, edit: (parent: Json, last: string | number) => void): Mutation => {
    const copy = structuredClone(original);
    const parent = path.slice(0, -1).reduce<Json>((at, name) => (at as { [name: string]: Json })[name] ?? null, copy);
    edit(parent, path.at(-1) ?? '');
    return { what: `${path.join('.')} ${how}`, text: JSON.stringify(copy) };
  };
  const set = (value: Json) => (parent: Json, last: string | number) => void ((parent as { [name: string]: Json })[last] = value);
  for (const [path, value] of pathsOf(original)) {
    yield made(path, 'is gone', (parent, last) => {
      if (Array.isArray(parent)) parent.splice(Number(last), 1);
      else delete (parent as { [name: string]: Json })[last];
    });
    for (const other of [null, '', 0, 1, true, [], {}, 'x', 'AAAA', '-1', '1.5'])
      if (other !== value) yield made(path, `is ${JSON.stringify(other)}`, set(other));
    if (typeof value === 'string') {
      yield made(path, 'is longer', set(`${value}A`));
      yield made(path, 'is shorter', set(value.slice(0, -1)));
      yield made(path, 'has white space', set(` ${value}`));
      yield made(path, 'is a list of it', set([value]));
    }
    if (typeof path.at(-1) === 'number')
      yield made(path, 'stands twice', (parent, last) => (parent as Json[]).splice(Number(last), 0, structuredClone(value)));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      yield made(path, 'has a stranger', set({ ...value, stranger: 1 }));
      for (const name of Object.keys(value)) {
        const { [name]: moved = null, ...rest } = value;
        yield made(path, `has "${name}" in other letters`, set({ ...rest, [`${name[0]?.toUpperCase()}${name.slice(1)}`]: moved }));
      }
    }
  }
}

/** Every byte inside of every base64 value, with the base64 made anew. */
export function* contentsChanged(text: string): Generator<Mutation> {
  const original = JSON.parse(text) as Json;
  for (const [path, value] of pathsOf(original)) {
    const bytes = typeof value === 'string' && value.length > 10 ? Buffer.from(value, 'base64') : Buffer.alloc(0);
    if (bytes.toString('base64') !== value) continue;
    for (const at of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      yield { what: `${path.join('.')} has byte ${at} changed`, text: text.replace(value, changed.toString('base64')) };
    }
  }
}

function* pathsOf(value: Json, path: Path = []): Generator<readonly [Path, Json]> {
  if (path.length > 0) yield [path, value];
  if (typeof value !== 'object' || value === null) return;
  for (const [name, child] of Object.entries(value)) yield* pathsOf(child, [...path, Array.isArray(value) ? Number(name) : name]);
}

/** Where two bundles differ first; empty text when they say the same in another way. */
export function differenceOf(a: string, b: string): string {
  const theirs = new Map([...pathsOf(JSON.parse(b) as Json)].map(([path, value]) => [path.join('.'), JSON.stringify(value)]));
  for (const [path, value] of [...pathsOf(JSON.parse(a) as Json)].toReversed()) {
    const name = path.join('.');
    if (theirs.get(name) !== JSON.stringify(value)) return name;
    theirs.delete(name);
  }
  return [...theirs.keys()][0] ?? '';
}
