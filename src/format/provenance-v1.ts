import { TerminalError } from '../errors.ts';
import { Drops } from '../extract/drops.ts';
import { textMapAt, type Facts, type RefSource } from '../extract/facts.ts';
import { itemOf, mergeItems } from '../extract/merge.ts';
import { nativeOutputs, type NativeOutput } from '../extract/native.ts';
import { looseSubjects, strictSubjects, strictTaskSubjects } from '../extract/subjects.ts';
import type { Subject } from '../model/artifact.ts';
import { at, isObject, textAt, type Json, type JsonObject } from '../model/json.ts';
import { compareUtf8 } from '../model/json-text.ts';
import type { RunKind } from '../model/run.ts';
import { allByproducts, nativeByproduct, otherByproducts, taskByproducts, unresolvedByproducts } from './byproducts.ts';
import { factsOfFamily, type FamilyFacts } from './family.ts';
import type { Format, FormatOptions } from './format.ts';
import { withoutEmpty } from './invocation.ts';
import type {
  BuildDefinitionJson,
  BuilderJson,
  BuildMetadataJson,
  ProvenanceJson,
  ResourceDescriptorJson,
  RunDetailsJson,
} from './protos/in-toto.ts';
import { reencode } from './reencode.ts';
import { pipelineDependencies, taskDependencies } from './resolved-dependencies.ts';
import { narrowed, payloadOf } from './statement.ts';
import { parseTime, protobufTimeText } from './time.ts';

const slsa = 'https://tekton.dev/chains/v2/slsa';
const slsaTekton = 'https://tekton.dev/chains/v2/slsa-tekton';

/** How the two formats differ (chains-provenance 8): what counts as subject and by-product, and whether steps are read. */
interface Variant {
  readonly name: string;
  readonly steps: boolean;
  subjects(facts: FamilyFacts, observed: readonly Facts[], kind: RunKind, drops: Drops): readonly Subject[];
  byproducts(facts: FamilyFacts, observed: readonly Facts[], kind: RunKind, drops: Drops): readonly ResourceDescriptorJson[];
  /** Which native outputs are subjects; the others are by-products. */
  isSubject(output: NativeOutput): boolean;
}

/** SLSA provenance v1 in an in-toto statement v1, subjects and by-products from run results. */
export const provenanceV1: Format = formatOf({
  name: 'slsa/v2alpha3',
  steps: false,
  subjects: ({ run }, observed, _kind, drops) => [...observed, run].flatMap(({ results }) => looseSubjects(results, drops)),
  isSubject: () => true,
  byproducts: ({ run }, _observed, kind) => allByproducts(run.results, kind === 'TaskRun' ? 'taskRunResults' : 'pipelineRunResults'),
});

/** The same with step results, and only flagged outputs and images as subjects. */
export const provenanceV1Steps: Format = formatOf({
  name: 'slsa/v2alpha4',
  steps: true,
  subjects: ({ run }, observed, kind, drops) => {
    if (kind === 'TaskRun') return strictTaskSubjects(run, drops);
    return [...strictSubjects(run.results, drops), ...observed.flatMap((child) => strictTaskSubjects(child, drops))];
  },
  isSubject: ({ isBuildOutput }) => isBuildOutput,
  byproducts: ({ run }, observed, kind, drops) => {
    if (kind === 'TaskRun') return taskByproducts(run, drops);
    const own = otherByproducts(run.results, `pipelineRunResults/${run.name}`, drops);
    return [...own, ...observed.flatMap((child) => taskByproducts(child, drops))];
  },
});

