import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import { orAborted, retryAfterMs, send, shownUrl, type Answer, type Call } from '../../http/http.ts';
import { base64Of, bytesOfBase64 } from '../../model/base64.ts';
import { parsePublicKey } from '../../model/public-key.ts';
import type { Context } from '../../observe/context.ts';
import { optionalPackage } from '../optional-package.ts';
import type { Access } from './access.ts';
import { crc32c } from './crc32c.ts';
import { isNetworkError, malformed, saidBy, trouble, troubleOf, unusable, versionOf } from './failure.ts';
import type { KeyVersion, KmsKey, KmsKind, Place, Reference, ToSign } from './key.ts';

/** Google Cloud KMS by its REST API, v1; credentials are Google's application default ones (file, workload identity, metadata server). */
export const gcp: KmsKind = {
  form: 'projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY[/cryptoKeyVersions/VERSION]',
  open,
};

/** Headers that let us in. */
type Authorize = (ctx: Context) => Promise<Readonly<Record<string, string>>>;

interface Google {
  readonly base: string;
  readonly authorize: Authorize;
  /** `projects/…/cryptoKeys/…` */
  readonly key: string;
  /** Undefined for the newest. */
  readonly version: string | undefined;
  readonly place: Place;
}

async function open(reference: Reference, { auth }: Access, ctx: Context): Promise<KmsKey> {
  const parts =
    /^(projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+)(?:\/(?:cryptoKeyVersions|versions)\/(\d+))?$/.exec(
      reference.path,
    );
  const [, key, version] = parts ?? [];
  if (key === undefined || /[^\w./:-]|\.\./.test(key)) throw malformed(reference, gcp.form);
  // Another address is a private endpoint (Private Service Connect, a restricted virtual IP).
  const base = baseOf(auth.address ?? 'https://cloudkms.googleapis.com');
  const place: Place = {
    key: `${reference.scheme}://${reference.path}`,
    dependency: `kms:${reference.scheme}:${new URL(base).host}`,
    permission: 'give the service account of this process roles/cloudkms.signerVerifier and roles/cloudkms.viewer on the key',
  };
  const google: Google = { base, authorize: await authorizer(place, key.split('/')[1] ?? ''), key, version, place };
  const opened = await newest(google, ctx);
  return {
    place,
    version: opened,
    newestForMs: 60_000,
    sign: async (toSign, signing) => await sign(google, opened, toSign, signing),
    newest: async (asking) => await newest(google, asking),
    allVersions: async (asking) =>
      await Promise.all((await versions(google, asking)).map(async (name) => (await publicKey(google, name, asking)).publicKey.pem)),
    [Symbol.asyncDispose]: async () => {},
  };
}

function baseOf(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '') return url.href.replace(/\/+$/, '');
  throw new TerminalError('sign.kms-address', `Cannot use "${shownUrl(address)}" as the address of Cloud KMS: want an https URL`, {
    fix: 'leave signers.kms.auth.address out, unless the service has a private endpoint',
  });
}

async function authorizer(place: Place, projectId: string): Promise<Authorize> {
  const { GoogleAuth } = await optionalPackage(
    'google-auth-library',
    'use a key in Google Cloud KMS',
    async () => await import('google-auth-library'),
  );
  // It keeps the token, and gets another in time. A project that it was not told it would ask another service for.
  const auth = new GoogleAuth({ projectId, scopes: 'https://www.googleapis.com/auth/cloudkms' });
  return async (ctx) => {
    try {
      return Object.fromEntries(await orAborted(auth.getRequestHeaders(), ctx.signal));
    } catch (error) {
      ctx.signal.throwIfAborted();
      // Its errors hold the request for the token, with the assertion in it.
      const status = error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined;
      const kind = status === undefined ? (isNetworkError(error) ? 'unreachable' : 'refused') : (troubleOf(status) ?? 'refused');
      throw trouble(kind, place, `getting an access token: ${saidBy(error, status)}`);
    }
  };
}

/** Only what is asked for by most keys that there are; each has a few versions. */
const mostVersions = 100;

const Versions = z.object({ cryptoKeyVersions: z.array(z.object({ name: z.string() })).default([]) });

/** Names of the enabled versions, the newest first. Their numbers count, not the order of the answer: as texts, 10 comes before 9. */
async function versions(google: Google, ctx: Context): Promise<readonly string[]> {
  const query = new URLSearchParams({ filter: 'state=ENABLED', orderBy: 'name desc', pageSize: String(mostVersions) });
  const { cryptoKeyVersions } = await called(
    google,
    { method: 'GET', path: `${google.key}/cryptoKeyVersions?${query.toString()}` },
    Versions,
    ctx,
  );
  const numberOf = (name: string): number => Number(/^projects\/.*\/cryptoKeyVersions\/(\d+)$/.exec(name)?.[1]);
  const names = cryptoKeyVersions
    .map(({ name }) => name)
    .filter((name) => name.startsWith(`${google.key}/`) && Number.isSafeInteger(numberOf(name)));
  return names.sort((a, b) => numberOf(b) - numberOf(a));
}

