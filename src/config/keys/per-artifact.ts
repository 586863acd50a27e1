import type { Key } from '../key.ts';
import { bool } from '../values.ts';

function ours(doc: string) {
  return { type: bool, default: 'false', doc, from: 'Chainsmith', status: 'used' } as const satisfies Key;
}

export const perArtifactKeys = {
  'artifacts.oci.provenance': ours(
    'Beside the statement about a run, make one for each image among its subjects: the same predicate, that image the only subject, stored at that image. On a run it is the annotations `chains.tekton.dev/*-image-<16 digits of the digest>-<12 digits of the SHA-256 of the repository>`',
  ),
  'artifacts.oci.recursive': ours(
    'What is made for an image index is made for each manifest below it, too (at most 64, looked up in the registry): a signature, and a statement whose only subject is that manifest. Only in the store "oci"',
  ),
  'artifacts.oci.sign-subjects': ours(
    'Sign every image among the subjects of a statement: those of step results and of PipelineRuns, too, and not only those of the results of TaskRuns',
  ),
} as const satisfies Record<string, Key>;
