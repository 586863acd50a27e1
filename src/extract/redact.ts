import { TerminalError } from '../errors.ts';
import { isList, isObject, type Json, type JsonObject } from '../model/json.ts';
import type { Family } from '../model/run.ts';
import { Literals } from './literals.ts';
import { isNamed, textsOf, valueMembers, type RedactOptions } from './redact-names.ts';
import { maxDepth, RedactionPass } from './redaction-pass.ts';
import { mayHoldToken } from './token-shapes.ts';

declare const brand: unique symbol;
/** A family that holds nothing any more that must not be published. Only `redact` makes one. */
export type CleanFamily = Family & { readonly [brand]: 'clean' };

export interface Redaction {
  readonly family: CleanFamily;
  /** Places where a value, or a part of it, was replaced. */
  readonly count: number;
  /** The first of these places: `spec.params[token].value`. Never a value. */
  readonly places: readonly string[];
}

/**
 * Replaces, in a run and its children, the values of the named params and results wherever they stand, and what looks like a secret.
 * Names, image ids and digests stay as they are. Pure and deterministic: the same family and options give the same markers.
 * What has nothing to hide is given back as it came. Throws `TerminalError` `redact.too-much`.
 */
export function redact(family: Family, options: RedactOptions): Redaction {
  const objects = objectsOf(family);
  const literals = options.params.length + options.results.length === 0 ? undefined : literalsOf(objects, options);
  if (literals === undefined && (!options.tokenShapes || !objects.some((object) => mayHold(object, 0)))) {
    return { family: family as CleanFamily, count: 0, places: [] };
  }
  const salt = options.salt === '' ? `chainsmith redaction of ${family.run.uid}` : options.salt;
  const pass = new RedactionPass(options, literals ?? new Literals([]), salt);
  const clean: Family = {
    run: { ...family.run, object: pass.over(family.run.object) },
    children: family.children.map((child) =>
      child.kind === 'task-run' ? { kind: 'task-run', run: { ...child.run, object: pass.over(child.run.object) } } : child,
    ),
  };
  return { family: clean as CleanFamily, count: pass.count, places: pass.places };
}

function objectsOf({ run, children }: Family): readonly JsonObject[] {
  return [run.object, ...children.flatMap((child) => (child.kind === 'task-run' ? [child.run.object] : []))];
}

/** Is there a text anywhere that a token shape could be in? */
function mayHold(value: Json | undefined, depth: number): boolean {
  if (typeof value === 'string') return mayHoldToken(value);
  if (typeof value !== 'object' || value === null || depth > maxDepth) return false;
  if (isList(value)) return value.some((item) => mayHold(item, depth + 1));
  if (!isObject(value)) return false;
  for (const name of Object.keys(value)) if (mayHold(value[name], depth + 1)) return true;
  return false;
}

/** What the named params and results of all these runs have for values. */
function literalsOf(objects: readonly JsonObject[], options: RedactOptions): Literals {
  const found = new Set<string>();
  let size = 0;
  const collect = (value: Json | undefined, list: string, depth: number): void => {
    if (typeof value === 'string') size += value.length + 20;
    if (depth > maxDepth) return;
    if (isList(value)) {
      for (const item of value) {
        if (isNamed(item, list, options)) for (const member of valueMembers) for (const text of textsOf(item[member])) found.add(text);
        collect(item, '', depth + 1);
      }
    } else if (isObject(value)) {
      for (const name of Object.keys(value)) collect(value[name], name, depth + 1);
    }
  };
  for (const object of objects) collect(object, '', 0);
  const literals = new Literals(found);
  // Each is looked for in each text: some seconds at most.
  if (literals.size * size > 5e9) {
    const why = `${literals.size} different values would have to be looked for in ${size} characters`;
    throw new TerminalError('redact.too-much', `Cannot redact the run: ${why}`, {
      fix: 'name fewer params and results in redact.params and redact.results',
    });
  }
  return literals;
}
