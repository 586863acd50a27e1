import { fullName } from './extract/reference.ts';
import type { ArtifactKind, Image } from './model/artifact.ts';
import { sha256Of } from './model/digest.ts';

/** The configuration keys `artifacts.oci.provenance`, `.recursive` and `.sign-subjects`. */
export interface PerImage {
  /** One statement for each image, beside the one for the run. */
  readonly provenance: boolean;
  /** What is made for an image index is made for its children, too. */
  readonly recursive: boolean;
  /** Every image among the run's subjects is signed, not only those in a TaskRun's own results. */
  readonly signSubjects: boolean;
}

export const nothingPerImage: PerImage = { provenance: false, recursive: false, signSubjects: false };

/** What images were found to point to, by full name: all manifests below an index, in order; none for an image that is no index. */
export type Indexes = ReadonlyMap<string, readonly Image[]>;

/** An image to make something for. Children are not in the run's results: they came from a registry. */
export interface About {
  readonly image: Image;
  readonly isChild: boolean;
}

/**
 * The images that get a statement of their own: the run's image subjects with `provenance`, and with `recursive` the children of those
 * subjects. The subjects themselves are in the run's statement anyway; a child is in none, and a verifier wants to find the digest that it asks
 * about.
 */
export function statedImages(subjects: readonly Image[], { provenance, recursive }: PerImage, indexes: Indexes): readonly About[] {
  return [...(provenance ? itself(subjects) : []), ...(recursive ? childrenOf(subjects, indexes) : [])];
}

/** The images that are signed: those that always are (`own`), and what the configuration adds. */
export function signedImages(
  own: readonly Image[],
  subjects: readonly Image[],
  { recursive, signSubjects }: PerImage,
  indexes: Indexes,
): readonly About[] {
  const images = distinct(signSubjects ? [...own, ...subjects] : own);
  return [...itself(images), ...(recursive ? childrenOf(images, indexes) : [])];
}

/** The images, each once, of which it is not known what is below them. */
export function unreadAmong(images: readonly Image[], indexes: Indexes): readonly Image[] {
  const known = new Set([...indexes.keys(), ...[...indexes.values()].flatMap((children) => children.map(fullName))]);
  return distinct(images).filter((image) => !known.has(fullName(image)));
}

/** Each image once, the first of equal names. */
function distinct(images: readonly Image[]): readonly Image[] {
  return [...new Map(images.map((image) => [fullName(image), image])).values()];
}

/** Stores that keep things at an image. The others keep them with the run, which says nothing of what is below its images. */
const imageStores: readonly string[] = ['oci'];

/** Of the configured stores those that take what is about a child. */
export function storesForChildren(stores: readonly string[]): readonly string[] {
  return stores.filter((store) => imageStores.includes(store));
}

/** The key of a statement about one image. No other work has a `/` behind the key of its run. */
export function statementKey(runKey: string, image: Image): string {
  return `${runKey}/${fullName(image)}`;
}

/**
 * What annotations and documents are called after (chains-provenance 10.3): of a run its key, of an image signature the first 12 digits of its
 * digest. Of a statement about one image `image-<16 digits of the digest>-<12 of the repository's SHA-256>`: no other short key begins so, equal
 * digests in two repositories differ, and `signature-` with it stays below the 63 characters of an annotation's name.
 */
export function shortKeyOf(artifact: ArtifactKind, key: string, image: Image | undefined): string {
  if (image === undefined) return key;
  if (artifact === 'oci') return image.digest.slice(0, 12);
  return `image-${image.digest.slice(0, 16)}-${sha256Of(Buffer.from(image.repository, 'utf8')).slice(0, 12)}`;
}

function itself(images: readonly Image[]): readonly About[] {
  return images.map((image) => ({ image, isChild: false }));
}

/** What is below these images and not among them. */
function childrenOf(images: readonly Image[], indexes: Indexes): readonly About[] {
  const there = new Set(images.map(fullName));
  const children = distinct(images.flatMap((image) => indexes.get(fullName(image)) ?? []));
  return children.filter((child) => !there.has(fullName(child))).map((image) => ({ image, isChild: true }));
}
