import { at, isList, objectsAt, textAt, type JsonObject, type Json } from '../model/json.ts';
import type { RunKind, SlimRun } from '../model/run.ts';

/** An object that cannot be a run of its kind. `name` is what is known of it, for the message. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly name: string;
  readonly why: string;
}
export type Slim = { readonly kind: 'slim'; readonly run: SlimRun } | Malformed;

/**
 * What is kept of a run. Only what identifies it must be there; everything else is read as far as it has the expected type, because a
 * run that is known too little about is still to be dealt with, and one that is passed over is lost.
 */
export function slimOf(object: Json | undefined, kind: RunKind): Slim {
  const metadata = at(object, 'metadata');
  const namespace = textAt(metadata, 'namespace');
  const name = textAt(metadata, 'name');
  const shown = `${namespace || '?'}/${name || '?'}`;
  const stated = textAt(object, 'kind');
  if (stated !== '' && stated !== kind) return { kind: 'malformed', name: shown, why: `it is a ${stated.slice(0, 80)}, not a ${kind}` };
  const uid = textAt(metadata, 'uid');
  const missing = Object.entries({ name, namespace, uid }).filter(([, value]) => value === '');
  if (missing.length > 0) {
    return { kind: 'malformed', name: shown, why: `it has no metadata.${missing.map(([member]) => member).join(', metadata.')}` };
  }
  const run: SlimRun = {
    kind,
    namespace,
    name,
    uid,
    resourceVersion: textAt(metadata, 'resourceVersion'),
    createdAt: timeAt(metadata, 'creationTimestamp'),
    isDone: isDone(object),
    completedAt: timeAt(object, 'status', 'completionTime'),
    isDeleting: textAt(metadata, 'deletionTimestamp') !== '',
    finalizers: textsAt(metadata, 'finalizers'),
    signed: optionalTextAt(metadata, 'annotations', 'chains.tekton.dev/signed'),
    managedBy: optionalTextAt(object, 'spec', 'managedBy'),
    owner: ownerOf(metadata),
  };
  return { kind: 'slim', run };
}

/** The condition `Succeeded` is there and its status is not `Unknown`; an empty status counts as done (chains-provenance 1.3). */
function isDone(object: Json | undefined): boolean {
  const condition = objectsAt(object, 'status', 'conditions').find(({ type }) => type === 'Succeeded');
  return condition !== undefined && condition['status'] !== 'Unknown';
}

/** The controlling PipelineRun, whatever the version of its API (chains-controller 1.2). */
function ownerOf(metadata: Json | undefined): string | undefined {
  const controls = (owner: JsonObject): boolean =>
    owner['controller'] === true && owner['kind'] === 'PipelineRun' && textAt(owner, 'apiVersion').startsWith('tekton.dev/');
  return textAt(objectsAt(metadata, 'ownerReferences').find(controls), 'name') || undefined;
}

function timeAt(value: Json | undefined, ...path: readonly string[]): number | undefined {
  const ms = Date.parse(textAt(value, ...path));
  return Number.isNaN(ms) ? undefined : ms;
}

function optionalTextAt(value: Json | undefined, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

function textsAt(value: Json | undefined, ...path: readonly string[]): readonly string[] {
  const found = at(value, ...path);
  return isList(found) ? found.filter((element) => typeof element === 'string') : [];
}
