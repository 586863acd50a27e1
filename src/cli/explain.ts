import type { Command } from 'commander';
import { codeOf, TerminalError } from '../errors.ts';
import { familyOf, type Children } from '../family.ts';
import { openJournal } from '../journal/journals.ts';
import type { KubeClient } from '../kube/client.ts';
import { eventsAbout, getConfigMap } from '../kube/objects.ts';
import { runKinds, type Run, type RunKind } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { fetchRun } from '../watch/kubernetes.ts';
import { dataLayer } from '../config/layers.ts';
import { openClient } from './cluster-client.ts';
import { embeddedLayer } from './embedded.ts';
import { explanationOf, journalled, type Explanation, type Told } from './explanation.ts';
import { newCommand, plain, styleOf, type Io } from './io.ts';
import { eachRun } from './run-files.ts';
import { configOfLayers, givenLayers, withConfigFlags, type ConfigFlags } from './settings.ts';

interface ExplainOptions extends ConfigFlags {
  readonly file: readonly string[];
  readonly kubeconfig?: string;
  readonly kind?: string;
  readonly journal: boolean;
  readonly json: boolean;
}

/** `chainsmith explain`: 0 when every run that was asked about is signed or would be, 1 when one is not, 2 for bad usage. */
export function explainCommand(io: Io): Command {
  const command = newCommand(io, 'explain')
    .description('what became of a run, why, and what to do: from the cluster, from files, or from the journal when the run is gone')
    .argument('[run]', 'namespace/name')
    .option('-f, --file <path...>', 'runs in files or folders instead of a cluster', [])
    .option('--kubeconfig <file>', 'how to reach the cluster (default: the Pod around us, or KUBECONFIG)')
    .option('--kind <kind>', 'TaskRun or PipelineRun, when both have the name')
    .option('--journal', 'only what the journal knows; its controller must not be running', false)
    .option('--json', 'one JSON object for each run', false);
  return withConfigFlags(command).action(async (name: string | undefined, options: ExplainOptions) => {
    const ctx = io.context();
    const all: Explanation[] = [];
    if (options.file.length > 0) all.push(...(await fromFiles(name, options, io, ctx)));
    else if (options.journal) all.push(...(await fromJournal(nameOf(name), options, io, ctx)));
    else all.push(...(await fromCluster(nameOf(name), options, io, ctx)));
    if (all.length === 0)
      throw new TerminalError('explain.unknown', `Cannot explain "${name ?? 'nothing'}": no such run was found`, {
        fix: 'check namespace and name; --journal knows runs that are gone',
      });
    for (const one of all) {
      if (options.json) io.stdout.write(`${JSON.stringify(one)}\n`);
      else say(one, io);
    }
    io.end(all.every(({ verdict }) => verdict === 'signed' || verdict === 'signable') ? 0 : 1);
  });
}

interface Name {
  readonly namespace: string;
  readonly name: string;
}

function nameOf(text: string | undefined): Name {
  const parts = text?.split('/') ?? [];
  const [namespace, name] = parts;
  if (namespace !== undefined && name !== undefined && parts.length === 2) return { namespace, name };
  throw new TerminalError('cli.usage', `Cannot explain "${text ?? ''}": want namespace/name`, { fix: 'or give files with -f' });
}

async function fromFiles(name: string | undefined, options: ExplainOptions, io: Io, ctx: Context): Promise<readonly Explanation[]> {
  const { environment, layers } = await givenLayers(options, io);
  const config = configOfLayers([...(options.config === undefined ? [await embeddedLayer('places')] : []), ...layers], environment, io);
  const all: Explanation[] = [];
  await eachRun(options.file, io, ctx, async ({ run, children }) => {
    if (name !== undefined && `${run.namespace}/${run.name}` !== name) return;
    all.push(explanationOf(await familyOf(run, children, ctx, config.transparency === 'manual'), config));
  });
  return all;
}

async function fromCluster({ namespace, name }: Name, options: ExplainOptions, io: Io, ctx: Context): Promise<readonly Explanation[]> {
  const { environment, layers } = await givenLayers(options, io);
  await using client = await openClient({ ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }), environment }, ctx);
  const where = { namespace: environment.systemNamespace, name: 'chains-config' };
  const map = options.config === undefined ? await getConfigMap(client, where, ctx) : undefined;
  const config = configOfLayers(
    [...(map ? [dataLayer(`ConfigMap ${where.namespace}/${where.name}`, map.data)] : []), ...layers],
    environment,
    io,
  );
  const children: Children = {
    relative: async (of, who) => await fetchRun(client, { ...who, namespace: of.namespace }, ctx),
  };
  const all: Explanation[] = [];
  for (const kind of Object.keys(runKinds) as RunKind[]) {
    if (options.kind !== undefined && options.kind.toLowerCase() !== kind.toLowerCase()) continue;
    const run = await fetchRun(client, { kind, namespace, name }, ctx);
    if (run === undefined) continue;
    const family = await familyOf(run, children, ctx, config.transparency === 'manual');
    all.push(explanationOf(family, config, await toldOf(client, run, ctx)));
  }
  return all;
}

/** Who may not read Events is told what there is to know without them. */
async function toldOf(client: KubeClient, { namespace, uid }: Run, ctx: Context): Promise<readonly Told[]> {
  try {
    return await eventsAbout(client, { namespace, uid, component: 'chainsmith' }, ctx);
  } catch (error) {
    if (codeOf(error) !== 'kube.forbidden') throw error;
    ctx.logger.warn({ err: error }, 'Events cannot be read');
    return [];
  }
}

async function fromJournal({ namespace, name }: Name, options: ExplainOptions, io: Io, ctx: Context): Promise<readonly Explanation[]> {
  const { environment, layers } = await givenLayers(options, io);
  const config = configOfLayers([...(options.config === undefined ? [await embeddedLayer('places')] : []), ...layers], environment, io);
  await using journal = await openJournal(config.journal, ctx);
  const runs = (await journal.recent(100_000)).filter(({ id }) => id.namespace === namespace && id.name === name);
  const known = await Promise.all(runs.map(async ({ id }) => await journal.load(id.uid)));
  return known.flatMap((run) => (run === undefined ? [] : [journalled(run)]));
}

function say({ kind, namespace, name, verdict, why, works, dropped }: Explanation, io: Io): void {
  const style = styleOf(io.stdout, io);
  const colours = { signed: 'green', signable: 'green', waiting: 'yellow', skipped: 'yellow', failed: 'red', unsignable: 'red' } as const;
  io.stdout.write(`${style(colours[verdict], verdict)}  ${kind} ${plain(`${namespace}/${name}`)}\n`);
  for (const line of why) io.stdout.write(`  ${plain(line)}\n`);
  for (const { key, format, subjects, stores } of works) {
    const about = subjects.length === 0 ? 'no subject' : subjects.join(', ');
    io.stdout.write(`  ${style('bold', plain(format))} ${plain(key)}: ${plain(about)}; ${plain(stores.join(', '))}\n`);
  }
  for (const drop of dropped)
    io.stdout.write(
      `  ${style('yellow', 'not used')} ${plain(`${drop.result} = "${drop.value}": ${drop.why}`)}\n           ${plain(drop.fix)}\n`,
    );
}
