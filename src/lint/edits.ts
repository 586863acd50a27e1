import { isCollection, isMap, isScalar, isSeq, stringify, visit, type Node, type Pair, type Scalar, type YAMLSeq } from 'yaml';
import type { JsonObject } from '../model/json.ts';
import type { Edit } from './finding.ts';
import { nodeAt, type LintObject, type Path } from './source.ts';

type EditOf<Kind extends Edit['kind']> = Extract<Edit, { readonly kind: Kind }>;

/** Puts `text` in the place of what is between two offsets of the whole text. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The text with the edits made; every other character stays as it is, comments and line ends too. An edit of what is not written in this
 * text (an alias brings it in), or that meets another one, is left out.
 */
export function edited(text: string, edits: readonly Edit[]): string {
  const replaced = replaceSplices(
    edits.filter((edit) => edit.kind === 'replace'),
    text,
  );
  const splices = [...replaced, ...merged(edits).flatMap((edit) => splicesOf(edit, text))]
    .map((splice, index) => ({ ...splice, index }))
    .toSorted((one, other) => one.start - other.start || one.index - other.index);
  let made = '';
  let done = 0;
  let before: Splice | undefined;
  for (const splice of splices) {
    const isAgain = before !== undefined && before.start === splice.start && before.end === splice.end && before.text === splice.text;
    if (splice.start < done || isAgain) continue;
    made += text.slice(done, splice.start) + splice.text;
    done = splice.end;
    before = splice;
  }
  return made + text.slice(done);
}

/** Additions to one list as one, each name once: a list that is not there is made once. */
function merged(edits: readonly Edit[]): readonly Edit[] {
  const lists = new Map<LintObject, Map<string, EditOf<'append'>>>();
  const others: Edit[] = [];
  for (const edit of edits) {
    if (edit.kind !== 'append') {
      others.push(edit);
      continue;
    }
    const ofObject = lists.get(edit.object) ?? new Map<string, EditOf<'append'>>();
    lists.set(edit.object, ofObject);
    const key = JSON.stringify(edit.path);
    const before = ofObject.get(key)?.items ?? [];
    const added = edit.items.filter((item) => !before.some((there) => there['name'] === item['name']));
    ofObject.set(key, { ...edit, items: [...before, ...added] });
  }
  return [...others, ...[...lists.values()].flatMap((ofObject) => [...ofObject.values()])];
}

function splicesOf(edit: Edit, text: string): readonly Splice[] {
  switch (edit.kind) {
    case 'set':
      return setSplice(edit, text);
    case 'replace':
      return [];
    case 'append':
      return appendSplice(edit, text);
    case 'put':
      return putSplice(edit.object, edit.path, { name: edit.name, value: edit.value }, text);
  }
}

