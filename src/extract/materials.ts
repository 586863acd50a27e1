import { digestMap } from './digest.ts';
import type { Drops } from './drops.ts';
import type { Container, Facts } from './facts.ts';
import type { Hint } from './hint.ts';
import { gitOf, gitOfPipeline, gitOfTask } from './git.ts';
import { objectHintsOf } from './hints.ts';
import { mergeItems, type Item } from './merge.ts';

/** STEPS and SIDECARS of a TaskRun (chains-provenance 5.1): the images that its containers ran. */
export function podImages(facts: Facts, drops: Drops): readonly Item[] {
  return [...containerImages(facts.steps, drops), ...containerImages(facts.sidecars, drops)];
}

/** TASKHINTS: the git source, then the inputs that a TaskRun's results name. */
export function taskHints(facts: Facts, drops: Drops): readonly Item[] {
  return [...gitOfTask(facts, drops), ...inputsOf(facts.results, drops)];
}

/** STEPHINTS: each step's git source, then the inputs of all steps' results as one list. */
export function stepHints(facts: Facts, drops: Drops): readonly Item[] {
  const results = facts.steps.flatMap((step) => step.results);
  return [...facts.steps.flatMap((step) => gitOf(step.results, drops)), ...inputsOf(results, drops)];
}

/** PIPEHINTS. `observed`: the children whose hints count, none without deep inspection. */
export function pipelineHints(facts: Facts, observed: readonly Facts[], drops: Drops): readonly Item[] {
  const children = observed.flatMap((child) => taskHints(child, drops));
  return [...inputsOf(facts.results, drops), ...children, ...gitOfPipeline(facts, drops)];
}

/** `oci://` and the imageID as the kubelet gave it, without the prefix of old Docker. */
export function imageUri(imageID: string): string {
  return `oci://${imageID.startsWith('docker-pullable://') ? imageID.slice('docker-pullable://'.length) : imageID}`;
}

/**
 * The images of some containers (3.10). One that never started has no image, and is left out and told: in Tekton Chains it
 * made the whole attestation fail for good.
 */
function containerImages(containers: readonly Container[], drops: Drops): readonly Item[] {
  return mergeItems(
    containers.flatMap(({ imageID, where }) => {
      const image = imageItem(imageID);
      if (image !== undefined) return [image];
      const why = imageID === '' ? 'the container has no imageID: it never started' : 'want <image>@<algorithm>:<hex>';
      const fix = 'Nothing, when the run was cancelled or the image could not be pulled; the image is not listed as a material';
      drops.add({ result: `${where}.imageID`, value: imageID, rule: 'extract.image-id', why, fix });
      return [];
    }),
  );
}

function imageItem(imageID: string): Item | undefined {
  const [left = '', digest = '', ...more] = imageID.split('@');
  const pieces = digest.split(':');
  const [algorithm = '', hex = ''] = pieces;
  return more.length === 0 && pieces.length === 2 ? { name: imageUri(left), digest: digestMap(algorithm, hex) } : undefined;
}

/** `*ARTIFACT_INPUTS` of one result list, digests normalised. */
function inputsOf(results: readonly Hint[], drops: Drops): readonly Item[] {
  const inputs = objectHintsOf(results, 'ARTIFACT_INPUTS', drops);
  return mergeItems(inputs.map(({ uri, digest }) => ({ name: uri, digest: digestMap(digest.algorithm, digest.hex) })));
}
