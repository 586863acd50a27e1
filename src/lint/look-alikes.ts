import { isHintName, meantHint } from '../extract/near-misses.ts';
import type { HintRule } from '../extract/mapping.ts';
import { mappedNames, type Declaration, type Declared } from './declared.ts';
import { findingAt, type Finding } from './finding.ts';
import { rulesFor, textOfRules } from './known-tasks.ts';
import type { TaskDefinition } from './task-definition.ts';

/** Endings of pairs by other names, as people call them: what is before must be the same; case and separators do not count. */
const pairs = [
  {
    one: ['image', 'imageref', 'imageuri', 'imagename', 'url', 'uri', 'ref', 'repository'],
    other: ['digest', 'sha256', 'imagesha'],
    hints: ['IMAGE_URL', 'IMAGE_DIGEST'],
    what: 'an image',
  },
  {
    one: ['url', 'repourl', 'giturl', 'repository'],
    other: ['commit', 'commitid', 'commitsha', 'gitcommit', 'revision', 'gitsha'],
    hints: ['CHAINS-GIT_URL', 'CHAINS-GIT_COMMIT'],
    what: 'a git source',
  },
] as const;

/** Two results that tell of an image or a source, but not in words that anybody reads. Renaming them is for a person: what they hold is not known. */
export function lookAlikes(task: TaskDefinition, declaration: Declaration, rules: readonly HintRule[]): readonly Finding[] {
  const has = { results: declaration.results.map(({ name }) => name), params: [] };
  if (task.isStepAction || rulesFor(task.name, has).length > 0) return [];
  const free = declaration.results.filter((result) => isFree(result, task.name, rules));
  return pairs.flatMap(({ one, other, hints, what }) => {
    if (declaration.results.some(({ name }) => hints.some((hint) => name.endsWith(hint)))) return [];
    const found = free.flatMap((first) => {
      const before = beforeAny(first, one);
      const second = free.find((result) => beforeAny(result, other).some((prefix) => before.includes(prefix)));
      return second === undefined ? [] : [{ first, second }];
    })[0];
    if (found === undefined) return [];
    const names = [found.first.name, found.second.name] as const;
    const mapping = names.map((name, index): HintRule => ({ task: task.name || 'NAME', from: 'result', name, hint: hints[index] ?? '' }));
    const index = declaration.results.indexOf(found.first);
    const mapped = task.name === '' ? '' : `, or set extract.hints to "${textOfRules(mapping)}"`;
    return [
      findingAt('lint.look-alike', task.object, [...task.path, 'results', index], {
        message: `the results "${names[0]}" and "${names[1]}" look like ${what}, and nothing reads them`,
        fix: `If they are, call them ${hints.join(' and ')}${mapped}`,
      }),
    ];
  });
}

function isFree({ name, type }: Declared, task: string, rules: readonly HintRule[]): boolean {
  return type === 'string' && !isHintName(name) && meantHint(name) === undefined && mappedNames(task, 'result', name, rules).length === 0;
}

/** What stands before each of the endings that the name has. */
function beforeAny({ name }: Declared, endings: readonly string[]): readonly string[] {
  const text = bare(name);
  return endings.filter((ending) => text.endsWith(ending)).map((ending) => text.slice(0, -ending.length));
}

function bare(name: string): string {
  return name.slice(0, 256).toLowerCase().replaceAll(/[-_.]/g, '');
}
