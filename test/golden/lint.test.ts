import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LintOptions } from '../../src/lint/finding.ts';
import { lint } from '../../src/lint/lint.ts';
import { sourceOf } from '../../src/lint/source.ts';
import { at, isList, isObject, objectsAt, parseJson, textAt, type Json, type JsonObject } from '../../src/model/json.ts';
import { files, outcomeOf, readRows, type GoldenRow } from './rows.ts';

/** What lint says of a row's own object; undefined when it has not run, and is judged by what it asks for. */
function foretold(row: GoldenRow): readonly string[] | undefined {
  const kind = row.kind === 'tr' ? 'TaskRun' : 'PipelineRun';
  const isStrict = row.format === 'slsa/v2alpha4';
  const options: LintOptions = {
    deepInspection: row.deep,
    strict: { TaskRun: isStrict, PipelineRun: isStrict },
    hints: [],
    nativeArtifacts: false,
    hidden: [],
  };
  // Lint finds children by their references; the corpus gives them beside the run, whatever they are called.
  const names = row.children.map((_, index) => `child-${index}`);
  const status = at(row.main, 'status');
  const main = { ...row.main, status: { ...(isObject(status) ? status : {}), childReferences: names.map((name) => ({ name })) } };
  const items = [named(main, kind, 'main'), ...row.children.map((child, index) => named(child, 'TaskRun', `child-${index}`))];
  const { judged } = lint([sourceOf('f', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))], options);
  const own = judged.find(({ subject }) => subject === `${kind} main`);
  const hasRun = isList(at(status, 'results')) || objectsAt(status, 'conditions').length > 0;
  return hasRun ? own?.outputs.map(({ role, what }) => `${role} ${what}`).toSorted() : undefined;
}

function named(object: JsonObject, kind: string, name: string): JsonObject {
  const metadata = at(object, 'metadata');
  return { ...object, apiVersion: 'tekton.dev/v1', kind, metadata: { ...(isObject(metadata) ? metadata : {}), name, namespace: 'ns' } };
}

/** What the statement says; materials only where the predicate lists nothing else among them. */
function told(row: GoldenRow): readonly string[] | undefined {
  const outcome = outcomeOf(row);
  if (outcome.kind !== 'payload' || outcome.text === '') return undefined;
  const statement = parseJson(outcome.text);
  const text = (name: string, digest: Json | undefined): string =>
    `${name}@${Object.entries(isObject(digest) ? digest : {})
      .map(([algorithm, hex]) => `${algorithm}:${typeof hex === 'string' ? hex : ''}`)
      .join(',')}`;
  const subjects = objectsAt(statement, 'subject').map(
    ({ name, digest }) => `subject ${text(typeof name === 'string' ? name : '', digest)}`,
  );
  const materials = objectsAt(statement, 'predicate', 'materials').map(
    ({ uri, digest }) => `material ${text(typeof uri === 'string' ? uri : '', digest)}`,
  );
  return [...subjects, ...materials].toSorted();
}

describe('lint of the golden corpus', () => {
  for (const file of files) {
    it(`foretells the subjects, and of in-toto the materials, of ${file}`, () => {
      const rows = readRows(file).filter(({ format }) => format !== 'oci');
      let compared = 0;
      const wrong = rows.flatMap((row) => {
        const said = foretold(row);
        const wanted = told(row);
        if (said === undefined || wanted === undefined) return [];
        if (wanted.length > 0) compared += 1;
        const judged = row.format === 'in-toto' || row.format === 'slsa/v1' ? said : said.filter((line) => line.startsWith('subject'));
        try {
          assert.deepEqual(sortedDigests(judged), sortedDigests(wanted));
          return [];
        } catch {
          return [{ id: row.id, said: judged, wanted }];
        }
      });

      assert.deepEqual(wrong, []);
      assert.ok(compared > 40, `only ${compared} rows said something`);
    });
  }
});

/** The order of algorithms says nothing. */
function sortedDigests(lines: readonly string[]): readonly string[] {
  return lines
    .map((line) => {
      const cut = line.lastIndexOf('@');
      return `${line.slice(0, cut)}@${line
        .slice(cut + 1)
        .split(',')
        .toSorted()
        .join(',')}`;
    })
    .toSorted();
}
