import { codeOf, TerminalError } from '../errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { at, isObject, type JsonObject } from '../model/json.ts';
import type { Context } from '../observe/context.ts';

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

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

function hasKey(secret: JsonObject): boolean {
  const data = secret['data'];
  return isObject(data) && keyMembers.some((member) => Object.hasOwn(data, member));
}

function exists({ namespace, name }: SecretName): TerminalError {
  return new TerminalError('cli.key-exists', `Cannot write a key to the Secret "${namespace}/${name}": it has one`, {
    fix: 'give another name, or replace the key with --force; what it signed is verified with its public key, so keep that',
  });
}
