export type Level = 'error' | 'warning' | 'note';

export interface Rule {
  /** `error`: a subject, material or signature is lost. `warning`: probably. `note`: only told, for nothing is wrong. */
  readonly level: Level;
  readonly summary: string;
  /** What is fixed first: later fixes look at what earlier ones left. Undefined for what a person must mend. */
  readonly order?: number;
}

/** Every rule, by the name that findings, Events and `chainsmith explain` share. Those of `extract.` are what extraction says of a run. */
export const rules = {
  'lint.unreadable': { level: 'error', summary: 'The file cannot be read as Kubernetes would read it' },
  'extract.near-miss': { level: 'warning', summary: 'A name that looks like a type hint and is none', order: 0 },
  'lint.finally-result': { level: 'error', summary: 'A pipeline result names a task of finally as if it were one of tasks', order: 1 },
  'extract.object-hint': { level: 'error', summary: 'An artifact result that is no object with uri and digest', order: 2 },
  'lint.step-result': { level: 'warning', summary: "A step's type hint that is no result of the task", order: 3 },
  'extract.incomplete-pair': { level: 'error', summary: 'One half of a pair of results', order: 4 },
  'extract.incomplete-git': { level: 'error', summary: 'A git url without its commit, or the commit without the url', order: 4 },
  'lint.unsurfaced': { level: 'warning', summary: "A task's image or artifact that is no result of the pipeline", order: 5 },
  'lint.known-task': { level: 'warning', summary: 'A well-known task whose results are no type hints', order: 5 },
  'extract.images-type': { level: 'error', summary: 'IMAGES that is no string' },
  'extract.empty-hint': { level: 'error', summary: 'A type hint that is empty or no string' },
  'extract.image-reference': { level: 'error', summary: 'An image that is not named by digest' },
  'extract.artifact-digest': { level: 'error', summary: 'A digest that is none' },
  'extract.digest-form': { level: 'warning', summary: 'A digest in a form that verifiers refuse' },
  'extract.git-commit': { level: 'warning', summary: 'A commit that is no full commit id' },
  'extract.truncated': { level: 'error', summary: "Results that were lost to Tekton's limit" },
  'extract.not-an-image': { level: 'note', summary: 'A subject that is not signed as an image, because it is none' },
  'extract.image-id': { level: 'note', summary: 'A container that never started' },
  'lint.look-alike': { level: 'warning', summary: 'Two results that look like a pair of type hints by other names' },
  'lint.unwritten': { level: 'warning', summary: 'A type hint that no step writes' },
  'lint.line-end': { level: 'warning', summary: 'A line end in a git commit or url, which is recorded as it stands' },
  'lint.flag-type': { level: 'error', summary: 'isBuildArtifact that is not the text "true"' },
  'lint.unflagged': { level: 'warning', summary: 'An artifact output that slsa/v2alpha4 makes no subject' },
  'lint.unread-pair': { level: 'warning', summary: 'A pair that slsa/v2alpha4 makes no subject' },
  'lint.missing-task': { level: 'error', summary: 'A pipeline result of a task that is not there' },
  'lint.missing-result': { level: 'error', summary: 'A pipeline result of a result that the task does not have' },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;

/** The row of a rule; extraction may tell of one that is younger than this table. */
export function ruleOf(name: string): Rule {
  return isRuleName(name) ? rules[name] : { level: 'warning', summary: 'A type hint that is not used' };
}

function isRuleName(name: string): name is RuleName {
  return Object.hasOwn(rules, name);
}
