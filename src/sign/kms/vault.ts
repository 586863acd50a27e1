import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { bytesOfBase64, base64Of } from '../../model/base64.ts';
import { parsePublicKey, publicKeyOf, type PublicKey } from '../../model/public-key.ts';
import type { Context } from '../../observe/context.ts';
import type { Access } from './access.ts';
import { malformed, trouble, unusable, versionOf } from './failure.ts';
import type { KeyVersion, KmsKey, KmsKind, Place, Reference, ToSign } from './key.ts';
import { goodBody, openVaultApi, vaultAddress, type Ask, type VaultApi } from './vault-api.ts';
import { mountOf, tokenSourceOf } from './vault-login.ts';
import { VaultSession } from './vault-session.ts';

/** HashiCorp Vault and OpenBao: one transit engine, one wire (sigstore-wire 2.5), the same names in the environment. */
export const vault: KmsKind = { form: 'KEY, the name of a key in the transit engine', open };

interface Transit {
  readonly api: VaultApi;
  readonly session: VaultSession;
  readonly mount: string;
  readonly name: string;
  readonly pinned: number | undefined;
  readonly place: Place;
}

async function open(reference: Reference, access: Access, ctx: Context): Promise<KmsKey> {
  // As sigstore's clients have it (chains-controller 3.4.2).
  if (!/^\w([\w.-]*\w)?$/.test(reference.path)) throw malformed(reference, vault.form);
  const address = vaultAddress(access, reference.scheme);
  const mount = mountOf(access.auth.mount ?? access.ambient.TRANSIT_SECRET_ENGINE_PATH ?? 'transit');
  const place = placeOf(reference, address, mount);
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await openVaultApi(address, access, place));
  const session = stack.use(new VaultSession(tokenSourceOf(access, place), api, ctx));
  const transit: Transit = { api, session, mount, name: reference.path, pinned: access.auth.keyVersion, place };
  const version = await newest(transit, ctx);
  const owned = stack.move();
  return {
    place,
    version,
    newestForMs: 1_000,
    sign: async (toSign, signing) => await sign(transit, version, toSign, signing),
    newest: async (asking) => await newest(transit, asking),
    allVersions: async (asking) => Object.values(versionsIn(await read(transit, asking), place)).map(({ pem }) => pem),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync();
    },
  };
}

function placeOf({ scheme, path }: Reference, address: string, mount: string): Place {
  return {
    key: `${scheme}://${path}`,
    dependency: `kms:${scheme}:${new URL(address).host}`,
    permission: `let a policy of the token allow "read" on ${mount}/keys/${path} and "update" on ${mount}/sign/${path} and ${mount}/sign/${path}/*`,
  };
}

/** A version of a symmetric key is only a time. */
const Version = z.object({ public_key: z.string().default('') });
const Key = z.object({
  data: z.object({
    type: z.string(),
    latest_version: z.int(),
    keys: z.record(z.string(), z.union([Version, z.number()])),
  }),
});
type Key = z.output<typeof Key>['data'];

async function read(transit: Transit, ctx: Context): Promise<Key> {
  const said = await authorized(transit, { method: 'GET', path: `${transit.mount}/keys/${transit.name}` }, ctx);
  return goodBody(said, Key, transit.place).data;
}

async function newest(transit: Transit, ctx: Context): Promise<KeyVersion> {
  const key = await read(transit, ctx);
  const { place, pinned } = transit;
  const name = String(pinned ?? key.latest_version);
  if (!Object.hasOwn(key.keys, name)) throw trouble('missing', place, `no version ${name}`);
  return versionOf(name, place, () => publicKeyIn(key, name, place));
}

function versionsIn(key: Key, place: Place): Readonly<Record<string, PublicKey>> {
  return Object.fromEntries(Object.keys(key.keys).map((name) => [name, publicKeyIn(key, name, place)]));
}

/** PEM, but for Ed25519 the 32 bytes as base64. */
function publicKeyIn(key: Key, name: string, place: Place): PublicKey {
  const version = key.keys[name];
  const text = typeof version === 'object' ? version.public_key : '';
  if (text === '') {
    throw unusable(
      place,
      `its type "${key.type}" does not sign`,
      'make a key of type ecdsa-p256: "vault write -f transit/keys/NAME type=ecdsa-p256"',
    );
  }
  const raw = key.type === 'ed25519' ? bytesOfBase64(text) : undefined;
  if (raw?.length !== 32) return parsePublicKey(text);
  return publicKeyOf(createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') }, format: 'jwk' }));
}

const Signature = z.object({ data: z.object({ signature: z.string() }) });

async function sign(transit: Transit, version: KeyVersion, toSign: ToSign, ctx: Context): Promise<Uint8Array> {
  const { place, mount, name } = transit;
  const isDigest = toSign.kind === 'digest';
  const body = {
    input: base64Of(isDigest ? toSign.digest : toSign.bytes),
    prehashed: isDigest,
    key_version: Number(version.name),
    // Vault's defaults are PSS for RSA, and this for EC.
    signature_algorithm: 'pkcs1v15',
    marshaling_algorithm: 'asn1',
  };
  const hash = isDigest ? `/${vaultHashes[toSign.algorithm]}` : '';
  // PUT, as sigstore's client has it: signing twice does no harm, so a broken connection is tried again.
  const said = await authorized(transit, { method: 'PUT', path: `${mount}/sign/${name}${hash}`, body }, ctx);
  const { signature } = goodBody(said, Signature, place).data;
  const bytes = bytesOfBase64(signature.replace(/^\w+:v\d+:/, ''));
  if (bytes === undefined) throw trouble('nonsense', place, 'a signature that is not base64');
  return bytes;
}

const vaultHashes = { sha256: 'sha2-256', sha384: 'sha2-384', sha512: 'sha2-512' } as const;

/** A token may have run out, or been revoked, between two calls: one more try with another. */
async function authorized({ api, session }: Transit, ask: Ask, ctx: Context): ReturnType<VaultApi['ask']> {
  const token = await session.token(ctx);
  const said = await api.ask({ ...ask, token }, ctx);
  if (said.status !== 403) return said;
  const another = await session.another(token, ctx);
  return another === undefined ? said : await api.ask({ ...ask, token: another }, ctx);
}
