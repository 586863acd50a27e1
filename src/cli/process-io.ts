import type { Logger } from 'pino';
import type { ExitCode, Io, Writer } from './io.ts';
import { secretPrompt } from './secret-prompt.ts';

/** The process's own world. The signal aborts at the first SIGINT or SIGTERM; a second one ends the process at once, with code 1. */
export function processIo(openLogger: () => Logger): Io & AsyncDisposable {
  const stop = new AbortController();
  let logger: Logger | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(1);
    stop.abort(new Error(`stopped by ${signal}`));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // A reader that goes away (`| head`) is no error of ours.
  const onPipe = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  };
  process.stdout.on('error', onPipe);
  return {
    stdout: writerOf(process.stdout),
    stderr: writerOf(process.stderr),
    env: process.env,
    context: () => ({ signal: stop.signal, logger: (logger ??= openLogger()) }),
    askSecret: secretPrompt(process.stdin, process.stderr),
    end: (code: ExitCode) => {
      process.exitCode = code;
    },
    async [Symbol.asyncDispose]() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      await Promise.resolve();
    },
  };
}

function writerOf(stream: NodeJS.WriteStream): Writer {
  return { write: (text) => void stream.write(text), isTerminal: stream.isTTY };
}
