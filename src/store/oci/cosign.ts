import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { base64Of, bytesOfBase64 } from '../../model/base64.ts';
import { logBundleOf, timestampTextOf } from '../../model/cosign-annotations.ts';
import { sha256Of, type Sha256 } from '../../model/digest.ts';
import type { Envelope } from '../../model/envelope.ts';
import type { Logged } from '../../model/evidence.ts';
import type { Material } from '../../model/receipt.ts';
import { jsonOf } from './answer.ts';
import { manifestType, type Manifest } from './repository.ts';

/** The two kinds of envelope, as cosign files them: one tag for each, one layer for every envelope (sigstore-wire 3.1). */
export const filings = {
  raw: { suffix: '.sig', mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json' },
  dsse: { suffix: '.att', mediaType: 'application/vnd.dsse.envelope.v1+json' },
} as const satisfies Record<Envelope['kind'], { readonly suffix: string; readonly mediaType: string }>;

export const annotationKeys = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  chain: 'dev.sigstore.cosign/chain',
  logBundle: 'dev.sigstore.cosign/bundle',
  timestamp: 'dev.sigstore.cosign/rfc3161timestamp',
  predicateType: 'predicateType',
} as const;

const configType = 'application/vnd.oci.image.config.v1+json';

/** cosign refuses to read more (sigstore-wire 3.1). */
export const maxLayers = 1_000;

/** Somebody else may have written the tag: what we do not know is kept as it is. */
const Layer = z.looseObject({
  mediaType: z.string(),
  size: z.int().nonnegative(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'want sha256 and 64 hex digits'),
  annotations: z.record(z.string(), z.string()).optional(),
});
const TagManifest = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: z.looseObject({ mediaType: z.string() }),
  layers: z.array(Layer),
});
export type TagManifest = z.output<typeof TagManifest>;
export type Layer = z.output<typeof Layer>;

/** `sha256-<hex>.att` or `.sig`. */
export function tagOf(digest: Sha256, kind: Envelope['kind']): string {
  return `sha256-${digest}${filings[kind].suffix}`;
}

/** What a layer holds: the payload of an image signature, the DSSE envelope of an attestation. */
export function contentOf(envelope: Envelope): Uint8Array {
  return envelope.kind === 'raw' ? envelope.payload : envelope.body;
}

/**
 * The layer of an envelope (chains-controller 5.3.3, 5.3.4). Certificate and chain are there even when empty, as Chains writes them.
 * `predicateType` is what cosign 2 and later add; Chains does not, and nobody minds either.
 */
export function layerOf(envelope: Logged): Layer {
  const { kind, signature, certificate, chain, filing } = envelope;
  const content = contentOf(envelope);
  const { logBundle, timestamp } = evidenceTextsOf(envelope);
  return {
    mediaType: filings[kind].mediaType,
    size: content.length,
    digest: `sha256:${sha256Of(content)}`,
    annotations: {
      [annotationKeys.signature]: kind === 'raw' ? base64Of(signature) : '',
      [annotationKeys.certificate]: certificate,
      [annotationKeys.chain]: chain,
      ...(kind === 'dsse' && filing.predicateType !== undefined && { [annotationKeys.predicateType]: filing.predicateType }),
      ...(logBundle !== undefined && { [annotationKeys.logBundle]: logBundle }),
      ...(timestamp !== undefined && { [annotationKeys.timestamp]: timestamp }),
    },
  };
}

/** One of each is all that there is room for: of a log that gave a promise (a Rekor 2 gives none), and over what verifiers look at (sigstore-wire 3.1). */
function evidenceTextsOf({ kind, evidence }: Logged): { readonly logBundle: string | undefined; readonly timestamp: string | undefined } {
  const over = kind === 'raw' ? 'signature' : 'body';
  const stamped = evidence.timestamps.find((timestamp) => timestamp.over === over);
  const logBundle = evidence.entries.map(logBundleOf).find((text) => text !== undefined);
  return { logBundle, timestamp: stamped && timestampTextOf(stamped.response) };
}

