import { Drops } from '../extract/drops.ts';
import type { Facts } from '../extract/facts.ts';
import { pipelineHints, podImages, taskHints } from '../extract/materials.ts';
import { itemOf, mergeItems, type Item } from '../extract/merge.ts';
import { nativeInputs, nativeOutputs } from '../extract/native.ts';
import { looseSubjects } from '../extract/subjects.ts';
import { at } from '../model/json.ts';
import { buildSteps, buildTasks } from './build-config.ts';
import { factsOfFamily, type FamilyFacts } from './family.ts';
import type { Format } from './format.ts';
import { invocationOf, timeOf, withoutEmpty } from './invocation.ts';
import type { BuildConfigJson, MaterialJson, MetadataJson, ProvenanceV02Json, UnresolvedJson } from './slsa-v02.ts';
import { narrowed, payloadOf } from './statement.ts';

/** SLSA provenance v0.2 in an in-toto statement v0.1: Tekton Chains' default (chains-provenance 7). */
export const provenanceV02: Format = {
  names: ['in-toto', 'slsa/v1'],
  artifacts: ['taskrun', 'pipelinerun'],
  signing: 'dsse',
  payload({ family, image }, options) {
    const drops = new Drops();
    const facts = factsOfFamily(family, options.hints);
    const isTask = family.run.kind === 'TaskRun';
    const observed = isTask || !options.deepInspection ? [] : facts.executed;
    const told = [...observed, facts.run];
    const natives = options.nativeArtifacts === true ? told : [];
    const subjects = mergeItems([
      ...told.flatMap(({ results }) => looseSubjects(results, drops)),
      ...natives.flatMap((run) => nativeOutputs(run, drops).map(itemOf)),
    ]);
    const hinted = isTask ? taskMaterials(facts.run, drops) : pipelineMaterials(facts, observed, drops);
    const inputs = natives.flatMap((run) => nativeInputs(run, drops));
    const materials = inputs.length === 0 ? hinted : mergeItems([...hinted, ...inputs]);
    const predicate = {
      buildConfig: isTask ? { steps: buildSteps(facts.run) } : pipelineConfig(facts),
      buildType: `tekton.dev/v1/${family.run.kind}`,
      builder: { id: options.builderId },
      invocation: invocationOf(facts.run, isTask ? 'taskSpec' : 'pipelineSpec'),
      ...withoutEmpty<Pick<ProvenanceV02Json, 'materials'>>({ materials: materials.map(materialOf) }),
      metadata: metadataOf(facts.run),
    } satisfies ProvenanceV02Json;
    const type = 'https://in-toto.io/Statement/v0.1';
    return payloadOf({ type, subjects: narrowed(subjects, image), predicateType: 'https://slsa.dev/provenance/v0.2', predicate }, drops);
  },
};

type Unresolved = { readonly unresolved?: readonly UnresolvedJson[] };

/** The children that could not be described stand beside the tasks: `buildConfig` is free-form. */
function pipelineConfig({ run, tasks, unresolved: children }: FamilyFacts): BuildConfigJson {
  return { tasks: buildTasks(run, tasks), ...withoutEmpty<Unresolved>({ unresolved: children }) };
}

function materialOf({ name, digest }: Item): MaterialJson {
  return withoutEmpty<MaterialJson>({ digest, uri: name });
}

function taskMaterials(run: Facts, drops: Drops): readonly Item[] {
  return mergeItems([...podImages(run, drops), ...taskHints(run, drops)]);
}

/** Images and sources of the children whether or not deep inspection is on; their hints only with it (chains-provenance 5.2). */
function pipelineMaterials({ run, executed }: FamilyFacts, observed: readonly Facts[], drops: Drops): readonly Item[] {
  const children = executed.flatMap((child) => [...podImages(child, drops), ...sourceOf(child)]);
  return mergeItems([...sourceOf(run), ...children, ...pipelineHints(run, observed, drops)]);
}

function sourceOf({ refSource }: Facts): readonly Item[] {
  return refSource === undefined ? [] : [{ name: refSource.uri, digest: refSource.digest }];
}

function metadataOf(run: Facts): MetadataJson {
  return {
    ...withoutEmpty<Pick<MetadataJson, 'buildStartedOn' | 'buildFinishedOn'>>({
      buildFinishedOn: timeOf(run, 'completionTime'),
      buildStartedOn: timeOf(run, 'startTime'),
    }),
    completeness: { environment: false, materials: false, parameters: false },
    reproducible: at(run.metadata, 'labels', 'chains.tekton.dev/reproducible') === 'true',
  };
}
