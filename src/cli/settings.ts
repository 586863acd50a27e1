import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Config, Surroundings } from '../config/config.ts';
import { readEnvironment, type Environment } from '../config/environment.ts';
import { sentenceOfFinding } from '../config/finding.ts';
import { fileLayer, flagLayer, type Layer } from '../config/layers.ts';
import { readConfig } from '../config/read.ts';
import { TerminalError } from '../errors.ts';
import { styleOf, type Io } from './io.ts';

/** The flags that every command with a configuration has. */
export interface ConfigFlags {
  readonly config?: string;
  readonly set: readonly string[];
}

export function withConfigFlags(command: Command): Command {
  return command
    .option('--config <file>', 'a ConfigMap, or just its data, as YAML or JSON')
    .option(
      '--set <key=value>',
      'one key of the configuration; may be given several times',
      (value: string, before: readonly string[]) => [...before, value],
      [],
    );
}

/** The layers that stand above whatever a command begins with: file, environment, flags. Throws `config.unreadable`, `config.environment`. */
export async function givenLayers(
  flags: ConfigFlags,
  io: Io,
): Promise<{ readonly environment: Environment; readonly layers: readonly Layer[] }> {
  const environment = readEnvironment(io.env);
  const file = flags.config === undefined ? [] : [await layerOfFile(flags.config)];
  return { environment, layers: [...file, environment.layer, flagLayer(flags.set)] };
}

export async function layerOfFile(file: string): Promise<Layer> {
  try {
    return fileLayer(`file ${file}`, await readFile(file, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TerminalError('config.unreadable', `Cannot read configuration "${file}": ${reason}`, {
      cause,
      fix: 'name a file that can be read',
    });
  }
}

/** What paths and credentials are taken from when the configuration does not say. */
export function surroundingsOf({ dockerConfig, proxy, ambient, home }: Environment): Surroundings {
  return { directory: process.cwd(), dockerConfig, proxy, ambient, home };
}

/** Reads all layers, says every warning, and throws `config.refused` when every problem has been said. */
export function configOfLayers(layers: readonly Layer[], environment: Environment, io: Io): Config {
  const result = readConfig(layers, surroundingsOf(environment));
  const style = styleOf(io.stderr, io);
  for (const warning of result.warnings) io.stderr.write(`${style('yellow', 'warning:')} ${sentenceOfFinding(warning)}\n`);
  if (result.kind === 'good') return result.config;
  for (const problem of result.problems) io.stderr.write(`${style('red', 'problem:')} ${sentenceOfFinding(problem)}\n`);
  throw new TerminalError('config.refused', `Cannot use this configuration: it has the problems above (${result.problems.length})`, {
    fix: 'mend these keys; docs/config.md has them all',
  });
}
