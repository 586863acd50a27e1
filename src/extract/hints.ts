import { redactedDrop, type Drops } from './drops.ts';
import { parseDigest, type NamedDigest } from './digest.ts';
import type { Hint } from './hint.ts';
import { isHidden } from './marker.ts';
import { trim } from './trim.ts';
import { stringOf } from './value.ts';

/** A uri with its digest; `text` is the digest as it was given. */
export interface Located {
  readonly uri: string;
  readonly digest: NamedDigest;
  readonly text: string;
  readonly where: string;
}

/** Two strings whose result names share a prefix; either may be missing. Texts are trimmed and not empty. */
export interface Pair {
  readonly uri: Part | undefined;
  readonly digest: Part | undefined;
}
interface Part {
  readonly text: string;
  readonly where: string;
}

/**
 * Groups results by what stands before the suffix (chains-provenance 3.2). Order of first appearance of the prefix;
 * a later result overwrites an earlier one, an empty one never does. Halves are given, too: the caller drops them.
 */
export function pairsOf(results: readonly Hint[], uriSuffix: string, digestSuffix: string, drops: Drops): readonly Pair[] {
  const pairs = new Map<string, Pair>();
  for (const { name, value, where } of results) {
    const kind = name.endsWith(uriSuffix) ? 'uri' : name.endsWith(digestSuffix) ? 'digest' : undefined;
    if (kind === undefined) continue;
    const text = trim(stringOf(value));
    if (text === '') {
      const why = value.kind === 'string' ? 'the value is empty' : `want a string, this is ${value.kind}`;
      drops.add({ result: where, value: '', rule: 'extract.empty-hint', why, fix: 'Write a non-empty string to the result' });
      continue;
    }
    if (isHidden(text)) {
      drops.add({ result: where, value: text, ...redactedDrop });
      continue;
    }
    const prefix = name.slice(0, name.length - (kind === 'uri' ? uriSuffix : digestSuffix).length);
    const pair = pairs.get(prefix) ?? { uri: undefined, digest: undefined };
    pairs.set(prefix, { ...pair, [kind]: { text, where } });
  }
  for (const [prefix, pair] of pairs) if (!pair.uri || !pair.digest) dropHalf(pair, prefix + (pair.uri ? digestSuffix : uriSuffix), drops);
  return [...pairs.values()];
}

function dropHalf(pair: Pair, wanted: string, drops: Drops): void {
  const half = pair.uri ?? pair.digest;
  if (half === undefined) return;
  const why = `the result "${wanted}" that belongs to it is missing or empty`;
  drops.add({ result: half.where, value: half.text, rule: 'extract.incomplete-pair', why, fix: `Write the result "${wanted}"` });
}

/** Valid object hints for a suffix, in result order (chains-provenance 3.6). */
export function objectHintsOf(results: readonly Hint[], suffix: string, drops: Drops): readonly Located[] {
  return results
    .filter(({ name }) => name.endsWith(suffix))
    .map((result) => locate(result, drops))
    .filter((found) => found !== undefined);
}

/** Reads `uri` and `digest` of an object value; undefined, and dropped, when either is not usable. */
function locate({ value, where }: Hint, drops: Drops): Located | undefined {
  const rule = 'extract.object-hint';
  if (value.kind !== 'object') {
    const why = 'want an object whose members are all strings (isBuildArtifact too: "true", not true)';
    drops.add({ result: where, value: stringOf(value), rule, why, fix: 'Declare the result with type: object and write uri and digest' });
    return undefined;
  }
  const uri = ownText(value.members, 'uri');
  const text = ownText(value.members, 'digest');
  if (isHidden(uri) || isHidden(text)) {
    drops.add({ result: where, value: JSON.stringify({ uri, digest: text }), ...redactedDrop });
    return undefined;
  }
  const digest = parseDigest(text);
  if (uri !== '' && typeof digest !== 'string') return { uri, digest, text, where };
  const member = uri === '' || typeof digest !== 'string' ? 'uri' : 'digest';
  const why = `the member "${member}" is not usable: ${member === 'digest' && typeof digest === 'string' && text !== '' ? digest : 'it is missing or empty'}`;
  drops.add({ result: where, value: JSON.stringify(value.members), rule, why, fix: 'Write both uri and digest (<algorithm>:<hex>)' });
  return undefined;
}

/** `isBuildArtifact` of chains-provenance 3.7: `error` is a flagged output that cannot be used. */
export function classify(result: Hint, drops: Drops): Located | 'no' | 'error' {
  if (!result.name.endsWith('ARTIFACT_OUTPUTS')) return 'no';
  const isFlagged = result.value.kind !== 'object' || ownText(result.value.members, 'isBuildArtifact') === 'true';
  return isFlagged ? (locate(result, drops) ?? 'error') : 'no';
}

function ownText(members: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(members, name) ? (members[name] ?? '') : '';
}
