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
import { imageStatement } from './format/image-statement.ts';
import { formatOf } from './format/formats.ts';
import type { ArtifactKind, Drop, Image } from './model/artifact.ts';
import { at } from './model/json.ts';
import { runKinds, type Family, type Run, type RunId } from './model/run.ts';
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
import { keyFor, shortKeyFor, signersFor, type SigningRule } from './signing-rules.ts';

/** The configuration keys `artifacts.<kind>.*`. An empty list of signers (`none`) or of stores disables an artifact (1.2). */
export interface ArtifactOptions {
  readonly format: string;
  /** Each signs for itself. */
  readonly signers: readonly string[];
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
  /** `signers.rules`; absent: none. */
  readonly rules?: readonly SigningRule[];
  /** `storage.oci.layout`, for signatures of images: as a tag, as a Sigstore bundle, or both. Absent: `tags`. */
  readonly layout?: 'tags' | 'referrers' | 'both';
  /** `transparency.enabled`; absent: `off`. */
  readonly transparency?: 'off' | 'on' | 'manual';
}

/** What of a whole configuration `plan` reads: the one place where it is picked, so that no caller forgets `redact`. */
export function planOptionsOf({ artifacts, format, redact: kept, ...rest }: PlanOptions): PlanOptions {
  const { onDropped, perImage, rules, layout, transparency } = rest;
  return {
    artifacts,
    format,
    redact: kept,
    ...(onDropped && { onDropped }),
    ...(perImage && { perImage }),
    ...(rules && { rules }),
    ...(layout && { layout }),
    ...(transparency && { transparency }),
  };
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
  // What decides who signs, and whether it is logged, is not published: it is read as it came.
  const of = { options, run: given.run, log: isLogged(given, options) };
  const works = [
    ...(isMade(kind) ? worksOf({ artifact: kind, key: runKeyOf(run), image: undefined }, of) : []),
    ...worksFor(kind, stated, (image) => statementKey(runKeyOf(run), image), of),
    ...worksFor('oci', signed, fullName, of),
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
  return payloadIn(work.format, family, work.image, options);
}

function payloadIn(name: string, family: CleanFamily, image: Image | undefined, options: FormatOptions): Payload {
  const format = formatOf(name);
  if (format === undefined) throw new TerminalError('format.unknown', `Cannot make a payload: there is no format "${name}"`);
  return format.payload({ family, image }, options);
}

/** The images among the subjects of the run's statement; none when there can be no statement, which is said by the work that is about it. */
function imageSubjects(family: CleanFamily, options: PlanOptions): readonly Image[] {
  const { artifact } = runKinds[family.run.kind];
  try {
    return payloadIn(options.artifacts[artifact].format, family, undefined, options.format).images;
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

interface Of {
  readonly options: PlanOptions;
  readonly run: Run;
  readonly log: boolean;
}

interface Thing {
  readonly artifact: ArtifactKind;
  readonly key: string;
  readonly image: Image | undefined;
  readonly isChild?: boolean;
}

function worksFor(artifact: ArtifactKind, about: readonly About[], keyOf: (image: Image) => string, of: Of): readonly Work[] {
  return about.flatMap(({ image, isChild }) => worksOf({ artifact, key: keyOf(image), image, isChild }, of));
}

/** One work for each signer and way of writing it. A child for which no store is left has none. */
function worksOf({ artifact, key, image, isChild }: Thing, { options, run, log }: Of): readonly Work[] {
  const { format, signers, stores } = options.artifacts[artifact];
  const taking = (isChild === true ? storesForChildren(stores) : stores).toSorted();
  return waysOf(artifact, format, taking, options.layout).flatMap((way) =>
    signersFor(run, artifact, options.rules ?? [], signers).map((signer, position) => ({
      key: keyFor(`${key}${way.suffix}`, signer, position),
      shortKey: shortKeyFor(shortKeyOf(artifact, key, image), signer, position),
      artifact,
      format: way.format,
      signer,
      stores: way.stores,
      log,
      image,
    })),
  );
}

interface Way {
  readonly format: string;
  readonly stores: readonly string[];
  /** Behind the key. No other key has a `#`. */
  readonly suffix: string;
}

/** An image's signature in a Sigstore bundle is a statement, in a tag or an annotation it is not: who wants both gets two works. */
function waysOf(artifact: ArtifactKind, format: string, stores: readonly string[], layout: PlanOptions['layout'] = 'tags'): readonly Way[] {
  const plain = { format, stores, suffix: '' };
  if (artifact !== 'oci' || layout === 'tags' || !stores.includes('oci')) return stores.length === 0 ? [] : [plain];
  const others = layout === 'both' ? stores : stores.filter((store) => store !== 'oci');
  const [name = format] = imageStatement.names;
  return [...(others.length === 0 ? [] : [{ ...plain, stores: others }]), { format: name, stores: ['oci'], suffix: '#bundle' }];
}

/** In Chains a TaskRun must ask for itself; here its PipelineRun may ask for it, as annotations are not copied reliably (9.4, T1). */
function isLogged({ run, owner }: Family, { transparency = 'off' }: PlanOptions): boolean {
  if (transparency !== 'manual') return transparency === 'on';
  return [run, owner].some((asking) => asking !== undefined && at(asking.object, 'metadata', 'annotations', uploadAnnotation) === 'true');
}

const uploadAnnotation = 'chains.tekton.dev/transparency-upload';

function disabledBecause(artifact: ArtifactKind, options: PlanOptions): string | undefined {
  const { format, signers, stores } = options.artifacts[artifact];
  const key = `artifacts.${artifact}`;
  if (signers.length === 0) return `${key}.signer is none`;
  if (stores.length === 0) return `${key}.storage is empty`;
  if (formatOf(format)?.artifacts.includes(artifact) !== true) return `${key}.format "${format}" is no format for it`;
  return undefined;
}
