import { TerminalError } from './errors.ts';
import { at, isObject, type Json } from './model/json.ts';
import type { Child, ChildReference, Family, Run } from './model/run.ts';
import type { Context } from './observe/context.ts';
import type { Source } from './watch/source.ts';

/** More children than any pipeline has: Tekton itself stops far below. */
const maxChildren = 4096;
const lookups = 8;

/** Where children are looked up. */
export type Children = Pick<Source, 'relative'>;

/**
 * A run with its children, in `status.childReferences` order (chains-provenance 2.5). What is no TaskRun is recorded as what it is, and
 * what is gone as missing; neither stops the rest.
 */
export async function familyOf(run: Run, source: Children, ctx: Context, withOwner = false): Promise<Family> {
  if (run.kind === 'TaskRun') {
    const owner =
      withOwner && run.slim.owner !== undefined
        ? await source.relative(run, { kind: 'PipelineRun', name: run.slim.owner }, ctx)
        : undefined;
    return { run, children: [], ...(owner && { owner }) };
  }
  const references = referencesOf(run);
  const children: Child[] = [];
  for (let start = 0; start < references.length; start += lookups) {
    const some = references.slice(start, start + lookups);
    children.push(...(await Promise.all(some.map(async (reference) => await childOf(run, reference, source, ctx)))));
  }
  return { run, children };
}

async function childOf(parent: Run, reference: ChildReference, source: Children, ctx: Context): Promise<Child> {
  if (reference.kind !== '' && reference.kind !== 'TaskRun') return { kind: 'other', reference };
  const run = await source.relative(parent, { kind: 'TaskRun', name: reference.name }, ctx);
  return run === undefined ? { kind: 'missing', reference } : { kind: 'task-run', run };
}

function referencesOf(run: Run): readonly ChildReference[] {
  const references = at(run.object, 'status', 'childReferences');
  if (!Array.isArray(references)) return [];
  if (references.length > maxChildren) {
    throw new TerminalError(
      'family.too-many',
      `Cannot gather the children of "${run.namespace}/${run.name}": it has ${references.length}`,
      {
        fix: `split the pipeline: at most ${maxChildren} children are described`,
      },
    );
  }
  return references.flatMap((entry: Json) => {
    if (!isObject(entry) || typeof entry['name'] !== 'string' || entry['name'] === '') return [];
    const { kind, apiVersion, name, pipelineTaskName } = entry;
    const version = typeof apiVersion === 'string' ? { apiVersion } : {};
    return [{ kind: text(kind), ...version, name, pipelineTaskName: text(pipelineTaskName) }];
  });
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
