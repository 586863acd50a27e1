import { isDeepStrictEqual } from 'node:util';
import { conflicts, doubts, type Check } from './checks.ts';
import { configOf, type Config, type Surroundings } from './config.ts';
import { maskedText, type Finding } from './finding.ts';
import { meant, type Layer } from './layers.ts';
import { isKeyName, keyNames, rowOf, type KeyName, type Values } from './schema.ts';
import { shown } from './values.ts';

/** The effective value of one key, as text that may be shown, and the layer that gave it (`default` for none). */
export interface Setting {
  readonly key: KeyName;
  readonly text: string;
  readonly source: string;
}

export type Result =
  | { readonly kind: 'good'; readonly config: Config; readonly settings: readonly Setting[]; readonly warnings: readonly Finding[] }
  | { readonly kind: 'refused'; readonly problems: readonly Finding[]; readonly warnings: readonly Finding[] };

/** How one key came out. */
interface Outcome {
  readonly setting: Setting;
  readonly value: unknown;
  readonly problem: Finding | undefined;
  readonly warnings: readonly Finding[];
}

/**
 * Reads the whole configuration: layers lowest first, over the defaults of the schema. All problems at once; one is enough to refuse everything.
 * Pure.
 */
export function readConfig(layers: readonly Layer[], surroundings: Surroundings): Result {
  const outcomes = keyNames.map((name) => outcomeOf(name, layers));
  const wrong = new Set(outcomes.filter(({ problem }) => problem !== undefined).map(({ setting }) => setting.key));
  // One entry for each key, each from the parser of its own row: what the type says.
  const values = Object.fromEntries(outcomes.map(({ setting, value }) => [setting.key, value])) as Values;
  const settings = outcomes.map(({ setting }) => setting);
  const judge = (checks: readonly Check[]) => checks.flatMap((check) => judged(check, values, { settings, wrong }));
  const problems = [...layers.flatMap((layer) => layer.problems), ...outcomes.flatMap(({ problem }) => problem ?? []), ...judge(conflicts)];
  const warnings = [
    ...layers.flatMap((layer) => [...layer.warnings, ...unknownIn(layer)]),
    ...outcomes.flatMap((outcome) => outcome.warnings),
    ...judge(doubts),
  ];
  if (problems.length > 0) return { kind: 'refused', problems, warnings };
  return { kind: 'good', config: configOf(values, surroundings), settings, warnings };
}

function outcomeOf(name: KeyName, layers: readonly Layer[]): Outcome {
  const row = rowOf(name);
  const fallback = defaultOf(name);
  const warnings: Finding[] = [];
  const setting = (text: string, source: string): Setting => ({ key: name, text: maskedText(name, text), source });
  for (const layer of layers.toReversed()) {
    const text = layer.entries.get(name);
    if (text === undefined) continue;
    const finding = (reason: string, fix?: string): Finding => ({
      key: name,
      source: layer.name,
      value: maskedText(name, text),
      reason,
      fix,
    });
    const refused = (reason: string, fix: string): Outcome => ({
      setting: setting(row.default, 'default'),
      value: fallback,
      problem: finding(reason, fix),
      warnings,
    });
    const parsed = row.type.parse(text);
    if (parsed.kind === 'wrong')
      return refused(row.secret === 'all' && row.tells !== 'reasons' ? 'it is not allowed' : parsed.reason, `allowed: ${row.type.allowed}`);
    if (parsed.kind === 'later')
      return refused(`it asks for ${parsed.what}, which comes with a later version`, `allowed: ${row.type.allowed}`);
    if (parsed.kind === 'ignored') {
      warnings.push(finding(`${parsed.reason}, so it is ignored, as in Tekton Chains`, `allowed: ${row.type.allowed}`));
      continue;
    }
    const isChanged = !isDeepStrictEqual(parsed.value, fallback);
    if (isChanged && row.status === 'no effect') warnings.push(finding(`it has no effect: ${row.why ?? 'nothing reads it'}`));
    if (parsed.warning !== undefined) warnings.push(finding(parsed.warning));
    return { setting: setting(text, layer.name), value: parsed.value, problem: undefined, warnings };
  }
  return { setting: setting(row.default, 'default'), value: fallback, problem: undefined, warnings };
}

/** The parsed default; a test holds that every row's default parses. */
function defaultOf(name: KeyName): unknown {
  const { type, default: ordinary } = rowOf(name);
  const parsed = type.parse(ordinary);
  return parsed.kind === 'value' ? parsed.value : undefined;
}

/** Keys that no row has. `_example` is how Knative documents a ConfigMap inside it. Their values are never shown: they may be anything. */
function unknownIn(layer: Layer): readonly Finding[] {
  const unknown = [...layer.entries.keys()].filter((key) => !isKeyName(key) && key !== '_example');
  return unknown.map((key) => ({
    key: shown(key),
    source: layer.name,
    value: undefined,
    reason: 'there is no such key, so it is ignored',
    fix: meant(key, keyNames),
  }));
}

interface Seen {
  readonly settings: readonly Setting[];
  readonly wrong: ReadonlySet<KeyName>;
}

/** A check whose keys were refused says nothing: it would judge a default that nobody asked for. */
function judged(check: Check, values: Values, { settings, wrong }: Seen): readonly Finding[] {
  if (check.keys.some((key) => wrong.has(key))) return [];
  const found = check.find(values);
  if (found === undefined) return [];
  const [blamed] = check.keys;
  const setting = settings.find(({ key }) => key === blamed);
  return [{ key: blamed, source: setting?.source ?? 'default', value: setting?.text, ...found }];
}
