import type { Subject } from '../model/artifact.ts';
import { digestMap, parseDigest } from './digest.ts';
import type { Drops } from './drops.ts';
import type { Facts } from './facts.ts';
import type { Hint } from './hint.ts';
import { classify, objectHintsOf, pairsOf } from './hints.ts';
import { imagesOf } from './images.ts';
import { mergeItems, type Item } from './merge.ts';

/**
 * Subjects of one result list for in-toto and slsa/v2alpha3: images, artifact pairs, then object outputs whatever their flag
 * says (chains-provenance 4.1).
 */
export function looseSubjects(results: readonly Hint[], drops: Drops): readonly Subject[] {
  return mergeItems([...imageItems(results, drops), ...pairItems(results, drops), ...outputItems(results, drops)]);
}

/** Subjects of one result list for slsa/v2alpha4: flagged outputs, then images (chains-provenance 4.2). */
export function strictSubjects(results: readonly Hint[], drops: Drops): readonly Subject[] {
  const outputs = results.map((result) => classify(result, drops)).filter((found) => typeof found !== 'string');
  const items = outputs.map(({ uri, text, where }) => ({ name: uri, digest: givenDigest(text, where, drops) }));
  return mergeItems([...items, ...imageItems(results, drops)]);
}

/** Strict subjects of a TaskRun: of each step by itself, then of the run. */
export function strictTaskSubjects(facts: Facts, drops: Drops): readonly Subject[] {
  return mergeItems([...facts.steps.flatMap((step) => strictSubjects(step.results, drops)), ...strictSubjects(facts.results, drops)]);
}

function imageItems(results: readonly Hint[], drops: Drops): readonly Item[] {
  return imagesOf(results, drops).map(({ repository, digest }) => ({ name: repository, digest: { sha256: digest } }));
}

function pairItems(results: readonly Hint[], drops: Drops): readonly Item[] {
  return pairsOf(results, 'ARTIFACT_URI', 'ARTIFACT_DIGEST', drops).flatMap(({ uri, digest }) => {
    if (!uri || !digest) return [];
    const parsed = parseDigest(digest.text);
    if (typeof parsed !== 'string') return [{ name: uri.text, digest: givenDigest(digest.text, digest.where, drops) }];
    const fix = 'Write <algorithm>:<hex>, for example with sha256sum';
    drops.add({ result: digest.where, value: digest.text, rule: 'extract.artifact-digest', why: `no digest: ${parsed}`, fix });
    return [];
  });
}

function outputItems(results: readonly Hint[], drops: Drops): readonly Item[] {
  return objectHintsOf(results, 'ARTIFACT_OUTPUTS', drops).map(({ uri, text, where }) => ({
    name: uri,
    digest: givenDigest(text, where, drops),
  }));
}

/**
 * A valid digest as it was given, not normalised: `SHA256: ab` is the algorithm `SHA256` and the hex ` ab`, as in Tekton Chains
 * (Q-8, kept for the golden corpus). Told when it matters, because verifiers refuse a statement with such a subject.
 */
function givenDigest(text: string, where: string, drops: Drops): Readonly<Record<string, string>> {
  const colon = text.indexOf(':');
  const [algorithm, hex] = [text.slice(0, colon), text.slice(colon + 1)];
  const normal = parseDigest(text);
  if (typeof normal !== 'string' && (normal.algorithm !== algorithm || normal.hex !== hex)) {
    const why = 'white space or an upper-case algorithm is recorded as it stands, and verifiers refuse such a digest';
    drops.add({
      result: where,
      value: text,
      rule: 'extract.digest-form',
      why,
      fix: `Write ${normal.algorithm}:<hex> without white space or line end`,
    });
  }
  return digestMap(algorithm, hex);
}
