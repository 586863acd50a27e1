import type { Command } from 'commander';
import { helpLines } from '../config/docs.ts';
import { sentenceOfFinding, type Finding } from '../config/finding.ts';
import { readConfig, type Result, type Setting } from '../config/read.ts';
import { rowOf } from '../config/schema.ts';
import { newCommand, plain, styleOf, type Io } from './io.ts';
import { givenLayers, surroundingsOf, withConfigFlags, type ConfigFlags } from './settings.ts';

interface Flags extends ConfigFlags {
  readonly json: boolean;
}

/** `chainsmith config check|show`. */
export function configCommand(io: Io): Command {
  const config = newCommand(io, 'config').description('read the configuration as the controller would');
  config.addCommand(
    withKeys(newCommand(io, 'check'))
      .description('say everything that is wrong with it: 0 nothing is, 2 something is; warnings are no errors')
      .option('--json', 'for machines', false)
      .action(async (options: Flags) => {
        check(await resultOf(options, io), options.json, io);
      }),
  );
  config.addCommand(
    withKeys(newCommand(io, 'show'))
      .description('print every value that is in force and where it came from, secrets masked')
      .option('--json', 'for machines', false)
      .action(async (options: Flags) => {
        show(await resultOf(options, io), options.json, io);
      }),
  );
  return config;
}

function withKeys(command: Command): Command {
  return withConfigFlags(command).addHelpText('after', () => `\nKeys of the configuration:\n${helpLines().join('\n')}`);
}

async function resultOf(flags: ConfigFlags, io: Io): Promise<Result> {
  const { environment, layers } = await givenLayers(flags, io);
  return readConfig(layers, surroundingsOf(environment));
}

function check(result: Result, isJson: boolean, io: Io): void {
  const problems = problemsOf(result);
  if (isJson) {
    io.stdout.write(`${JSON.stringify({ valid: problems.length === 0, problems, warnings: result.warnings }, undefined, 2)}\n`);
  } else {
    sayFindings(result, io);
    if (problems.length === 0) io.stdout.write(`the configuration is valid${counted(result.warnings.length, ', with', 'warning')}\n`);
  }
  io.end(problems.length === 0 ? 0 : 2);
}

function show(result: Result, isJson: boolean, io: Io): void {
  sayFindings(result, io);
  if (result.kind === 'good') io.stdout.write(isJson ? jsonOf(result.settings) : tableOf(result.settings, io));
  io.end(result.kind === 'good' ? 0 : 2);
}

/** Problems and warnings, one a line, to people. */
function sayFindings(result: Result, io: Io): void {
  const style = styleOf(io.stderr, io);
  const problems = problemsOf(result);
  for (const finding of problems) io.stderr.write(`${style('red', 'error:')}   ${plain(sentenceOfFinding(finding))}\n`);
  for (const finding of result.warnings) io.stderr.write(`${style('yellow', 'warning:')} ${plain(sentenceOfFinding(finding))}\n`);
  if (problems.length > 0) io.stderr.write(`the configuration is refused:${counted(problems.length, '', 'error')}\n`);
}

function problemsOf(result: Result): readonly Finding[] {
  return result.kind === 'refused' ? result.problems : [];
}

function jsonOf(settings: readonly Setting[]): string {
  const values = Object.fromEntries(settings.map(({ key, text, source }) => [key, { value: text, source }]));
  return `${JSON.stringify(values, undefined, 2)}\n`;
}

/** What was set stands out; what does nothing yet is left out unless it was set. */
function tableOf(settings: readonly Setting[], io: Io): string {
  const style = styleOf(io.stdout, io);
  const listed = settings.filter(({ key, source }) => rowOf(key).status === 'used' || source !== 'default');
  const keyWidth = Math.max(...listed.map(({ key }) => key.length));
  const textWidth = Math.min(60, Math.max(...listed.map(({ text }) => text.length)));
  const lines = listed.map(({ key, text, source }) => {
    const line = `${key.padEnd(keyWidth)}  ${plain(text).padEnd(textWidth)}  ${plain(source)}\n`;
    return source === 'default' ? style('dim', line) : line;
  });
  return lines.join('');
}

function counted(count: number, before: string, what: string): string {
  return count === 0 ? '' : `${before} ${count} ${what}${count === 1 ? '' : 's'}`;
}
