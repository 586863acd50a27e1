import { codeOf, sentenceOf, TerminalError } from '../errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { at, isObject, textAt, type JsonObject } from '../model/json.ts';
import type { Context } from '../observe/context.ts';
import type { KeyParts } from '../sign/key-place.ts';
import { partsOfSecret, type SecretName } from '../sign/secret-place.ts';

export type { SecretName };

/** Members of a Secret that the signer reads, and the public half (sigstore-wire 2.3). */
const keyMembers = ['x509.pem', 'cosign.key', 'cosign.password', 'cosign.pub'] as const;
export type KeyMember = (typeof keyMembers)[number];

/** `namespace/secret`, with `k8s://` before it or without, as cosign writes it. Throws `cli.secret`. */
export function parseSecretName(text: string): SecretName {
  const [namespace = '', name = '', ...more] = text.replace(/^k8s:\/\//, '').split('/');
  const isName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
  if (more.length === 0 && isName.test(namespace) && isName.test(name)) return { namespace, name };
  throw new TerminalError('cli.secret', `Cannot use "${text}" as a Secret: want namespace/secret`, {
    fix: 'write it as tekton-chains/signing-secrets',
  });
}

/**
 * Puts a key into a Secret, so that nobody sees half of it. A Secret without a key (the empty one of Chains' manifests) is filled; one with
 * a key is left alone unless `isForced`, then every key in it is replaced. A new one is immutable, as cosign makes it; to replace an
 * immutable one it is deleted and made again. Throws `cli.key-exists`, and what the client throws.
 */
export async function writeKeySecret(
  kube: Pick<KubeClient, 'call'>,
  secret: SecretName & { readonly data: Partial<Record<KeyMember, Uint8Array>>; readonly isForced: boolean },
  ctx: Context,
): Promise<void> {
  const { namespace, name, isForced } = secret;
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const there = await kube.call('GET', `${path}/${name}`, {}, ctx);
  if (there !== undefined && !isForced && hasKey(there)) throw exists(secret);
  const data = Object.fromEntries(Object.entries(secret.data).map(([member, bytes]) => [member, Buffer.from(bytes).toString('base64')]));
  if (there !== undefined && there['immutable'] !== true) {
    const cleared = Object.fromEntries(keyMembers.map((member) => [member, null]));
    const metadata = { resourceVersion: at(there, 'metadata', 'resourceVersion') };
    await kube.call('PATCH', `${path}/${name}`, { body: { metadata, data: { ...cleared, ...data } } }, ctx);
    return;
  }
  const metadata = { name, labels: at(there, 'metadata', 'labels'), annotations: at(there, 'metadata', 'annotations') };
  if (there !== undefined) {
    const preconditions = { uid: at(there, 'metadata', 'uid'), resourceVersion: at(there, 'metadata', 'resourceVersion') };
    await kube.call('DELETE', `${path}/${name}`, { body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions } }, ctx);
  }
  try {
    const body = { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', immutable: true, metadata, data };
    // Once: a second attempt could meet what the first one made, and take it for somebody else's.
    if ((await kube.call('POST', path, { body, retries: 0 }, ctx)) === undefined) {
      throw new TerminalError('cli.secret', `Cannot create the Secret "${name}": there is no namespace "${namespace}"`);
    }
  } catch (error) {
    if (codeOf(error) === 'kube.exists') throw exists(secret);
    throw error;
  }
}

/** A Secret with a key, as it was read. */
export interface KeySecret {
  readonly object: JsonObject;
  readonly parts: KeyParts;
}

/** Throws `sign.no-key` when there is no such Secret. */
export async function openKeySecret(kube: Pick<KubeClient, 'call'>, secret: SecretName, ctx: Context): Promise<KeySecret> {
  const { namespace, name } = secret;
  const object = await kube.call('GET', `/api/v1/namespaces/${namespace}/secrets/${name}`, {}, ctx);
  if (object === undefined) {
    throw new TerminalError('sign.no-key', `Cannot find the Secret "${namespace}/${name}": there is none`, {
      fix: `make it with "chainsmith keys generate --k8s ${namespace}/${name}"`,
    });
  }
  const data = Object.fromEntries(
    Object.entries(dataOf(object)).map(([member, text]) => [member, Buffer.from(typeof text === 'string' ? text : '', 'base64')]),
  );
  return { object, parts: partsOfSecret(secret, { data, resourceVersion: textAt(object, 'metadata', 'resourceVersion') }) };
}

/**
 * Writes members of a Secret as it was read, in one step; `kube.conflict` when it has changed since. An immutable one, as cosign and
 * `keys generate` make it, can only be deleted and made again, and no kubelet looks at it twice: that is done by force, from then on it is
 * not immutable. What it held is kept in a Secret beside it until the new one is there. Throws `cli.secret-immutable`, `cli.secret-backup`.
 */
export async function replaceKeySecret(
  kube: Pick<KubeClient, 'call'>,
  change: SecretName & { readonly there: KeySecret; readonly data: Readonly<Record<string, Uint8Array>>; readonly isForced: boolean },
  ctx: Context,
): Promise<void> {
  const { namespace, name, there, isForced } = change;
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const { uid, resourceVersion, labels, annotations } = metadataOf(there.object);
  const data = Object.fromEntries(Object.entries(change.data).map(([member, bytes]) => [member, Buffer.from(bytes).toString('base64')]));
  if (there.object['immutable'] !== true) {
    demandFound(await kube.call('PATCH', `${path}/${name}`, { body: { metadata: { resourceVersion }, data }, retries: 0 }, ctx), change);
    return;
  }
  if (!isForced) throw immutable(change);
  const made = { apiVersion: 'v1', kind: 'Secret', type: textAt(there.object, 'type') || 'Opaque' };
  const backup = `${name}-before-rotation`;
  await createOnce(kube, { path, body: { ...made, immutable: true, metadata: { name: backup }, data: dataOf(there.object) } }, change, ctx);
  const preconditions = { uid, resourceVersion };
  try {
    await kube.call('DELETE', `${path}/${name}`, { body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions }, retries: 0 }, ctx);
  } catch (error) {
    if (codeOf(error) === 'kube.conflict') await kube.call('DELETE', `${path}/${backup}`, {}, ctx);
    throw error;
  }
  const body = { ...made, metadata: { name, labels, annotations }, data: { ...dataOf(there.object), ...data } };
  try {
    await createOnce(kube, { path, body }, change, ctx);
  } catch (error) {
    throw new TerminalError('cli.secret-backup', `Cannot create the Secret "${namespace}/${name}" again: ${sentenceOf(error)}`, {
      cause: error,
      fix: `make it again from "${namespace}/${backup}", which has the old key`,
    });
  }
  await kube.call('DELETE', `${path}/${backup}`, {}, ctx);
}

