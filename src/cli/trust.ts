import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { TerminalError } from '../errors.ts';
import { servicesOf } from '../services.ts';
import { openTrust, type OpenTrust, type TrustOptions } from '../trust/open.ts';
import { publicMirror } from '../trust/tuf.ts';
import { embeddedLayer } from './embedded.ts';
import { newCommand, type Io } from './io.ts';
import { configOfLayers, givenLayers, withConfigFlags, type ConfigFlags } from './settings.ts';
import { reportOfTrust } from './trust-report.ts';
import { cacheOf } from './verify-trust.ts';

interface Flags extends ConfigFlags {
  readonly root?: string;
  readonly tufMirror?: string;
  readonly tufRoot?: string;
  readonly cache?: string;
  readonly offline: boolean;
}

/** `chainsmith trust show|export`. */
export function trustCommand(io: Io): Command {
  return newCommand(io, 'trust')
    .description('the logs and authorities that are believed, by the configuration or by flags')
    .addCommand(
      withSource(newCommand(io, 'show'))
        .description('print them with their validity, and what runs out soon')
        .option('--json', 'for machines', false)
        .action(async (options: Flags & { readonly json: boolean }) => {
          reportOfTrust(await trustOf(options, io), new Date(), options.json, io);
          io.end(0);
        }),
    )
    .addCommand(
      withSource(newCommand(io, 'export'))
        .description('write them as trusted_root.json, which cosign and chainsmith verify take as --trusted-root, without any network')
        .option('--out <file>', 'where to (default: stdout)')
        .action(async (options: Flags & { readonly out?: string }) => {
          await exportTrust(await trustOf(options, io), options.out, io);
          io.end(0);
        }),
    );
}

function withSource(command: Command): Command {
  return withConfigFlags(
    command
      .option('--root <file>', 'a trusted_root.json, in the place of the configuration')
      .option('--tuf-mirror <url>', `a TUF mirror, in the place of the configuration; public Sigstore is ${publicMirror}`)
      .option('--tuf-root <file>', 'the first root.json of --tuf-mirror')
      .option('--cache <dir>', "the folder that keeps what --tuf-mirror gave (default: one in the user's cache)")
      .option('--offline', 'use what is cached of a TUF mirror, and do not ask it', false),
  );
}

async function trustOf(flags: Flags, io: Io): Promise<OpenTrust> {
  const { root, tufMirror, tufRoot } = flags;
  if (root !== undefined && tufMirror !== undefined) throw usage('Cannot use --root and --tuf-mirror together', 'leave one of them out');
  if (tufRoot !== undefined && tufMirror === undefined) throw usage('Cannot use --tuf-root without --tuf-mirror', 'name the mirror');
  return await openTrust(await optionsOf(flags, io), io.context());
}

async function optionsOf(flags: Flags, io: Io): Promise<TrustOptions> {
  const { root, tufMirror, tufRoot, offline } = flags;
  if (root !== undefined) return { file: root };
  const { environment, layers } = await givenLayers(flags, io);
  const { proxy } = environment;
  if (tufMirror !== undefined) {
    const tuf = { mirror: tufMirror, cache: flags.cache ?? cacheOf(io.env), isOffline: offline };
    return { tuf: { ...tuf, ...(tufRoot !== undefined && { root: tufRoot }) }, ...(proxy && { proxy }) };
  }
  const base = flags.config === undefined ? [await embeddedLayer('places')] : [];
  const { trust } = await servicesOf(configOfLayers([...base, ...layers], environment, io));
  return trust.tuf === undefined
    ? trust
    : { ...trust, tuf: { ...trust.tuf, isOffline: offline, ...(flags.cache !== undefined && { cache: flags.cache }) } };
}

async function exportTrust({ json, origin }: OpenTrust, out: string | undefined, io: Io): Promise<void> {
  if (out === undefined) {
    io.stdout.write(json);
    return;
  }
  try {
    await writeFile(out, json);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TerminalError('cli.output', `Cannot write "${out}": ${reason}`, { cause, fix: 'name a file that can be written' });
  }
  io.stderr.write(`wrote ${path.resolve(out)}, from ${origin}\n`);
}

function usage(message: string, fix: string): TerminalError {
  return new TerminalError('cli.usage', message, { fix });
}
