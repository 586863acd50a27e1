import type { Finding, Judged, Report } from '../lint/finding.ts';
import { ruleOf, rules } from '../lint/rules.ts';
import { plain, styleOf, type Io, type Writer } from './io.ts';

/** For people: each object with what becomes of it, each finding with its place, its fix and the YAML that mends it. */
export function textReport({ judged, findings }: Report, writer: Writer, io: Io): string {
  const style = styleOf(writer, io);
  const colours = { error: 'red', warning: 'yellow', note: 'dim' } as const;
  const headOf = ({ file, line, subject, outputs }: Judged): string => {
    const lines = outputs.map(({ role, what }) => `  ${style('green', role.padEnd(8))} ${plain(what)}\n`);
    return `${style('bold', plain(`${file}:${line} ${subject}`))}\n${lines.join('') || `  ${style('dim', 'no subject and no material')}\n`}`;
  };
  const linesOf = ({ rule, file, line, column, message, fix, yaml, edits }: Finding): string => {
    const { level } = ruleOf(rule);
    const mends = edits.length > 0 ? ' (--fix does it)' : '';
    const snippet = (yaml ?? '').split('\n').slice(0, -1);
    return [
      `${plain(`${file}:${line}:${column}`)}: ${style(colours[level], level)} ${style('dim', rule)}: ${plain(message)}`,
      `  ${style('bold', 'fix')}: ${plain(fix)}${mends}`,
      ...snippet.map((text) => `    ${style('dim', plain(text))}`),
    ]
      .map((text) => `${text}\n`)
      .join('');
  };
  const mendable = findings.filter(({ edits }) => edits.length > 0).length;
  const count = findings.length === 0 ? 'nothing found' : `${findings.length} found, ${mendable} of them for --fix`;
  return `${judged.map(headOf).join('')}${findings.map(linesOf).join('')}${count}\n`;
}

/** One object: `objects` with what becomes of each, `findings`. */
export function jsonReport({ judged, findings }: Report): string {
  const objects = judged.map(({ file, line, subject, outputs }) => ({ file, line, object: subject, outputs }));
  const found = findings.map(({ rule, file, line, column, subject, message, fix, yaml, edits }) => ({
    rule,
    level: ruleOf(rule).level,
    file,
    line,
    column,
    object: subject,
    message,
    fix,
    yaml,
    fixable: edits.length > 0,
  }));
  return `${JSON.stringify({ objects, findings: found }, undefined, 2)}\n`;
}

/** SARIF 2.1.0 (OASIS): what code hosts show beside the lines. */
export function sarifReport({ findings }: Report): string {
  const names = [...new Set([...Object.keys(rules), ...findings.map(({ rule }) => rule)])];
  const driver = {
    name: 'chainsmith',
    rules: names.map((id) => {
      const { level, summary } = ruleOf(id);
      return { id, shortDescription: { text: summary }, defaultConfiguration: { level } };
    }),
  };
  const results = findings.map(({ rule, file, line, column, message, fix, yaml }) => ({
    ruleId: rule,
    ruleIndex: names.indexOf(rule),
    level: ruleOf(rule).level,
    message: { text: `${message}. Fix: ${fix}${yaml === undefined ? '' : `\n${yaml}`}` },
    locations: [{ physicalLocation: { artifactLocation: { uri: uriOf(file) }, region: { startLine: line, startColumn: column } } }],
  }));
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }],
  };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

/** A URI reference: relative to where the command ran, or `file:` for an absolute path. */
function uriOf(file: string): string {
  const path = file
    .split(/[\\/]/)
    .map((part) => encodeURIComponent(part))
    .join('/');
  return file.startsWith('/') ? `file://${path}` : file === '-' ? 'stdin' : path;
}
