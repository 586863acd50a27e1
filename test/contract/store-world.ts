import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { pino } from 'pino';
import type { Image } from '../../src/model/artifact.ts';
import { bundleOf } from '../../src/model/bundle.ts';
import { sha256Of } from '../../src/model/digest.ts';
import { envelopeBytesOf, paeOf, payloadTypes } from '../../src/model/dsse.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import { noEvidence, type Logged } from '../../src/model/evidence.ts';
import { keyIdOf } from '../../src/model/public-key.ts';
import type { Receipt, Stored } from '../../src/model/receipt.ts';
import type { Payload } from '../../src/model/work.ts';
import type { Context } from '../../src/observe/context.ts';
import { oci } from '../../src/store/oci/oci.ts';
import type { OciOptions } from '../../src/store/oci/options.ts';
import { imageSignatureType } from '../../src/store/oci/bundle-manifest.ts';
import { openRepositories } from '../../src/store/oci/open.ts';
import { routesOf } from '../../src/store/oci/put.ts';
import { openReader } from '../../src/store/oci/reader.ts';
import { manifestType } from '../../src/store/oci/repository.ts';
import { storedFromAnnotations, tekton } from '../../src/store/tekton.ts';

export const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

export interface Key {
  readonly publicKey: string;
  sign(bytes: Uint8Array): Uint8Array;
}

export function newKey(): Key {
  return keyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

/** Of a P-256 key, as PEM or as it is. */
export function keyOf(privateKey: string | KeyObject): Key {
  const object = typeof privateKey === 'string' ? createPrivateKey(privateKey) : privateKey;
  return {
    publicKey: createPublicKey(object).export({ type: 'spki', format: 'pem' }).toString(),
    sign: (bytes) => sign('sha256', bytes, object),
  };
}

/** An image that was not pushed yet: tags need none. A world pushes it where bundles want a subject. */
export interface TestImage extends Image {
  readonly manifest: Uint8Array;
}

const emptyConfig = Buffer.from('{}');

/** An image without content, another for each text. */
export function imageOf(repository: string, text: string): TestImage {
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', size: 2, digest: `sha256:${sha256Of(emptyConfig)}` };
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: [], annotations: { text } }));
  return { repository, digest: sha256Of(manifest), manifest };
}

/** As `docker push` does it, under a tag of its own. */
export async function pushTestImage({ repository, digest, manifest }: TestImage, options: OciOptions): Promise<void> {
  await using repositories = await openRepositories(options, ctx);
  const there = repositories.repository(repository, 'pull,push');
  await there.putBlob(emptyConfig, ctx);
  await there.update(
    `image-${digest.slice(0, 12)}`,
    async (current) => {
      return await Promise.resolve(current === undefined ? { mediaType: manifestType, bytes: manifest } : undefined);
    },
    ctx,
  );
}

function isTestImage(image: Image): image is TestImage {
  return 'manifest' in image;
}

const predicateType = 'https://slsa.dev/provenance/v1';

/** An attestation about `images`; another `name`, another run. */
export function attestationOf(images: readonly Image[], name: string, key: Key): Logged {
  const subject = images.map(({ repository, digest }) => ({ name: repository, digest: { sha256: digest } }));
  const predicate = { buildDefinition: { buildType: 'x', externalParameters: { name } }, runDetails: { builder: { id: 'x' } } };
  return envelopeOf({ subject, predicateType, predicate }, images, name, key);
}

/** The statement with which cosign 3 signs an image. */
export function imageStatementOf(image: Image, key: Key): Logged {
  const subject = [{ digest: { sha256: image.digest } }];
  return envelopeOf({ subject, predicateType: imageSignatureType, predicate: {} }, [image], 'sign', key);
}

interface Claim {
  readonly subject: readonly object[];
  readonly predicateType: string;
  readonly predicate: object;
}

