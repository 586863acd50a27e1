import { stripVTControlCharacters, styleText } from 'node:util';
import { Command, CommanderError } from 'commander';
import { CodedError, codeOf, sentenceOf } from '../errors.ts';
import type { Context } from '../observe/context.ts';

/** 0: done, and what was asked is so. 1: it is not so, or could not be done. 2: bad usage or configuration. */
export type ExitCode = 0 | 1 | 2;

export interface Writer {
  write(text: string): void;
  /** Colours are for terminals. */
  readonly isTerminal: boolean;
}

/** Everything that a command has of the world. Data goes to stdout, what is said about it to stderr. */
export interface Io {
  readonly stdout: Writer;
  readonly stderr: Writer;
  /** The environment; only `NO_COLOR` and what a command's help names is read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A context that ends when the program is told to stop. */
  readonly context: () => Context;
  /** Asks on the terminal, without echo; undefined when nobody is there to ask. */
  readonly askSecret: ((question: string, signal: AbortSignal) => Promise<string>) | undefined;
  /** What the program will end with. */
  readonly end: (code: ExitCode) => void;
}

/** A command that writes where `io` says, and throws instead of ending the process. Subcommands are made with it, too. */
export function newCommand(io: Io, name: string): Command {
  return new Command(name)
    .exitOverride()
    .showHelpAfterError('(--help says more)')
    .configureOutput({
      writeOut: (text) => {
        io.stdout.write(text);
      },
      writeErr: (text) => {
        io.stderr.write(text);
      },
    });
}

/** Runs a program to its exit code: what an action throws becomes a line on stderr, and no error leaves. `args` are without node and script. */
export async function runProgram(program: Command, args: readonly string[], io: Io): Promise<void> {
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    io.end(exitCodeOf(error));
    // Commander has said it already.
    if (!(error instanceof CommanderError)) sayError(error, io);
  }
}

/** Commander's own errors are bad usage, `--help` is none. Ours are told apart by their code. */
function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const code = codeOf(error);
  return badUsage.some((prefix) => code === prefix || code.startsWith(`${prefix}.`)) ? 2 : 1;
}

/** Codes, or rooms of codes, that mean the caller must write something else. */
const badUsage = ['cli', 'config', 'key', 'sign', 'oci.reference', 'digest', 'kube.config'] as const;

function sayError(error: unknown, io: Io): void {
  const style = styleOf(io.stderr, io);
  if (error instanceof CodedError) {
    io.stderr.write(`${style('red', 'error:')} ${plain(error.message)}\n`);
    if (error.fix !== undefined) io.stderr.write(`${style('bold', 'fix:')}   ${plain(error.fix)}\n`);
  } else {
    io.stderr.write(`${style('red', 'error:')} ${plain(sentenceOf(error))}\n`);
  }
}

export type Style = (format: 'red' | 'green' | 'yellow' | 'bold' | 'dim', text: string) => string;

/** Colours on a terminal, unless `NO_COLOR` is set (no-color.org). */
export function styleOf(writer: Writer, io: Io): Style {
  const isOn = writer.isTerminal && (io.env['NO_COLOR'] ?? '') === '';
  return (format, text) => (isOn ? styleText(format, text, { validateStream: false }) : text);
}

/** A text that somebody else wrote, made safe for a terminal: one line, without control and direction characters. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return stripVTControlCharacters(text).replaceAll(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '�');
}
