import { utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { output, type Outcome } from './command.ts';
import { judge, type JudgeOptions } from './cosign.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

/** go-containerregistry's command line, in an empty home. */
export async function crane(args: readonly string[], options: JudgeOptions = {}): Promise<Outcome> {
  return await judge(await findTool('crane'), args, options);
}

/** Pushes an image of one layer with the file `hello.txt` to `reference` (`host/repository:tag`) and gives its `sha256:…`. */
export async function pushImage(reference: string, text: string, options: JudgeOptions = {}): Promise<string> {
  await using work = await scratch('image');
  const layer = path.join(work.dir, 'layer.tar');
  const file = path.join(work.dir, 'hello.txt');
  await writeFile(file, text);
  // The same text is the same digest, on one machine.
  await utimes(file, 0, 0);
  await output('tar', ['-cf', layer, '-C', work.dir, 'hello.txt']);
  const pushed = await crane(['append', '-f', layer, '-t', reference], options);
  const digest = /@(sha256:[0-9a-f]{64})/.exec(pushed.stdout)?.[1];
  if (digest === undefined) throw new Error(`Cannot push "${reference}": exit ${pushed.code}: ${pushed.stderr.trim()}`);
  return digest;
}
