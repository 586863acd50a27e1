import { RFC3161Timestamp } from '@sigstore/core';
import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { bundleMediaType, bundleOf } from '../../model/bundle.ts';
import { parseSha256, sha256Of, type Sha256 } from '../../model/digest.ts';
import type { Logged } from '../../model/evidence.ts';
import { parseJson, textAt } from '../../model/json.ts';
import { jsonOf } from './answer.ts';
import { manifestType, type Descriptor, type Manifest, type Referrer } from './repository.ts';

/** Predicate type of the statement with which cosign 3 signs an image: it lives in bundles only (sigstore-wire 3.5). */
export const imageSignatureType = 'https://sigstore.dev/cosign/sign/v1';

/** What the layer of a bundle of any version is called begins so. */
const bundlePrefix = 'application/vnd.dev.sigstore.bundle';
const emptyType = 'application/vnd.oci.empty.v1+json';

/** The config of what is no image (image-spec, empty descriptor): it must be in the registry like any other. */
export const emptyConfig = Buffer.from('{}');

/** A bundle, and the manifest around it that refers to the image. */
export interface Packed {
  /** JSON text of the bundle, the one layer. */
  readonly bundle: Uint8Array;
  readonly referrer: Referrer;
}

/** As cosign 3 writes it (sigstore-wire 3.5). The same envelope with the same evidence is the same manifest. Throws what `bundleOf` throws. */
export function packed(envelope: Logged, { mediaType, digest, size }: Descriptor): Packed {
  const bundle = Buffer.from(bundleOf(envelope));
  const created = createdOf(envelope);
  const annotations = {
    'dev.sigstore.bundle.content': 'dsse-envelope',
    ...(envelope.filing.predicateType !== undefined && { 'dev.sigstore.bundle.predicateType': envelope.filing.predicateType }),
    ...(created !== undefined && { 'org.opencontainers.image.created': created }),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    artifactType: bundleMediaType,
    config: { mediaType: emptyType, size: emptyConfig.length, digest: `sha256:${sha256Of(emptyConfig)}`, artifactType: bundleMediaType },
    layers: [{ mediaType: bundleMediaType, size: bundle.length, digest: `sha256:${sha256Of(bundle)}` }],
    annotations,
    subject: { mediaType, digest: `sha256:${digest}`, size },
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const own = { mediaType: manifestType, digest: sha256Of(bytes), size: bytes.length };
  return { bundle, referrer: { descriptor: { ...own, artifactType: bundleMediaType, annotations }, bytes, subject: digest } };
}

/**
 * When this was made, to the second: by a log, else by a timestamp authority, else the end of the build that the statement names. Never by a
 * clock: the annotation is a part of the manifest, and a retry must give the same one. Undefined when nobody says (decisions/0010).
 */
function createdOf({ evidence: { entries, timestamps }, payload }: Logged): string | undefined {
  const [logged] = entries.flatMap(({ integratedTime }) => (integratedTime === undefined ? [] : [new Date(integratedTime * 1000)]));
  const stamped = timestamps.find(({ over }) => over === 'signature');
  const time = logged ?? (stamped && timeIn(stamped.response)) ?? finishIn(payload);
  return time && !Number.isNaN(time.getTime()) ? time.toISOString().replace(/\.\d{3}Z$/, 'Z') : undefined;
}

/** What is no timestamp is the verifier's to refuse. */
function timeIn(response: Uint8Array): Date | undefined {
  try {
    return RFC3161Timestamp.parse(Buffer.from(response)).signingTime;
  } catch {
    return undefined;
  }
}

/** SLSA v1's and v0.2's names for it. */
function finishIn(payload: Uint8Array): Date | undefined {
  const json = parsed(Buffer.from(payload).toString('utf8'));
  const text =
    textAt(json, 'predicate', 'runDetails', 'metadata', 'finishedOn') || textAt(json, 'predicate', 'metadata', 'buildFinishedOn');
  return text === '' ? undefined : new Date(text);
}

function parsed(text: string): ReturnType<typeof parseJson> | undefined {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof TerminalError) return undefined;
    throw error;
  }
}

/** The layer that holds the bundle. */
export interface BundleLayer {
  readonly digest: `sha256:${Sha256}`;
  readonly size: number;
}

const ReferrerManifest = z.looseObject({
  schemaVersion: z.literal(2),
  layers: z
    .array(z.looseObject({ mediaType: z.string(), size: z.int().nonnegative(), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) }))
    .length(1),
  subject: z.looseObject({ digest: z.string() }).optional(),
});

/** cosign's rule for what counts: exactly one layer, of a bundle 0.3 or later (sigstore-wire 3.6), and about this image. Undefined for the rest. */
export function bundleLayerIn({ bytes }: Manifest, subject: Sha256): BundleLayer | undefined {
  const result = ReferrerManifest.safeParse(jsonOf(bytes));
  const [layer] = result.data?.layers ?? [];
  if (layer === undefined || result.data?.subject?.digest !== `sha256:${subject}`) return undefined;
  if (!layer.mediaType.startsWith(bundlePrefix) || /version=0\.[12]$/.test(layer.mediaType)) return undefined;
  return { digest: `sha256:${parseSha256(layer.digest)}`, size: layer.size };
}

/**
 * Whether a referrer is worth fetching. Not all registries tell the artifact type, and some tell that of the config in its place; a type that is
 * told and is another one is believed.
 */
export function mayBeBundle({ artifactType }: Descriptor): boolean {
  return artifactType === undefined || artifactType === emptyType || artifactType.startsWith(bundlePrefix);
}
