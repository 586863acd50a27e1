import { TerminalError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import { base64Of } from '../../model/base64.ts';
import { parseBundle, type ParsedBundle } from '../../model/bundle-reader.ts';
import { envelopeBytesOf, paeOf } from '../../model/dsse.ts';
import type { Logged } from '../../model/evidence.ts';
import { pemOf } from '../../model/pem.ts';
import { keyIdOf } from '../../model/public-key.ts';
import type { Context } from '../../observe/context.ts';
import type { Wanted } from '../store.ts';
import { bundleLayerIn } from './bundle-manifest.ts';
import { candidatesOf } from './candidates.ts';
import type { Descriptor, Repository } from './repository.ts';
import { signatoryOf } from './signatory.ts';

/** What a bundle has beside its payload: a certificate, log entries with their proofs, timestamps with their chains. */
const maxFramingBytes = 1024 * 1024;

/**
 * A bundle that refers to the image, over exactly this payload and by a signer of ours, with its evidence; of several that with the most.
 * Undefined when there is none. Others refer to the image, too: what cannot be read is not ours.
 */
export async function findBundle(wanted: Wanted, image: Image, repository: Repository, ctx: Context): Promise<Logged | undefined> {
  let best: Logged | undefined;
  for (const candidate of await candidatesOf(image, repository, ctx)) {
    if ((predicateTypeIn(candidate) ?? wanted.payload.predicateType) !== wanted.payload.predicateType) continue;
    const bundle = await bundleBehind(candidate, { wanted, image, repository }, ctx);
    const found = bundle && (await envelopeIn(bundle, wanted));
    if (found !== undefined && (best === undefined || weightOf(found) > weightOf(best))) best = found;
  }
  return best;
}

interface Search {
  readonly wanted: Wanted;
  readonly image: Image;
  readonly repository: Repository;
}

/** What a registry does not tell cannot rule anything out. */
function predicateTypeIn({ annotations }: Descriptor): string | undefined {
  return annotations?.['dev.sigstore.bundle.predicateType'];
}

async function bundleBehind(
  { digest }: Descriptor,
  { wanted, image, repository }: Search,
  ctx: Context,
): Promise<ParsedBundle | undefined> {
  const manifest = await repository.manifest(`sha256:${digest}`, ctx);
  const layer = manifest && bundleLayerIn(manifest, image.digest);
  const framing = (layer?.size ?? 0) - base64Of(wanted.payload.bytes).length;
  if (layer === undefined || framing < 0 || framing > maxFramingBytes) return undefined;
  const bytes = await repository.blob(layer, ctx);
  return bytes && parsed(bytes, digest);
}

function parsed(bytes: Uint8Array, where: string): ParsedBundle | undefined {
  try {
    return parseBundle(bytes, where);
  } catch (error) {
    if (error instanceof TerminalError) return undefined;
    throw error;
  }
}

/** The body is made again as `seal` makes it: the bundle has its parts, but for the key id, which follows from the key. */
async function envelopeIn({ content, key, entries, timestamps }: ParsedBundle, wanted: Wanted): Promise<Logged | undefined> {
  const { payloadType, bytes: payload } = wanted.payload;
  if (content.kind !== 'dsse' || content.envelope.payloadType !== payloadType) return undefined;
  const [first] = content.envelope.signatures;
  if (first === undefined || Buffer.compare(content.envelope.payload, payload) !== 0) return undefined;
  const { signature } = first;
  const certificate = key.kind === 'certificate' ? pemOf('CERTIFICATE', key.leaf) : '';
  const publicKey = await signatoryOf({ signed: paeOf(payloadType, payload), signature, certificate }, wanted);
  if (publicKey === undefined) return undefined;
  return {
    kind: 'dsse',
    payloadType,
    payload,
    signature,
    body: envelopeBytesOf({ payloadType, payload, signatures: [{ keyid: keyIdOf(publicKey), signature }] }),
    publicKey,
    certificate,
    chain: '',
    filing: wanted.filing,
    evidence: { entries, timestamps: timestamps.map((response) => ({ authority: '', over: 'signature', response })) },
  };
}

function weightOf({ evidence: { entries, timestamps } }: Logged): number {
  return entries.length + timestamps.length;
}
