import { spawn } from 'node:child_process';

export interface Outcome {
  /** Exit code; -1 when a signal or the deadline ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  /** The whole environment, default: ours. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  /** Default 60 s. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end, without a shell. A program that cannot be started throws; one that fails has its code in the outcome. */
export async function run(file: string, args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const child = spawn(file, args, { cwd: options.cwd, env: options.env ?? process.env });
  // Not spawn's own `timeout`: its timer outlives a program that could not be started, and keeps the process waiting.
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that reads none of its input closes the pipe early; that is its business.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      resolve(status ?? -1);
    });
  }).finally(() => {
    clearTimeout(timer);
  });
  return { code, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') };
}

/** As `run`, but failing is an error with what the program said; gives its stdout. */
export async function output(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const outcome = await run(file, args, options);
  if (outcome.code !== 0) throw new Error(`Cannot run "${file} ${args.join(' ')}": exit ${outcome.code}: ${outcome.stderr.trim()}`);
  return outcome.stdout;
}