function formatOf(variant: Variant): Format {
  return {
    names: [variant.name],
    artifacts: ['taskrun', 'pipelinerun'],
    signing: 'dsse',
    payload({ family, image }, options) {
      const drops = new Drops();
      const facts = factsOfFamily(family, options.hints);
      const { kind } = family.run;
      const observed = kind === 'PipelineRun' && options.deepInspection ? facts.executed : [];
      const outputs = options.nativeArtifacts === true ? [...observed, facts.run].flatMap((run) => nativeOutputs(run, drops)) : [];
      const subjects = mergeItems([...variant.subjects(facts, observed, kind, drops), ...outputs.filter(variant.isSubject).map(itemOf)]);
      const byproducts = [
        ...variant.byproducts(facts, observed, kind, drops),
        ...outputs.filter((output) => !variant.isSubject(output)).map(nativeByproduct),
        ...unresolvedByproducts(facts.unresolved),
      ];
      const predicate = {
        buildDefinition: buildDefinition(facts, kind, { options, steps: variant.steps, drops }),
        runDetails: {
          builder: withoutEmpty<BuilderJson>({ id: options.builderId }),
          ...withoutEmpty<Pick<RunDetailsJson, 'byproducts'>>({ byproducts }),
          metadata: metadataOf(facts.run),
        },
      } satisfies ProvenanceJson;
      const type = 'https://in-toto.io/Statement/v1';
      return payloadOf({ type, subjects: narrowed(subjects, image), predicateType: 'https://slsa.dev/provenance/v1', predicate }, drops);
    },
  };
}

interface Aspects {
  readonly options: FormatOptions;
  readonly steps: boolean;
  readonly drops: Drops;
}

function buildDefinition(facts: FamilyFacts, kind: RunKind, { options, steps, drops }: Aspects): BuildDefinitionJson {
  const buildType = options.buildType === '' ? slsa : options.buildType;
  if (buildType !== slsa && buildType !== slsaTekton) {
    const fix = `Set builddefinition.buildtype to ${slsa} or ${slsaTekton}`;
    throw new TerminalError('format.build-type', `Cannot write provenance of build type "${buildType}": it is not known`, { fix });
  }
  const natives = options.nativeArtifacts === true;
  const depth = { steps, hints: options.deepInspection, natives, embeds: buildType === slsaTekton };
  const dependencies = kind === 'TaskRun' ? taskDependencies(facts.run, depth, drops) : pipelineDependencies(facts, depth, drops);
  return {
    buildType,
    externalParameters: externalParameters(facts.run, kind),
    internalParameters: internalParameters(facts.run, buildType === slsaTekton),
    ...withoutEmpty<Pick<BuildDefinitionJson, 'resolvedDependencies'>>({ resolvedDependencies: dependencies }),
  };
}

function externalParameters({ spec, refSource }: Facts, kind: RunKind): JsonObject {
  const isTask = kind === 'TaskRun';
  const resolver = textAt(spec, isTask ? 'taskRef' : 'pipelineRef', 'resolver');
  // The resolver of the cluster is called `cluster`, so what it gives counts as remote, as Tekton Chains has it.
  const isRemote = resolver !== '' && resolver !== 'Cluster';
  const source = isRemote && refSource !== undefined ? { buildConfigSource: configSource(refSource) } : {};
  return { ...source, runSpec: reencode(isTask ? 'TaskRunSpec' : 'PipelineRunSpec', spec) };
}

/** Of several digests always the same one: sha256, then sha1, then by name. */
function configSource({ uri, digest, entryPoint }: RefSource): Json {
  const [algorithm] = ['sha256', 'sha1', ...Object.keys(digest).toSorted(compareUtf8)].filter((name) => Object.hasOwn(digest, name));
  return { path: entryPoint, ref: algorithm === undefined ? '' : `${algorithm}:${digest[algorithm] ?? ''}`, repository: uri };
}

function internalParameters({ metadata, status }: Facts, hasMetadata: boolean): JsonObject {
  const flags = at(status, 'provenance', 'featureFlags');
  return {
    ...(hasMetadata ? { annotations: textMapAt(metadata, 'annotations') ?? null, labels: textMapAt(metadata, 'labels') ?? null } : {}),
    ...(isObject(flags) ? { 'tekton-pipelines-feature-flags': reencode('FeatureFlags', flags) } : {}),
  };
}

function metadataOf({ status, uid }: Facts): BuildMetadataJson {
  return withoutEmpty<BuildMetadataJson>({
    finishedOn: timeOf(textAt(status, 'completionTime')),
    invocationId: uid,
    startedOn: timeOf(textAt(status, 'startTime')),
  });
}

function timeOf(text: string): string | undefined {
  const instant = parseTime(text);
  return instant === undefined ? undefined : protobufTimeText(instant);
}
