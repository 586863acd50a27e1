import { createHash } from 'node:crypto';
import { at, isList, isObject, textAt, type Json, type JsonObject } from '../model/json.ts';
import { runKinds, type RunKind } from '../model/run.ts';
import { documentsOf, type Problem } from './manifest-text.ts';

export type { Problem };

/** A run of a file. `object` has a UID and a namespace, whatever the file says: see `parseManifest`. `given` is what the file says. */
export interface ManifestRun {
  readonly kind: RunKind;
  readonly object: JsonObject;
  /** What a statement is made of: what nobody said is not signed. */
  readonly given: JsonObject;
  /** Line of the text where it starts, from 1. */
  readonly line: number;
}

export interface Manifest {
  readonly objects: readonly ManifestRun[];
  readonly problems: readonly Problem[];
}

/** One object of a text, with the apiVersion and kind that a typed list (`TaskRunList`) gives its elements. */
interface Candidate {
  readonly value: Json;
  readonly line: number;
  readonly apiVersion: string;
  readonly kind: string;
}

/** A `List` may hold lists; nobody nests them deeper than this on purpose. */
const maxListDepth = 4;

/**
 * The TaskRuns and PipelineRuns of a text: YAML or JSON, one or several documents, `List` and `TaskRunList` unfolded. Other kinds are passed over.
 * Whatever is wrong is a problem with its place, and hides nothing else.
 *
 * Two things that only an API server gives are filled in when a file lacks them, so that every room sees one identity: the namespace `default`, and a
 * UID made from kind, namespace, name and creation time (RFC 9562 version 8 over SHA-256): the same file gives the same run, wherever it lies.
 */
export function parseManifest(text: string): Manifest {
  const { documents, problems: broken } = documentsOf(text);
  const objects: ManifestRun[] = [];
  const problems: Problem[] = [...broken];
  for (const { value, line, itemLines } of documents) {
    const candidate = { value, line, apiVersion: textAt(value, 'apiVersion'), kind: textAt(value, 'kind') };
    for (const found of unfolded(candidate, itemLines, 0)) {
      const run = runOf(found);
      if (typeof run === 'string') problems.push({ line: found.line, column: 1, message: run });
      else if (run !== undefined) objects.push(run);
    }
  }
  return { objects, problems: problems.toSorted((one, other) => one.line - other.line) };
}

/** A list as its elements, at every depth; anything else as itself. */
function unfolded(candidate: Candidate, itemLines: readonly number[], depth: number): readonly Candidate[] {
  const items = at(candidate.value, 'items');
  if (!candidate.kind.endsWith('List') || !isList(items) || depth >= maxListDepth) return [candidate];
  const isTyped = candidate.kind !== 'List';
  return items.flatMap((value, index) => {
    const element = {
      value,
      line: itemLines[index] ?? candidate.line,
      apiVersion: textAt(value, 'apiVersion') || (isTyped ? candidate.apiVersion : ''),
      kind: textAt(value, 'kind') || (isTyped ? candidate.kind.slice(0, -'List'.length) : ''),
    };
    return unfolded(element, [], depth + 1);
  });
}

/** The run, a problem in words, or undefined for an object that is none of our business. */
function runOf({ value, line, apiVersion, kind }: Candidate): ManifestRun | string | undefined {
  if (!isObject(value)) return 'it is no Kubernetes object: want a map with apiVersion, kind and metadata';
  if (apiVersion === '' || kind === '') return `${apiVersion === '' ? 'apiVersion' : 'kind'} is missing: every object of a file needs both`;
  const [group, version] = apiVersion.split('/');
  if (!isRunKind(kind) || group !== 'tekton.dev') return undefined;
  const name = textAt(value, 'metadata', 'name');
  const what = `${kind} "${name.slice(0, 253)}"`;
  if (version !== 'v1' && version !== 'v1beta1') return `${what} has the apiVersion "${apiVersion.slice(0, 100)}": want tekton.dev/v1`;
  const renamed = version === 'v1beta1' ? renamedIn(value, kind) : undefined;
  if (renamed !== undefined)
    return `${what} of tekton.dev/v1beta1 has ${renamed.old}, which tekton.dev/v1 calls ${renamed.now}: ${asV1(kind)}`;
  const fault = identityFault(value);
  return fault === undefined ? { kind, object: identified(value, apiVersion, kind), given: value, line } : `${what}: ${fault}`;
}

