import { createPublicKey } from 'node:crypto';
import type { KMSClient, SigningAlgorithmSpec } from '@aws-sdk/client-kms';
import { TerminalError } from '../../errors.ts';
import { retryAfterMs } from '../../http/http.ts';
import { at, isObject, type Json } from '../../model/json.ts';
import { publicKeyOf, type KeyAlgorithm } from '../../model/public-key.ts';
import type { Context } from '../../observe/context.ts';
import { optionalPackage } from '../optional-package.ts';
import type { Access } from './access.ts';
import { isNetworkError, malformed, saidBy, trouble, troubleOf, unusable, versionOf, type Trouble } from './failure.ts';
import type { KeyVersion, KmsKey, KmsKind, Place, Reference, ToSign } from './key.ts';

/** AWS KMS through its SDK, which finds credentials and region where it always does (environment, IRSA, EKS Pod Identity, instance). */
export const aws: KmsKind = { form: '[ENDPOINT]/ID, …/ARN or …/alias/NAME; three slashes without an endpoint', open };

/** As sigstore's client has it (chains-controller 3.4.2), with the partitions that came later. */
const uuid = String.raw`(?:mrk-)?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32}`;
const form = new RegExp(String.raw`^([\w.:-]*)/((?:arn:aws[\w-]*:kms:([a-z0-9-]+):\d{12}:)?(?:(?:key/)?(?:${uuid})|alias/[\w/-]+))$`);

interface AwsKey {
  readonly client: KMSClient;
  /** As configured: an alias may point elsewhere one day. */
  readonly id: string;
  readonly place: Place;
}

async function open(reference: Reference, _access: Access, ctx: Context): Promise<KmsKey> {
  const [match, endpoint = '', id = '', region] = form.exec(reference.path) ?? [];
  if (match === undefined) throw malformed(reference, aws.form);
  const {
    KMSClient: Client,
    GetPublicKeyCommand,
    SignCommand,
  } = await optionalPackage('@aws-sdk/client-kms', 'use a key in AWS KMS', async () => await import('@aws-sdk/client-kms'));
  const client = new Client({
    ...(endpoint !== '' && { endpoint: `https://${endpoint}` }),
    ...(region !== undefined && { region }),
    // The queue does the waiting.
    maxAttempts: 1,
  });
  const place: Place = {
    key: `${reference.scheme}://${reference.path}`,
    dependency: `kms:${reference.scheme}:${endpoint === '' ? (region ?? 'default') : endpoint}`,
    permission: 'give the role of this process kms:GetPublicKey and kms:Sign on the key, and check where its credentials come from',
  };
  const key: AwsKey = { client, id, place };
  const newest = async (asking: Context): Promise<KeyVersion> => {
    const answer = await called(
      place,
      asking,
      async () => await client.send(new GetPublicKeyCommand({ KeyId: id }), { abortSignal: asking.signal }),
    );
    if (answer.KeyUsage !== 'SIGN_VERIFY')
      throw unusable(place, `its use is ${answer.KeyUsage ?? 'unknown'}, not SIGN_VERIFY`, 'name a key for signing');
    const der = answer.PublicKey;
    if (answer.KeyId === undefined || der === undefined) throw trouble('nonsense', place, 'no public key');
    const version = versionOf(answer.KeyId, place, () =>
      publicKeyOf(createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })),
    );
    demandUsual(version, answer.SigningAlgorithms ?? [], place);
    return version;
  };
  try {
    const version = await newest(ctx);
    return {
      place,
      version,
      newestForMs: 60_000,
      newest,
      // An asymmetric key in AWS KMS has one version for ever; what an alias pointed to before is not told.
      allVersions: async () => [version.publicKey.pem],
      async sign(toSign, signing) {
        const command = new SignCommand({ KeyId: version.name, ...messageOf(toSign, key), SigningAlgorithm: algorithmOf(version, place) });
        const { Signature } = await called(place, signing, async () => await client.send(command, { abortSignal: signing.signal }));
        if (Signature === undefined) throw trouble('nonsense', place, 'no signature');
        return Signature;
      },
      async [Symbol.asyncDispose]() {
        client.destroy();
      },
    };
  } catch (error) {
    client.destroy();
    throw error;
  }
}

