import { matchesGlob } from '../extract/glob.ts';
import type { HintRule } from '../extract/mapping.ts';

/** A task that many clusters have, as its catalogue has it. */
export interface KnownTask {
  /** Its name: `*` is any text. */
  readonly task: string;
  readonly results: readonly string[];
  readonly params: readonly string[];
  /** Entries for `extract.hints`, without the task: what its results are, in the words that Chains reads. */
  readonly mapping: readonly `${string}=${string}`[];
  /** What to do where no mapping helps, as the end of a sentence. */
  readonly note?: string;
}

const git = ['url=CHAINS-GIT_URL', 'commit=CHAINS-GIT_COMMIT'] as const;
const pair = ['IMAGE_URL', 'IMAGE_DIGEST'] as const;
/** Of versions that told the digest alone; a task that has IMAGE_URL itself keeps it. */
const url = ['params.IMAGE=IMAGE_URL'] as const;

/** As the Tekton catalogue has them (github.com/tektoncd/catalog, newest versions); the first match counts. */
const knownTasks: readonly KnownTask[] = [
  { task: 'git-clone*', results: ['commit', 'url', 'committer-date'], params: ['url', 'revision'], mapping: git },
  { task: 'kaniko*', results: pair, params: ['IMAGE'], mapping: ['IMAGE-DIGEST=IMAGE_DIGEST', ...url] },
  { task: 'buildah*', results: pair, params: ['IMAGE'], mapping: url },
  {
    task: 'buildpacks*',
    results: ['APP_IMAGE_URL', 'APP_IMAGE_DIGEST'],
    params: ['APP_IMAGE'],
    mapping: ['params.APP_IMAGE=APP_IMAGE_URL'],
  },
  { task: 'jib-gradle', results: pair, params: ['IMAGE'], mapping: url },
  { task: 'jib-*', results: ['IMAGE_DIGEST'], params: ['IMAGE'], mapping: url },
  {
    task: 'ko',
    results: [],
    params: ['KO_DOCKER_REPO'],
    mapping: [],
    note: 'let a copy of it declare the result IMAGES and run ko build --image-refs=$(results.IMAGES.path)',
  },
];

/** What is known of a task by its name. */
export function knownTask(name: string): KnownTask | undefined {
  return knownTasks.find(({ task }) => matchesGlob(task, name));
}

/** The rules for `extract.hints` that a known task may need: those whose hint it does not have, made of what it has. */
export function rulesFor(
  name: string,
  has: { readonly results: readonly string[]; readonly params: readonly string[] },
): readonly HintRule[] {
  const rules = (knownTask(name)?.mapping ?? []).map((entry): HintRule => {
    const [source = '', hint = ''] = entry.split('=');
    return source.startsWith('params.')
      ? { task: name, from: 'param', name: source.slice('params.'.length), hint }
      : { task: name, from: 'result', name: source, hint };
  });
  return rules.filter((rule) => !has.results.includes(rule.hint) && has[rule.from === 'param' ? 'params' : 'results'].includes(rule.name));
}

/** Rules as they are written in the configuration. */
export function textOfRules(rules: readonly HintRule[]): string {
  return rules.map(({ task, from, name, hint }) => `${task}:${from === 'param' ? 'params.' : ''}${name}=${hint}`).join(', ');
}
