import type { Command } from 'commander';
import { attest, type Attested } from '../attest.ts';
import { Breakers } from '../breakers.ts';
import type { Rooms } from '../carriage.ts';
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { decide } from '../decide.ts';
import { codeOf, sentenceOf } from '../errors.ts';
import { familyOf } from '../family.ts';
import { openJournal } from '../journal/journals.ts';
import { settingsOf } from '../main.ts';
import { idOf } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { openMetrics } from '../observe/metrics.ts';
import { preflight } from '../preflight.ts';
import { openRooms } from '../rooms.ts';
import { secretsOf } from './cluster-client.ts';
import { dryRun } from './dry-run.ts';
import { embeddedLayer, ensureEmbeddedKey } from './embedded.ts';
import { newCommand, plain, styleOf, type Io } from './io.ts';
import { eachRun, type RunInFile } from './run-files.ts';
import { configOfLayers, givenLayers, withConfigFlags, type ConfigFlags } from './settings.ts';

interface AttestOptions extends ConfigFlags {
  readonly file: readonly string[];
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly anyState: boolean;
}

/** `chainsmith attest`: 0 all signed and proven, 1 a run failed or a file could not be read, 2 bad usage or configuration. */
export function attestCommand(io: Io): Command {
  const command = newCommand(io, 'attest')
    .description('attest the runs in files or folders, once; without --config the journal, the key and what is made are under .chainsmith')
    .requiredOption('-f, --file <path...>', 'files or folders with TaskRuns and PipelineRuns (YAML or JSON); - is the standard input')
    .option('--dry-run', 'print what would be signed, and write nothing', false)
    .option('--json', 'one JSON object a line for each work of each run', false)
    .option('--any-state', 'take runs that are not complete, too', false);
  return withConfigFlags(command).action(async (options: AttestOptions) => {
    const ctx = io.context();
    const { environment, layers } = await givenLayers(options, io);
    const base = options.config === undefined ? [await embeddedLayer('places')] : [];
    const config = configOfLayers([...base, ...layers], environment, io);
    const isGood = options.dryRun ? await dryRun(config, options, io, ctx) : await attestAll({ config, environment }, options, io, ctx);
    io.end(isGood ? 0 : 1);
  });
}

interface Given {
  readonly config: Config;
  readonly environment: Environment;
}

async function attestAll({ config, environment }: Given, options: AttestOptions, io: Io, ctx: Context): Promise<boolean> {
  if (options.config === undefined && (await ensureEmbeddedKey(config))) io.stderr.write('made a key in .chainsmith/keys\n');
  await using journal = await openJournal(config.journal, ctx);
  await using rooms = openRooms(config, { journal, metrics: openMetrics(), breakers: new Breakers(), secret: secretsOf({ environment }) });
  // A key that is not there is told once, before the first run, and not once for each of them.
  for (const name of new Set(Object.values(config.artifacts).flatMap(({ signers }) => signers))) await rooms.signer(name, ctx);
  await preflight(config, rooms, ctx);
  let failed = 0;
  const problems = await eachRun(options.file, io, ctx, async (found) => {
    const line = await attestOne(found, { rooms, config, anyState: options.anyState }, ctx);
    if (line.outcome === 'failed') failed += 1;
    if (options.json) io.stdout.write(`${JSON.stringify(line)}\n`);
    else say(line, io);
  });
  return failed === 0 && problems === 0;
}

/** What `--json` prints for a run; `stored` says where each work is. */
interface Line {
  readonly file: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly outcome: 'signed' | 'skipped' | 'failed';
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly stored: readonly {
    readonly key: string;
    readonly store: string;
    readonly address: string | undefined;
    readonly note: string | undefined;
  }[];
  readonly dropped: Attested['dropped'];
  readonly redacted: number;
}

interface With {
  readonly rooms: Rooms;
  readonly config: Config;
  readonly anyState: boolean;
}

async function attestOne({ run, file, children }: RunInFile, { rooms, config, anyState }: With, ctx: Context): Promise<Line> {
  const head = { file, ...idOf(run) };
  const none = { stored: [], dropped: [], redacted: 0 };
  const decision = decide(run.slim, {
    ...settingsOf(config).decide,
    backfillSinceMs: Infinity,
    now: Date.now(),
    readyAt: undefined,
    anyState,
  });
  if (decision.kind === 'wait')
    return { ...head, ...none, outcome: 'skipped', code: 'decide.running', reason: 'not complete yet; --any-state takes it as it is' };
  if (decision.kind !== 'attest') return { ...head, ...none, outcome: 'skipped', code: decision.code, reason: decision.reason };
  try {
    const before = await rooms.journal.load(run.uid);
    const known = await rooms.journal.admit({ id: idOf(run), lane: 'live', at: Date.now(), snapshot: undefined });
    const family = await familyOf(run, children, ctx, config.transparency === 'manual');
    const attested = await attest(family, { known, mayExist: true, isAgain: before !== undefined && before.state !== 'open' }, rooms, ctx);
    const isEmpty = attested.works.length === 0;
    const end = isEmpty
      ? ({ outcome: 'skipped', code: 'plan.nothing', reason: attested.nothing } as const)
      : ({ outcome: 'signed', code: undefined, reason: undefined } as const);
    await rooms.journal.finish(run.uid, { state: end.outcome, reason: end.reason, at: Date.now() });
    return { ...head, ...end, stored: storedOf(attested), dropped: attested.dropped, redacted: attested.redacted };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { ...head, ...none, outcome: 'failed', code: codeOf(error), reason: sentenceOf(error) };
  }
}

function storedOf({ works }: Attested): Line['stored'] {
  return works.flatMap(({ work: { key }, receipts }) =>
    receipts.flatMap(({ store, places, note }) => {
      const addresses = places.length === 0 ? [undefined] : places.map(({ address }) => address);
      return addresses.map((address) => ({ key, store, address, note }));
    }),
  );
}

function say({ kind, namespace, name, outcome, reason, stored, dropped, redacted }: Line, io: Io): void {
  const style = styleOf(io.stdout, io);
  const colour = { signed: 'green', skipped: 'yellow', failed: 'red' } as const;
  io.stdout.write(
    `${style(colour[outcome], outcome)} ${kind} ${plain(`${namespace}/${name}`)}${reason === undefined ? '' : `: ${plain(reason)}`}\n`,
  );
  for (const { store, address, note } of stored) io.stdout.write(`  ${store}: ${plain(address ?? note ?? 'kept')}\n`);
  if (redacted > 0) io.stdout.write(`  ${style('yellow', 'redacted')}: ${redacted} values, before anything was signed\n`);
  for (const drop of dropped) io.stdout.write(`  ${style('yellow', 'not used')}: ${plain(`${drop.result}: ${drop.why}; ${drop.fix}`)}\n`);
}
