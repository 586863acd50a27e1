import { isMap, isNode, isSeq, LineCounter, parseAllDocuments, type Document } from 'yaml';
import { parseJson, rawNumberOf, type Json } from '../model/json.ts';
import { asKubectl, repeatedNamesIn } from '../model/yaml.ts';
import { outlineOf } from './json-outline.ts';

/** Something wrong with a text; lines and columns count from 1. */
export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** One document of a text. `itemLines` are the lines of the elements of its `items`; empty when it has none. */
export interface TextDocument {
  readonly value: Json;
  readonly line: number;
  readonly itemLines: readonly number[];
}

export interface Documents {
  readonly documents: readonly TextDocument[];
  readonly problems: readonly Problem[];
}

/**
 * One YAML document takes a second and some 400 times its size in memory for each 2 MiB while it is read. JSON takes 5 times its size and no time
 * to speak of, and many documents are read one after the other, so only a long list in YAML meets this.
 */
const maxDocumentCharacters = 2 * 1024 ** 2;
const maxAliases = 1000;
/** One slip can make every line after it wrong. */
const maxProblems = 10;

/** The documents of a text, JSON or YAML; empty ones are left out, broken ones are problems and hide no other. */
export function documentsOf(text: string): Documents {
  return /^\s*[{[]/.test(text) ? (jsonDocumentOf(text) ?? yamlDocumentsOf(text)) : yamlDocumentsOf(text);
}

/** Undefined when it is not one JSON value; the YAML parser, which reads JSON too, then says where it breaks. */
function jsonDocumentOf(text: string): Documents | undefined {
  let value: Json;
  try {
    value = parseJson(text);
  } catch {
    return undefined;
  }
  const lines = lineStartsOf(text);
  const { items, duplicate } = outlineOf(text);
  if (duplicate !== undefined) {
    const message = `the member "${duplicate.name.slice(0, 100)}" stands twice in one object`;
    return { documents: [], problems: [{ ...lines(duplicate.offset), message }] };
  }
  const line = lines(text.search(/\S/)).line;
  return { documents: [{ value, line, itemLines: items.map((offset) => lines(offset).line) }], problems: [] };
}

/** A line that starts with `---` begins a document, wherever it stands (YAML 1.2.2, 9.1.2), so the text can be cut before it is read. */
function yamlDocumentsOf(text: string): Documents {
  const found: Documents[] = [];
  let line = 1;
  for (const piece of text.split(/^(?=---(?:\s|$))/m)) {
    found.push(yamlPieceOf(piece, line));
    line += piece.split('\n').length - 1;
  }
  return {
    documents: found.flatMap(({ documents }) => documents),
    problems: found.flatMap(({ problems }) => problems).slice(0, maxProblems),
  };
}

/** `firstLine` is the number of the piece's first line in the whole text. */
function yamlPieceOf(text: string, firstLine: number): Documents {
  if (text.length > maxDocumentCharacters) {
    const message = `the document is longer than ${maxDocumentCharacters} characters: give it as JSON, or in several documents`;
    return { documents: [], problems: [{ line: firstLine, column: 1, message }] };
  }
  const lines = new LineCounter();
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line) + firstLine - 1;
  const problemAt = (offset: number, message: string): Problem => ({
    line: lineAt(offset),
    column: Math.max(1, lines.linePos(offset).col),
    message: message.includes('call stack') ? 'it is nested too deeply' : message,
  });
  const documents: TextDocument[] = [];
  const problems: Problem[] = [];
  let start = 0;
  try {
    for (const document of parseAllDocuments(text, { ...asKubectl, intAsBigInt: true, lineCounter: lines })) {
      start = document.contents?.range[0] ?? 0;
      const faults = [...document.errors.map(({ pos, message }) => ({ offset: pos[0], message })), ...repeatedNamesIn(document)];
      problems.push(...faults.slice(0, maxProblems).map(({ offset, message }) => problemAt(offset, message)));
      const value = faults.length > 0 ? null : plainValueOf(document);
      if (value !== null) documents.push({ value, line: lineAt(start), itemLines: itemOffsetsOf(document).map(lineAt) });
    }
  } catch (error) {
    // The parser throws instead of collecting what unfolds or nests without end.
    problems.push(problemAt(start, error instanceof Error ? error.message : String(error)));
  }
  return { documents, problems };
}

/** Through JSON text, so that a number is kept in the same way whatever it was written in. Aliases are bounded, and what JSON has no word for is an error. */
function plainValueOf(document: Document.Parsed): Json {
  const text = JSON.stringify(document.toJS({ maxAliasCount: maxAliases }), (_name, value: unknown) => {
    if (typeof value === 'bigint') return rawNumberOf(String(value));
    if (Object.is(value, -0)) return rawNumberOf('-0');
    if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`the number ${value} cannot be written as JSON`);
    return value;
  });
  return text === undefined ? null : parseJson(text);
}

function itemOffsetsOf({ contents }: Document.Parsed): readonly number[] {
  const items = isMap(contents) ? contents.get('items', true) : undefined;
  if (!isSeq(items)) return [];
  return items.items.map((item) => (isNode(item) ? item.range?.[0] : undefined) ?? items.range?.[0] ?? 0);
}

function lineStartsOf(text: string): (offset: number) => { readonly line: number; readonly column: number } {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
  return (offset) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
}
