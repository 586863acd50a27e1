import { TerminalError } from './errors.ts';
import { Drops } from './extract/drops.ts';
import { factsOf, type Facts } from './extract/facts.ts';
import { imagesToSign } from './extract/images.ts';
import { nativeImages } from './extract/native.ts';
import { nearMisses } from './extract/near-misses.ts';
import { redact, type CleanFamily } from './extract/redact.ts';
import type { RedactOptions } from './extract/redact-names.ts';
import { fullName } from './extract/reference.ts';
import { truncations } from './extract/truncation.ts';
import type { FormatOptions } from './format/format.ts';
import { formatOf } from './format/formats.ts';
import type { ArtifactKind, Drop, Image } from './model/artifact.ts';
import { runKinds, type Family, type RunId } from './model/run.ts';
import type { Payload, Work } from './model/work.ts';
import {
  nothingPerImage,
  shortKeyOf,
  signedImages,
  statedImages,
  statementKey,
  storesForChildren,
  unreadAmong,
  type About,
  type Indexes,
  type PerImage,
} from './per-image.ts';

/** The configuration keys `artifacts.<kind>.*`. The signer `none` and an empty list of stores disable an artifact (1.2). */
export interface ArtifactOptions {
  readonly format: string;
  readonly signer: string;
  readonly stores: readonly string[];
}

export interface PlanOptions {
  readonly artifacts: Readonly<Record<ArtifactKind, ArtifactOptions>>;
  readonly format: FormatOptions;
  readonly redact: RedactOptions;
  /** `extract.on-dropped`: is a run with a hint that cannot be used signed all the same? Absent: it is, and the hint told. */
  readonly onDropped?: 'record' | 'fail';
  /** Absent: nothing of it. */
  readonly perImage?: PerImage;
}

/** What of a whole configuration `plan` reads: the one place where it is picked, so that no caller forgets `redact`. */
export function planOptionsOf({ artifacts, format, redact: kept, onDropped, perImage }: PlanOptions): PlanOptions {
  return { artifacts, format, redact: kept, ...(onDropped && { onDropped }), ...(perImage && { perImage }) };
}

export interface Plan {
  /** What payloads are made of: the run and its children without what must not be published. */
  readonly family: CleanFamily;
  /** How many values, or parts of them, were replaced in it. */
  readonly redacted: number;
  /** The run itself, statements about single images, then signatures of the images that it produced (chains-provenance 10.1). */
  readonly works: readonly Work[];
  /** Artifacts that the configuration leaves out: said, never silent. */
  readonly disabled: readonly { readonly artifact: ArtifactKind; readonly why: string }[];
  readonly dropped: readonly Drop[];
  /** Images that may be indexes and were not looked at: the plan is whole when their children are known (`artifacts.oci.recursive`). */
  readonly unread: readonly Image[];
}

const noIndexes: Indexes = new Map();

/**
 * The works of a run. Keys are stable: the same run, configuration and indexes give the same works.
 * Throws `TerminalError` `json.deep`, `redact.too-much`, and `extract.dropped` when `onDropped` says so.
 */
export function plan(given: Family, options: PlanOptions, indexes: Indexes = noIndexes): Plan {
  const { family, count: redacted } = redact(given, options.redact);
  const { run } = family;
  const { artifact: kind } = runKinds[run.kind];
  const perImage = options.perImage ?? nothingPerImage;
  const kinds: readonly ArtifactKind[] = run.kind === 'TaskRun' || perImage.signSubjects ? [kind, 'oci'] : [kind];
  const disabled = kinds.flatMap((artifact) => {
    const why = disabledBecause(artifact, options);
    return why === undefined ? [] : [{ artifact, why }];
  });
  const isMade = (artifact: ArtifactKind) => kinds.includes(artifact) && !disabled.some((one) => one.artifact === artifact);
  const drops = new Drops();
  const facts = factsOf(run.object, '', options.format.hints);
  for (const { results } of [facts, ...facts.steps]) nearMisses(results, drops);
  truncations(facts, drops);
  const subjects = Object.values(perImage).includes(true) ? imageSubjects(family, options) : [];
  const own = run.kind === 'TaskRun' && isMade('oci') ? imagesOfRun(facts, options.format, drops) : [];
  const stated = isMade(kind) ? statedImages(subjects, perImage, indexes) : [];
  const signed = isMade('oci') ? signedImages(own, subjects, perImage, indexes) : [];
  const works = [
    ...(isMade(kind) ? [workOf(kind, runKeyOf(run), undefined, options)] : []),
    ...worksFor(kind, stated, (image) => statementKey(runKeyOf(run), image), options),
    ...worksFor('oci', signed, fullName, options),
  ];
  const isRead = (artifact: ArtifactKind) => isMade(artifact) && storesForChildren(options.artifacts[artifact].stores).length > 0;
  const roots = [...(isRead(kind) ? subjects : []), ...(isRead('oci') ? signed.map(({ image }) => image) : [])];
  if (options.onDropped === 'fail') demandNoDrops(family, [...drops.all, ...droppedBy(works, family, options.format)]);
  return { family, redacted, works, disabled, dropped: drops.all, unread: perImage.recursive ? unreadAmong(roots, indexes) : [] };
}