/** A second attempt could meet what the first one made, and take it for somebody else's. */
async function createOnce(
  kube: Pick<KubeClient, 'call'>,
  {
    path,
    body,
  }: { readonly path: string; readonly body: { readonly metadata: { readonly name: string }; readonly [member: string]: unknown } },
  { namespace }: SecretName,
  ctx: Context,
): Promise<void> {
  try {
    demandFound(await kube.call('POST', path, { body, retries: 0 }, ctx), { namespace, name: body.metadata.name });
  } catch (error) {
    if (codeOf(error) !== 'kube.exists') throw error;
    throw new TerminalError('cli.key-exists', `Cannot create the Secret "${namespace}/${body.metadata.name}": there is one`, {
      fix: 'a rotation was broken off, or another one is under way: look which of the two Secrets is good, and delete the other',
      cause: error,
    });
  }
}

function demandFound(object: JsonObject | undefined, { namespace, name }: SecretName): void {
  if (object !== undefined) return;
  throw new TerminalError('cli.secret', `Cannot write the Secret "${namespace}/${name}": it, or its namespace, is gone`);
}

function immutable({ namespace, name }: SecretName): TerminalError {
  return new TerminalError('cli.secret-immutable', `Cannot change the Secret "${namespace}/${name}": it is immutable, as cosign makes it`, {
    fix: 'have it deleted and made again with --force; Pods that mount it must be started anew then, those that read it through the API need nothing',
  });
}

function metadataOf(object: JsonObject): JsonObject {
  const metadata = object['metadata'];
  return isObject(metadata) ? metadata : {};
}

function dataOf(object: JsonObject): JsonObject {
  const data = object['data'];
  return isObject(data) ? data : {};
}

function hasKey(secret: JsonObject): boolean {
  const data = dataOf(secret);
  return keyMembers.some((member) => Object.hasOwn(data, member));
}

function exists({ namespace, name }: SecretName): TerminalError {
  return new TerminalError('cli.key-exists', `Cannot write a key to the Secret "${namespace}/${name}": it has one`, {
    fix: 'give another name, or replace the key with --force; what it signed is verified with its public key, so keep that',
  });
}
