import type { Image } from '../model/artifact.ts';
import { redactedDrop, type Drops } from './drops.ts';
import type { Hint } from './hint.ts';
import { classify, pairsOf } from './hints.ts';
import { holdsMarker } from './marker.ts';
import { fullName, parseReference } from './reference.ts';
import { trim } from './trim.ts';

/** A text that should be an image by digest, and the result it came from. */
interface Candidate {
  readonly base: string;
  readonly digest: string;
  readonly where: string;
}

/**
 * The images of one result list, each once, in the order pairs, `IMAGES`, flagged outputs (chains-provenance 3.8): what
 * subjects are made of. What is no image reference is dropped.
 */
export function imagesOf(results: readonly Hint[], drops: Drops): readonly Image[] {
  return parsed(candidatesOf(results, drops), drops);
}

/**
 * The images of one result list that a registry can hold a signature for. Tekton Chains signs whatever parses, `a.jar` and
 * `s3://bucket/log` too, and then fails to upload the signature, which blocks the run: such names are dropped here.
 */
export function imagesToSign(results: readonly Hint[], drops: Drops): readonly Image[] {
  const candidates = candidatesOf(results, drops).flatMap((candidate) => {
    const base = asRepository(candidate.base);
    if (base !== undefined) return [{ ...candidate, base }];
    const why = 'its name is a file or another kind of place, no repository, so it is attested but not signed as an image';
    const value = `${candidate.base}@${candidate.digest}`;
    const fix = 'Nothing, unless it is an image: then write <registry>/<repository>';
    drops.add({ result: candidate.where, value, rule: 'extract.not-an-image', why, fix });
    return [];
  });
  return parsed(candidates, drops);
}

const scheme = /^([a-z][a-z0-9+.-]*):\/\//i;
const defaultPrefix = 'index.docker.io/library/';
const fileName =
  /^[^/]*\.(?:apk|bin|bz2|crate|csv|deb|dll|dmg|ear|exe|gem|gz|html|img|iso|jar|json|log|md|msi|nupkg|pdf|pom|rpm|sbom|sh|sig|so|spdx|tar|tgz|txt|war|wasm|whl|xml|xz|ya?ml|zip|zst)$/;

/**
 * The name of a repository without the scheme that tools put before it; undefined when it has another scheme, or is a file's
 * name without a registry.
 */
export function asRepository(name: string): string | undefined {
  const [prefix = '', of] = scheme.exec(name) ?? [];
  if (of !== undefined && of !== 'oci' && of !== 'docker') return undefined;
  const rest = name.slice(prefix.length);
  return fileName.test(rest.startsWith(defaultPrefix) ? rest.slice(defaultPrefix.length) : rest) ? undefined : rest;
}

function parsed(candidates: readonly Candidate[], drops: Drops): readonly Image[] {
  const images = new Map<string, Image>();
  for (const { base, digest, where } of candidates) {
    if (holdsMarker(base) || holdsMarker(digest)) {
      drops.add({ result: where, value: digest === '' ? base : `${base}@${digest}`, ...redactedDrop });
      continue;
    }
    const image = parseReference(base, digest);
    if (typeof image !== 'string') {
      if (!images.has(fullName(image))) images.set(fullName(image), image);
      continue;
    }
    const fix = 'Write <registry>/<repository> and the whole sha256: digest that the registry gave';
    drops.add({ result: where, value: `${base}@${digest}`, rule: 'extract.image-reference', why: `no image by digest: ${image}`, fix });
  }
  return [...images.values()];
}

function candidatesOf(results: readonly Hint[], drops: Drops): readonly Candidate[] {
  return [...paired(results, drops), ...listed(results, drops), ...flagged(results, drops)];
}

function paired(results: readonly Hint[], drops: Drops): readonly Candidate[] {
  return pairsOf(results, 'IMAGE_URL', 'IMAGE_DIGEST', drops).flatMap(({ uri, digest }) =>
    uri && digest ? [{ base: uri.text, digest: digest.text, where: uri.where }] : [],
  );
}

/** Results called exactly `IMAGES`: references between commas and line ends (3.5). */
function listed(results: readonly Hint[], drops: Drops): readonly Candidate[] {
  const candidates: Candidate[] = [];
  for (const { name, value, where } of results) {
    if (name !== 'IMAGES') continue;
    if (value.kind !== 'string') {
      const fix = 'Write one string, the references separated by commas or line ends';
      drops.add({ result: where, value: '', rule: 'extract.images-type', why: `want a string, this is ${value.kind}`, fix });
      continue;
    }
    for (const piece of value.text.split(/[,\n]/)) {
      const text = trim(piece);
      const at = text.indexOf('@');
      const cut = at < 0 ? text.length : at;
      if (text !== '') candidates.push({ base: text.slice(0, cut), digest: text.slice(cut + 1), where });
    }
  }
  return candidates;
}

function flagged(results: readonly Hint[], drops: Drops): readonly Candidate[] {
  return results.flatMap((result) => {
    const found = classify(result, drops);
    return typeof found === 'string' ? [] : [{ base: found.uri, digest: found.text, where: found.where }];
  });
}
