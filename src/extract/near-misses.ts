import type { Drops } from './drops.ts';
import type { Hint } from './facts.ts';
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

/** Drops results whose names look like hints and are none: names are compared exactly, case and all. */
export function nearMisses(results: readonly Hint[], drops: Drops): void {
  for (const { name, value, where } of results) {
    // A name is at most 256 characters in Tekton; longer ones are not worth the search.
    if (name.length > 256 || suffixHint.test(name) || wholeHint.test(name)) continue;
    const meant = lookAlikes.find(([pattern]) => pattern.test(name))?.[1];
    if (meant === undefined) continue;
    const why = `no rule reads a result called "${name}"`;
    drops.add({ result: where, value: stringOf(value), rule: 'extract.near-miss', why, fix: `Call the result ${meant}` });
  }
}
