import { TerminalError, TransientError } from '../../errors.ts';

/** What one part takes to be final, an admin mends: no run has a part in it, so runs wait. Other errors as they are. */
export function mendable(error: unknown): unknown {
  if (!(error instanceof TerminalError)) return error;
  const { code, message, fix } = error;
  return new TransientError(code, message, { cause: error, ...(fix !== undefined && { fix }) });
}
