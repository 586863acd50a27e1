import { isHintName } from '../../extract/near-misses.ts';
import type { HintRule } from '../../extract/mapping.ts';
import type { Key } from '../key.ts';
import { shown, type ValueType } from '../values.ts';

const form = /^([^:=]*):([^:=]*)=([^:=]*)$/;
const globName = /^[a-z0-9*?]([-a-z0-9.*?]*[a-z0-9*?])?$/;
/** As Tekton allows names of results and params. */
const sourceName = /^[A-Za-z0-9_][-A-Za-z0-9_.]{0,252}$/;
const maxRules = 1000;

/** `task:result=HINT` entries between commas or line ends; each part trimmed, none may be empty. */
const hintRules: ValueType<readonly HintRule[]> = {
  allowed:
    'task:result=HINT or task:params.NAME=HINT, commas or lines between them; * and ? are wildcards of the task; HINT is what Chains reads, such as IMAGE_URL; or empty for none',
  parse(given) {
    const rules: HintRule[] = [];
    for (const piece of given.split(/[,\n]/).map((text) => text.trim())) {
      if (piece === '') continue;
      const rule = ruleOf(piece);
      if (typeof rule === 'string') return { kind: 'wrong', reason: `"${shown(piece)}": ${rule}` };
      if (rules.some(({ task, hint }) => task === rule.task && hint === rule.hint))
        return { kind: 'wrong', reason: `"${shown(piece)}": ${rule.hint} of "${rule.task}" is there already` };
      rules.push(rule);
      if (rules.length > maxRules) return { kind: 'wrong', reason: `it has more than ${maxRules} entries` };
    }
    return { kind: 'value', value: rules };
  },
};

/** A rule, or why it is none. */
function ruleOf(text: string): HintRule | string {
  const [, task = '', source = '', hint = ''] = (form.exec(text) ?? []).map((part) => part.trim());
  if (task === '' || source === '' || hint === '') return 'want task:result=HINT';
  if (!globName.test(task)) return `"${shown(task)}" can be no task's name`;
  const from = source.startsWith('params.') ? 'param' : 'result';
  const name = from === 'param' ? source.slice('params.'.length) : source;
  if (!sourceName.test(name)) return `"${shown(source)}" can be no name of a ${from}`;
  if (!sourceName.test(hint)) return `"${shown(hint)}" can be no name of a result`;
  if (!isHintName(hint)) {
    return `"${shown(hint)}" is no hint: want one that ends in IMAGE_URL, IMAGE_DIGEST, ARTIFACT_URI, ARTIFACT_DIGEST, ARTIFACT_INPUTS or ARTIFACT_OUTPUTS, or is IMAGES, CHAINS-GIT_URL or CHAINS-GIT_COMMIT`;
  }
  return { task, from, name, hint };
}

export const hintKeys = {
  'extract.hints': {
    type: hintRules,
    default: '',
    doc: 'Results (or params) of tasks that nobody may edit, and the hint that each is read as, for instance `git-clone:url=CHAINS-GIT_URL, git-clone:commit=CHAINS-GIT_COMMIT`. The names in what is signed stay as they are',
    from: 'Chainsmith',
    status: 'used',
  },
} as const satisfies Record<string, Key>;
