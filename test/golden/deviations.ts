import { outcomeOf, type ExpectedImage, type GoldenRow, type Outcome } from './rows.ts';

/** A row where we differ from Tekton Chains on purpose, and what we make of it instead. */
export interface Deviation {
  /** Of chains-provenance 12, each with the advice "Fix". */
  readonly quirk: string;
  readonly reason: string;
  expected(row: GoldenRow): Outcome;
}

type Tree = { [name: string]: Tree } & Tree[] & string;

const neverStarted: Deviation = {
  quirk: 'Q-14',
  reason: 'Chains refuses the whole run for good because one container has no usable imageID (a cancelled pod); we leave out that image',
  expected(row) {
    const odd = oddImageIDs(row);
    const marks = odd.map((_, index) => `marker.example/${index}@sha256:${'f'.repeat(64)}`);
    const marked = mapImageIDs(row, (imageID) => marks[odd.indexOf(imageID ?? '')] ?? imageID);
    // The marked run's payload without the marked images, and with the texts that stood there.
    const predicate = edited(payloadText(marked), (statement) => {
      const keep = (item: Tree) => !item['uri']?.startsWith('oci://marker.example/');
      const holders = [
        [statement['predicate'], 'materials'],
        [statement['predicate']?.['buildDefinition'], 'resolvedDependencies'],
      ] as const;
      for (const [holder, name] of holders) {
        const kept = holder?.[name]?.filter(keep);
        if (holder && kept?.length === 0) delete holder[name];
        else if (holder && kept) holder[name] = kept as unknown as Tree;
      }
    });
    const text = marks.reduce((done, mark, index) => done.replaceAll(mark, odd[index]?.replace('docker-pullable://', '') ?? ''), predicate);
    return { kind: 'payload', text };
  },
};

const noStartTime: Deviation = {
  quirk: 'Q-15',
  reason: 'Chains crashes on a complete child without a start time; we leave out startedOn',
  expected(row) {
    const moment = '1999-09-09T09:09:09Z';
    const started = edited(JSON.stringify(row), (copy) => {
      for (const child of copy['children'] ?? []) {
        const status = child['status'];
        if (status !== undefined) status['startTime'] ??= moment as Tree;
      }
    });
    const text = payloadText(JSON.parse(started) as GoldenRow);
    return { kind: 'payload', text: text.replaceAll(`,"startedOn":"${moment}"`, '') };
  },
};

export const deviations: Readonly<Record<string, Deviation>> = {
  'edge-040': neverStarted,
  'edge-041': neverStarted,
  'edge-042': neverStarted,
  'edge-043': neverStarted,
  'edge-058': neverStarted,
  'edge-059': neverStarted,
  'edge-060': neverStarted,
  'edge-061': neverStarted,
  'edge-076': neverStarted,
  'edge-077': neverStarted,
  'edge-078': neverStarted,
  'edge-079': neverStarted,
  'syn-101-754': neverStarted,
  'edge-094': noStartTime,
  'syn-101-10': noStartTime,
  'syn-101-69': noStartTime,
  'edge-126': {
    quirk: 'Q-5',
    reason: "Chains shows a child's digest as the PipelineRun's own, because it merges materials in place",
    expected: ({ expected = '' }) => ({
      kind: 'payload',
      text: edited(expected, (statement) => {
        delete statement['predicate']?.['invocation']?.['configSource']?.['digest']?.['sha256'];
      }),
    }),
  },
  'edge-128': {
    quirk: 'Q-38',
    reason: 'Chains merges two images whose digests have nothing in common, because it takes an empty digest for a missing one',
    expected: ({ expected = '' }) => ({
      kind: 'payload',
      text: expected.replace(
        '[{"digest":{"sha256":"","sha512":"zz"},"uri":"oci://x/y"}]',
        '[{"digest":{"sha256":""},"uri":"oci://x/y"},{"digest":{"sha512":"zz"},"uri":"oci://x/y"}]',
      ),
    }),
  },
  'edge-139': {
    quirk: 'Q-19',
    reason: 'Chains signs a.jar and git+https://x/y as images, and the upload that must fail blocks the run; we sign the images only',
    expected: ({ expectedImages = [] }) => ({ kind: 'images', images: expectedImages.filter(isImage) }),
  },
};

function isImage({ fullKey }: ExpectedImage): boolean {
  return !fullKey.includes('a.jar') && !fullKey.startsWith('git+https:');
}

function payloadText(row: GoldenRow): string {
  const outcome = outcomeOf(row);
  return outcome.kind === 'payload' ? outcome.text : '';
}

function edited(text: string, edit: (value: Tree) => void): string {
  const value = JSON.parse(text) as Tree;
  edit(value);
  return JSON.stringify(value);
}

function oddImageIDs(row: GoldenRow): readonly string[] {
  const odd = new Set<string>();
  mapImageIDs(row, (imageID) => {
    if (!/^[^@]*@[^@:]*:[^@:]*$/.test(imageID ?? '')) odd.add(imageID ?? '');
    return imageID;
  });
  return [...odd];
}

function mapImageIDs(row: GoldenRow, change: (imageID: string | undefined) => string | undefined): GoldenRow {
  const text = edited(JSON.stringify(row), (copy) => {
    for (const run of [copy['main'], ...(copy['children'] ?? [])]) {
      for (const container of [...(run?.['status']?.['steps'] ?? []), ...(run?.['status']?.['sidecars'] ?? [])]) {
        const imageID = change(container['imageID']);
        if (imageID !== undefined) container['imageID'] = imageID as Tree;
      }
    }
  });
  return JSON.parse(text) as GoldenRow;
}
