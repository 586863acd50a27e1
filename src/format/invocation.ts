import { textMapAt, type Facts } from '../extract/facts.ts';
import { at, isList, objectsAt, textAt, type Json, type JsonObject } from '../model/json.ts';
import { scalars } from './codec.ts';
import type { InvocationJson } from './slsa-v02.ts';
import { parseTime, shortestTimeText } from './time.ts';

const hiddenAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** `invocation` of a run (chains-provenance 7.2). */
export function invocationOf(facts: Facts, specMember: 'taskSpec' | 'pipelineSpec'): InvocationJson {
  const annotations = Object.entries(textMapAt(facts.metadata, 'annotations') ?? {}).filter(
    ([name]) => name !== hiddenAnnotation && !name.startsWith('chains.tekton.dev/'),
  );
  const environment = withoutEmpty<NonNullable<InvocationJson['environment']>>({
    annotations: Object.fromEntries(annotations),
    labels: textMapAt(facts.metadata, 'labels'),
  });
  const { uri = '', digest = {}, entryPoint = '' } = facts.refSource ?? {};
  return {
    configSource: withoutEmpty<InvocationJson['configSource']>({ digest, entryPoint, uri }),
    ...withoutEmpty<Pick<InvocationJson, 'environment'>>({ environment }),
    parameters: parametersOf(facts, specMember),
  };
}

/** Defaults, overridden by what the run gives. */
function parametersOf({ spec, status }: Facts, specMember: string): JsonObject {
  const defaults = objectsAt(status, specMember, 'params').filter((param) => (at(param, 'default') ?? null) !== null);
  const value = scalars.get('value');
  const entries = [
    ...defaults.map((param) => [textAt(param, 'name'), value?.encode(at(param, 'default'), true)] as const),
    ...objectsAt(spec, 'params').map((param) => [textAt(param, 'name'), value?.encode(at(param, 'value'), true)] as const),
  ];
  return Object.fromEntries(entries);
}

/** A time of the run as SLSA v0.2 writes it; undefined when it is absent. */
export function timeOf({ status }: Facts, member: 'startTime' | 'completionTime'): string | undefined {
  const instant = parseTime(textAt(status, member));
  return instant === undefined ? undefined : shortestTimeText(instant);
}

/** Without the members that are absent, an empty text, or an empty list or object. */
export function withoutEmpty<T extends JsonObject>(members: { readonly [Name in keyof T]?: T[Name] | undefined }): Partial<T> {
  const given: JsonObject = members;
  // What is left out is what `Partial` lets be absent.
  return Object.fromEntries(Object.entries(given).filter(([, value]) => !isEmpty(value))) as Partial<T>;
}

function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === '') return true;
  if (isList(value)) return value.length === 0;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