/**
 * Whether two layers are one envelope: the same content, and for an image signature the same signature too, since its content is the same
 * for every key (Chains compares contents only, and so keeps the first signature for ever: chains-controller 9.5, O3).
 */
export function isSame(a: Layer, b: Layer): boolean {
  return a.digest === b.digest && a.mediaType === b.mediaType && signatureIn(a) === signatureIn(b);
}

/** The signature annotation; empty text for attestations, undefined when it is missing. */
function signatureIn(layer: Layer): string | undefined {
  return layer.annotations?.[annotationKeys.signature];
}

/** The raw signature of a `.sig` layer; undefined when the annotation is missing or not base64. */
export function signatureBytesIn(layer: Layer): Uint8Array | undefined {
  const text = signatureIn(layer);
  return text === undefined || text === '' ? undefined : bytesOfBase64(text);
}

/** What stands beside the signature. */
export function materialOf({ annotations = {} }: Layer): Material {
  const { certificate, chain, logBundle, timestamp } = annotationKeys;
  const textOf = (key: string): string => annotations[key] ?? '';
  return { certificate: textOf(certificate), chain: textOf(chain), logBundle: textOf(logBundle), timestamp: textOf(timestamp) };
}

/** The manifest behind a signature tag. Throws `oci.manifest` for what is none: it is not ours to overwrite. */
export function parseTagManifest(manifest: Manifest, where: string): TagManifest {
  const parsed = TagManifest.safeParse(jsonOf(manifest.bytes));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const reason = `${issue?.path.join('.') || 'the manifest'}: ${issue?.message ?? 'malformed'} (${manifest.mediaType.slice(0, 80)})`;
  throw new TerminalError('oci.manifest', `Cannot read signatures at "${where}": ${reason}`, {
    fix: 'see who wrote this tag; delete it if it holds no signatures or attestations',
  });
}

/** A manifest to write, and the config blob that must be there before it. */
export interface Next {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly config: Uint8Array;
}

/**
 * The manifest with this layer too, or a new one; undefined when it is there with everything that stands beside it. Media types and layers of an
 * existing manifest stay; annotations that the layer lacks are added (it may have been stored before it was logged). Throws `oci.tag-full`.
 */
export function withLayer(current: TagManifest | undefined, layer: Layer, where: string): Next | undefined {
  const old = current?.layers.find((other) => isSame(other, layer));
  if (current === undefined || old === undefined) return manifestWith(current, [...(current?.layers ?? []), layer], where);
  const fuller = completed(old, layer);
  return (
    fuller &&
    manifestWith(
      current,
      current.layers.map((other) => (other === old ? fuller : other)),
      where,
    )
  );
}

function completed(old: Layer, { annotations = {} }: Layer): Layer | undefined {
  const missing = Object.entries(annotations).filter(([key, text]) => text !== '' && (old.annotations?.[key] ?? '') === '');
  return missing.length === 0 ? undefined : { ...old, annotations: { ...old.annotations, ...Object.fromEntries(missing) } };
}

function manifestWith(current: TagManifest | undefined, layers: readonly Layer[], where: string): Next {
  if (layers.length > maxLayers) {
    throw new TerminalError('oci.tag-full', `Cannot add to "${where}": it has ${maxLayers} layers, and cosign reads no more`, {
      fix: 'remove attestations or signatures that nobody needs from this tag',
    });
  }
  const config = configOf(layers);
  const mediaType = current?.mediaType ?? manifestType;
  const next = {
    schemaVersion: 2,
    mediaType,
    ...current,
    config: { mediaType: current?.config.mediaType ?? configType, size: config.length, digest: `sha256:${sha256Of(config)}` },
    layers,
  };
  return { mediaType, bytes: Buffer.from(JSON.stringify(next)), config };
}

/** An image config without an image: a history entry and a diff id for each layer, which is its digest since nothing is compressed. */
function configOf(layers: readonly Layer[]): Uint8Array {
  const created = '0001-01-01T00:00:00Z';
  const config = {
    architecture: '',
    created,
    history: layers.map(() => ({ created })),
    os: '',
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    config: {},
  };
  return Buffer.from(JSON.stringify(config));
}