function envelopeOf(claim: Claim, images: readonly Image[], name: string, key: Key): Logged {
  const payload = Buffer.from(JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', ...claim }));
  const signature = key.sign(paeOf(payloadTypes.inToto, payload));
  const keyid = keyIdOf(key.publicKey);
  const body = envelopeBytesOf({ payloadType: payloadTypes.inToto, payload, signatures: [{ keyid, signature }] });
  const { predicateType } = claim;
  return {
    kind: 'dsse',
    payloadType: payloadTypes.inToto,
    payload,
    signature,
    body,
    publicKey: key.publicKey,
    certificate: '',
    chain: '',
    evidence: noEvidence,
    filing: { run: { kind: 'TaskRun', namespace: 'ci', name, uid: name }, shortKey: `taskrun-${name}`, predicateType, images },
  };
}

/** An image signature: its payload depends on the image alone. */
export function signatureOf(image: Image, key: Key): Logged {
  const critical = {
    identity: { 'docker-reference': image.repository },
    image: { 'docker-manifest-digest': `sha256:${image.digest}` },
    type: 'cosign container image signature',
  };
  const payload = Buffer.from(JSON.stringify({ critical, optional: null }));
  const signature = key.sign(payload);
  return {
    kind: 'raw',
    payloadType: payloadTypes.simpleSigning,
    payload,
    signature,
    body: signature,
    publicKey: key.publicKey,
    certificate: '',
    chain: '',
    evidence: noEvidence,
    filing: {
      run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'build' },
      shortKey: image.digest.slice(0, 12),
      predicateType: undefined,
      images: [image],
    },
  };
}

export function payloadIn({ payloadType, payload, filing }: Envelope): Payload {
  return { payloadType, predicateType: filing.predicateType, bytes: payload, subjects: [], images: filing.images, dropped: [] };
}

/** What a consumer sees of an envelope, comparable: kind and content, and of an image signature the signature. */
export function seen(it: Envelope | Stored): string {
  const content = it.kind === 'raw' ? [it.payload, it.signature] : [it.body];
  return [it.kind, ...content.map((bytes) => Buffer.from(bytes).toString('base64'))].join(' ');
}

/** The same of the bundle of an envelope. */
function seenAsBundle(envelope: Logged): string {
  return ['bundle', Buffer.from(bundleOf(envelope)).toString('base64')].join(' ');
}

/** A store, and eyes to see what is in it. */
export interface World extends AsyncDisposable {
  /** First part of image repositories. */
  readonly host: string;
  put(envelope: Logged): Promise<Receipt>;
  /** What the receipt names, read back. */
  get(receipt: Receipt): Promise<readonly Stored[]>;
  /** Everything about an image, with repetitions if there are any. */
  list(image: Image): Promise<readonly Stored[]>;
  /** What a consumer sees of an envelope at one image: nothing, one thing, or one of each layout. */
  expected(envelope: Logged): readonly string[];
}

export async function ociWorld(host: string, options: Partial<OciOptions>): Promise<World> {
  const parsed = oci.options.parse(options);
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await oci.open(parsed, ctx));
  const reader = stack.use(await openReader(parsed, ctx));
  if (store.proof !== 'read-back') throw new Error('Cannot test the store: it cannot be read');
  const pushed = new Map<string, Promise<void>>();
  const push = async (image: TestImage): Promise<void> => {
    const name = `${image.repository}@${image.digest}`;
    const push = pushed.get(name) ?? pushTestImage(image, parsed);
    pushed.set(name, push);
    await push;
  };
  const life = stack.move();
  return {
    host,
    async put(envelope) {
      const images = parsed.layout === 'tags' ? [] : envelope.filing.images.filter(isTestImage);
      // What cannot be pushed is for the store to refuse.
      await Promise.allSettled(images.map(push));
      return await store.put(envelope, ctx);
    },
    get: async (receipt) => await store.get(receipt, ctx),
    list: async (image) => await reader.list(image, ctx),
    expected: (envelope) =>
      routesOf(envelope.kind, envelope.filing.predicateType, parsed.layout).map((route) =>
        route === 'tags' ? seen(envelope) : seenAsBundle(envelope),
      ),
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
}

/** With a run whose annotations are written as `record` does it. */
export async function tektonWorld(): Promise<World> {
  const store = await tekton.open();
  let annotations: Readonly<Record<string, string>> = {};
  const at = (shortKey: string): readonly Stored[] => {
    const stored = storedFromAnnotations(annotations, shortKey);
    return stored === undefined ? [] : [stored];
  };
  const prefix = 'chains.tekton.dev/signature-';
  return {
    host: 'r.example',
    async put(envelope) {
      const receipt = await store.put(envelope, ctx);
      annotations = { ...annotations, ...receipt.annotations };
      return receipt;
    },
    get: async ({ places }) => await Promise.resolve(places.flatMap(({ address }) => at(address.slice(prefix.length)))),
    async list() {
      const names = Object.keys(annotations).filter((name) => name.startsWith(prefix));
      return await Promise.resolve(names.flatMap((name) => at(name.slice(prefix.length))));
    },
    expected: (envelope) => [seen(envelope)],
    [Symbol.asyncDispose]: async () => await store[Symbol.asyncDispose](),
  };
}
