import { Drops } from '../extract/drops.ts';
import type { Facts } from '../extract/facts.ts';
import { pipelineHints, podImages, taskHints } from '../extract/materials.ts';
import { mergeItems, type Item } from '../extract/merge.ts';
import { looseSubjects } from '../extract/subjects.ts';
import { at, type Json } from '../model/json.ts';
import { buildSteps, buildTasks } from './build-config.ts';
import { factsOfFamily, type FamilyFacts } from './family.ts';
import type { Format } from './format.ts';
import { invocationOf, timeOf, withoutEmpty } from './invocation.ts';
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
    const subjects = mergeItems([...observed, facts.run].flatMap(({ results }) => looseSubjects(results, drops)));
    const materials = isTask ? taskMaterials(facts.run, drops) : pipelineMaterials(facts, observed, drops);
    const predicate = {
      buildConfig: isTask ? { steps: buildSteps(facts.run) } : pipelineConfig(facts),
      buildType: `tekton.dev/v1/${family.run.kind}`,
      builder: { id: options.builderId },
      invocation: invocationOf(facts.run, isTask ? 'taskSpec' : 'pipelineSpec'),
      ...(materials.length === 0 ? {} : { materials: materials.map(({ name, digest }) => withoutEmpty({ digest, uri: name })) }),
      metadata: metadataOf(facts.run),
    };
    const type = 'https://in-toto.io/Statement/v0.1';
    return payloadOf({ type, subjects: narrowed(subjects, image), predicateType: 'https://slsa.dev/provenance/v0.2', predicate }, drops);
  },
};

/** The children that could not be described stand beside the tasks: `buildConfig` is free-form. */
function pipelineConfig({ run, tasks, unresolved }: FamilyFacts): Json {
  const children = unresolved.map(({ kind, name, pipelineTaskName, state }) => ({ kind, name, pipelineTaskName, state }));
  return { tasks: buildTasks(run, tasks), ...(children.length === 0 ? {} : { unresolved: children }) };
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

function metadataOf(run: Facts): Json {
  return {
    ...withoutEmpty({ buildFinishedOn: timeOf(run, 'completionTime'), buildStartedOn: timeOf(run, 'startTime') }),
    completeness: { environment: false, materials: false, parameters: false },
    reproducible: at(run.metadata, 'labels', 'chains.tekton.dev/reproducible') === 'true',
  };
}
