import { TerminalError } from './errors.ts';
import { Drops } from './extract/drops.ts';
import { factsOf } from './extract/facts.ts';
import { imagesToSign } from './extract/images.ts';
import { nearMisses } from './extract/near-misses.ts';
import { fullName } from './extract/reference.ts';
import type { FormatOptions } from './format/format.ts';
import { formatOf } from './format/formats.ts';
import type { ArtifactKind, Drop, Image } from './model/artifact.ts';
import { runKinds, type Family } from './model/run.ts';
import type { Payload, Work } from './model/work.ts';

/** The configuration keys `artifacts.<kind>.*`. The signer `none` and an empty list of stores disable an artifact (1.2). */
export interface ArtifactOptions {
  readonly format: string;
  readonly signer: string;
  readonly stores: readonly string[];
}

export interface PlanOptions {
  readonly artifacts: Readonly<Record<ArtifactKind, ArtifactOptions>>;
  readonly format: FormatOptions;
}

export interface Plan {
  /** The run itself, then the images that a TaskRun produced (chains-provenance 10.1). */
  readonly works: readonly Work[];
  /** Artifacts that the configuration leaves out: said, never silent. */
  readonly disabled: readonly { readonly artifact: ArtifactKind; readonly why: string }[];
  readonly dropped: readonly Drop[];
}

/** The works of a run. Keys are stable: the same run and configuration give the same works. Throws `TerminalError` `json.deep`. */
export function plan(family: Family, options: PlanOptions): Plan {
  const { run } = family;
  const row = runKinds[run.kind];
  const kinds: readonly ArtifactKind[] = run.kind === 'TaskRun' ? [row.artifact, 'oci'] : [row.artifact];
  const reasons = kinds.map((artifact) => ({ artifact, why: disabledBecause(artifact, options) }));
  const drops = new Drops();
  const facts = factsOf(run.object);
  for (const { results } of [facts, ...facts.steps]) nearMisses(results, drops);
  const works = reasons.flatMap(({ artifact, why }) => {
    if (why !== undefined) return [];
    if (artifact !== 'oci') return [workOf(artifact, `${row.key}-${run.uid}`, undefined, options)];
    return imagesToSign(facts.results, drops).map((image) => workOf(artifact, fullName(image), image, options));
  });
  const disabled = reasons.flatMap(({ artifact, why }) => (why === undefined ? [] : [{ artifact, why }]));
  return { works, disabled, dropped: drops.all };
}

/** What is to be signed for a work of this family. Throws `TerminalError` `format.*` when no true statement can be made. */
export function payloadOf(work: Work, family: Family, options: FormatOptions): Payload {
  const format = formatOf(work.format);
  if (format === undefined) throw new TerminalError('format.unknown', `Cannot make a payload: there is no format "${work.format}"`);
  return format.payload({ family, image: work.image }, options);
}

function workOf(artifact: ArtifactKind, key: string, image: Image | undefined, options: PlanOptions): Work {
  const { format, signer, stores } = options.artifacts[artifact];
  return {
    key,
    shortKey: image === undefined ? key : image.digest.slice(0, 12),
    artifact,
    format,
    signer,
    stores: stores.toSorted(),
    image,
  };
}

function disabledBecause(artifact: ArtifactKind, options: PlanOptions): string | undefined {
  const { format, signer, stores } = options.artifacts[artifact];
  const key = `artifacts.${artifact}`;
  if (signer === 'none') return `${key}.signer is none`;
  if (stores.length === 0) return `${key}.storage is empty`;
  if (formatOf(format)?.artifacts.includes(artifact) !== true) return `${key}.format "${format}" is no format for it`;
  return undefined;
}
