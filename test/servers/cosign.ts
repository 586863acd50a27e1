import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run, type CommandOptions, type Outcome } from './command.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

/** Additions to the judges' environment, and where they run. */
export type JudgeOptions = Pick<CommandOptions, 'cwd' | 'timeoutMs'> & { readonly env?: Readonly<Record<string, string>> };

/**
 * The stock cosign, 2 or 3, in an empty home. Any call to the outside meets a proxy that refuses, so a command that
 * succeeds is proven to need nothing but what it was given. `COSIGN_PASSWORD` is `pw`.
 */
export async function cosign(version: 2 | 3, args: readonly string[], options: JudgeOptions = {}): Promise<Outcome> {
  return await judge(await findTool(version === 2 ? 'cosign2' : 'cosign3'), args, {
    ...options,
    env: { COSIGN_PASSWORD: 'pw', ...options.env },
  });
}

/** As `cosign`, for any program that could reach outside. */
export async function judge(file: string, args: readonly string[], options: JudgeOptions): Promise<Outcome> {
  await using home = await scratch('home');
  // Port 1 (tcpmux) is closed everywhere; Go never uses a proxy for loopback.
  const closed = 'http://127.0.0.1:1';
  const env = { PATH: process.env['PATH'], HOME: home.dir, HTTPS_PROXY: closed, HTTP_PROXY: closed, ...options.env };
  return await run(file, args, { ...options, env });
}

/** Writes a trusted root without any authority, which is what makes cosign verify with a key offline, and gives its path. */
export async function emptyTrustedRoot(dir: string): Promise<string> {
  const file = path.join(dir, 'empty-trusted-root.json');
  await writeFile(file, '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}');
  return file;
}
