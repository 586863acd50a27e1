import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { sentenceOfFinding } from '../config/finding.ts';
import { dataLayer, type Layer } from '../config/layers.ts';
import { readConfig } from '../config/read.ts';
import { TerminalError } from '../errors.ts';
import type { KubeClient, RequestDone } from '../kube/client.ts';
import { acquireLease } from '../kube/lease.ts';
import { getConfigMap, getSecret } from '../kube/objects.ts';
import { runService, type Service } from '../main.ts';
import type { Context } from '../observe/context.ts';
import { openMetrics, type Metrics } from '../observe/metrics.ts';
import { openKubernetesRecorder } from '../record/kubernetes.ts';
import { journalOnly } from '../record/recorder.ts';
import { openDirectorySource } from '../watch/directory.ts';
import { openKubernetesSource } from '../watch/kubernetes.ts';
import { openClient, secretsOf } from './cluster-client.ts';
import { newCommand, type Io } from './io.ts';
import { configOfLayers, givenLayers, surroundingsOf, withConfigFlags, type ConfigFlags } from './settings.ts';

interface ControllerOptions extends ConfigFlags {
  readonly source: string;
  readonly kubeconfig?: string;
  readonly serviceAccountDir?: string;
  readonly namespace?: string;
  readonly identity?: string;
  readonly lease: boolean;
  readonly listen: string;
}

const configMapName = 'chains-config';
const leaseName = 'chainsmith-controller';
/** Take-over within 15 s, also on a machine that is busy: 10 s until a silent holder counts as gone, 2 s until that is noticed. */
const leaseTimes = { durationMs: 10_000, renewWithinMs: 7_000 };
/** A change of the ConfigMap is in force within this time. One small GET costs the API server less than a millisecond. */
const lookMs = 3_000;

/** `chainsmith controller`: runs until it is told to stop; 1 when it had to end by itself, 2 for bad usage or configuration. */
export function controllerCommand(io: Io): Command {
  const command = newCommand(io, 'controller')
    .description('the service: attest every run that completes, until SIGTERM')
    .option('--source <source>', 'where runs come from: kubernetes, or dir:PATH', 'kubernetes')
    .option('--kubeconfig <file>', 'outside of a cluster: how to reach it (default: KUBECONFIG)')
    .option('--service-account-dir <dir>', 'where token, ca.crt and namespace are, when not where the kubelet puts them')
    .option('--namespace <list>', 'only runs of these namespaces, separated by commas')
    .option('--identity <name>', 'who this replica is among others (default: POD_NAME, or the host name)')
    .option('--no-lease', 'do not wait for the Lease: only where no second controller can run')
    .option('--listen <address>', 'host:port of /metrics, /healthz and /readyz', '127.0.0.1:9090');
  return withConfigFlags(command).action(async (options: ControllerOptions) => {
    const ctx = io.context();
    const { environment, layers: given } = await givenLayers(options, io);
    const flags = options.namespace === undefined ? [] : [dataLayer('--namespace', { namespace: options.namespace.replaceAll(' ', '') })];
    const layers = [...given, ...flags];
    const metrics = openMetrics();
    await using stack = new AsyncDisposableStack();
    const service =
      options.source === 'kubernetes'
        ? await inCluster({ options, environment, layers, metrics, stack }, io, ctx)
        : overFolder({ options, environment, layers, metrics }, io, ctx);
    try {
      await runService({ ...service, listen: options.listen }, ctx);
    } catch (error) {
      if (!ctx.signal.aborted) throw error;
    }
  });
}

interface Setting {
  readonly options: ControllerOptions;
  readonly environment: Environment;
  readonly layers: readonly Layer[];
  readonly metrics: Metrics;
}

type Composed = Omit<Service, 'listen'>;