const algorithms: Readonly<Record<KeyAlgorithm, SigningAlgorithmSpec | undefined>> = {
  'ecdsa-p256': 'ECDSA_SHA_256',
  'ecdsa-p384': 'ECDSA_SHA_384',
  'ecdsa-p521': 'ECDSA_SHA_512',
  rsa: 'RSASSA_PKCS1_V1_5_SHA_256',
  // The service takes it undigested and of 4096 bytes at most, which a statement may well exceed.
  ed25519: undefined,
};

function algorithmOf({ publicKey }: KeyVersion, place: Place): SigningAlgorithmSpec {
  const algorithm = algorithms[publicKey.algorithm];
  if (algorithm !== undefined) return algorithm;
  throw unusable(place, 'AWS KMS signs at most 4096 bytes with an Ed25519 key', 'use a key of spec ECC_NIST_P256');
}

function demandUsual(version: KeyVersion, offered: readonly string[], place: Place): void {
  const algorithm = algorithmOf(version, place);
  if (offered.includes(algorithm)) return;
  throw unusable(place, `it offers ${offered.join(', ')}, not ${algorithm}`, 'use a key of spec ECC_NIST_P256');
}

function messageOf(toSign: ToSign, { place }: AwsKey): { readonly Message: Uint8Array; readonly MessageType: 'DIGEST' } {
  if (toSign.kind === 'digest') return { Message: toSign.digest, MessageType: 'DIGEST' };
  throw unusable(place, 'it wants the bytes themselves', 'use a key of spec ECC_NIST_P256');
}

/** Errors by name: AWS KMS answers most of them with status 400 (AWS KMS API Reference, Common Errors). */
const troubles: Readonly<Record<string, Trouble>> = {
  NotFoundException: 'missing',
  DisabledException: 'disabled',
  KMSInvalidStateException: 'disabled',
  KeyUnavailableException: 'unavailable',
  DependencyTimeoutException: 'unavailable',
  AccessDeniedException: 'refused',
  UnrecognizedClientException: 'refused',
  InvalidClientTokenId: 'refused',
  InvalidSignatureException: 'refused',
  ExpiredTokenException: 'refused',
  IncompleteSignature: 'refused',
  OptInRequired: 'refused',
  CredentialsProviderError: 'refused',
  TokenProviderError: 'refused',
  ThrottlingException: 'busy',
  Throttling: 'busy',
  TooManyRequestsException: 'busy',
  LimitExceededException: 'busy',
  RequestLimitExceeded: 'busy',
  TimeoutError: 'timeout',
};

async function called<T>(place: Place, ctx: Context, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    ctx.signal.throwIfAborted();
    const status = statusOf(error);
    const said = saidBy(error, status);
    const name = error instanceof Error ? error.name : '';
    if (/Region is missing/.test(error instanceof Error ? error.message : '')) {
      throw new TerminalError('sign.kms-address', `Cannot use "${place.key}": its region is not known`, {
        fix: 'set AWS_REGION, or give the ARN of the key',
      });
    }
    if (name === 'InvalidKeyUsageException' || name === 'UnsupportedOperationException')
      throw unusable(place, said, 'name a key for signing');
    const kind =
      troubles[name] ?? (status === undefined && isNetworkError(error) ? 'unreachable' : (troubleOf(status ?? 500) ?? 'rejected'));
    throw trouble(kind, place, said, waitOf(error));
  }
}

function statusOf(error: unknown): number | undefined {
  const status = isObject(error as Json) ? at(error as Json, '$metadata', 'httpStatusCode') : undefined;
  return typeof status === 'number' ? status : undefined;
}

function waitOf(error: unknown): number | undefined {
  const header = isObject(error as Json) ? at(error as Json, '$response', 'headers', 'retry-after') : undefined;
  return typeof header === 'string' ? retryAfterMs({ 'retry-after': header }) : undefined;
}
