import { CodedError } from '../../errors.ts';
import { base64Of } from '../../model/base64.ts';
import { entryOfLogBundle, responseOfTimestampText } from '../../model/cosign-annotations.ts';
import { sha256Of } from '../../model/digest.ts';
import { openEnvelope, paeOf } from '../../model/dsse.ts';
import type { Envelope } from '../../model/envelope.ts';
import type { Evidence, Logged } from '../../model/evidence.ts';
import type { Context } from '../../observe/context.ts';
import type { Wanted } from '../store.ts';
import { filings, materialOf, parseTagManifest, signatureBytesIn, tagOf, type Layer } from './cosign.ts';
import type { Repository } from './repository.ts';
import { signatoryOf } from './signatory.ts';

/** What a DSSE envelope has beside its payload: type, key id and signature (RSA 4096 is 684 characters), with room for white space. */
const maxFramingBytes = 4_096;

/** The newest envelope at the first image's tag that is over exactly this payload and by a signer of ours; undefined when there is none. */
export async function findTagged(
  wanted: Wanted,
  kind: Envelope['kind'],
  repository: Repository,
  ctx: Context,
): Promise<Logged | undefined> {
  const { filing, payload } = wanted;
  const [image] = filing.images;
  const tag = image === undefined ? `${filing.shortKey}${filings[kind].suffix}` : tagOf(image.digest, kind);
  const manifest = await repository.manifest(tag, ctx);
  if (manifest === undefined) return undefined;
  for (const layer of parseTagManifest(manifest, tag).layers.toReversed()) {
    const parts = kind === 'raw' ? rawIn(layer, wanted) : await dsseIn(layer, wanted, repository, ctx);
    if (parts === undefined) continue;
    const { certificate, chain } = materialOf(layer);
    const publicKey = await signatoryOf({ ...parts, certificate }, wanted);
    if (publicKey === undefined) continue;
    const { signature, body } = parts;
    const { payloadType } = payload;
    const envelope = { kind, payloadType, payload: payload.bytes, signature, body, publicKey, certificate, chain, filing } as const;
    return { ...envelope, evidence: evidenceIn(layer, kind, ctx) };
  }
  return undefined;
}

interface Parts extends Pick<Envelope, 'signature' | 'body'> {
  readonly signed: Uint8Array;
}

/** The layer's content is the payload, so its digest says enough. */
function rawIn(layer: Layer, { payload }: Wanted): Parts | undefined {
  if (layer.digest !== `sha256:${sha256Of(payload.bytes)}`) return undefined;
  const signature = signatureBytesIn(layer);
  return signature && { signature, body: signature, signed: payload.bytes };
}

/** Most layers are ruled out by their size, so few blobs are fetched of a tag with many. */
async function dsseIn(layer: Layer, { payload }: Wanted, repository: Repository, ctx: Context): Promise<Parts | undefined> {
  const framing = layer.size - base64Of(payload.bytes).length;
  if (layer.mediaType !== filings.dsse.mediaType || framing < 0 || framing > maxFramingBytes) return undefined;
  const body = await repository.blob(layer, ctx);
  if (body === undefined) return undefined;
  const envelope = opened(body);
  const [first] = envelope?.signatures ?? [];
  if (envelope === undefined || first === undefined || envelope.signatures.length !== 1) return undefined;
  if (envelope.payloadType !== payload.payloadType || Buffer.compare(envelope.payload, payload.bytes) !== 0) return undefined;
  return { signature: first.signature, body, signed: paeOf(envelope.payloadType, envelope.payload) };
}

/** Others write to the tag, too: what is no envelope is not ours. */
function opened(body: Uint8Array): ReturnType<typeof openEnvelope> | undefined {
  try {
    return openEnvelope(body);
  } catch {
    return undefined;
  }
}

/** What cannot be read is told and left out: the envelope is good without it, and can be logged again. */
function evidenceIn(layer: Layer, kind: Envelope['kind'], ctx: Context): Evidence {
  const { logBundle, timestamp } = materialOf(layer);
  const read = <T>(text: string, parse: (text: string, where: string) => T): readonly T[] => {
    if (text === '') return [];
    try {
      return [parse(text, layer.digest)];
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      ctx.logger.warn({ store: 'oci', layer: layer.digest, err: error }, 'annotation left out');
      return [];
    }
  };
  const over = kind === 'raw' ? 'signature' : 'body';
  return {
    entries: read(logBundle, entryOfLogBundle),
    timestamps: read(timestamp, responseOfTimestampText).map((response) => ({ authority: '', over, response })),
  };
}
