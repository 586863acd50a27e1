import { at, objectsAt, textAt } from '../model/json.ts';
import { digestMap } from './digest.ts';
import { redactedDrop, type Drops } from './drops.ts';
import { hintsOf, type Facts } from './facts.ts';
import type { Hint } from './hint.ts';
import { isHidden } from './marker.ts';
import type { Item } from './merge.ts';
import { stringOf, valueOf } from './value.ts';

const urlName = 'CHAINS-GIT_URL';
const commitName = 'CHAINS-GIT_COMMIT';
const fullCommit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** The git source of a TaskRun (chains-provenance 3.9): a commit is enough. */
export function gitOfTask(facts: Facts, drops: Drops): readonly Item[] {
  return gitOf(sourcesOf(facts, 'taskSpec'), drops);
}

/** The git source of a PipelineRun: only with both a commit and a url. */
export function gitOfPipeline(facts: Facts, drops: Drops): readonly Item[] {
  const { url, commit, where } = lastOf(sourcesOf(facts, 'pipelineSpec'));
  if (dropHidden(url, commit, where, drops)) return [];
  if (url !== '' && commit !== '') return [itemOf(url, commit, where, drops)];
  if (url !== '' || commit !== '') dropHalf(url, commit, where, drops);
  return [];
}

/**
 * The git source of a TaskRun's or a step's hints. A commit without a url is recorded as `git+.git`, as Tekton Chains does
 * and its readers know it (Q-6, kept for the golden corpus), and told.
 */
export function gitOf(hints: readonly Hint[], drops: Drops): readonly Item[] {
  const { url, commit, where } = lastOf(hints);
  if (dropHidden(url, commit, where, drops)) return [];
  if (commit === '' || url === '') dropHalf(url, commit, where, drops);
  return commit === '' ? [] : [itemOf(url, commit, where, drops)];
}

interface Source {
  readonly url: string;
  readonly commit: string;
  readonly where: string;
}

/** Each occurrence overwrites, with an empty text too: an array or object has one. */
function lastOf(hints: readonly Hint[]): Source {
  let source: Source = { url: '', commit: '', where: '' };
  for (const { name, value, where } of hints) {
    if (name === urlName) source = { ...source, url: stringOf(value), where };
    if (name === commitName) source = { ...source, commit: stringOf(value), where };
  }
  return source;
}

/** Param defaults, then params, then results. */
function sourcesOf({ spec, status, results }: Facts, specMember: 'taskSpec' | 'pipelineSpec'): readonly Hint[] {
  const defaults = objectsAt(status, specMember, 'params').filter((param) => (at(param, 'default') ?? null) !== null);
  const defaultHints = defaults.map((param) => {
    const name = textAt(param, 'name');
    return { name, value: valueOf(param, 'default'), where: `status.${specMember}.params[${name}]` };
  });
  return [...defaultHints, ...hintsOf(objectsAt(spec, 'params'), 'spec.params'), ...results];
}

function dropHidden(url: string, commit: string, where: string, drops: Drops): boolean {
  if (!isHidden(url) && !isHidden(commit)) return false;
  drops.add({ result: where, value: isHidden(url) ? url : commit, ...redactedDrop });
  return true;
}

/** The commit stands under `sha1` whatever it is: its readers look there. */
function itemOf(url: string, commit: string, where: string, drops: Drops): Item {
  if (!fullCommit.test(commit)) {
    const why = 'it is no full commit id in lower-case hex; it is recorded as it stands, and no reader will match it';
    drops.add({
      result: where,
      value: commit,
      rule: 'extract.git-commit',
      why,
      fix: 'Write the output of git rev-parse HEAD, without a line end',
    });
  }
  const prefixed = url.startsWith('git+') ? url : `git+${url}`;
  return { name: prefixed.endsWith('.git') ? prefixed : `${prefixed}.git`, digest: digestMap('sha1', commit) };
}

function dropHalf(url: string, commit: string, where: string, drops: Drops): void {
  if (url === '' && commit === '') return;
  const wanted = url === '' ? urlName : commitName;
  const why = `"${wanted}", which belongs to it, is missing, empty or not a string`;
  drops.add({ result: where, value: url || commit, rule: 'extract.incomplete-git', why, fix: `Give "${wanted}" as a string` });
}
