import type { ArtifactKind } from '../../model/artifact.ts';
import type { Key } from '../key.ts';
import { formatNames, storeNames } from '../rooms.ts';
import { bool, oneOf, setOf, signerList, text, words } from '../values.ts';

const chainsStores = ['tekton', 'oci', 'gcs', 'docdb', 'grafeas', 'archivista'];

/** Chains takes `kafka` for task runs and images, and refuses it for pipeline runs. */
function storesOf(kind: ArtifactKind) {
  const known = kind === 'pipelinerun' ? chainsStores : [...chainsStores, 'kafka'];
  return setOf({ now: storeNames, later: known.filter((name) => !storeNames.some((now) => now === name)) });
}

const whatIsSigned = { taskrun: 'TaskRuns', pipelinerun: 'PipelineRuns', oci: 'images' } as const satisfies Record<ArtifactKind, string>;

function format(kind: ArtifactKind, ordinary: string) {
  return {
    type: oneOf({ now: formatNames(kind) }),
    default: ordinary,
    doc: `Format of what is signed for ${whatIsSigned[kind]}`,
    from: 'Chains',
    status: 'used',
  } as const satisfies Key;
}

function storage(kind: ArtifactKind, ordinary: string) {
  return {
    type: storesOf(kind),
    default: ordinary,
    doc: `Stores for ${whatIsSigned[kind]}; with none, nothing is signed for them`,
    from: 'Chains',
    status: 'used',
  } as const satisfies Key;
}

function signer(kind: ArtifactKind) {
  return {
    type: signerList,
    default: 'x509',
    doc: `Signer for ${whatIsSigned[kind]}: x509, kms, or one of signers.named; of several each signs for itself. "none" switches them off: nothing is made and nothing is stored`,
    from: 'Chains',
    status: 'used',
  } as const satisfies Key;
}

export const artifactKeys = {
  'artifacts.taskrun.format': format('taskrun', 'in-toto'),
  'artifacts.taskrun.storage': storage('taskrun', 'tekton'),
  'artifacts.taskrun.signer': signer('taskrun'),
  'artifacts.pipelinerun.format': format('pipelinerun', 'in-toto'),
  'artifacts.pipelinerun.storage': storage('pipelinerun', 'tekton'),
  'artifacts.pipelinerun.signer': signer('pipelinerun'),
  'artifacts.pipelinerun.enable-deep-inspection': {
    type: bool,
    default: 'false',
    doc: 'Look for the subjects and materials of a PipelineRun in its TaskRuns, too',
    from: 'Chains',
    status: 'used',
  },
  'artifacts.oci.format': format('oci', 'simplesigning'),
  'artifacts.oci.storage': storage('oci', 'oci'),
  'artifacts.oci.signer': signer('oci'),
  'builder.id': {
    type: text,
    default: 'https://tekton.dev/chains/v2',
    doc: 'Who builds, as provenance says it',
    from: 'Chains',
    status: 'used',
  },
  'builddefinition.buildtype': {
    type: oneOf({ now: ['https://tekton.dev/chains/v2/slsa', 'https://tekton.dev/chains/v2/slsa-tekton'] }),
    default: 'https://tekton.dev/chains/v2/slsa',
    doc: 'Build type of SLSA v1 provenance; "slsa-tekton" embeds the whole resolved run',
    from: 'Chains',
    status: 'used',
  },
  'filter.managed-by': {
    type: words,
    default: '',
    doc: 'Values of `spec.managedBy` to accept beside none and `tekton.dev/pipeline`',
    from: 'Chains',
    status: 'used',
  },
} as const satisfies Record<string, Key>;
