import { textMapAt, type Facts } from '../extract/facts.ts';
import { at, isList, objectsAt, textAt, type Json, type JsonObject } from '../model/json.ts';
import { scalars } from './codec.ts';
import { parseTime, shortestTimeText } from './time.ts';

const hiddenAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** `invocation` of a run (chains-provenance 7.2). */
export function invocationOf(facts: Facts, specMember: 'taskSpec' | 'pipelineSpec'): Json {
  const annotations = Object.entries(textMapAt(facts.metadata, 'annotations') ?? {}).filter(
    ([name]) => name !== hiddenAnnotation && !name.startsWith('chains.tekton.dev/'),
  );
  const environment = withoutEmpty({ annotations: Object.fromEntries(annotations), labels: textMapAt(facts.metadata, 'labels') });
  const { uri = '', digest = {}, entryPoint = '' } = facts.refSource ?? {};
  return {
    configSource: withoutEmpty({ digest, entryPoint, uri }),
    ...(Object.keys(environment).length === 0 ? {} : { environment }),
    parameters: parametersOf(facts, specMember),
  };
}

/** Defaults, overridden by what the run gives. */
function parametersOf({ spec, status }: Facts, specMember: string): Json {
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
export function withoutEmpty(members: { readonly [name: string]: Json | undefined }): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === '') return true;
  if (isList(value)) return value.length === 0;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
