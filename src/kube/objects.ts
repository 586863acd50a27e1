import { createHash } from 'node:crypto';
import { z } from 'zod';
import { codeOf, TransientError } from '../errors.ts';
import { at, isObject, objectsAt, textAt, type JsonObject } from '../model/json.ts';
import type { Context } from '../observe/context.ts';
import type { KubeClient } from './client.ts';
import { collectionPath, objectPath, type ObjectKey, type ResourceName } from './resources.ts';

/** undefined when there is none. */
export async function getObject(client: KubeClient, key: ObjectKey, ctx: Context): Promise<JsonObject | undefined> {
  return await client.call('GET', objectPath(key), {}, ctx);
}

/** undefined when its namespace is not there. Throws `kube.exists`. */
export async function createObject(
  client: KubeClient,
  made: { readonly key: ObjectKey; readonly object: object },
  ctx: Context,
): Promise<JsonObject | undefined> {
  const { resource, namespace } = made.key;
  return await client.call('POST', collectionPath(resource, namespace), { body: made.object }, ctx);
}

/**
 * A JSON merge patch; gives the object as it is then, undefined when it is gone. With `metadata.resourceVersion` in the patch it is
 * applied to that version only, with `metadata.uid` to that object only, else `kube.conflict`.
 */
export async function patchObject(
  client: KubeClient,
  change: { readonly key: ObjectKey; readonly patch: object },
  ctx: Context,
): Promise<JsonObject | undefined> {
  return await client.call('PATCH', objectPath(change.key), { body: change.patch }, ctx);
}

export interface ListOptions {
  readonly resource: ResourceName;
  /** undefined: of all namespaces. */
  readonly namespace: string | undefined;
  /** Objects in a page, 1 to 500. A page that is too large is asked for again in smaller ones. */
  readonly limit: number;
}

export interface Page {
  readonly items: readonly JsonObject[];
  /** The same in all pages of a list: what a watch starts from. */
  readonly resourceVersion: string;
}

/**
 * A list in pages, never whole: 10 000 runs at once take a gigabyte and a second and a half of the loop. Gives undefined when the
 * resource is not installed. Throws `kube.expired` when the list took longer than the API server remembers: start again.
 */
export async function* listPages(client: KubeClient, options: ListOptions, ctx: Context): AsyncGenerator<Page | undefined, void> {
  let next = '';
  let { limit } = options;
  do {
    const query = { limit: String(limit), ...(next !== '' && { continue: next }) };
    let body: JsonObject | undefined;
    try {
      body = await client.call('GET', collectionPath(options.resource, options.namespace), { query, timeoutMs: 60_000 }, ctx);
    } catch (error) {
      if (codeOf(error) !== 'http.too-large' || limit === 1) throw error;
      limit = Math.ceil(limit / 4);
      continue;
    }
    if (body === undefined) {
      yield undefined;
      return;
    }
    const resourceVersion = textAt(body, 'metadata', 'resourceVersion');
    if (!Array.isArray(at(body, 'items')) || resourceVersion === '') {
      throw new TransientError('kube.protocol', `Cannot list ${options.resource}: the answer is not a list`, { dependency: 'kube' });
    }
    yield { items: objectsAt(body, 'items'), resourceVersion };
    next = textAt(body, 'metadata', 'continue');
  } while (next !== '');
}

const base64 = z.string().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const ConfigMap = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).nullish(),
});
const Secret = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  data: z.record(z.string(), base64).nullish(),
});

export interface ConfigMapData {
  readonly resourceVersion: string;
  readonly data: Readonly<Record<string, string>>;
}

/** Values decoded from base64. */
export interface SecretData {
  readonly resourceVersion: string;
  readonly data: Readonly<Record<string, Uint8Array>>;
}

export async function getConfigMap(
  client: KubeClient,
  where: { readonly namespace: string; readonly name: string },
  ctx: Context,
): Promise<ConfigMapData | undefined> {
  const object = await getObject(client, { resource: 'configmaps', ...where }, ctx);
  if (object === undefined) return undefined;
  const parsed = parsedAs(ConfigMap, object, 'configmaps');
  return { resourceVersion: parsed.metadata.resourceVersion, data: parsed.data ?? {} };
}

