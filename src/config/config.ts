import { resolve } from 'node:path';
import type { ArtifactKind } from '../model/artifact.ts';
import type { SignerName, SignerOptions, StoreName } from './rooms.ts';
import type { Values } from './schema.ts';

/** What to make for one kind of artifact. No stores, or the signer `none`: nothing, which is a decision and not a success (P1). */
export interface ArtifactPlan {
  readonly format: string;
  readonly signer: SignerName | 'none';
  /** Ascending, each once. */
  readonly stores: readonly StoreName[];
}

export interface OciOptions {
  /** Replaces the image's own repository; undefined: beside the image. */
  readonly repository: string | undefined;
  readonly insecure: boolean;
  /** Folder of an OCI image layout instead of registries. */
  readonly directory: string | undefined;
  readonly dockerConfig: string | undefined;
  readonly caFile: string | undefined;
}

/** The program's configuration: parsed, cross-checked, paths absolute. One immutable snapshot; each room is given its own part. */
export interface Config {
  readonly artifacts: Readonly<Record<ArtifactKind, ArtifactPlan>>;
  readonly format: { readonly builderId: string; readonly buildType: string; readonly deepInspection: boolean };
  readonly stores: { readonly oci: OciOptions; readonly tekton: Readonly<Record<string, never>> };
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

/** Puts parsed values where the program wants them. Relative paths are taken from `directory`, which is absolute. */
export function configOf(values: Values, directory: string): Config {
  const absolute = (path: string) => (path === '' ? undefined : resolve(directory, path));
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
    format: {
      builderId: values['builder.id'],
      buildType: values['builddefinition.buildtype'],
      deepInspection: values['artifacts.pipelinerun.enable-deep-inspection'],
    },
    stores: {
      oci: {
        repository: values['storage.oci.repository'] === '' ? undefined : values['storage.oci.repository'],
        insecure: values['storage.oci.repository.insecure'],
        directory: absolute(values['storage.oci.directory']),
        dockerConfig: absolute(values['storage.oci.docker-config']),
        caFile: absolute(values['storage.oci.ca-file']),
      },
      tekton: {},
    },
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

/** Whether anything is made for this kind of artifact. */
export function isCovered(plan: ArtifactPlan): boolean {
  return plan.signer !== 'none' && plan.stores.length > 0;
}

function planOf(format: string, signer: SignerName | 'none', stores: readonly StoreName[]): ArtifactPlan {
  return { format, signer, stores };
}
