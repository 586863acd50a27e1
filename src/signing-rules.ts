import { sha256Of } from './model/digest.ts';
import { at, isObject } from './model/json.ts';
import type { ArtifactKind } from './model/artifact.ts';
import type { Run } from './model/run.ts';

/** Who signs which runs (`signers.rules`). What a rule does not say, it does not ask. */
export interface SigningRule {
  /** Names of namespaces, `*` for any letters. Never empty: only a namespace tells whose run it is, everything else a run says of itself. */
  readonly namespaces: readonly string[];
  /** Names of pipelines (label `tekton.dev/pipeline`), `*` for any letters. */
  readonly pipelines?: readonly string[] | undefined;
  /** All of these labels, with these values. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly artifacts?: readonly ArtifactKind[] | undefined;
  /** All of them sign, each for itself. */
  readonly signers: readonly string[];
}

/** The signers of an artifact of this run: of the first rule that fits, else the configured ones. */
export function signersFor(
  run: Run,
  artifact: ArtifactKind,
  rules: readonly SigningRule[],
  otherwise: readonly string[],
): readonly string[] {
  return rules.find((rule) => fits(rule, run, artifact))?.signers ?? otherwise;
}

function fits({ namespaces, pipelines, labels, artifacts }: SigningRule, run: Run, artifact: ArtifactKind): boolean {
  if (!namespaces.some((pattern) => isLike(run.namespace, pattern))) return false;
  if (artifacts !== undefined && !artifacts.includes(artifact)) return false;
  const given = at(run.object, 'metadata', 'labels');
  const label = (name: string) => (isObject(given) && Object.hasOwn(given, name) ? given[name] : undefined);
  const pipeline = label('tekton.dev/pipeline');
  if (pipelines !== undefined && !pipelines.some((pattern) => typeof pipeline === 'string' && isLike(pipeline, pattern))) return false;
  return Object.entries(labels ?? {}).every(([name, value]) => label(name) === value);
}

/** `*` stands for any letters, none included. Linear in the text for each star, so no pattern is slow. */
function isLike(text: string, pattern: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let from = first.length;
  for (const piece of rest) {
    const index = text.indexOf(piece, from);
    if (index < 0) return false;
    from = index + piece.length;
  }
  return text.length - last.length >= from && text.endsWith(last);
}

/**
 * What the second and later signers of one thing add to its key: the first signs under the plain key, as if it were alone. No other key has a `+`.
 */
export function keyFor(key: string, signer: string, position: number): string {
  return position === 0 ? key : `${key}+${signer}`;
}

/** The same for a short key; four digits are what `signature-pipelinerun-<uid>` leaves of the 63 characters of an annotation's name. */
export function shortKeyFor(shortKey: string, signer: string, position: number): string {
  return position === 0 ? shortKey : `${shortKey}-${sha256Of(Buffer.from(signer, 'utf8')).slice(0, 4)}`;
}