async function newest(google: Google, ctx: Context): Promise<KeyVersion> {
  if (google.version !== undefined) return await publicKey(google, `${google.key}/cryptoKeyVersions/${google.version}`, ctx);
  const [name] = await versions(google, ctx);
  if (name === undefined) throw trouble('disabled', google.place, 'no version of it is enabled');
  return await publicKey(google, name, ctx);
}

/** Decimal text, as protobuf's JSON has an int64. */
const Crc = z.union([z.string(), z.number()]).transform(Number);
const PublicKey = z.object({ pem: z.string(), algorithm: z.string(), pemCrc32c: Crc.optional(), name: z.string().optional() });

async function publicKey(google: Google, name: string, ctx: Context): Promise<KeyVersion> {
  const { place } = google;
  const answer = await called(google, { method: 'GET', path: `${name}/publicKey` }, PublicKey, ctx);
  if (answer.pemCrc32c !== crc32c(Buffer.from(answer.pem))) throw trouble('nonsense', place, 'the checksum of the public key is wrong');
  if (answer.name !== undefined && answer.name !== name) throw trouble('nonsense', place, 'the public key of another version');
  if (!/^(EC_SIGN_P256_SHA256|EC_SIGN_P384_SHA384|EC_SIGN_ED25519|RSA_SIGN_PKCS1_\d+_SHA256)$/.test(answer.algorithm)) {
    throw unusable(place, `its algorithm is ${answer.algorithm.slice(0, 64)}`, 'use a key with the algorithm EC_SIGN_P256_SHA256');
  }
  return versionOf(name, place, () => parsePublicKey(answer.pem));
}

const Signature = z.object({
  signature: z.string(),
  signatureCrc32c: Crc.optional(),
  verifiedDigestCrc32c: z.boolean().default(false),
  verifiedDataCrc32c: z.boolean().default(false),
  name: z.string().optional(),
});

/** AsymmetricSign takes that much data at most (Cloud KMS, quotas): Ed25519 keys have no digest to send instead. */
const maxDataBytes = 65_536;

async function sign(google: Google, version: KeyVersion, toSign: ToSign, ctx: Context): Promise<Uint8Array> {
  const { place } = google;
  if (toSign.kind === 'message' && toSign.bytes.length > maxDataBytes) {
    throw unusable(
      place,
      `Cloud KMS signs at most ${maxDataBytes} bytes with an Ed25519 key, this has ${toSign.bytes.length}`,
      'use an ECDSA P-256 key',
    );
  }
  const body =
    toSign.kind === 'digest'
      ? { digest: { [toSign.algorithm]: base64Of(toSign.digest) }, digestCrc32c: String(crc32c(toSign.digest)) }
      : { data: base64Of(toSign.bytes), dataCrc32c: String(crc32c(toSign.bytes)) };
  const answer = await called(
    google,
    { method: 'POST', path: `${version.name}:asymmetricSign`, body: JSON.stringify(body) },
    Signature,
    ctx,
  );
  const signature = bytesOfBase64(answer.signature);
  const isIntact = toSign.kind === 'digest' ? answer.verifiedDigestCrc32c : answer.verifiedDataCrc32c;
  if (!isIntact) throw trouble('nonsense', place, 'it has not verified the checksum of what was sent');
  if (signature === undefined || answer.signatureCrc32c !== crc32c(signature))
    throw trouble('nonsense', place, 'the checksum of the signature is wrong');
  if (answer.name !== undefined && answer.name !== version.name) throw trouble('wrongKey', place, 'another version signed');
  return signature;
}

interface Request {
  readonly method: Call['method'];
  readonly path: string;
  readonly body?: string;
}

async function called<Schema extends z.ZodType>(google: Google, request: Request, schema: Schema, ctx: Context): Promise<z.output<Schema>> {
  const { base, place } = google;
  const headers = { ...(await google.authorize(ctx)), ...(request.body !== undefined && { 'content-type': 'application/json' }) };
  const { method, path, body } = request;
  const answer = await send(
    {
      method,
      url: `${base}/v1/${path}`,
      dependency: place.dependency,
      headers,
      ...(body !== undefined && { body }),
      timeoutMs: 4_000,
      maxBytes: 1024 * 1024,
      // Signing twice does no harm.
      retries: 1,
    },
    ctx,
  );
  const json = jsonOf(answer.body);
  if (answer.status >= 300) throw refusal(answer, json, place);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw trouble('nonsense', place, `${answer.status}, ${answer.body.length} bytes`);
}

const Refusal = z.object({ error: z.object({ status: z.string().regex(/^[A-Z_]{1,64}$/) }) });

/** A disabled or destroyed version answers 400 FAILED_PRECONDITION (google.rpc.Code). */
function refusal(answer: Answer, json: unknown, place: Place): Error {
  const status = Refusal.safeParse(json).data?.error.status;
  const said = status === undefined ? String(answer.status) : `${answer.status} ${status}`;
  if (status === 'FAILED_PRECONDITION') return trouble('disabled', place, said);
  return trouble(troubleOf(answer.status) ?? 'rejected', place, said, retryAfterMs(answer.headers));
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
