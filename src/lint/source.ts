import { isMap, isNode, isScalar, isSeq, parseAllDocuments, type Document, type Node } from 'yaml';
import { at, isList, isObject, textAt, type Json, type JsonObject } from '../model/json.ts';
import { asKubectl, repeatedNamesIn } from '../model/yaml.ts';
import { positionsOf, type Position } from './position.ts';

/** Members and indexes from the root of a document. */
export type Path = readonly (string | number)[];

export interface Problem extends Position {
  readonly message: string;
}

/** A text and the Tekton objects in it. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly objects: readonly LintObject[];
  readonly problems: readonly Problem[];
}

export const kinds = ['Task', 'ClusterTask', 'StepAction', 'Pipeline', 'TaskRun', 'PipelineRun'] as const;
export type Kind = (typeof kinds)[number];

/** One Tekton object, and where it stands. */
export interface LintObject {
  readonly file: string;
  readonly kind: Kind;
  /** `metadata.name`, or `generateName`; empty without either. */
  readonly name: string;
  readonly namespace: string;
  readonly value: JsonObject;
  /** From the root of its document: not empty for an element of a list. */
  readonly path: Path;
  readonly tree: Tree;
}

/** What an edit needs of a document. */
export interface Tree {
  readonly root: Node | null;
  /** Where the document's own text starts in the whole text: the ranges of its nodes count from there. */
  readonly base: number;
  readonly positionAt: (offset: number) => Position;
}

/** One document takes a second and some 400 times its size in memory for each 2 MiB while it is read. */
const maxDocumentCharacters = 2 * 1024 ** 2;
const maxAliases = 1000;
const maxListDepth = 4;
/** One slip can make every line after it wrong. */
const maxProblems = 10;

/** Reads YAML or JSON, one or several documents, lists unfolded. Other kinds are passed over; what is broken is a problem and hides nothing else. */
export function sourceOf(file: string, text: string): Source {
  const positionAt = positionsOf(text);
  const objects: LintObject[] = [];
  const problems: Problem[] = [];
  let base = 0;
  // A line that starts with `---` begins a document, wherever it stands (YAML 1.2.2, 9.1.2), so the text can be cut before it is read.
  for (const piece of text.split(/^(?=---(?:\s|$))/m)) {
    const read = pieceOf(piece, base, positionAt);
    problems.push(...read.problems.slice(0, maxProblems));
    for (const { value, root } of read.documents) {
      const tree: Tree = { root, base, positionAt };
      for (const found of unfolded({ value, path: [], apiVersion: '', kind: '' }, 0)) {
        const object = objectOf(found, file, tree);
        if (object !== undefined) objects.push(object);
      }
    }
    base += piece.length;
  }
  return { file, text, objects, problems };
}

interface Piece {
  readonly documents: readonly { readonly value: Json; readonly root: Node | null }[];
  readonly problems: readonly Problem[];
}

function pieceOf(text: string, base: number, positionAt: Tree['positionAt']): Piece {
  const problemAt = (offset: number, message: string): Problem => ({
    ...positionAt(base + offset),
    message: message.includes('call stack') ? 'it is nested too deeply' : (message.split('\n')[0] ?? message),
  });
  if (text.length > maxDocumentCharacters)
    return { documents: [], problems: [problemAt(0, `the document is longer than ${maxDocumentCharacters} characters: cut it up`)] };
  const documents: { readonly value: Json; readonly root: Node | null }[] = [];
  const problems: Problem[] = [];
  let start = 0;
  try {
    for (const document of parseAllDocuments(text, asKubectl)) {
      start = document.contents?.range[0] ?? 0;
      const faults = [...document.errors.map(({ pos, message }) => ({ offset: pos[0], message })), ...repeatedNamesIn(document)];
      problems.push(...faults.map(({ offset, message }) => problemAt(offset, message)));
      const value = faults.length > 0 ? null : plainValueOf(document);
      if (value !== null) documents.push({ value, root: document.contents });
    }
  } catch (error) {
    // The parser throws instead of collecting what unfolds or nests without end.
    problems.push(problemAt(start, error instanceof Error ? error.message : String(error)));
  }
  return { documents, problems };
}

/** Through JSON text, which has no word for what Kubernetes cannot take either: it becomes null. */
function plainValueOf(document: Document.Parsed): Json {
  return JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: maxAliases })) ?? 'null') as Json;
}

interface Candidate {
  readonly value: Json;
  readonly path: Path;
  /** What a typed list (`TaskList`) gives its elements. */
  readonly apiVersion: string;
  readonly kind: string;
}

function unfolded(candidate: Candidate, depth: number): readonly Candidate[] {
  const { value, path } = candidate;
  const apiVersion = textAt(value, 'apiVersion') || candidate.apiVersion;
  const kind = textAt(value, 'kind') || candidate.kind;
  const items = at(value, 'items');
  if (!kind.endsWith('List') || !isList(items) || depth >= maxListDepth) return [{ value, path, apiVersion, kind }];
  const given = kind === 'List' ? { apiVersion: '', kind: '' } : { apiVersion, kind: kind.slice(0, -'List'.length) };
  return items.flatMap((item, index) => unfolded({ value: item, path: [...path, 'items', index], ...given }, depth + 1));
}

function objectOf({ value, path, apiVersion, kind }: Candidate, file: string, tree: Tree): LintObject | undefined {
  const known = kinds.find((name) => name === kind);
  if (!isObject(value) || known === undefined || !/^tekton\.dev\/v1(alpha1|beta1)?$/.test(apiVersion)) return undefined;
  const name = textAt(value, 'metadata', 'name') || textAt(value, 'metadata', 'generateName');
  return { file, kind: known, name, namespace: textAt(value, 'metadata', 'namespace'), value, path, tree };
}

/** The node at a path, if it is written there: what an alias or a merge key brings in is not. `null` values have no node. */
export function nodeAt({ tree, path: own }: LintObject, path: Path): Node | undefined {
  return walk(tree.root, [...own, ...path], true);
}

/** Where a path is written, or else the nearest of what it is in. */
export function positionOf({ tree, path: own }: LintObject, path: Path): Position {
  const [start] = walk(tree.root, [...own, ...path], false)?.range ?? [0];
  return tree.positionAt(tree.base + start);
}

function walk(root: Node | null, path: Path, isExact: boolean): Node | undefined {
  let here: unknown = root;
  for (const step of path) {
    const next: unknown = isMap(here)
      ? here.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))?.value
      : isSeq(here) && typeof step === 'number'
        ? here.items[step]
        : undefined;
    if (!isNode(next)) return isExact ? undefined : isNode(here) ? here : undefined;
    here = next;
  }
  return isNode(here) ? here : undefined;
}
