import { refusalIn, type Refusal } from '../kube/refusal.ts';
import { at, isObject, parseJson, textAt, type Json, type JsonObject } from '../model/json.ts';
import type { Run, RunKind, SlimRun } from '../model/run.ts';
import { slimOf, type Malformed } from './slim.ts';

/** One line of a watch. `resourceVersion` is where a later watch may go on; empty when the event does not say. */
export type WatchEvent =
  | { readonly kind: 'seen' | 'gone'; readonly run: SlimRun; readonly resourceVersion: string }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string; readonly endsInitial: boolean }
  | { readonly kind: 'malformed'; readonly what: Malformed; readonly resourceVersion: string }
  | { readonly kind: 'error'; readonly refusal: Refusal }
  | { readonly kind: 'nonsense' };

const changes: Readonly<Record<string, 'seen' | 'gone'>> = { ADDED: 'seen', MODIFIED: 'seen', DELETED: 'gone' };

/** Reads one line. A line that is no event of the protocol is `nonsense`; an object that is no run is `malformed`: the stream is sound. */
export function eventOf(line: Buffer, kind: RunKind): WatchEvent {
  const event = eventIn(line);
  const object = at(event, 'object');
  if (!isObject(object)) return { kind: 'nonsense' };
  const type = textAt(event, 'type');
  const resourceVersion = textAt(object, 'metadata', 'resourceVersion');
  if (type === 'BOOKMARK') {
    const endsInitial = at(object, 'metadata', 'annotations', 'k8s.io/initial-events-end') === 'true';
    return { kind: 'bookmark', resourceVersion, endsInitial };
  }
  if (type === 'ERROR') {
    return { kind: 'error', refusal: refusalIn(object) ?? { status: 500, body: object, retryAfterMs: undefined } };
  }
  const change = Object.hasOwn(changes, type) ? changes[type] : undefined;
  if (change === undefined) return { kind: 'nonsense' };
  const slim = slimOf(object, kind);
  return slim.kind === 'slim' ? { kind: change, run: slim.run, resourceVersion } : { kind: 'malformed', what: slim, resourceVersion };
}

/** The run with its whole object, numbers as they were written; undefined when the line has none. */
export function runIn(line: Buffer, slim: SlimRun): Run | undefined {
  const object = at(parseJson(line.toString('utf8')), 'object');
  return isObject(object) ? runOf(slim, object) : undefined;
}

export function runOf(slim: SlimRun, object: JsonObject): Run {
  const { kind, namespace, name, uid } = slim;
  return { kind, namespace, name, uid, slim, object };
}

/** The plain parser: slim records hold no numbers, and this is done for every event. */
function eventIn(line: Buffer): Json | undefined {
  try {
    return JSON.parse(line.toString('utf8')) as Json;
  } catch {
    return undefined;
  }
}
