import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Attested, Made } from '../attest.ts';
import { codeOf } from '../errors.ts';
import { runService } from '../main.ts';
import { bundleOf } from '../model/bundle.ts';
import type { RunId } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { openMetrics } from '../observe/metrics.ts';
import type { Outcome } from '../outcome.ts';
import { journalOnly } from '../record/recorder.ts';
import { openDirectorySource } from '../watch/directory.ts';
import { secretsOf } from './cluster-client.ts';
import { embeddedLayer, ensureEmbeddedKey, keyFolderOf } from './embedded.ts';
import { newCommand, plain, styleOf, type Io, type Style } from './io.ts';
import { configOfLayers, givenLayers, withConfigFlags, type ConfigFlags } from './settings.ts';
import { predicateTypes } from './verify-options.ts';

interface StartOptions extends ConfigFlags {
  readonly runs: string;
  readonly listen: string;
}

/** What `start` keeps besides journal, key and layout: for each attestation a Sigstore bundle, so that one file is enough to check it. */
const bundleFolder = '.chainsmith/bundles';

/** `chainsmith start` (`npm start`): the controller over a folder, with everything it needs under `.chainsmith`, until Ctrl-C. */
export function startCommand(io: Io): Command {
  const command = newCommand(io, 'start')
    .description(
      'the controller on embedded defaults: a watched folder of runs, a key of its own, an OCI image layout; all under .chainsmith',
    )
    .option('--runs <dir>', 'the folder that is watched: drop a file in and it is signed', 'examples/runs')
    .option('--listen <address>', 'host:port of /metrics, /healthz and /readyz', '127.0.0.1:9090');
  return withConfigFlags(command).action(async (options: StartOptions) => {
    const ctx = io.context();
    const { environment, layers } = await givenLayers(options, io);
    const config = configOfLayers([await embeddedLayer('all'), ...layers], environment, io);
    const isNew = await ensureEmbeddedKey(config);
    const folder = keyFolderOf(config);
    const key = folder === undefined ? undefined : join(folder, 'cosign.pub');
    const style = styleOf(io.stdout, io);
    io.stdout.write(
      `${style('bold', 'Chainsmith')} watches ${shown(options.runs)} and signs with ${key === undefined ? 'the configured signer' : shown(key)}${isNew ? ' (made just now)' : ''}.\n`,
    );
    const listen = { address: options.listen };
    const service = {
      config,
      metrics: openMetrics(),
      source: openDirectorySource({ path: options.runs }, ctx),
      recorder: journalOnly,
      secret: secretsOf({ environment }),
      onListening: (port: number | undefined) => {
        io.stdout.write(
          `Metrics and probes: http://127.0.0.1:${port}/metrics, /healthz, /readyz. Ctrl-C ends it; what is under way is finished first.\n\n`,
        );
      },
      report: (run: RunId, outcome: Outcome, attested: Attested | undefined) =>
        void say({ run, outcome, attested }, { io, key, layout: config.stores.oci.directory ?? '' }, ctx),
    };
    try {
      await runService({ ...service, listen: listen.address }, ctx);
    } catch (error) {
      if (ctx.signal.aborted) return;
      if (codeOf(error) !== 'serve.listen' || listen.address !== '127.0.0.1:9090') throw error;
      // The default is only a wish: another controller on this machine may have it.
      await runService({ ...service, listen: '127.0.0.1:0' }, ctx).catch((again: unknown) => {
        if (!ctx.signal.aborted) throw again;
      });
    }
  });
}

interface Reported {
  readonly run: RunId;
  readonly outcome: Outcome;
  readonly attested: Attested | undefined;
}

interface Place {
  readonly io: Io;
  /** The public key; undefined when the signer is none with a folder of its own. */
  readonly key: string | undefined;
  readonly layout: string;
}

async function say({ run, outcome, attested }: Reported, place: Place, ctx: Context): Promise<void> {
  const { io } = place;
  const style = styleOf(io.stdout, io);
  const name = plain(`${run.kind} ${run.namespace}/${run.name}`);
  const colours = { signed: 'green', skipped: 'dim', retry: 'yellow', failed: 'red' } as const;
  const words = { signed: 'signed and proven', skipped: 'skipped', retry: 'will be tried again', failed: 'failed' };
  const lines = [`${style(colours[outcome.kind], words[outcome.kind])}  ${name}${'reason' in outcome ? `: ${plain(outcome.reason)}` : ''}`];
  for (const made of attested?.works ?? []) lines.push(...(await linesOf(run, made, place, style, ctx)));
  if (attested !== undefined && attested.redacted > 0)
    lines.push(`  ${style('yellow', 'redacted')}     ${attested.redacted} values, before anything was signed`);
  for (const drop of attested?.dropped ?? [])
    lines.push(`  ${style('yellow', 'not used')}     ${plain(`${drop.result}: ${drop.why}; ${drop.fix}`)}`);
  io.stdout.write(`${lines.join('\n')}\n\n`);
}

async function linesOf(
  run: RunId,
  { work, envelope, receipts }: Made,
  { key, layout }: Place,
  style: Style,
  ctx: Context,
): Promise<readonly string[]> {
  const places = receipts.flatMap((receipt) => receipt.places);
  const what = envelope.kind === 'dsse' ? 'attestation' : 'signature  ';
  const where = places.map(({ address }) => `  ${what}  ${plain(address.replace(layout, shown(layout)))}`);
  if (envelope.kind !== 'dsse' || key === undefined) return where;
  const [image] = envelope.filing.images;
  const type =
    Object.entries(predicateTypes).findLast(([, uri]) => uri === envelope.filing.predicateType)?.[0] ?? envelope.filing.predicateType ?? '';
  const bundle = join(bundleFolder, `${run.namespace}.${run.name}.${work.artifact}.sigstore.json`);
  try {
    await mkdir(bundleFolder, { recursive: true });
    await writeFile(bundle, bundleOf(envelope));
  } catch (error) {
    ctx.logger.warn({ err: error }, 'cannot write the bundle');
    return where;
  }
  const claim = image === undefined ? '--check-claims=false' : `--digest ${image.digest} --digestAlg sha256`;
  const layer = places[0]?.address.slice(-64) ?? '';
  const target =
    image === undefined ? `--envelope ${shown(join(layout, 'blobs/sha256', layer))}` : `--layout ${shown(layout)} sha256:${image.digest}`;
  return [
    ...where,
    `  ${style('dim', 'check with')}   cosign verify-blob-attestation --key ${shown(key)} --insecure-ignore-tlog --type ${type} ${claim} --bundle ${shown(bundle)}`,
    `  ${style('dim', 'or with')}      bin/chainsmith verify --key ${shown(key)} --type ${type} ${target}`,
  ];
}

/** Relative to the working directory, which is shorter and what a person types. */
function shown(path: string): string {
  const short = relative(process.cwd(), resolve(path));
  return short.startsWith('..') ? path : short;
}
