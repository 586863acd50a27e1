import { isHintName } from '../extract/near-misses.ts';
import { judge, mappedNames, type Declaration, type Judgement } from './declared.ts';
import { blockText } from './edits.ts';
import { findingAt, type Finding, type LintOptions } from './finding.ts';
import { knownTask, rulesFor, textOfRules } from './known-tasks.ts';
import { lookAlikes } from './look-alikes.ts';
import { stepFindings } from './steps.ts';
import { declarationOf, namesOf, type TaskDefinition } from './task-definition.ts';
import { dropFindings, missedParams, partnerOf } from './task-drops.ts';

export interface TaskReport {
  readonly judgement: Judgement;
  readonly findings: readonly Finding[];
}

/** Everything that can be said of a task without running it. */
export function lintTask(task: TaskDefinition, options: LintOptions): TaskReport {
  const declaration = declarationOf(task);
  const isStrict = task.isStepAction || options.strict.TaskRun;
  const judgement = judge(declaration, options.hints, isStrict);
  const findings = [
    ...dropFindings(task, declaration, judgement.drops),
    ...missedParams(task),
    ...(isStrict ? strictFindings(task, declaration) : []),
    ...stepFindings(task, declaration, options),
    ...knownFindings(task, declaration, { judgement, options }),
    ...lookAlikes(task, declaration, options.hints),
  ];
  // The results of a step by themselves are read by one format only.
  const isUnread = task.isStepAction && !options.strict.TaskRun;
  return { judgement: isUnread ? { ...judgement, outcomes: [] } : judgement, findings };
}

function strictFindings({ object, path, isStepAction }: TaskDefinition, { results }: Declaration): readonly Finding[] {
  const names = new Set(results.map(({ name }) => name));
  return results.flatMap(({ name, type, members }, index) => {
    const place = [...path, 'results', index];
    const isOutput = name.endsWith('ARTIFACT_OUTPUTS') && type === 'object' && members.includes('uri') && members.includes('digest');
    if (isOutput && !members.includes('isBuildArtifact')) {
      const properties = { uri: { type: 'string' }, digest: { type: 'string' }, isBuildArtifact: { type: 'string' } };
      const message = `slsa/v2alpha4 makes the result "${name}" no subject: it has no property isBuildArtifact`;
      const fix = 'Declare the property, and let the step write "isBuildArtifact": "true" with the quotes';
      return [findingAt('lint.unflagged', object, place, { message, fix, yaml: blockText([{ name, type, properties }], 0) })];
    }
    const isPair = name.endsWith('ARTIFACT_URI') && names.has(partnerOf(name) ?? '');
    if (!isPair || isStepAction) return [];
    const message = `slsa/v2alpha4 makes the pair "${name}" and "${partnerOf(name) ?? ''}" no subject`;
    const fix = 'Write one result that ends in ARTIFACT_OUTPUTS, an object with uri, digest and isBuildArtifact: "true"';
    return [findingAt('lint.unread-pair', object, place, { message, fix })];
  });
}

interface Known {
  readonly judgement: Judgement;
  readonly options: LintOptions;
}

/** A known task that `extract.hints` would make speak. */
function knownFindings(task: TaskDefinition, declaration: Declaration, { judgement, options }: Known): readonly Finding[] {
  const known = knownTask(task.name);
  if (known === undefined || task.isStepAction) return [];
  const rules = rulesFor(task.name, namesOf(declaration)).filter(
    ({ from, name, hint }) => !mappedNames(task.name, from, name, options.hints).includes(hint),
  );
  const mapped = judge(declaration, [...options.hints, ...rules], options.strict.TaskRun);
  if (mapped.outcomes.length > judgement.outcomes.length) {
    const message = `nothing reads what the well-known task "${task.name}" tells in ${rules.map(({ from, name }) => `${from} ${name}`).join(' and ')}`;
    return [findingAt('lint.known-task', task.object, task.path, { message, fix: `Set extract.hints to "${textOfRules(rules)}"` })];
  }
  const isSilent = known.note !== undefined && !declaration.results.some(({ name }) => isHintName(name));
  if (!isSilent) return [];
  const message = `the well-known task "${task.name}" tells nobody what it made`;
  return [findingAt('lint.known-task', task.object, task.path, { message, fix: `To have a subject, ${known.note ?? ''}` })];
}
