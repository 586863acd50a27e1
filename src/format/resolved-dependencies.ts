import { TerminalError } from '../errors.ts';
import type { Drops } from '../extract/drops.ts';
import type { Facts, RefSource } from '../extract/facts.ts';
import { pipelineHints, podImages, stepHints, taskHints } from '../extract/materials.ts';
import type { Item } from '../extract/merge.ts';
import { nativeInputs } from '../extract/native.ts';
import { canonical, goText } from '../model/json-text.ts';
import type { FamilyFacts } from './family.ts';
import { withoutEmpty } from './invocation.ts';
import type { ResourceDescriptorJson } from './protos/in-toto.ts';
import { reencode } from './reencode.ts';

/** What `resolvedDependencies` may hold of an in-toto ResourceDescriptor. */
interface Dependency {
  readonly name: string;
  readonly uri: string;
  readonly digest: Readonly<Record<string, string>>;
  readonly content: string;
}

/** What the two v1 formats do differently: v2alpha4 looks into steps. */
export interface Depth {
  readonly steps: boolean;
  /** Children's hints are read: deep inspection. */
  readonly hints: boolean;
  /** Native artifacts are read. */
  readonly natives: boolean;
  /** The whole child TaskRun is embedded: build type `slsa-tekton`. */
  readonly embeds: boolean;
}

/** Dependencies of a TaskRun; its own definition comes first and takes no part in the de-duplication (chains-provenance 5.3). */
export function taskDependencies(run: Facts, depth: Depth, drops: Drops): readonly ResourceDescriptorJson[] {
  const others = [
    ...podImages(run, drops).map(unnamed),
    ...(depth.steps ? [...stepHints(run, drops).map(input), ...stepActions(run)] : []),
    ...taskHints(run, drops).map(input),
    ...(depth.natives ? artifactsOf(run, drops) : []),
  ];
  return [...sourceOf(run.refSource, 'task'), ...unique(others)].map(descriptor);
}

/** Dependencies of a PipelineRun (chains-provenance 5.4). */
export function pipelineDependencies({ run, executed }: FamilyFacts, depth: Depth, drops: Drops): readonly ResourceDescriptorJson[] {
  const all = [
    ...sourceOf(run.refSource, 'pipeline'),
    ...executed.flatMap((child) => childDependencies(child, depth, drops)),
    ...(depth.steps && depth.hints ? executed.flatMap((child) => stepHints(child, drops).map(input)) : []),
    ...pipelineHints(run, depth.hints ? executed : [], drops).map(input),
    ...(depth.natives && depth.hints ? executed.flatMap((child) => artifactsOf(child, drops)) : []),
  ];
  return unique(all).map(descriptor);
}

function childDependencies(child: Facts, depth: Depth, drops: Drops): readonly Dependency[] {
  const whole = depth.embeds ? embedded(child, drops) : undefined;
  if (depth.embeds && whole === undefined) return [];
  const task = whole === undefined ? sourceOf(child.refSource, 'pipelineTask') : [whole];
  return [...task, ...(depth.steps ? stepActions(child) : []), ...podImages(child, drops).map(unnamed)];
}

function unnamed({ name, digest }: Item): Dependency {
  return { name: '', uri: name, digest, content: '' };
}

function input(item: Item): Dependency {
  return { ...unnamed(item), name: 'inputs/result' };
}

/** Native inputs, under the name that hints have with `artifact` for `result`. */
function artifactsOf(run: Facts, drops: Drops): readonly Dependency[] {
  return nativeInputs(run, drops).map((item) => ({ ...unnamed(item), name: 'inputs/artifact' }));
}

function sourceOf(source: RefSource | undefined, name: string): readonly Dependency[] {
  return source === undefined ? [] : [{ name, uri: source.uri, digest: source.digest, content: '' }];
}

function stepActions({ steps }: Facts): readonly Dependency[] {
  return steps.flatMap((step) => sourceOf(step.refSource, `stepAction/${step.name}`));
}

/**
 * The whole child, as it was read. Undefined, and told, when it has no encoding: then nothing of it is listed (Q-26, kept for
 * the golden corpus; the API server admits no such object).
 */
function embedded({ object, name, refSource }: Facts, drops: Drops): Dependency | undefined {
  try {
    const content = base64(goText(reencode('TaskRun', object, false)));
    return { name: 'pipelineTask', uri: refSource?.uri ?? '', digest: refSource?.digest ?? {}, content };
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    const why = `it cannot be embedded, so neither it nor its images are listed: ${error.message}`;
    drops.add({ result: `TaskRun ${name}`, value: '', rule: 'format.child-encoding', why, fix: error.fix ?? 'Mend the TaskRun' });
    return undefined;
  }
}

export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/** First occurrence wins, whatever its name; definitions of tasks, pipelines and step actions are always kept (3.11). */
function unique(dependencies: readonly Dependency[]): readonly Dependency[] {
  const seen = new Set<string>();
  return dependencies.filter(({ name, uri, digest, content }) => {
    const identity = canonical([uri, digest]) + content;
    const isNew = !seen.has(identity);
    seen.add(identity);
    return isNew || name === 'task' || name === 'pipeline' || name.startsWith('stepAction/');
  });
}

function descriptor({ name, uri, digest, content }: Dependency): ResourceDescriptorJson {
  return withoutEmpty<ResourceDescriptorJson>({ content, digest, name, uri });
}