/** The key of the work that is about the run itself (chains-provenance 10.3). */
export function runKeyOf({ kind, uid }: Pick<RunId, 'kind' | 'uid'>): string {
  return `${runKinds[kind].key}-${uid}`;
}

/** What is to be signed for a work of this family. Throws `TerminalError` `format.*` when no true statement can be made. */
export function payloadOf(work: Work, family: CleanFamily, options: FormatOptions): Payload {
  const format = formatOf(work.format);
  if (format === undefined) throw new TerminalError('format.unknown', `Cannot make a payload: there is no format "${work.format}"`);
  return format.payload({ family, image: work.image }, options);
}

/** The images among the subjects of the run's statement; none when there can be no statement, which is said by the work that is about it. */
function imageSubjects(family: CleanFamily, options: PlanOptions): readonly Image[] {
  const { artifact } = runKinds[family.run.kind];
  try {
    return payloadOf(workOf(artifact, runKeyOf(family.run), undefined, options), family, options.format).images;
  } catch (error) {
    if (error instanceof TerminalError) return [];
    throw error;
  }
}

/** The images that a TaskRun's results, and with `nativeArtifacts` its artifacts, name as its own. */
function imagesOfRun(facts: Facts, { nativeArtifacts }: FormatOptions, drops: Drops): readonly Image[] {
  return [...imagesToSign(facts.results, drops), ...(nativeArtifacts === true ? nativeImages(facts, drops) : [])];
}

/** What the payloads would leave out; a work that can have none says so itself. */
function droppedBy(works: readonly Work[], family: CleanFamily, options: FormatOptions): readonly Drop[] {
  return works.flatMap((work) => {
    try {
      return payloadOf(work, family, options).dropped;
    } catch (error) {
      if (error instanceof TerminalError) return [];
      throw error;
    }
  });
}

/** At most so many drops are told in one message: it becomes an Event. */
const maxTold = 5;

function demandNoDrops({ run }: Family, dropped: readonly Drop[]): void {
  const drops = [...new Map(dropped.map((drop) => [`${drop.result} ${drop.rule} ${drop.value}`, drop])).values()];
  if (drops.length === 0) return;
  const told = drops.slice(0, maxTold).map(({ result, why }) => `${result.slice(0, 200)}: ${why.slice(0, 200)}`);
  const more = drops.length > maxTold ? `; and ${drops.length - maxTold} more` : '';
  const fixes = [...new Set(drops.slice(0, maxTold).map(({ fix }) => fix.slice(0, 200)))].join('; ');
  throw new TerminalError(
    'extract.dropped',
    `Cannot attest "${run.namespace}/${run.name}": extract.on-dropped is "fail" and these cannot be used: ${told.join('; ')}${more}`,
    { fix: `${fixes}; or set extract.on-dropped to "record"` },
  );
}

/** A child for which no store is left has no work. */
function worksFor(artifact: ArtifactKind, about: readonly About[], keyOf: (image: Image) => string, options: PlanOptions): readonly Work[] {
  return about.flatMap(({ image, isChild }) => {
    const work = workOf(artifact, keyOf(image), image, options);
    if (!isChild) return [work];
    const stores = storesForChildren(work.stores);
    return stores.length === 0 ? [] : [{ ...work, stores }];
  });
}

function workOf(artifact: ArtifactKind, key: string, image: Image | undefined, options: PlanOptions): Work {
  const { format, signer, stores } = options.artifacts[artifact];
  return { key, shortKey: shortKeyOf(artifact, key, image), artifact, format, signer, stores: stores.toSorted(), image };
}

function disabledBecause(artifact: ArtifactKind, options: PlanOptions): string | undefined {
  const { format, signer, stores } = options.artifacts[artifact];
  const key = `artifacts.${artifact}`;
  if (signer === 'none') return `${key}.signer is none`;
  if (stores.length === 0) return `${key}.storage is empty`;
  if (formatOf(format)?.artifacts.includes(artifact) !== true) return `${key}.format "${format}" is no format for it`;
  return undefined;
}