function overFolder({ options, environment, layers, metrics }: Setting, io: Io, ctx: Context): Composed {
  const path = /^dir:(.+)$/s.exec(options.source)?.[1];
  if (path === undefined) {
    throw new TerminalError('cli.usage', `Cannot take runs from "${options.source}": there is no such source`, {
      fix: 'write --source kubernetes or --source dir:PATH',
    });
  }
  const config = configOfLayers(layers, environment, io);
  return {
    config,
    metrics,
    source: openDirectorySource({ path }, ctx),
    recorder: journalOnly,
    secret: secretsOf({ ...options, environment }),
  };
}

async function inCluster(setting: Setting & { readonly stack: AsyncDisposableStack }, io: Io, ctx: Context): Promise<Composed> {
  const { options, environment, layers, metrics, stack } = setting;
  const onRequest = ({ verb, resource, status, durationMs }: RequestDone): void => {
    metrics.kubeRequests.inc({ verb, resource, status: String(status) });
    if (verb !== 'watch') metrics.kubeRequestSeconds.observe({ verb }, durationMs / 1_000);
  };
  const client = stack.use(await openClient({ ...options, environment, onRequest }, ctx));
  const namespace = environment.systemNamespace;
  const first = await configMapLayer(client, namespace, ctx);
  if (first.layer === undefined)
    ctx.logger.warn({ configMap: `${namespace}/${configMapName}` }, 'there is no ConfigMap, defaults are used');
  const config = configOfLayers([...(first.layer ? [first.layer] : []), ...layers], environment, io);
  const identity = options.identity ?? environment.identity ?? hostname();
  const read = (layer: Layer | undefined) => readConfig([...(layer ? [layer] : []), ...layers], surroundingsOf(environment));
  return {
    config,
    metrics,
    source: openKubernetesSource(client, { namespaces: [...config.namespaces] }),
    recorder: openKubernetesRecorder(client, { instance: identity }),
    secret: async (namespace, name, ctx) => await getSecret(client, { namespace, name }, ctx),
    changes: (inner) => changes({ client, namespace, version: first.version, read }, inner),
    ...(options.lease && {
      lead: async (inner: Context) => await acquireLease(client, { namespace, name: leaseName, identity, ...leaseTimes }, inner),
    }),
  };
}

interface Looked {
  readonly layer: Layer | undefined;
  /** The resourceVersion; empty text when there is none. */
  readonly version: string;
}

async function configMapLayer(client: KubeClient, namespace: string, ctx: Context): Promise<Looked> {
  const map = await getConfigMap(client, { namespace, name: configMapName }, ctx);
  if (map === undefined) return { layer: undefined, version: '' };
  return { layer: dataLayer(`ConfigMap ${namespace}/${configMapName}`, map.data), version: map.resourceVersion };
}

interface Following {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly version: string;
  readonly read: (layer: Layer | undefined) => ReturnType<typeof readConfig>;
}

/** Each good configuration after the first. A bad one is refused whole, loudly, and the last good one stays (design 5). */
async function* changes({ client, namespace, version: first, read }: Following, ctx: Context): AsyncGenerator<Config, void> {
  let version = first;
  for (;;) {
    await sleep(lookMs, undefined, { signal: ctx.signal });
    let looked: Looked;
    try {
      looked = await configMapLayer(client, namespace, ctx);
    } catch (error) {
      ctx.signal.throwIfAborted();
      ctx.logger.warn({ err: error }, 'cannot look at the ConfigMap');
      continue;
    }
    // One that was deleted changes nothing, as in Tekton Chains.
    if (looked.version === version || looked.layer === undefined) continue;
    version = looked.version;
    const result = read(looked.layer);
    for (const warning of result.warnings) ctx.logger.warn({ finding: sentenceOfFinding(warning) }, 'configuration');
    if (result.kind === 'good') {
      ctx.logger.info({ version }, 'configuration read');
      yield result.config;
    } else {
      for (const problem of result.problems)
        ctx.logger.error({ finding: sentenceOfFinding(problem) }, 'configuration refused, the last good one stays');
    }
  }
}
