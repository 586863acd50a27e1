import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { base64Of, bytesOfBase64 } from '../model/base64.ts';
import type { Envelope } from '../model/envelope.ts';
import { noMaterial, type Place, type Receipt, type Stored } from '../model/receipt.ts';
import type { OpenStore, StoreKind } from './store.ts';

/** What the API server takes of all annotations of one object, keys and values together (apimachinery, TotalAnnotationSizeLimitB). */
const maxAnnotationBytes = 256 * 1024;

const domain = 'chains.tekton.dev/';

/** Chains' own names (chains-controller 1.6): `chains.tekton.dev/<part>-<short key>`. */
type Part = 'payload' | 'signature' | 'cert' | 'chain';

/**
 * Annotations on the run itself, in Chains' format. It writes nothing: the receipt holds what `record` must write, in its one patch, and the
 * object which that patch returns is the proof (`storedFromAnnotations`).
 */
export const tekton = {
  options: z.strictObject({}),
  async open(): Promise<OpenStore> {
    return await Promise.resolve({
      proof: 'patch',
      put: async (envelope) => await Promise.resolve(receiptOf(envelope)),
      [Symbol.asyncDispose]: async () => await Promise.resolve(),
    });
  },
} satisfies StoreKind;

/**
 * What the annotations of a run hold under a short key; undefined when there is nothing. A signature that is a JSON object is a DSSE
 * envelope, any other is raw. Throws `store.tekton.corrupt` for what is not base64.
 */
export function storedFromAnnotations(annotations: Readonly<Record<string, string>>, shortKey: string): Stored | undefined {
  const signature = bytesIn(annotations, keyOf('signature', shortKey));
  const payload = bytesIn(annotations, keyOf('payload', shortKey));
  if (signature === undefined || payload === undefined) return undefined;
  const place = placeOf(shortKey);
  const material = {
    ...noMaterial,
    certificate: textIn(annotations, keyOf('cert', shortKey)),
    chain: textIn(annotations, keyOf('chain', shortKey)),
  };
  // A raw signature is ASN.1, which begins with `0`, or any 64 bytes: a brace alone would not tell.
  return isJsonObject(signature)
    ? { kind: 'dsse', place, body: signature, material }
    : { kind: 'raw', place, payload, signature, material };
}

function receiptOf({ payload, body, certificate, chain, filing: { shortKey, images } }: Envelope): Receipt {
  const annotations = {
    [keyOf('payload', shortKey)]: base64Of(payload),
    [keyOf('signature', shortKey)]: base64Of(body),
    [keyOf('cert', shortKey)]: base64Of(Buffer.from(certificate)),
    [keyOf('chain', shortKey)]: base64Of(Buffer.from(chain)),
  };
  const bytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + value.length, 0);
  if (bytes > maxAnnotationBytes) {
    const reason = `its annotations would have ${bytes} bytes, more than the ${maxAnnotationBytes} that the API server takes`;
    throw new TerminalError('store.tekton.too-large', `Cannot store "${shortKey}" on its run: ${reason}`, {
      fix: 'choose the storage "oci" for this artifact (artifacts.*.storage)',
    });
  }
  const place = { ...placeOf(shortKey), image: images.length === 1 ? images[0] : undefined };
  return { store: 'tekton', places: [place], note: undefined, annotations };
}

function placeOf(shortKey: string): Place {
  return { address: keyOf('signature', shortKey), image: undefined };
}

function keyOf(part: Part, shortKey: string): string {
  return `${domain}${part}-${shortKey}`;
}

function bytesIn(annotations: Readonly<Record<string, string>>, key: string): Uint8Array | undefined {
  const text = Object.hasOwn(annotations, key) ? annotations[key] : undefined;
  if (text === undefined || text === '') return undefined;
  const bytes = bytesOfBase64(text);
  if (bytes !== undefined) return bytes;
  throw new TerminalError('store.tekton.corrupt', `Cannot read annotation "${key}": it is not base64`, {
    fix: 'remove the annotation and "chains.tekton.dev/signed" to have the run signed again',
  });
}

/** Empty text for what is not there. */
function textIn(annotations: Readonly<Record<string, string>>, key: string): string {
  return Buffer.from(bytesIn(annotations, key) ?? []).toString('utf8');
}

function isJsonObject(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0x7b) return false;
  try {
    JSON.parse(Buffer.from(bytes).toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
