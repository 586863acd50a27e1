import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CodedError, TerminalError, TransientError } from '../errors.ts';
import { isSignedBy, keyAlgorithms, parsePublicKey, type KeyAlgorithm, type PublicKey } from '../model/public-key.ts';
import { within, type Context } from '../observe/context.ts';
import { Ambient, Auth } from './kms/access.ts';
import { trouble } from './kms/failure.ts';
import type { KmsKey, Place, Reference, ToSign } from './kms/key.ts';
import { providers } from './kms/providers.ts';
import type { Signer, SignerKind } from './signer.ts';

const Options = z.strictObject({
  /** `scheme://…`, one of the schemes of `providers` (chains-controller 3.4.2). */
  ref: z.string(),
  auth: Auth.default(Auth.parse({})),
  ambient: Ambient.default(Ambient.parse({})),
});

/**
 * A key in a key management service. Its public key is read once, and with it the version that signs from then on; every signature is verified
 * under it before it counts. What may mend itself, or be mended while runs wait, is transient: `sign.kms-refused`, `-no-key`, `-disabled`,
 * `-busy`, `-unavailable`, `-unreachable`, `-timeout`, `-protocol`, `-rejected`, `-wrong-key`, `-login`, `-credential`, `-closed`. Terminal are
 * `sign.kms-scheme`, `-ref`, `-address`, `-key-type` and `sign.package-missing`. None holds a token, or what a service said in full.
 */
export const kms = {
  options: Options,
  async open(options, _means, ctx) {
    const reference = referenceOf(options.ref);
    const row = providers[reference.scheme];
    const key = await timed(
      `open the key "${options.ref}"`,
      undefined,
      ctx,
      async (limited) => await row.open(reference, options, limited),
    );
    const signer = signerOf(key);
    try {
      // A key that may be read is not always one that may sign.
      await signer.sign(Buffer.from('chainsmith: can this key sign?'), ctx);
      return signer;
    } catch (error) {
      await signer[Symbol.asyncDispose]();
      throw error;
    }
  },
} satisfies SignerKind<typeof Options>;

function referenceOf(ref: string): Reference & { readonly scheme: keyof typeof providers } {
  const [, scheme = '', path = ''] = /^([a-z0-9]+):\/\/(.*)$/s.exec(ref) ?? [];
  if (isScheme(scheme)) return { scheme, path };
  const known = Object.keys(providers).map((name) => `${name}://`);
  throw new TerminalError('sign.kms-scheme', `Cannot use the key reference "${ref}": want one of ${known.join(', ')}, k8s://`, {
    fix: 'correct signers.kms.kmsref',
  });
}

function isScheme(name: string): name is keyof typeof providers {
  return Object.hasOwn(providers, name);
}

/** How long one signature may take, logins and a second try included. */
const deadlineMs = 10_000;

function signerOf(key: KmsKey): Signer & { readonly publicKey: string } {
  const { place, version } = key;
  const { publicKey } = version;
  const working = new Set<Promise<unknown>>();
  let isClosed = false;
  let looked: { readonly isCurrent: boolean; readonly until: number } | undefined;
  /** Whatever was begun is finished before the key is let go. */
  const tracked = async <T>(what: string, ctx: Context, work: (ctx: Context) => Promise<T>): Promise<T> => {
    if (isClosed) throw new TransientError('sign.kms-closed', `Cannot sign with "${place.key}": this signer was closed`);
    const promise = timed(what, place, ctx, work);
    working.add(promise);
    try {
      return await promise;
    } finally {
      working.delete(promise);
    }
  };
  return {
    publicKey: publicKey.pem,
    async sign(bytes, ctx) {
      const signature = await tracked('sign', ctx, async (limited) => await key.sign(toSign(publicKey.algorithm, bytes), limited));
      if (!isSignedBy(publicKey, bytes, signature))
        throw trouble('wrongKey', place, `want ${publicKey.fingerprint}, version ${version.name}`);
      return { signature, publicKey: publicKey.pem, key: publicKey, certificate: '', chain: '' };
    },
    async owns(signatory, ctx) {
      const theirs = pemIn(signatory.publicKey);
      if (theirs === undefined || theirs === publicKey.pem) return theirs !== undefined;
      return (await tracked('read its versions', ctx, async (limited) => await key.allVersions(limited))).includes(theirs);
    },
    async isCurrent(ctx) {
      if (looked !== undefined && Date.now() < looked.until) return looked.isCurrent;
      const newest = await tracked('look for a newer version', ctx, async (limited) => await key.newest(limited));
      // A key that was made again under its name has the same version, and is another key.
      const isCurrent = newest.name === version.name && newest.publicKey.pem === publicKey.pem;
      looked = { isCurrent, until: Date.now() + key.newestForMs };
      return isCurrent;
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await Promise.allSettled(working);
      await key[Symbol.asyncDispose]();
    },
  };
}

/** The digest follows the key (sigstore-wire 2.4). */
function toSign(algorithm: KeyAlgorithm, bytes: Uint8Array): ToSign {
  const [digest] = keyAlgorithms[algorithm].digests;
  if (digest === undefined) return { kind: 'message', bytes };
  return { kind: 'digest', algorithm: digest, digest: createHash(digest).update(bytes).digest() };
}

function pemIn(text: string): PublicKey['pem'] | undefined {
  try {
    return parsePublicKey(text).pem;
  } catch {
    return undefined;
  }
}

/** One deadline for all calls that `work` makes. A connection that breaks at once is tried again once: an idle one may have been closed. */
async function timed<T>(what: string, place: Place | undefined, ctx: Context, work: (ctx: Context) => Promise<T>): Promise<T> {
  try {
    return await within(deadlineMs, ctx, async (limited) => {
      try {
        return await work(limited);
      } catch (error) {
        if (!(error instanceof TransientError) || error.code !== 'sign.kms-unreachable') throw error;
        return await work(limited);
      }
    });
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (error instanceof CodedError) throw error;
    if (!(error instanceof Error) || (error.name !== 'TimeoutError' && error.name !== 'AbortError')) throw error;
    if (place !== undefined) throw trouble('timeout', place, `${what}: ${deadlineMs} ms`);
    throw new TransientError('sign.kms-timeout', `Cannot ${what}: no answer within ${deadlineMs} ms`);
  }
}
