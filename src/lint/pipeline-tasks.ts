import { referredNames } from '../extract/mapping.ts';
import { at, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import { judge, type Declaration, type Declared, type Outcome } from './declared.ts';
import type { LintOptions } from './finding.ts';
import { knownTask } from './known-tasks.ts';
import type { LintObject, Path } from './source.ts';
import { unwrittenOf } from './steps.ts';
import { declarationOf, type TaskDefinition } from './task-definition.ts';

/** A pipeline's spec wherever it stands, and the tasks that are known: by name, and inline by their path. */
export interface PipelineDefinition {
  readonly object: LintObject;
  readonly path: Path;
  readonly spec: JsonObject;
  readonly named: ReadonlyMap<string, TaskDefinition>;
  readonly inline: ReadonlyMap<string, TaskDefinition>;
}

/** One entry of `tasks` or `finally`. */
export interface PipelineTask {
  readonly name: string;
  readonly section: 'tasks' | 'finally';
  readonly path: Path;
  readonly value: JsonObject;
  /** The names that `extract.hints` and the table of known tasks go by. */
  readonly names: readonly string[];
  /** What it declares: undefined when nobody knows. `isSure`: from a file, and not from the table. */
  readonly declaration: Declaration | undefined;
  readonly isSure: boolean;
  readonly outcomes: readonly Outcome[];
  /** Results that it declares and that no step seems to write: a PipelineRun that asks for one of them fails. */
  readonly unwritten: ReadonlySet<string>;
}

/** All entries, `finally` last. */
export function tasksOf(pipeline: PipelineDefinition, options: LintOptions): readonly PipelineTask[] {
  const { path, spec, named, inline } = pipeline;
  return (['tasks', 'finally'] as const).flatMap((section) =>
    objectsAt(spec, section).map((value, index): PipelineTask => {
      const place = [...path, section, index];
      const names = referredNames(at(value, 'taskRef'));
      const definition =
        inline.get(JSON.stringify([...place, 'taskSpec'])) ?? names.map((name) => named.get(name)).find((found) => found !== undefined);
      const declaration = definition === undefined ? knownDeclaration(names) : declarationOf(definition);
      const outcomes = declaration === undefined ? [] : judge(declaration, options.hints, options.strict.TaskRun).outcomes;
      const unwritten = definition === undefined ? new Set<string>() : unwrittenOf(definition);
      return {
        name: textAt(value, 'name'),
        section,
        path: place,
        value,
        names,
        declaration,
        isSure: definition !== undefined,
        outcomes,
        unwritten,
      };
    }),
  );
}

function knownDeclaration(names: readonly string[]): Declaration | undefined {
  for (const task of names) {
    const known = knownTask(task);
    if (known === undefined) continue;
    const results = known.results.map((name): Declared => ({ name, type: 'string', members: [] }));
    return { kind: 'task', task, results, params: known.params.map((name) => ({ name })) };
  }
  return undefined;
}

const reference = /\$\((tasks|finally)\.([-\w]+)\.results(?:\.([-\w]+)|\[["']([^"'\]]+)["']\])((?:\.[-\w]+|\[(?:\*|\d+)\])?)\)/g;

export interface Reference {
  readonly text: string;
  readonly section: 'tasks' | 'finally';
  readonly task: string;
  readonly result: string;
  /** `[*]`, `[0]`, `.uri`, or nothing. */
  readonly part: string;
}

/** What a result of a pipeline asks for. */
export function referencesIn(result: JsonObject): readonly Reference[] {
  const value = JSON.stringify(at(result, 'value') ?? '').replaceAll('\\"', '"');
  return [...value.matchAll(reference)].map(([text, section, task = '', plain, quoted, part = '']) => ({
    text,
    section: section === 'finally' ? 'finally' : 'tasks',
    task,
    result: plain ?? quoted ?? '',
    part,
  }));
}

export function declaredIn(tasks: readonly PipelineTask[], { task, result }: Reference): Declared | undefined {
  return tasks.find(({ name }) => name === task)?.declaration?.results.find(({ name }) => name === result);
}