function setSplice({ object, path, text: wanted }: EditOf<'set'>, text: string): readonly Splice[] {
  const node = nodeAt(object, path);
  if (!isScalar(node) || !node.range || node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED') return [];
  const [start, end] = [object.tree.base + node.range[0], object.tree.base + node.range[1]];
  const isQuoted = text[start] === '"' || text[start] === "'";
  return [{ start, end, text: isQuoted || !isPlain(wanted) ? JSON.stringify(wanted) : wanted }];
}

/** Several replacements may meet in one text, a script for instance: each works on what the one before left. */
function replaceSplices(edits: readonly EditOf<'replace'>[], text: string): readonly Splice[] {
  const found = new Map<Scalar, Splice>();
  for (const { object, path, pattern, by } of edits) {
    const node = nodeAt(object, path);
    if (node === undefined) continue;
    visit(node, {
      Scalar(_key, scalar) {
        const { range } = scalar;
        if (!range) return;
        const [start, end] = [object.tree.base + range[0], object.tree.base + range[1]];
        const before = found.get(scalar)?.text ?? text.slice(start, end);
        const after = before.replaceAll(pattern, by);
        if (after !== before) found.set(scalar, { start, end, text: after });
      },
    });
  }
  return [...found.values()];
}

function appendSplice({ object, path, items }: EditOf<'append'>, text: string): readonly Splice[] {
  const node = nodeAt(object, path);
  const name = path.at(-1);
  if (isSeq(node) && node.items.length > 0) return items.length === 0 ? [] : [intoList(object, node, items, text)];
  if (isSeq(node) && node.flow === true && node.range) {
    const start = object.tree.base + node.range[0];
    return [{ start, end: object.tree.base + node.range[1], text: JSON.stringify(items) }];
  }
  // `results:` with nothing behind it is left to a person.
  return node === undefined && typeof name === 'string' ? putSplice(object, path.slice(0, -1), { name, value: items }, text) : [];
}

function intoList({ tree }: LintObject, list: YAMLSeq, items: readonly JsonObject[], text: string): Splice {
  const end = tree.base + lastOffset(list.items.at(-1));
  if (list.flow === true) return insertion(end, `, ${items.map((item) => JSON.stringify(item)).join(', ')}`);
  const indent = tree.positionAt(tree.base + (list.range?.[0] ?? 0)).column - 1;
  return newLines(end, blockText(items, indent), text);
}

interface Member {
  readonly name: string;
  readonly value: string | JsonObject | readonly JsonObject[];
}

/** Before the steps or tasks, which are long, or else at the end. */
function putSplice(object: LintObject, path: Path, { name, value }: Member, text: string): readonly Splice[] {
  const { tree } = object;
  const map = nodeAt(object, path);
  if (!isMap(map) || !map.range) return [];
  if (map.flow === true || map.items.length === 0) {
    const last = map.items.at(-1);
    const member = `${JSON.stringify(name)}: ${JSON.stringify(value)}`;
    if (last === undefined) return [insertion(tree.base + map.range[0] + 1, member)];
    return [insertion(tree.base + lastOffset(last), `, ${member}`)];
  }
  const pairs = map.items;
  const long = pairs.findIndex(({ key }) => isScalar(key) && ['steps', 'tasks'].includes(String(key.value)));
  const before = pairs[long > 0 ? long - 1 : pairs.length - 1];
  const first = pairs[0]?.key;
  const indent = tree.positionAt(tree.base + ((isScalar(first) ? first.range?.[0] : undefined) ?? 0)).column - 1;
  return [newLines(tree.base + lastOffset(before), blockText({ [name]: value }, indent), text)];
}

/** Where the last character of a node, or of a member's value, ends; without the white space and the comments behind it. */
function lastOffset(node: unknown): number {
  if (isCollection(node) && node.flow !== true && node.items.length > 0) return lastOffset(node.items.at(-1));
  if (isRanged(node)) return node.range?.[1] ?? 0;
  if (!isMember(node)) return 0;
  // A member without a value ends with its colon; the rest of the line is skipped in any case.
  const value = lastOffset(node.value);
  return value > 0 ? value : lastOffset(node.key);
}

function isRanged(node: unknown): node is Node {
  return typeof node === 'object' && node !== null && 'range' in node;
}

function isMember(node: unknown): node is Pair {
  return typeof node === 'object' && node !== null && 'key' in node && 'value' in node;
}

function insertion(at: number, text: string): Splice {
  return { start: at, end: at, text };
}

/** Whole lines behind the line in which `end` is; a block text ends behind its last line already. */
function newLines(end: number, lines: string, text: string): Splice {
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  const block = lines.replaceAll('\n', lineEnd);
  if (end > 0 && text[end - 1] === '\n') return insertion(end, block);
  const next = text.indexOf('\n', end);
  if (next >= 0) return insertion(next + 1, block);
  return insertion(text.length, lineEnd + block.slice(0, -lineEnd.length));
}

/** YAML as it would stand at an indentation. */
export function blockText(value: JsonObject | readonly JsonObject[], indent: number): string {
  const lines = stringify(value, { lineWidth: 0 }).split('\n').slice(0, -1);
  return lines.map((line) => `${' '.repeat(indent)}${line}\n`).join('');
}

/** Letters that mean nothing to YAML, in block and in flow, and no word that it takes for something else. */
function isPlain(text: string): boolean {
  return /^[A-Za-z$][-\w.$()*]*$/.test(text) && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(text);
}
