import type { HintRule } from '../extract/mapping.ts';
import type { JsonObject } from '../model/json.ts';
import type { Position } from './position.ts';
import { positionOf, type LintObject, type Path } from './source.ts';

/** What of the configuration changes the judgement. */
export interface LintOptions {
  /** `artifacts.pipelinerun.enable-deep-inspection` */
  readonly deepInspection: boolean;
  /** The format reads step results, and makes subjects only of images and flagged outputs (`slsa/v2alpha4`), for each kind of run. */
  readonly strict: { readonly TaskRun: boolean; readonly PipelineRun: boolean };
  /** `extract.hints` */
  readonly hints: readonly HintRule[];
  /** `extract.native-artifacts` */
  readonly nativeArtifacts: boolean;
  /** Names, as globs, of params and results whose values are not shown: `redact.params` and `redact.results`. */
  readonly hidden: readonly string[];
}

export interface Finding extends Position {
  readonly rule: string;
  readonly file: string;
  /** `Task build`, for people; empty for what is about a file. */
  readonly subject: string;
  readonly message: string;
  /** What to do, as an imperative sentence without a full stop. */
  readonly fix: string;
  /** The YAML that mends it, as it would stand; undefined when words must do. */
  readonly yaml: string | undefined;
  /** What `--fix` does. None: a person must. */
  readonly edits: readonly Edit[];
}

/** A change to a file. Paths count from the object. */
export type Edit =
  /** Writes another text in the place of one. */
  | { readonly kind: 'set'; readonly object: LintObject; readonly path: Path; readonly text: string }
  /** Replaces every match in all texts under `path`. */
  | { readonly kind: 'replace'; readonly object: LintObject; readonly path: Path; readonly pattern: RegExp; readonly by: string }
  /** Adds to the end of a list, which is made when it is not there. */
  | { readonly kind: 'append'; readonly object: LintObject; readonly path: Path; readonly items: readonly JsonObject[] }
  /** Gives a map a member that it does not have. */
  | { readonly kind: 'put'; readonly object: LintObject; readonly path: Path; readonly name: string; readonly value: string | JsonObject };

/** What would become of an object: `from` says of which results or params, or for a run what it is. */
export interface Output {
  readonly role: 'subject' | 'material';
  readonly what: string;
}

export interface Judged extends Position {
  readonly file: string;
  readonly subject: string;
  readonly outputs: readonly Output[];
}

export interface Report {
  readonly judged: readonly Judged[];
  readonly findings: readonly Finding[];
}

/** What a finding says, without its place. */
export interface Saying {
  readonly message: string;
  readonly fix: string;
  readonly yaml?: string | undefined;
  readonly edits?: readonly Edit[];
}

export function findingAt(rule: string, object: LintObject, path: Path, saying: Saying): Finding {
  const { message, fix, yaml, edits = [] } = saying;
  return { rule, file: object.file, subject: titleOf(object), ...positionOf(object, path), message, fix, yaml, edits };
}

export function titleOf({ kind, name }: LintObject): string {
  return name === '' ? kind : `${kind} ${name}`;
}