/** Fields that were renamed between the versions. They would be passed over, and a statement signed that lacks them. */
const renames: Readonly<Record<RunKind, readonly { readonly old: string; readonly now: string }[]>> = {
  TaskRun: [
    { old: 'status.taskResults', now: 'status.results' },
    { old: 'status.resourcesResult', now: 'status.results' },
    { old: 'status.provenance.configSource', now: 'status.provenance.refSource' },
    { old: 'spec.taskRef.bundle', now: 'spec.taskRef.resolver' },
    { old: 'spec.resources', now: 'spec.params' },
  ],
  PipelineRun: [
    { old: 'status.pipelineResults', now: 'status.results' },
    { old: 'status.taskRuns', now: 'status.childReferences' },
    { old: 'status.provenance.configSource', now: 'status.provenance.refSource' },
    { old: 'spec.pipelineRef.bundle', now: 'spec.pipelineRef.resolver' },
    { old: 'spec.serviceAccountName', now: 'spec.taskRunTemplate.serviceAccountName' },
    { old: 'spec.podTemplate', now: 'spec.taskRunTemplate.podTemplate' },
    { old: 'spec.timeout', now: 'spec.timeouts.pipeline' },
    { old: 'spec.resources', now: 'spec.params' },
  ],
};

function renamedIn(value: JsonObject, kind: RunKind) {
  return renames[kind].find(({ old }) => at(value, ...old.split('.')) !== undefined);
}

function asV1(kind: RunKind): string {
  return `fetch it as v1, for example with "kubectl get ${runKinds[kind].plural}.v1.tekton.dev NAME -o yaml"`;
}

/** Names as Kubernetes allows them (RFC 1123); a UID becomes part of annotation names and paths. */
const nameRule = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const namespaceRule = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const uidRule = /^[A-Za-z0-9][-A-Za-z0-9._]{0,127}$/;

/** With namespace, UID, apiVersion and kind filled in; the very object when it has them all. */
function identified(value: JsonObject, apiVersion: string, kind: RunKind): JsonObject {
  const given = at(value, 'metadata');
  const metadata = isObject(given) ? given : {};
  const namespace = textAt(metadata, 'namespace') || 'default';
  const uid = textAt(metadata, 'uid') || derivedUid([kind, namespace, textAt(metadata, 'name'), textAt(metadata, 'creationTimestamp')]);
  const isWhole = at(metadata, 'namespace') === namespace && at(metadata, 'uid') === uid && at(value, 'kind') === kind;
  return isWhole ? value : { ...value, apiVersion, kind, metadata: { ...metadata, namespace, uid } };
}

/** Why an object cannot be told from others; undefined when it can. */
function identityFault(value: JsonObject): string | undefined {
  const metadata = at(value, 'metadata');
  if (!isObject(metadata)) return 'metadata is missing';
  const name = textAt(metadata, 'name');
  if (name === '' && at(metadata, 'generateName') !== undefined) return 'metadata.name is missing: only a run that was created has one';
  if (name === '') return 'metadata.name is missing';
  if (!nameRule.test(name)) return 'metadata.name is no Kubernetes name';
  for (const [field, rule] of [['namespace', namespaceRule] as const, ['uid', uidRule] as const]) {
    const given = metadata[field];
    const isAbsent = given === undefined || given === null || given === '';
    if (!isAbsent && !(typeof given === 'string' && rule.test(given))) return `metadata.${field} is not what Kubernetes would give`;
  }
  return undefined;
}

/** A UUID of version 8 (RFC 9562 5.8): the first bits of a SHA-256 over the parts, which hold no line breaks. */
function derivedUid(parts: readonly string[]): string {
  const hex = createHash('sha256')
    .update(`chainsmith run\n${parts.join('\n')}`)
    .digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function isRunKind(kind: string): kind is RunKind {
  return Object.hasOwn(runKinds, kind);
}
