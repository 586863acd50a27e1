import { TerminalError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import { parseSha256, sha256Of, type Sha256 } from '../../model/digest.ts';
import type { Envelope } from '../../model/envelope.ts';
import { contentOf, filings, tagOf } from './cosign.ts';

/** Where one envelope rests: a layer of a tag, or a bundle that refers to an image. */
export type Spot = TagSpot | BundleSpot;

export interface BundleSpot {
  readonly kind: 'bundle';
  readonly repository: string;
  /** Of the manifest around the bundle. */
  readonly manifest: Sha256;
}

/** `signature`, for image signatures only: SHA-256 of the raw signature, as several may have the same content. */
export interface TagSpot {
  readonly kind: 'tag';
  /** Empty text in a layout folder for what belongs to no image. */
  readonly repository: string;
  readonly tag: string;
  readonly layer: Sha256;
  readonly signature: Sha256 | undefined;
}

/**
 * `registry/repository:sha256-<hex>.att@sha256:<layer>`, of an image signature with `#<sha256 of the signature>` behind it;
 * `registry/repository@sha256:<manifest>#bundle`.
 */
export function addressOf(spot: Spot, prefix: string): string {
  if (spot.kind === 'bundle') return `${prefix}${spot.repository}@sha256:${spot.manifest}#bundle`;
  const reference = spot.repository === '' ? spot.tag : `${spot.repository}:${spot.tag}`;
  return `${prefix}${reference}@sha256:${spot.layer}${spot.signature === undefined ? '' : `#${spot.signature}`}`;
}

const bundleAddress = /^([^\s@]+)@sha256:([0-9a-f]{64})#bundle$/;
const tagAddress = /^(?:([^\s]+):)?(\w[\w.-]{0,127})@sha256:([0-9a-f]{64})(?:#([0-9a-f]{64}))?$/;

/** The other way round. Throws `store.oci.address`, also for a place in another layout folder. */
export function spotOf(address: string, prefix: string): Spot {
  const text = address.startsWith(prefix) ? address.slice(prefix.length) : '';
  const [, bundled, manifest] = bundleAddress.exec(text) ?? [];
  if (bundled !== undefined && manifest !== undefined) return { kind: 'bundle', repository: bundled, manifest: parseSha256(manifest) };
  const match = tagAddress.exec(text);
  if (!match) {
    throw new TerminalError('store.oci.address', `Cannot find "${address.slice(0, 300)}": it is no place of this store`, {
      fix: 'read it with the storage.oci settings that it was stored with',
    });
  }
  const [, repository = '', tag = '', layer = '', signature] = match;
  return {
    kind: 'tag',
    repository,
    tag,
    layer: parseSha256(layer),
    signature: signature === undefined ? undefined : parseSha256(signature),
  };
}

export function tagSpotFor(image: Image | undefined, envelope: Envelope, repository: string): TagSpot {
  const { kind, filing, signature } = envelope;
  return {
    kind: 'tag',
    repository,
    tag: image === undefined ? `${filing.shortKey}${filings[kind].suffix}` : tagOf(image.digest, kind),
    layer: sha256Of(contentOf(envelope)),
    signature: kind === 'raw' ? sha256Of(signature) : undefined,
  };
}
