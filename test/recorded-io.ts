import { pino } from 'pino';
import type { Command } from 'commander';
import { runProgram, type ExitCode, type Io } from '../src/cli/io.ts';

/** What a command wrote, and what the program would end with; undefined when it never said. */
export interface Recorded {
  readonly code: ExitCode | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface World {
  readonly env?: Readonly<Record<string, string>>;
  /** What a person types, answer by answer; there is no terminal without it. */
  readonly answers?: readonly string[];
}

/** Runs a command as the program would, with an environment of its own and everything that it writes recorded. */
export async function recorded(make: (io: Io) => Command, args: readonly string[], world: World = {}): Promise<Recorded> {
  const said = { code: undefined as ExitCode | undefined, stdout: '', stderr: '' };
  const answers = [...(world.answers ?? [])];
  const io: Io = {
    stdout: { write: (text) => void (said.stdout += text), isTerminal: false },
    stderr: { write: (text) => void (said.stderr += text), isTerminal: false },
    env: world.env ?? {},
    context: () => ({ signal: new AbortController().signal, logger: pino({ level: 'silent' }) }),
    askSecret: world.answers && (async () => answers.shift() ?? ''),
    end: (code) => {
      said.code = code;
    },
  };
  await runProgram(make(io), args, io);
  return said;
}
