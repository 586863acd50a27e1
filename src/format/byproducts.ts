import type { Drops } from '../extract/drops.ts';
import type { Facts } from '../extract/facts.ts';
import type { Hint } from '../extract/hint.ts';
import { classify } from '../extract/hints.ts';
import type { NativeOutput } from '../extract/native.ts';
import { jsonOf } from '../extract/value.ts';
import { TerminalError } from '../errors.ts';
import type { Json } from '../model/json.ts';
import { goText } from '../model/json-text.ts';
import type { ResourceDescriptorJson } from './protos/in-toto.ts';
import { base64 } from './resolved-dependencies.ts';
import type { UnresolvedJson } from './slsa-v02.ts';

/** All results (slsa/v2alpha3; chains-provenance 8.4). */
export function allByproducts(results: readonly Hint[], prefix: string): readonly ResourceDescriptorJson[] {
  // What extract.hints added is a second reading of a result that is here under its own name.
  const own = results.filter(({ mappedFrom }) => mappedFrom === undefined);
  return own.map((result) => byproduct(`${prefix}/${result.name}`, encoded(result)));
}

/** The results that are not subjects already (slsa/v2alpha4). A malformed flagged output is neither, but told (Q-24, kept). */
export function otherByproducts(results: readonly Hint[], prefix: string, drops: Drops): readonly ResourceDescriptorJson[] {
  return allByproducts(
    results.filter((result) => !isImageHint(result.name) && classify(result, drops) === 'no'),
    prefix,
  );
}

/** By-products of a TaskRun for slsa/v2alpha4: of the run, then of all its steps, whose names are not told. */
export function taskByproducts(facts: Facts, drops: Drops): readonly ResourceDescriptorJson[] {
  const steps = facts.steps.flatMap((step) => step.results);
  return [
    ...otherByproducts(facts.results, `taskRunResults/${facts.name}`, drops),
    ...otherByproducts(steps, `stepResults/${facts.name}`, drops),
  ];
}

/** A native output that the build is not about, of the run or of the step that made it. */
export function nativeByproduct({ name: uri, digest, artifact, run, step }: NativeOutput): ResourceDescriptorJson {
  const place = step === undefined ? `taskRunArtifacts/${run}` : `stepArtifacts/${run}/${step}`;
  return { digest, name: `${place}/${artifact}`, uri };
}

/** Children that no statement can describe, so that a reader sees that it is not whole. */
export function unresolvedByproducts(children: readonly UnresolvedJson[]): readonly ResourceDescriptorJson[] {
  return children.map((child) => byproduct(`pipelineRunChildren/${child.name}`, child));
}

function byproduct(name: string, content: Json): ResourceDescriptorJson {
  return { content: base64(goText(content)), mediaType: 'application/json', name };
}

function isImageHint(name: string): boolean {
  return name.endsWith('IMAGE_URL') || name.endsWith('IMAGE_DIGEST') || name === 'IMAGES';
}

function encoded({ value, where }: Hint): Json {
  const json = jsonOf(value);
  if (json !== undefined) return json;
  const fix = 'Give every result a value';
  throw new TerminalError('format.value-missing', `Cannot encode "${where}": it has no member "value"`, { fix });
}
