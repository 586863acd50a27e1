import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { TerminalError } from '../errors.ts';
import { bytesOfBase64 } from '../model/base64.ts';
import { maxBundleBytes, parseBundle } from '../model/bundle-reader.ts';
import { parseSha256, type Sha256 } from '../model/digest.ts';
import { maxEnvelopeBytes } from '../model/dsse.ts';
import { parseKeyRing } from '../model/key-ring.ts';
import { parsePublicKey, type PublicKey } from '../model/public-key.ts';
import { noMaterial } from '../model/receipt.ts';
import type { Blob, TrustedKey } from '../verify/policy.ts';
import type { Found } from './verify-lookup.ts';
import { usage, type VerifyOptions } from './verify-options.ts';

/** A trusted key, and where it was read. */
export interface KeyFile extends TrustedKey {
  readonly file: string;
  readonly key: PublicKey;
}

const maxKeyBytes = 64 * 1024;
const maxRingBytes = 4 * 1024 * 1024;
const maxSignatureBytes = 64 * 1024;
/** A file that is larger is known by its digests alone; only Ed25519 needs its bytes. */
const maxBlobBytes = 32 * 1024 * 1024;

/** Throws `cli.key` for a key that is none, `key.ring`, `cli.unreadable`. */
export async function readKeys({ key, keyRing }: VerifyOptions): Promise<readonly KeyFile[]> {
  const keys = await Promise.all(key.map(async (file) => await readKey(file)));
  if (keyRing === undefined) return keys;
  const ring = parseKeyRing(await readBounded(keyRing, maxRingBytes), keyRing);
  return [...keys, ...ring.map(({ publicKey: pem, validFor }) => ({ file: keyRing, key: parsePublicKey(pem), pem, validFor }))];
}

async function readKey(file: string): Promise<KeyFile> {
  const text = (await readBounded(file, maxKeyBytes)).toString('latin1');
  try {
    const key = parsePublicKey(text);
    return { file, key, pem: key.pem };
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    const fix = error.fix?.replaceAll('FILE', file);
    throw new TerminalError('cli.key', `Cannot verify with "${file}": ${error.message}`, {
      cause: error,
      ...(fix !== undefined && { fix }),
    });
  }
}

/** What is in the file that was named, and what it must be about. */
export async function readFiles(reference: string | undefined, options: VerifyOptions): Promise<Found> {
  const digest = reference === undefined ? undefined : parseSha256(reference.slice(reference.lastIndexOf('@') + 1));
  const blob = options.blob === undefined ? undefined : await readBlob(options.blob);
  if (options.signature !== undefined) return await readSignature(options.signature, blob);
  if (options.bundle !== undefined) return await readBundle(options.bundle, digest, blob);
  const file = options.envelope ?? '';
  const body = await readBounded(file, maxEnvelopeBytes);
  return {
    image: digest && { digest, repository: undefined },
    blob,
    stored: [{ kind: 'dsse', place: { address: file, image: undefined }, body, material: noMaterial }],
  };
}

/** A digest alone is that of an image for a statement, and of a file for a signature of one. */
async function readBundle(file: string, digest: Sha256 | undefined, blob: Blob | undefined): Promise<Found> {
  const body = await readBounded(file, maxBundleBytes);
  const isOfFile = digest !== undefined && isMessage(body, file);
  return {
    image: digest === undefined || isOfFile ? undefined : { digest, repository: undefined },
    blob: isOfFile ? { sha256: digest } : blob,
    stored: [{ kind: 'bundle', place: { address: file, image: undefined }, body }],
  };
}

/** What is no bundle is none of a file either: the verifier says what is wrong with it. */
function isMessage(body: Uint8Array, file: string): boolean {
  try {
    return parseBundle(body, file).content.kind === 'message';
  } catch (error) {
    if (error instanceof TerminalError) return false;
    throw error;
  }
}

async function readSignature(file: string, blob: Blob | undefined): Promise<Found> {
  const bytes = await readBounded(file, maxSignatureBytes);
  const payload = blob?.bytes;
  if (payload === undefined)
    throw usage(
      `Cannot verify the signature "${file}": its --blob has more than ${maxBlobBytes} bytes`,
      'sign and verify it with a bundle',
    );
  const signature = bytesOfBase64(bytes.toString('latin1').trim()) ?? bytes;
  return {
    image: undefined,
    blob,
    stored: [{ kind: 'raw', place: { address: file, image: undefined }, payload, signature, material: noMaterial }],
  };
}

/** In one pass, whatever its size. */
async function readBlob(file: string): Promise<Blob> {
  const hashes = { sha256: createHash('sha256'), sha384: createHash('sha384'), sha512: createHash('sha512') };
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of createReadStream(file)) {
      const bytes = chunk as Buffer;
      for (const hash of Object.values(hashes)) hash.update(bytes);
      size += bytes.length;
      if (size <= maxBlobBytes) chunks.push(bytes);
      else chunks.length = 0;
    }
  } catch (error) {
    throw unreadable(file, error);
  }
  const [sha256, sha384, sha512] = [hashes.sha256, hashes.sha384, hashes.sha512].map((hash) => hash.digest('hex'));
  return {
    sha256: parseSha256(sha256 ?? ''),
    ...(sha384 !== undefined && { sha384 }),
    ...(sha512 !== undefined && { sha512 }),
    ...(size <= maxBlobBytes && { bytes: Buffer.concat(chunks) }),
  };
}

/** One byte more than `maxBytes` at the most, so that what reads it can refuse it for its size. Throws `cli.unreadable`. */
async function readBounded(file: string, maxBytes: number): Promise<Buffer> {
  try {
    await using handle = await open(file);
    const chunks: Buffer[] = [];
    // `end` counts from 0 and is itself read.
    for await (const chunk of handle.createReadStream({ end: maxBytes, autoClose: false })) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): TerminalError {
  const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new TerminalError('cli.unreadable', `Cannot read "${file}": ${reason}`, { cause: error });
}
