import { X509Certificate } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { TerminalError, TransientError } from '../../errors.ts';
import { isBusy, retryAfterMs, send, shownUrl, type Answer } from '../../http/http.ts';
import type { Context } from '../../observe/context.ts';
import type { IdentityToken } from '../tokens/token.ts';

/** A Fulcio, and how it is reached. */
export interface Authority {
  /** Base URL without a slash at the end. */
  readonly address: string;
  readonly dispatcher: Dispatcher;
}

/** A key that wants a certificate: SPKI PEM, and the signature over the token's challenge that proves that it is held. */
export interface Applicant {
  readonly publicKey: string;
  readonly proof: Uint8Array;
  readonly token: IdentityToken;
}

/** The leaf first, the root last, and not looked at yet. */
export interface Issued {
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]];
  /** The promise of a CT log stands beside the certificate, not in it. */
  readonly hasDetachedSct: boolean;
}

const Chain = z.object({ certificates: z.array(z.string()).min(1).max(10) });
const Body = z.union([
  z.object({ signedCertificateEmbeddedSct: z.object({ chain: Chain }) }),
  z.object({ signedCertificateDetachedSct: z.object({ chain: Chain, signedCertificateTimestamp: z.string().optional() }) }),
]);

/**
 * Asks for a certificate (sigstore-wire 6.1, version 2 of the API). The token goes into the body: headers are what proxies like to log.
 * Throws what `send` throws, `sign.fulcio-busy` (429, 5xx; blames the dependency), `sign.fulcio-refused` (400, 401, 403: final for this
 * token, but an admin mends it and runs wait, so transient) and `sign.fulcio-answer` for anything else.
 */
export async function requestCertificate(authority: Authority, applicant: Applicant, ctx: Context): Promise<Issued> {
  const { token, publicKey, proof } = applicant;
  const url = `${authority.address}/api/v2/signingCert`;
  const body = {
    credentials: { oidcIdentityToken: token.text },
    publicKeyRequest: { publicKey: { algorithm: 'ECDSA', content: publicKey }, proofOfPossession: Buffer.from(proof).toString('base64') },
  };
  const call = {
    method: 'POST',
    url,
    dependency: dependencyOf(authority),
    dispatcher: authority.dispatcher,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
    timeoutMs: 20_000,
    maxBytes: 1024 * 1024,
  } as const;
  const answer = await send(call, ctx).catch((error: unknown) => {
    throw error instanceof TerminalError ? nonsense(authority, error.message) : error;
  });
  if (answer.status < 200 || answer.status > 299) throw refusal(authority, answer, token);
  return issuedIn(answer, authority);
}

/** For breakers and errors: `fulcio:host`. */
function dependencyOf({ address }: Authority): string {
  return `fulcio:${new URL(address).host}`;
}

function issuedIn(answer: Answer, authority: Authority): Issued {
  const parsed = Body.safeParse(jsonOf(answer));
  if (!parsed.success) throw nonsense(authority, 'it holds no certificate');
  const detached = 'signedCertificateDetachedSct' in parsed.data ? parsed.data.signedCertificateDetachedSct : undefined;
  const embedded = 'signedCertificateEmbeddedSct' in parsed.data ? parsed.data.signedCertificateEmbeddedSct : undefined;
  const [leaf, ...rest] = ((embedded ?? detached)?.chain.certificates ?? []).map((pem) => certificateOf(pem, authority));
  if (leaf === undefined) throw nonsense(authority, 'it holds no certificate');
  return { certificates: [leaf, ...rest], hasDetachedSct: Boolean(detached?.signedCertificateTimestamp) };
}

function certificateOf(pem: string, authority: Authority): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw nonsense(authority, 'what should be a certificate is none');
  }
}

function refusal(authority: Authority, answer: Answer, token: IdentityToken): TransientError {
  const { status, headers } = answer;
  const said = saidIn(answer, token);
  const what = `status ${status}${said === '' ? '' : `: "${said}"`}`;
  const where = `Cannot get a certificate from ${shownUrl(authority.address)}`;
  const waitMs = retryAfterMs(headers);
  const wait = waitMs === undefined ? {} : { retryAfterMs: waitMs };
  if (isBusy(status)) return new TransientError('sign.fulcio-busy', `${where}: ${what}`, { dependency: dependencyOf(authority), ...wait });
  if (status !== 400 && status !== 401 && status !== 403) return nonsense(authority, what);
  return new TransientError('sign.fulcio-refused', `${where}: it refused the identity token, ${what}`, {
    fix: 'check that this Fulcio is configured for the issuer, the audience and the kind of the token, and that it can reach the issuer',
    ...wait,
  });
}

/** The message of a gRPC gateway's error. Whatever looks like a token, ours above all, is taken out. */
function saidIn(answer: Answer, token: IdentityToken): string {
  const parsed = z.object({ message: z.string() }).safeParse(jsonOf(answer));
  if (!parsed.success) return '';
  const pieces = [token.text, ...token.text.split('.')].filter((piece) => piece.length >= 8);
  return pieces
    .reduce((text, piece) => text.replaceAll(piece, '[token]'), parsed.data.message.slice(0, 10_000))
    .replaceAll(/eyJ[\w-]+(?:\.[\w-]*)*/g, '[token]')
    .replaceAll(/\p{C}/gu, ' ')
    .slice(0, 300);
}

function jsonOf({ body }: Answer): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}

function nonsense(authority: Authority, reason: string): TransientError {
  return new TransientError('sign.fulcio-answer', `Cannot use the answer of ${shownUrl(authority.address)}: ${reason}`, {
    dependency: dependencyOf(authority),
    fix: 'check that the configured address is that of a Fulcio, version 1 or later',
  });
}
