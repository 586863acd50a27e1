import { edited } from './edits.ts';
import type { Finding, LintOptions, Report } from './finding.ts';
import { lint } from './lint.ts';
import { ruleOf } from './rules.ts';
import { sourceOf, type Source } from './source.ts';

export interface Fixed {
  /** In the order given, with what could be mended. */
  readonly sources: readonly Source[];
  /** What is left. */
  readonly report: Report;
}

/** There are 6 orders of rules, and mending one kind of finding may uncover another. */
const maxPasses = 24;

/**
 * Makes every mechanical change: one kind at a time, looking again in between, because a name that is mended may complete a pair. Mending
 * what is mended changes nothing. Pure.
 */
export function fix(sources: readonly Source[], options: LintOptions): Fixed {
  let fixed: Fixed = { sources, report: lint(sources, options) };
  for (let pass = 0; pass < maxPasses; pass++) {
    const after = changed(fixed);
    if (after === undefined) break;
    fixed = { sources: after, report: lint(after, options) };
  }
  return fixed;
}

/** The sources with the first kind of finding mended that can be; undefined when nothing changes. */
function changed({ sources, report: { findings } }: Fixed): readonly Source[] | undefined {
  const mendable = findings.filter(({ edits }) => edits.length > 0);
  const orderOf = ({ rule }: Finding): number => ruleOf(rule).order ?? Infinity;
  const orders = [...new Set(mendable.map(orderOf))].toSorted((one, other) => one - other);
  for (const order of orders) {
    const chosen = mendable.filter((finding) => orderOf(finding) === order);
    const after = sources.map((source) => applied(source, chosen));
    if (after.some((source, index) => source !== sources[index])) return after;
  }
  return undefined;
}

function applied(source: Source, findings: readonly Finding[]): Source {
  const edits = findings.flatMap((finding) => finding.edits).filter(({ object }) => source.objects.includes(object));
  const text = edits.length === 0 ? source.text : edited(source.text, edits);
  if (text === source.text) return source;
  const after = sourceOf(source.file, text);
  // A change that would break the file is not made.
  return after.problems.length > source.problems.length || after.objects.length !== source.objects.length ? source : after;
}
