import type { Json } from '../model/json.ts';

type DigestSet = { readonly [algorithm: string]: string };

/** SLSA provenance v0.2 as Tekton Chains fills it (chains-provenance 7): by hand, as its official protobuf cannot say which members are always there. */
export type ProvenanceV02Json = {
  readonly builder: { readonly id: string };
  readonly buildType: string;
  readonly invocation: InvocationJson;
  readonly buildConfig: BuildConfigJson;
  readonly metadata: MetadataJson;
  readonly materials?: readonly MaterialJson[];
};

export type InvocationJson = {
  readonly configSource: { readonly uri?: string; readonly digest?: DigestSet; readonly entryPoint?: string };
  readonly parameters: { readonly [name: string]: Json | undefined };
  readonly environment?: {
    readonly annotations?: { readonly [name: string]: string };
    readonly labels?: { readonly [name: string]: string };
  };
};

export type MaterialJson = { readonly uri?: string; readonly digest?: DigestSet };

export type MetadataJson = {
  readonly buildStartedOn?: string;
  readonly buildFinishedOn?: string;
  readonly completeness: { readonly parameters: boolean; readonly environment: boolean; readonly materials: boolean };
  readonly reproducible: boolean;
};

/** Free-form in the specification: of a TaskRun, or of a PipelineRun. */
export type BuildConfigJson =
  | { readonly steps: readonly StepJson[] }
  | { readonly tasks: readonly TaskJson[] | null; readonly unresolved?: readonly UnresolvedJson[] };

export type StepJson = {
  readonly entryPoint: string;
  readonly arguments: readonly string[] | null;
  readonly environment: { readonly container: string; readonly image: string };
  readonly annotations: null;
};

export type TaskJson = {
  readonly name?: string;
  readonly after?: readonly string[];
  readonly ref: Json;
  readonly startedOn?: string;
  readonly finishedOn?: string;
  readonly serviceAccountName?: string;
  readonly status?: string;
  readonly steps?: readonly StepJson[];
  readonly invocation: InvocationJson;
  readonly results?: readonly Json[];
};

/** A child that the statement cannot describe; ours, Tekton Chains signs no such run. */
export type UnresolvedJson = {
  readonly kind: string;
  readonly apiVersion?: string;
  readonly name: string;
  readonly pipelineTaskName: string;
  readonly state: 'not a TaskRun' | 'missing';
};
