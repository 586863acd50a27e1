import { base64Of } from '../../model/base64.ts';
import { sha256Of } from '../../model/digest.ts';
import { openEnvelope, paeOf } from '../../model/dsse.ts';
import { payloadTypes } from '../../model/dsse.ts';
import type { Envelope, Filing } from '../../model/envelope.ts';
import { isSignedBy, parsePublicKey, type PublicKey } from '../../model/public-key.ts';
import type { Payload } from '../../model/work.ts';
import type { Context } from '../../observe/context.ts';
import { annotationKeys, filings, parseTagManifest, signatureBytesIn, tagOf, type Layer } from './cosign.ts';
import type { Repository } from './repository.ts';

export interface Wanted {
  readonly filing: Filing;
  readonly payload: Payload;
  /** SPKI PEM. */
  readonly publicKey: string;
}

/** What a DSSE envelope has beside its payload: type, key id and signature (RSA 4096 is 684 characters), with room for white space. */
const maxFramingBytes = 4_096;

/** The newest envelope at the first image's tag that is over exactly this payload and by this key; undefined when there is none. */
export async function findEnvelope(wanted: Wanted, repository: Repository, ctx: Context): Promise<Envelope | undefined> {
  const { filing, payload } = wanted;
  const kind = payload.payloadType === payloadTypes.simpleSigning ? 'raw' : 'dsse';
  const [image] = filing.images;
  const tag = image === undefined ? `${filing.shortKey}${filings[kind].suffix}` : tagOf(image.digest, kind);
  const manifest = await repository.manifest(tag, ctx);
  if (manifest === undefined) return undefined;
  const key = parsePublicKey(wanted.publicKey);
  for (const layer of parseTagManifest(manifest, tag).layers.toReversed()) {
    const parts = kind === 'raw' ? rawIn(layer, wanted, key) : await dsseIn(layer, { wanted, key, repository }, ctx);
    if (parts === undefined) continue;
    const { certificate = '', chain = '' } = certificatesIn(layer);
    return {
      kind,
      payloadType: payload.payloadType,
      payload: payload.bytes,
      ...parts,
      publicKey: wanted.publicKey,
      certificate,
      chain,
      filing,
    };
  }
  return undefined;
}

type Parts = Pick<Envelope, 'signature' | 'body'>;

/** The layer's content is the payload, so its digest says enough. */
function rawIn(layer: Layer, { payload }: Wanted, key: PublicKey): Parts | undefined {
  if (layer.digest !== `sha256:${sha256Of(payload.bytes)}`) return undefined;
  const signature = signatureBytesIn(layer);
  return signature !== undefined && isSignedBy(key, payload.bytes, signature) ? { signature, body: signature } : undefined;
}

interface Search {
  readonly wanted: Wanted;
  readonly key: PublicKey;
  readonly repository: Repository;
}

/** Most layers are ruled out by their size, so few blobs are fetched of a tag with many. */
async function dsseIn(layer: Layer, { wanted: { payload }, key, repository }: Search, ctx: Context): Promise<Parts | undefined> {
  const framing = layer.size - base64Of(payload.bytes).length;
  if (layer.mediaType !== filings.dsse.mediaType || framing < 0 || framing > maxFramingBytes) return undefined;
  const body = await repository.blob(layer, ctx);
  if (body === undefined) return undefined;
  const envelope = opened(body);
  const [first] = envelope?.signatures ?? [];
  if (envelope === undefined || first === undefined || envelope.signatures.length !== 1) return undefined;
  if (envelope.payloadType !== payload.payloadType || Buffer.compare(envelope.payload, payload.bytes) !== 0) return undefined;
  return isSignedBy(key, paeOf(envelope.payloadType, envelope.payload), first.signature) ? { signature: first.signature, body } : undefined;
}

/** Others write to the tag, too: what is no envelope is not ours. */
function opened(body: Uint8Array): ReturnType<typeof openEnvelope> | undefined {
  try {
    return openEnvelope(body);
  } catch {
    return undefined;
  }
}

function certificatesIn({ annotations }: Layer): { readonly certificate?: string | undefined; readonly chain?: string | undefined } {
  return { certificate: annotations?.[annotationKeys.certificate], chain: annotations?.[annotationKeys.chain] };
}
