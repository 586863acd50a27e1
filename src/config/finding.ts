import { rowOf, type KeyName } from './schema.ts';
import { shown } from './values.ts';

/** Something to say about the configuration: a problem refuses it, a warning does not. `value` is already safe to show. */
export interface Finding {
  /** As written; undefined when it is about a whole source. */
  readonly key: string | undefined;
  /** Where the value came from: `ConfigMap tekton-chains/chains-config`, `environment`, `--set`. */
  readonly source: string;
  readonly value: string | undefined;
  readonly reason: string;
  /** What to do or what is allowed, as the end of the sentence. */
  readonly fix: string | undefined;
}

/** One line for a person. */
export function sentenceOfFinding({ key, source, value, reason, fix }: Finding): string {
  const what = key === undefined ? source : `${key}${value === undefined ? '' : ` = "${value}"`} (${source})`;
  return `${what}: ${reason}${fix === undefined ? '' : `; ${fix}`}`;
}

const mask = '***';

/** The text of a key as it may be shown: what is secret about it is replaced by stars, and it is one short line. */
export function maskedText(name: KeyName, text: string): string {
  const { secret } = rowOf(name);
  if (secret === 'all') return text === '' ? '' : mask;
  const bare = secret === 'url' ? text.replace(/\?[^#]*/, `?${mask}`) : text;
  return shown(bare.replaceAll(/:\/\/[^/\s]*@/g, `://${mask}@`));
}
