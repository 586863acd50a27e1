import type { Drops } from './drops.ts';
import type { Hint } from './hint.ts';
import { stringOf } from './value.ts';

/** What a name seems to mean, and the hint that does mean it (chains-provenance 3.1). */
const lookAlikes: readonly (readonly [RegExp, string])[] = [
  [/image[-_]?url$/i, '<prefix>IMAGE_URL'],
  [/image[-_]?digest$/i, '<prefix>IMAGE_DIGEST'],
  [/(?:^|[-_])images$/i, 'IMAGES'],
  [/artifacts?[-_]?ur[il]$/i, '<prefix>ARTIFACT_URI'],
  [/artifacts?[-_]?digest$/i, '<prefix>ARTIFACT_DIGEST'],
  [/artifacts?[-_]?inputs?$/i, '<prefix>ARTIFACT_INPUTS'],
  [/artifacts?[-_]?outputs?$/i, '<prefix>ARTIFACT_OUTPUTS'],
  [/chains[-_]?git[-_]?url$/i, 'CHAINS-GIT_URL'],
  [/chains[-_]?git[-_]?commit$/i, 'CHAINS-GIT_COMMIT'],
];
const suffixHint = /(?:IMAGE_URL|IMAGE_DIGEST|ARTIFACT_URI|ARTIFACT_DIGEST|ARTIFACT_INPUTS|ARTIFACT_OUTPUTS)$/;
const wholeHint = /^(?:IMAGES|CHAINS-GIT_URL|CHAINS-GIT_COMMIT)$/;

/** Drops results whose names look like hints and are none: names are compared exactly, case and all. What extract.hints maps is no miss. */
export function nearMisses(results: readonly Hint[], drops: Drops): void {
  const mapped = new Set(results.map(({ mappedFrom }) => mappedFrom?.name));
  for (const { name, value, where } of results) {
    const meant = mapped.has(name) ? undefined : meantHint(name)?.pattern;
    if (meant === undefined) continue;
    const why = `no rule reads a result called "${name}"`;
    drops.add({ result: where, value: stringOf(value), rule: 'extract.near-miss', why, fix: `Call the result ${meant}` });
  }
}

/** Is it a name that some rule reads? */
export function isHintName(name: string): boolean {
  return suffixHint.test(name) || wholeHint.test(name);
}

/** The hint that a name looks like without being one: the pattern for people, and the name with what stands before the hint kept. */
export function meantHint(name: string): { readonly pattern: string; readonly name: string } | undefined {
  // A name is at most 256 characters in Tekton; longer ones are not worth the search.
  if (name.length > 256 || isHintName(name)) return undefined;
  for (const [look, pattern] of lookAlikes) {
    const found = look.exec(name);
    if (found === null) continue;
    const hint = pattern.replace('<prefix>', '');
    return { pattern, name: hint === pattern ? hint : name.slice(0, found.index) + hint };
  }
  return undefined;
}
