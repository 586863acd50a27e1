import { dirname, resolve } from 'node:path';
import type { HintRule } from '../extract/mapping.ts';
import type { ArtifactKind } from '../model/artifact.ts';
import type { Layout } from './keys/storage.ts';
import type { TransparencyMode } from './keys/transparency.ts';
import type { SignerChoice, StoreName, StoreOptions } from './rooms.ts';
import type { Values } from './schema.ts';
import { signersOf } from './signer-choices.ts';

/** What to make for one kind of artifact. No stores, or no signers: nothing, which is a decision and not a success (P1). */
export interface ArtifactPlan {
  readonly format: string;
  /** Each signs for itself; none when the configured one is `none`. */
  readonly signers: readonly string[];
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
  /** What signers know from the environment, by the names of the variables; values may be secrets. */
  readonly ambient?: Readonly<Record<string, string>>;
  readonly home?: string | undefined;
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
  /** By the names that `artifacts.*.signer` and `rules` use. */
  readonly signers: ReadonlyMap<string, SignerChoice>;
  readonly rules: Values['signers.rules'];
  readonly preflight: boolean;
  /** Where signatures are published beside images. */
  readonly layout: Layout;
  readonly transparency: TransparencyMode;
  readonly log: LogChoice;
  readonly trust: TrustChoice;
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

/** Which log and timestamp authorities are used; a signing configuration decides for itself where it says something. */
export interface LogChoice {
  readonly url: string;
  readonly version: 'auto' | '1' | '2';
  /** Absolute path. */
  readonly signingConfig: string | undefined;
  readonly readUrl: string | undefined;
  readonly perSecond: number | undefined;
  readonly timestamps: readonly string[];
  readonly caFile: string | undefined;
  readonly proxy: Proxy | undefined;
}

/** Where the trusted root comes from. */
export interface TrustChoice {
  /** Absolute path of a trusted_root.json. */
  readonly file: string | undefined;
  /** URL of a TUF mirror; undefined when none is named. */
  readonly mirror: string | undefined;
  /** Absolute path of its first root.json. */
  readonly tufRoot: string | undefined;
  readonly cache: string;
  /** URL of the certificate authority, when any signer is keyless. */
  readonly fulcio: string | undefined;
}

/** Puts parsed values where the program wants them. */
export function configOf(values: Values, surroundings: Surroundings): Config {
  const { directory } = surroundings;
  const journalPath = resolve(directory, values['journal.url'].replace(/^sqlite:(\/\/(?=\/))?/, ''));
  const signers = signersOf(values, surroundings);
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
    signers,
    rules: values['signers.rules'],
    preflight: values['signers.preflight'],
    layout: layoutOf(values),
    transparency: values['transparency.enabled'],
    log: logOf(values, surroundings),
    trust: trustOf(values, surroundings, journalPath, [...signers.values()]),
    journal: {
      url: `sqlite://${journalPath}`,
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
  const common = { layout: layoutOf(values), maxResponseBytes: values['limits.response-bytes'] };
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

/** What `storage.oci.layout` says, or else Chains' own key. */
function layoutOf(values: Values): Layout {
  const given = values['storage.oci.layout'];
  if (given !== '') return given;
  return values['storage.oci.encoding-format'] === 'dsse' ? 'tags' : 'referrers';
}

function logOf(values: Values, { directory, proxy }: Surroundings): LogChoice {
  return {
    url: values['transparency.url'],
    version: values['transparency.version'],
    signingConfig: absoluteIn(directory, values['transparency.signing-config']),
    readUrl: values['transparency.read-url'] === '' ? undefined : values['transparency.read-url'],
    perSecond: values['transparency.rate'],
    timestamps: values['transparency.timestamp.url'],
    caFile: absoluteIn(directory, values['transparency.ca-file']),
    proxy,
  };
}

function trustOf(values: Values, { directory }: Surroundings, journal: string, choices: readonly SignerChoice[]): TrustChoice {
  const root = values['trust.root'];
  const isMirror = /^https?:\/\//.test(root);
  const chainsMirror = values['signers.x509.tuf.mirror.url'];
  const named = chainsMirror === 'https://tuf-repo-cdn.sigstore.dev' || root !== '' ? undefined : chainsMirror;
  return {
    file: isMirror ? undefined : absoluteIn(directory, root),
    mirror: isMirror ? root : named,
    tufRoot: absoluteIn(directory, values['trust.tuf-root']),
    cache: absoluteIn(directory, values['trust.cache']) ?? resolve(dirname(journal), 'tuf'),
    fulcio: choices.some(({ kind }) => kind === 'fulcio') ? values['signers.x509.fulcio.address'] : undefined,
  };
}

function absoluteIn(directory: string, path: string): string | undefined {
  return path === '' ? undefined : resolve(directory, path);
}

/** Whether anything is made for this kind of artifact. */
export function isCovered(plan: ArtifactPlan): boolean {
  return plan.signers.length > 0 && plan.stores.length > 0;
}

function planOf(format: string, signers: readonly string[], stores: readonly StoreName[]): ArtifactPlan {
  return { format, signers, stores };
}
