import { objectsAt, textAt } from '../model/json.ts';
import type { Drops } from './drops.ts';
import type { Facts } from './facts.ts';
import type { Hint } from './hint.ts';
import { isHintName } from './near-misses.ts';
import { stringOf } from './value.ts';

const fix = 'Write less into results: they share 4096 bytes; or let Tekton read them from a sidecar (results-from: sidecar-logs)';
const rule = 'extract.truncated';

/**
 * Drops what Tekton's limit on results cost a run. Tekton itself never cuts a value: its entrypoint fails a step that writes more than
 * 4096 bytes, and none of the step's results arrive; from a sidecar's log the run fails with a reason. What cuts is the kubelet, when
 * the messages of all containers of a pod exceed 12 KB, and then the step's message is no JSON any more; and the task's own script,
 * which shortens a value so that it fits, and then the value ends in the middle.
 */
export function truncations(facts: Facts, drops: Drops): void {
  ofRun(facts, drops);
  for (const state of objectsAt(facts.status, 'steps')) ofMessage(textAt(state, 'name'), textAt(state, 'terminated', 'message'), drops);
  for (const { results } of [facts, ...facts.steps]) for (const result of results) ofValue(result, drops);
}

/** As Tekton's reasons and messages have it since v0.44: of the sidecar's reader, and of the entrypoint. */
const tooLarge = /above max allowed size|results? exceeded size limit|larger than allowed/i;

function ofRun({ status }: Facts, drops: Drops): void {
  for (const condition of objectsAt(status, 'conditions')) {
    const [reason, message] = [textAt(condition, 'reason'), textAt(condition, 'message')];
    if (reason !== 'TaskRunResultLargerThanAllowedLimit' && !tooLarge.test(message.slice(0, 10_000))) continue;
    const why = 'a result was larger than Tekton allows, so the run has none of those that came with it';
    drops.add({ result: 'status.conditions', value: message || reason, rule, why, fix });
  }
}

/** What a step left for Tekton is a JSON list, or compressed; when it cannot be read, it stays as it was, and holds no results. */
function ofMessage(step: string, message: string, drops: Drops): void {
  const isList = message.startsWith('[{"key":');
  if ((!isList && !message.startsWith('tknz:')) || (isList && isJson(message))) return;
  const why = 'the message in which the step reports its results was cut off, so none of them arrived';
  drops.add({ result: `status.steps[${step}].terminated.message`, value: message, rule, why, fix });
}

/** Shorter values are a slip of the pen before they are a limit. */
const longEnough = 1_024;

function ofValue({ name, value, where }: Hint, drops: Drops): void {
  const text = stringOf(value);
  if (text.length < longEnough || !isHintName(name)) return;
  const isCut = /^\s*[[{]/.test(text) ? !isJson(text) : name === 'IMAGES' && !/@sha256:[0-9a-f]{64}\s*,?\s*$/.test(text.slice(-200));
  if (!isCut) return;
  const why = `its ${text.length} characters end in the middle, as if they were cut to fit`;
  drops.add({ result: where, value: text.slice(-200).toWellFormed(), rule, why, fix });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
