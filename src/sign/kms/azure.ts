import { createPublicKey } from 'node:crypto';
import type { KeyVaultKey } from '@azure/keyvault-keys';
import { retryAfterMs } from '../../http/http.ts';
import { publicKeyOf, type KeyAlgorithm, type PublicKey } from '../../model/public-key.ts';
import type { Context } from '../../observe/context.ts';
import { optionalPackage } from '../optional-package.ts';
import type { Access } from './access.ts';
import { derOfRawSignature } from './ecdsa-der.ts';
import { isNetworkError, malformed, saidBy, trouble, troubleOf, unusable, versionOf } from './failure.ts';
import type { KeyVersion, KmsKey, KmsKind, Place, Reference, ToSign } from './key.ts';

/** Azure Key Vault and Managed HSM through their SDK; credentials are those of DefaultAzureCredential (workload and managed identity, environment). */
export const azure: KmsKind = { form: 'VAULT_HOST/KEY[/VERSION]', open };

/** The queue does the waiting; a retry in here would wait as long as the service says, and past our deadline. */
const once = { retryOptions: { maxRetries: 0 } };

async function open(reference: Reference, _access: Access, ctx: Context): Promise<KmsKey> {
  const [match, host = '', name = '', version] = /^([\w.-]+(?::\d+)?)\/([\w-]+)(?:\/([0-9a-z]*))?$/.exec(reference.path) ?? [];
  if (match === undefined) throw malformed(reference, azure.form);
  const purpose = 'use a key in Azure Key Vault';
  const keys = await optionalPackage('@azure/keyvault-keys', purpose, async () => await import('@azure/keyvault-keys'));
  const { DefaultAzureCredential } = await optionalPackage('@azure/identity', purpose, async () => await import('@azure/identity'));
  const credential = new DefaultAzureCredential();
  const client = new keys.KeyClient(`https://${host}`, credential, once);
  const place: Place = {
    key: `${reference.scheme}://${reference.path}`,
    dependency: `kms:${reference.scheme}:${host}`,
    permission: 'give the identity of this process the role "Key Vault Crypto User" on the key, and check which identity it has',
  };
  const read = async (wanted: string | undefined, asking: Context): Promise<KeyVaultKey> =>
    await called(place, asking, async () => await client.getKey(name, { ...(wanted && { version: wanted }), abortSignal: asking.signal }));
  const opened = await read(version, ctx);
  demandSigning(opened, place);
  const bound = keyVersionOf(opened, place);
  const signing = new keys.CryptographyClient(opened, credential, once);
  return {
    place,
    version: bound,
    newestForMs: 60_000,
    newest: async (asking) => keyVersionOf(await read(version, asking), place),
    async allVersions(asking) {
      const names = await called(place, asking, async () => {
        const list: string[] = [];
        for await (const { version: one } of client.listPropertiesOfKeyVersions(name, { abortSignal: asking.signal })) {
          if (one !== undefined && list.push(one) >= mostVersions) break;
        }
        return list;
      });
      return await Promise.all(names.map(async (one) => keyVersionOf(await read(one, asking), place).publicKey.pem));
    },
    async sign(toSign, asking) {
      const algorithm = algorithms[bound.publicKey.algorithm];
      const digest = digestOf(toSign, place);
      const { result } = await called(place, asking, async () => await signing.sign(algorithm, digest, { abortSignal: asking.signal }));
      return algorithm === 'RS256' ? result : derOfRawSignature(result);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** A key that is rotated every week for two years has as many. */
const mostVersions = 100;

/** Key Vault makes no Ed25519 keys. RSA is signed with SHA-256 whatever its size, as every verifier wants it (sigstore-wire 2.4). */
const algorithms: Readonly<Record<KeyAlgorithm, string>> = {
  'ecdsa-p256': 'ES256',
  'ecdsa-p384': 'ES384',
  'ecdsa-p521': 'ES512',
  rsa: 'RS256',
  ed25519: 'EdDSA',
};

function digestOf(toSign: ToSign, place: Place): Uint8Array {
  if (toSign.kind === 'digest') return toSign.digest;
  throw unusable(place, 'Key Vault signs digests only', 'use an EC key on the curve P-256');
}

function demandSigning(key: KeyVaultKey, place: Place): void {
  if (key.keyOperations?.includes('sign') === false) {
    throw unusable(place, `its operations are ${key.keyOperations.join(', ')}, without sign`, 'allow "sign" for the key');
  }
}

function keyVersionOf(key: KeyVaultKey, place: Place): KeyVersion {
  const name = key.properties.version;
  if (name === undefined || key.key === undefined) throw trouble('nonsense', place, 'a key without version or public key');
  const jwk = key.key;
  return versionOf(name, place, () => publicKeyIn(jwk));
}

/** A JWK, whose type ends in `-HSM` for a key that is in hardware, and whose numbers the SDK gives as bytes. */
function publicKeyIn({ kty, crv, n, e, x, y }: NonNullable<KeyVaultKey['key']>): PublicKey {
  const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64url');
  const type = String(kty).replace(/-HSM$/, '');
  const jwk = type === 'EC' ? { kty: type, crv: String(crv), x: text(x), y: text(y) } : { kty: type, n: text(n), e: text(e) };
  return publicKeyOf(createPublicKey({ key: jwk, format: 'jwk' }));
}

async function called<T>(place: Place, ctx: Context, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    ctx.signal.throwIfAborted();
    const status = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
    const said = saidBy(error, status);
    if (status !== undefined) throw trouble(troubleOf(status) ?? 'rejected', place, said, waitOf(error));
    if (isNetworkError(error)) throw trouble('unreachable', place, said);
    // Identity errors, and a challenge for another host than the vault's.
    if (/Authentication|CredentialUnavailable/.test(said)) throw trouble('refused', place, said);
    // Before or after its time: the SDK looks at that itself.
    if (error instanceof Error && /expired at|can't be used before/.test(error.message))
      throw trouble('disabled', place, 'outside its time');
    throw trouble('refused', place, said);
  }
}

interface WithHeaders {
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

function waitOf(error: unknown): number | undefined {
  const header = (error as WithHeaders).response?.headers?.get('retry-after');
  return header === undefined ? undefined : retryAfterMs({ 'retry-after': header });
}
