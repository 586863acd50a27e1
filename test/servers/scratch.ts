import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Scratch extends AsyncDisposable {
  readonly dir: string;
}

/** A new empty folder outside the checkout, gone with everything in it when it is disposed of. */
export async function scratch(name: string): Promise<Scratch> {
  const dir = await mkdtemp(path.join(tmpdir(), `chainsmith-${name}-`));
  return {
    dir,
    async [Symbol.asyncDispose]() {
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
