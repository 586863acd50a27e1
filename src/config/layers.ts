import { LineCounter, parseAllDocuments } from 'yaml';
import type { Finding } from './finding.ts';
import { nearest } from './nearest.ts';
import { keyNames, variableOf, type KeyName } from './schema.ts';
import { shown } from './values.ts';

/** One source of values. Layers are given lowest first; of two that hold a key the later one wins. */
export interface Layer {
  /** For messages: `ConfigMap tekton-chains/chains-config`, `file chains.yaml`, `environment`, `--set`. */
  readonly name: string;
  readonly entries: ReadonlyMap<string, string>;
  /** What could not be made an entry. */
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** The `data` of a ConfigMap, as the API server gives it: absent is empty. */
export function dataLayer(name: string, data: Readonly<Record<string, unknown>> | undefined): Layer {
  const entries = new Map<string, string>();
  const problems: Finding[] = [];
  for (const [key, value] of Object.entries(data ?? {})) {
    if (typeof value === 'string') entries.set(key, value);
    else problems.push(finding(name, shown(key), `the value is ${wordFor(value)}, and ConfigMaps hold text only`, 'put it in quotes'));
  }
  return { name, entries, problems, warnings: [] };
}

/** A file with a ConfigMap (alone, or the only one among other objects), or with just its data map; YAML or JSON. */
export function fileLayer(name: string, text: string): Layer {
  const refused = (reason: string, fix?: string): Layer => ({ ...dataLayer(name, {}), problems: [finding(name, undefined, reason, fix)] });
  const unfolded = unfold(text);
  if (unfolded.kind === 'broken')
    return { ...dataLayer(name, {}), problems: unfolded.reasons.map((reason) => finding(name, undefined, reason)) };
  const maps = unfolded.values.filter(isConfigMap);
  const chosen = unfolded.values.length === 1 ? unfolded.values[0] : maps[0];
  if (unfolded.values.length === 0) return dataLayer(name, {});
  if (maps.length > 1) return refused(`it holds ${maps.length} ConfigMaps`, 'give a file with one ConfigMap, or with its data');
  if (!isRecord(chosen))
    return refused('it holds no ConfigMap and no map of keys to values', 'give a file with one ConfigMap, or with its data');
  if (!('kind' in chosen && 'apiVersion' in chosen)) return dataLayer(name, chosen);
  if (!isConfigMap(chosen)) return refused(`it holds a ${shown(String(chosen['kind']))}, not a ConfigMap`);
  const data = chosen['data'] ?? {};
  return isRecord(data) ? dataLayer(name, data) : refused('its data is no map of keys to values');
}

/**
 * Variables `CHAINSMITH_…`, one for each key: upper case, dots and dashes as underscores. Kubernetes makes variables of this look for a Service
 * called "chainsmith" (`CHAINSMITH_SERVICE_HOST`, `CHAINSMITH_PORT_9090_TCP`); they are not ours.
 */
export function environmentLayer(variables: Readonly<Record<string, string | undefined>>): Layer {
  const keys = new Map<string, KeyName>(keyNames.map((key) => [variableOf(key), key]));
  const entries = new Map<string, string>();
  const warnings: Finding[] = [];
  for (const [variable, value] of Object.entries(variables)) {
    if (value === undefined || !variable.startsWith('CHAINSMITH_') || /^CHAINSMITH_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)$/.test(variable))
      continue;
    const key = keys.get(variable);
    if (key === undefined)
      warnings.push(
        finding('environment', shown(variable), 'no key has this variable, so it is ignored', meant(variable, [...keys.keys()])),
      );
    else entries.set(key, value);
  }
  return { name: 'environment', entries, problems: [], warnings };
}

/** `--set key=value`, in order; the last one of a key wins. */
export function flagLayer(pairs: readonly string[]): Layer {
  const entries = new Map<string, string>();
  const problems: Finding[] = [];
  for (const pair of pairs) {
    const split = pair.indexOf('=');
    // The text may be a value whose key was forgotten, so it is not shown.
    if (split <= 0) problems.push(finding('--set', undefined, 'there is no key before "="', 'write --set key=value'));
    else entries.set(pair.slice(0, split).trim(), pair.slice(split + 1));
  }
  return { name: '--set', entries, problems, warnings: [] };
}

/** "did you mean", when something is near. */
export function meant(given: string, names: readonly string[]): string | undefined {
  const name = nearest(given, names);
  return name === undefined ? undefined : `did you mean "${name}"?`;
}

function finding(source: string, key: string | undefined, reason: string, fix?: string): Finding {
  return { source, key, value: undefined, reason, fix };
}

type Unfolded =
  | { readonly kind: 'values'; readonly values: readonly unknown[] }
  | { readonly kind: 'broken'; readonly reasons: readonly string[] };

/** The values of all documents that are not empty. The parser throws for what unfolds without end or nests without end; that is a reason, too. */
function unfold(text: string): Unfolded {
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, logLevel: 'error' });
    const reasons = documents.flatMap(({ errors }) =>
      errors.map(({ pos, message }) => {
        const { line, col } = lines.linePos(pos[0]);
        return `line ${line}, column ${col}: ${message}`;
      }),
    );
    if (reasons.length > 0) return { kind: 'broken', reasons };
    const values = documents.map((document) => document.toJS({ maxAliasCount: 100 }) as unknown);
    return { kind: 'values', values: values.filter((value) => value !== null) };
  } catch (error) {
    return { kind: 'broken', reasons: [`it cannot be unfolded: ${error instanceof Error ? error.message : String(error)}`] };
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isConfigMap(value: unknown): boolean {
  return isRecord(value) && value['kind'] === 'ConfigMap' && value['apiVersion'] === 'v1';
}

function wordFor(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'a map' : `a ${typeof value}`;
}
