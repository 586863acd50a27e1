import { resolve } from 'node:path';
import type { HintRule } from '../extract/mapping.ts';
import type { ArtifactKind } from '../model/artifact.ts';
import type { SignerName, SignerOptions, StoreName, StoreOptions } from './rooms.ts';
import type { Values } from './schema.ts';

/** What to make for one kind of artifact. No stores, or the signer `none`: nothing, which is a decision and not a success (P1). */
export interface ArtifactPlan {
  readonly format: string;
  readonly signer: SignerName | 'none';
  /** Ascending, each once. */
  readonly stores: readonly StoreName[];
}

/** What the configuration takes from where the program runs. */
export interface Surroundings {
  /** Absolute; where relative paths start. */
  readonly directory: string;
  /** Credentials of registries when `storage.oci.docker-config` does not say. */
  readonly dockerConfig: string | undefined;
  /** The way out, as `HTTP_PROXY` and its siblings say it. */
  readonly proxy: Proxy | undefined;
}

export interface Proxy {
  readonly http?: string;
  readonly https?: string;
  readonly except?: string;
}

/** The program's configuration: parsed, cross-checked, paths absolute. One immutable snapshot; each room is given its own part. */
export interface Config {
  readonly artifacts: Readonly<Record<ArtifactKind, ArtifactPlan>>;
  readonly perImage: { readonly provenance: boolean; readonly recursive: boolean; readonly signSubjects: boolean };
  readonly format: {
    readonly builderId: string;
    readonly buildType: string;
    readonly deepInspection: boolean;
    readonly nativeArtifacts: boolean;
    readonly hints: readonly HintRule[];
  };
  readonly onDropped: 'record' | 'fail';
  readonly redact: {
    readonly params: readonly string[];
    readonly results: readonly string[];
    readonly tokenShapes: boolean;
    readonly salt: string;
  };
  readonly stores: StoreOptions;
  readonly signers: SignerOptions;
  readonly journal: { readonly url: string; readonly keepMs: number; readonly maxBytes: number };
  readonly retry: { readonly budgetMs: number; readonly maxDelayMs: number };
  readonly finalizer: { readonly enabled: boolean; readonly holdMs: number };
  readonly backfillSinceMs: number;
  readonly limits: { readonly payloadBytes: number; readonly subjects: number; readonly responseBytes: number };
  readonly proof: { readonly readBack: boolean };
  readonly filter: { readonly managedBy: ReadonlySet<string> };
  readonly concurrency: number;
  /** Empty: all. */
  readonly namespaces: ReadonlySet<string>;
}

/** Puts parsed values where the program wants them. */
export function configOf(values: Values, surroundings: Surroundings): Config {
  const { directory } = surroundings;
  return {
    artifacts: {
      taskrun: planOf(values['artifacts.taskrun.format'], values['artifacts.taskrun.signer'], values['artifacts.taskrun.storage']),
      pipelinerun: planOf(
        values['artifacts.pipelinerun.format'],
        values['artifacts.pipelinerun.signer'],
        values['artifacts.pipelinerun.storage'],
      ),
      oci: planOf(values['artifacts.oci.format'], values['artifacts.oci.signer'], values['artifacts.oci.storage']),
    },
    perImage: {
      provenance: values['artifacts.oci.provenance'],
      recursive: values['artifacts.oci.recursive'],
      signSubjects: values['artifacts.oci.sign-subjects'],
    },
    format: {
      builderId: values['builder.id'],
      buildType: values['builddefinition.buildtype'],
      deepInspection: values['artifacts.pipelinerun.enable-deep-inspection'],
      nativeArtifacts: values['extract.native-artifacts'],
      hints: values['extract.hints'],
    },
    onDropped: values['extract.on-dropped'],
    redact: {
      params: values['redact.params'],
      results: values['redact.results'],
      tokenShapes: values['redact.token-shapes'],
      salt: values['redact.salt'],
    },
    stores: { oci: ociOptionsOf(values, surroundings), tekton: {} },
    signers: { x509: { directory: resolve(directory, values['signers.x509.directory']) } },
    journal: {
      url: `sqlite://${resolve(directory, values['journal.url'].replace(/^sqlite:(\/\/(?=\/))?/, ''))}`,
      keepMs: values['journal.keep'],
      maxBytes: values['journal.max-bytes'],
    },
    retry: { budgetMs: values['retry.budget'], maxDelayMs: values['retry.max-delay'] },
    finalizer: { enabled: values['finalizer.enabled'], holdMs: values['finalizer.hold'] },
    backfillSinceMs: values['lanes.backfill.since'],
    limits: {
      payloadBytes: values['limits.payload-bytes'],
      subjects: values['limits.subjects'],
      responseBytes: values['limits.response-bytes'],
    },
    proof: { readBack: values['proof.read-back'] },
    filter: { managedBy: new Set(values['filter.managed-by']) },
    concurrency: values.concurrency,
    namespaces: new Set(values.namespace),
  };
}

/** A folder needs none of what is about registries; what is not given is left to the store. */
function ociOptionsOf(values: Values, { directory, dockerConfig, proxy }: Surroundings): StoreOptions['oci'] {
  const given = (name: string, text: string | undefined) => (text === undefined || text === '' ? {} : { [name]: text });
  const absolute = (path: string) => (path === '' ? undefined : resolve(directory, path));
  const common = { layout: values['storage.oci.layout'], maxResponseBytes: values['limits.response-bytes'] };
  if (values['storage.oci.directory'] !== '') return { ...common, directory: resolve(directory, values['storage.oci.directory']) };
  return {
    ...common,
    insecure: values['storage.oci.repository.insecure'],
    ...given('repository', values['storage.oci.repository']),
    ...given('dockerConfig', absolute(values['storage.oci.docker-config']) ?? dockerConfig),
    ...given('caFile', absolute(values['storage.oci.ca-file'])),
    ...(proxy && { proxy }),
  };
}

/** Whether anything is made for this kind of artifact. */
export function isCovered(plan: ArtifactPlan): boolean {
  return plan.signer !== 'none' && plan.stores.length > 0;
}

function planOf(format: string, signer: SignerName | 'none', stores: readonly StoreName[]): ArtifactPlan {
  return { format, signer, stores };
}
