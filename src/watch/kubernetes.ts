import { TransientError } from '../errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { getObject } from '../kube/objects.ts';
import { runKinds, type Run, type RunId, type RunKind } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import { Bodies } from './bodies.ts';
import { runIn, runOf } from './event.ts';
import { KnownRuns } from './known-runs.ts';
import { Reflector, reflectorDefaults, type ReflectorSettings } from './reflector.ts';
import { slimOf } from './slim.ts';
import type { Change, Source } from './source.ts';

export interface KubernetesSourceOptions {
  /** Only runs of these namespaces are told; empty: all. */
  readonly namespaces: readonly string[];
  /** Bytes of whole objects that are kept, of both kinds together; default 32 MiB. */
  readonly bodyBytes?: number;
  readonly settings?: Partial<ReflectorSettings>;
}

/** A run by its name, whatever its UID. */
export type RunKey = Omit<RunId, 'uid'>;

/** One GET; undefined when there is no such run. Throws `kube.protocol` when the answer is no run. */
export async function fetchRun(client: KubeClient, key: RunKey, ctx: Context): Promise<Run | undefined> {
  const { kind, namespace, name } = key;
  const object = await getObject(client, { resource: runKinds[kind].plural, namespace, name }, ctx);
  if (object === undefined) return undefined;
  const read = slimOf(object, kind);
  if (read.kind === 'slim') return runOf(read.run, object);
  throw new TransientError('kube.protocol', `Cannot get ${kind} "${namespace}/${name}": ${read.why}`, { dependency: 'kube' });
}

/**
 * The runs of a cluster. Slim records of all, whole objects of those that completed and are not yet marked, so that getting one of them
 * costs no request. `last` of a run that went while the watch was down is what was kept of it.
 */
export function openKubernetesSource(client: KubeClient, options: KubernetesSourceOptions): Source {
  const bodies = new Bodies(options.bodyBytes ?? 32 * 1024 * 1024);
  let listener: ((change: Change) => void) | undefined;
  const tell = (change: Change): void => listener?.(change);
  const known = {
    TaskRun: new KnownRuns('TaskRun', bodies, tell),
    PipelineRun: new KnownRuns('PipelineRun', bodies, tell),
  } satisfies Record<RunKind, KnownRuns>;
  const settings = { ...reflectorDefaults, ...options.settings };
  const { namespaces } = options;
  const reflectors = (Object.keys(known) as RunKind[]).map(
    (kind) => new Reflector({ client, kind, known: known[kind], namespaces, settings }),
  );

  const keptOf = (key: RunKey): Run | undefined => {
    const slim = known[key.kind].get(key.namespace, key.name);
    const line = slim && bodies.get(slim.uid, slim.resourceVersion);
    return slim && line && runIn(line, slim);
  };
  return {
    get lastEventAt() {
      return Math.min(...reflectors.map((reflector) => reflector.lastEventAt));
    },
    async watch(tellee, ctx) {
      listener = (change) => {
        try {
          tellee(change);
        } catch (error) {
          ctx.logger.error({ err: error, change: change.kind }, 'a listener of the watch threw');
        }
      };
      await Promise.all(reflectors.map(async (reflector) => await reflector.run(ctx)));
    },
    async get(id, ctx, how) {
      const run = (how?.isFresh === true ? undefined : keptOf(id)) ?? (await fetchRun(client, id, ctx));
      return run?.uid === id.uid ? run : undefined;
    },
    async relative(of, { kind, name }, ctx) {
      const key = { kind, namespace: of.namespace, name } as const;
      return keptOf(key) ?? (await fetchRun(client, key, ctx));
    },
  };
}