export async function getSecret(
  client: KubeClient,
  where: { readonly namespace: string; readonly name: string },
  ctx: Context,
): Promise<SecretData | undefined> {
  const object = await getObject(client, { resource: 'secrets', ...where }, ctx);
  if (object === undefined) return undefined;
  const parsed = parsedAs(Secret, object, 'secrets');
  return { resourceVersion: parsed.metadata.resourceVersion, data: parsed.data ?? {} };
}

/** Sets members of a Secret, and creates it (type `Opaque`) when it is not there; members that are not named stay. */
export async function putSecret(
  client: KubeClient,
  secret: { readonly namespace: string; readonly name: string; readonly data: Readonly<Record<string, Uint8Array>> },
  ctx: Context,
): Promise<void> {
  const key = { resource: 'secrets', namespace: secret.namespace, name: secret.name } as const;
  const data = Object.fromEntries(Object.entries(secret.data).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]));
  const patched = await patchObject(client, { key, patch: { data } }, ctx);
  if (patched !== undefined) return;
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: secret.name }, type: 'Opaque', data };
  const created = await createObject(client, { key, object }, ctx);
  if (created === undefined) {
    throw new TransientError('kube.absent', `Cannot create secrets "${secret.name}": there is no namespace "${secret.namespace}"`, {
      fix: `create the namespace "${secret.namespace}"`,
    });
  }
}

export interface KubeEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  /** Cut to 1024 characters, the API server's limit. */
  readonly message: string;
  readonly about: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
  /** Who speaks: the component's name, and which of its replicas. */
  readonly component: string;
  readonly instance: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/**
 * Tells an Event (core/v1, so that `kubectl describe` shows it). The same event about the same object has the same name, so it
 * stands there once however often it is told. A namespace that is gone takes its Events with it: no error.
 */
export async function tellEvent(client: KubeClient, event: KubeEvent, ctx: Context): Promise<void> {
  const { about, type, reason, component } = event;
  const message = event.message.slice(0, 1024);
  const hash = createHash('sha256')
    .update(JSON.stringify([about.uid, type, reason, message, component]))
    .digest('hex')
    .slice(0, 16);
  // Names are at most 253 characters, and those of runs may be as long.
  const key = {
    resource: 'events',
    namespace: about.namespace,
    name: `${about.name.slice(0, 230).replace(/[^a-z0-9]+$/, '')}.${hash}`,
  } as const;
  const time = new Date(event.at).toISOString().replace(/\.\d+Z$/, 'Z');
  const object = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: key.name },
    involvedObject: about,
    type,
    reason,
    message,
    source: { component },
    reportingComponent: component,
    reportingInstance: event.instance,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
  try {
    await createObject(client, { key, object }, ctx);
  } catch (error) {
    // It has been told already. Moving its time would want leave to patch events, which nobody gives us (P9).
    if (codeOf(error) !== 'kube.exists') throw error;
  }
}

/** What a component has told of an object, the oldest first; Events are kept for an hour where nobody says otherwise. */
export async function eventsAbout(
  client: KubeClient,
  about: { readonly namespace: string; readonly uid: string; readonly component: string },
  ctx: Context,
): Promise<readonly { readonly reason: string; readonly message: string; readonly at: string }[]> {
  const query = { fieldSelector: `involvedObject.uid=${about.uid}`, limit: '500' };
  const list = await client.call('GET', collectionPath('events', about.namespace), { query }, ctx);
  return objectsAt(list, 'items')
    .filter((event) => textAt(event, 'source', 'component') === about.component)
    .map((event) => ({ reason: textAt(event, 'reason'), message: textAt(event, 'message'), at: textAt(event, 'lastTimestamp') }))
    .toSorted((a, b) => a.at.localeCompare(b.at));
}

/** A schema's complaint names members, never values. */
function parsedAs<Schema extends z.ZodType>(schema: Schema, object: JsonObject, resource: ResourceName): z.output<Schema> {
  const parsed = schema.safeParse(object);
  if (parsed.success) return parsed.data;
  const places = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
  const name = isObject(object) ? textAt(object, 'metadata', 'name') : '';
  throw new TransientError('kube.protocol', `Cannot read ${resource} "${name}": unexpected form at ${places}`, { dependency: 'kube' });
}
