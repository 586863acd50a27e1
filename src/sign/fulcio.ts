import { generateKeyPair, sign as signBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { TransientError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { certifiedKeyOf, type CertifiedKey } from './fulcio/certified-key.ts';
import { readCaFile } from '../http/outward.ts';
import { openConnections, Proxy, type Connections } from './fulcio/connections.ts';
import { openIdentities } from './fulcio/identities.ts';
import { openRenewal } from './fulcio/renewal.ts';
import { requestCertificate } from './fulcio/request.ts';
import type { Signer, SignerKind, SignerMeans } from './signer.ts';
import { mendable } from './tokens/mendable.ts';
import { Ambient } from './tokens/provider.ts';
import { obtainToken, providerNames } from './tokens/providers.ts';

const Address = z
  .url({ protocol: /^https?$/ })
  .refine((text) => /^https?:\/\/[^/?#@]+[^?#@]*$/.test(text), 'want a URL without user, query and fragment')
  .transform((text) => text.replace(/\/+$/, ''));

const FulcioOptions = z.strictObject({
  /** Base URL of the certificate authority. */
  address: Address,
  /** `aud` that tokens are asked for with, and must have. */
  audience: z.string().min(1).default('sigstore'),
  /** `iss` that tokens must have; undefined leaves it to Fulcio. */
  issuer: z.string().min(1).optional(),
  /** Who gives identity tokens; undefined asks all that can be asked. */
  provider: z.enum(providerNames).optional(),
  tokenFile: z.string().min(1).optional(),
  /** PEM file with the CA of Fulcio's https, besides the usual ones. */
  caFile: z.string().min(1).optional(),
  /** Demand the promise of a CT log; undefined: when the trusted root has one. */
  requireSct: z.boolean().optional(),
  ambient: Ambient.default({}),
  proxy: Proxy.optional(),
});
type FulcioOptions = z.output<typeof FulcioOptions>;

const caProblem = { code: 'sign.ca-file', fix: 'give a PEM file with the CA that signed the certificate of the Fulcio server' };

/** What tests turn. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Keyless: a key made here, with a certificate that a Fulcio issues to whoever our identity token names. Key and certificate serve many
 * signatures, and are renewed before they end (docs/decisions/0008). The first certificate is got when the signer opens, so that one
 * that cannot sign is found then. Throws `sign.fulcio-*`, `sign.token-*`, `sign.spiffe-*` and `http.*`, all transient: runs wait.
 */
export const fulcio = {
  options: FulcioOptions,
  open: async (options, means, ctx) => await openWith(options, means, { now: Date.now }, ctx),
} satisfies SignerKind<typeof FulcioOptions>;

export async function openWith(options: FulcioOptions, means: SignerMeans, clock: Clock, ctx: Context): Promise<Signer> {
  await using stack = new AsyncDisposableStack();
  const { caFile } = options;
  const caPem = caFile === undefined ? undefined : await readCaFile(caFile, caProblem);
  const connections = stack.use(openConnections(caPem, options.proxy));
  const identities = openIdentities();
  const renewal = stack.use(
    openRenewal(async (within) => {
      const key = await issue(options, means, connections, clock, within);
      const { san, issuer } = key.identity;
      identities.add(key.identity, key.intermediates);
      within.logger.info({ signer: 'fulcio', san, issuer, until: new Date(key.notAfter).toISOString() }, 'certificate issued');
      return key;
    }, clock.now),
  );
  if (options.address.startsWith('http:') && !isLoopback(options.address)) {
    ctx.logger.warn({ signer: 'fulcio' }, 'identity tokens go to Fulcio over plain http, where others can read them');
  }
  await renewal.get(ctx);
  const life = stack.move();
  return {
    publicKey: undefined,
    async sign(bytes, within) {
      const { privateKey, publicKey, key, certificate, chain } = await renewal.get(within);
      // P-256 takes 40 µs, no more than handing the work to a thread would.
      const signature = signBytes('sha256', bytes, { key: privateKey, dsaEncoding: 'der' });
      return { signature, publicKey, key, certificate, chain };
    },
    owns: async (signatory, within) => identities.has(signatory, await trusted(means, within)),
    async isCurrent() {
      // Whether the CA is still readable is the next signer's trouble: this one goes on.
      return caFile === undefined || (await readCaFile(caFile, caProblem).catch(() => caPem)) === caPem;
    },
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
}

async function issue(
  options: FulcioOptions,
  means: SignerMeans,
  connections: Connections,
  clock: Clock,
  ctx: Context,
): Promise<CertifiedKey> {
  const root = await trusted(means, ctx);
  if (root.certificateAuthorities.length === 0) throw noAuthority(options);
  const { audience, issuer, provider, tokenFile, ambient, requireSct } = options;
  const { outward, direct } = connections;
  const token = await obtainToken({ audience, issuer, provider, tokenFile, ambient, outward, direct }, clock.now, ctx);
  const key = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const proof = signBytes('sha256', Buffer.from(token.challenge), { key: key.privateKey, dsaEncoding: 'der' });
  const publicKey = key.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const issued = await requestCertificate({ address: options.address, dispatcher: outward }, { publicKey, proof, token }, ctx);
  return await certifiedKeyOf(issued, key, { root, requireSct, now: clock.now }, ctx);
}

async function trusted(means: SignerMeans, ctx: Context): Promise<TrustedRoot> {
  return await means.trust(ctx).catch((error: unknown) => {
    throw mendable(error);
  });
}

function isLoopback(address: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(address).hostname);
}

function noAuthority({ address }: FulcioOptions): TransientError {
  return new TransientError('sign.fulcio-trust', `Cannot use certificates of ${address}: the trusted root has no certificate authority`, {
    fix: 'configure a trusted root (trust.root) that has the certificate authority of this Fulcio',
  });
}
