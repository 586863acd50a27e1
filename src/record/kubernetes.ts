import { codeOf, TransientError } from '../errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { getObject, patchObject, tellEvent } from '../kube/objects.ts';
import { at, textAt, type JsonObject } from '../model/json.ts';
import { runKinds, type RunId, type SlimRun } from '../model/run.ts';
import type { Context } from '../observe/context.ts';
import type { Marks, Recorded, Recorder } from './recorder.ts';

const component = 'chainsmith';
/** Everything that writes a run's metadata at the same time makes one of these; more in a row means that something is at war with us. */
const maxConflicts = 8;

export interface RecorderOptions {
  /** Which replica speaks in Events. */
  readonly instance: string;
}

/**
 * Writes to the run itself. Every write is one JSON merge patch bound to the UID and, when it touches the finalizers, to the
 * resourceVersion: a run that was made again under the same name is never marked, and nobody else's finalizer is lost.
 */
export function openKubernetesRecorder(client: KubeClient, { instance }: RecorderOptions): Recorder {
  return {
    keeps: 'run',
    record: async (run, marks, ctx) => await record(client, run, marks, ctx),
    hold: async (run, ctx) => {
      await write(client, run, (finalizers) => change(finalizers, [...finalizers, finalizerOf(run)], {}), ctx);
    },
    release: async (run, ctx) => {
      await write(client, run, (finalizers) => change(finalizers, without(finalizers, run), {}), ctx);
    },
    async tell(run, notice, ctx) {
      const { kind, namespace, name, uid } = run;
      try {
        await tellEvent(
          client,
          { ...notice, about: { apiVersion: 'tekton.dev/v1', kind, namespace, name, uid }, component, instance, at: Date.now() },
          ctx,
        );
      } catch (error) {
        if (!ctx.signal.aborted) ctx.logger.warn({ err: error }, 'cannot tell an event');
      }
    },
  };
}

async function record(client: KubeClient, run: SlimRun, marks: Marks, ctx: Context): Promise<Recorded> {
  const annotations = { ...marks.annotations, 'chains.tekton.dev/signed': marks.signed };
  const written = await write(client, run, (finalizers) => change(finalizers, without(finalizers, run), annotations), ctx);
  if (written.kind === 'gone' || written.kind === 'unchanged') return { kind: 'gone' };
  if (written.kind === 'marked') return { kind: 'superseded', signed: written.signed };
  for (const [name, value] of Object.entries(annotations)) {
    if (textAt(written.object, 'metadata', 'annotations', name) === value) continue;
    // Whatever changed the write on its way may have kept the claim: it must not stand without its proof (P1).
    await patchObject(
      client,
      { key: keyOf(run), patch: { metadata: { uid: run.uid, annotations: { 'chains.tekton.dev/signed': null } } } },
      ctx,
    );
    throw new TransientError(
      'record.not-kept',
      `Cannot record "${run.namespace}/${run.name}": the API server did not keep the annotation ${name}`,
      {
        fix: 'look for an admission webhook that changes annotations of runs',
      },
    );
  }
  return { kind: 'recorded' };
}

type Written =
  | { readonly kind: 'written'; readonly object: JsonObject }
  | { readonly kind: 'gone' }
  /** It is as it should be already. */
  | { readonly kind: 'unchanged' }
  /** Somebody had marked it as ended before us. */
  | { readonly kind: 'marked'; readonly signed: string };

interface Patch {
  readonly annotations: Readonly<Record<string, string>>;
  /** The whole list; undefined leaves it alone. */
  readonly finalizers: readonly string[] | undefined;
}

function change(before: readonly string[], after: readonly string[], annotations: Readonly<Record<string, string>>): Patch | undefined {
  const isSame = before.length === after.length;
  return isSame && Object.keys(annotations).length === 0 ? undefined : { annotations, finalizers: isSame ? undefined : after };
}

/** Patches what `patchOf` says of the finalizers as they are; after a conflict with those of a fresh read, and only if nobody has marked it. */
async function write(
  client: KubeClient,
  run: SlimRun,
  patchOf: (finalizers: readonly string[]) => Patch | undefined,
  ctx: Context,
): Promise<Written> {
  const key = keyOf(run);
  let { finalizers, resourceVersion } = run;
  for (let conflicts = 0; ; conflicts += 1) {
    const patch = patchOf(finalizers);
    if (patch === undefined) return { kind: 'unchanged' };
    const metadata = {
      uid: run.uid,
      ...(Object.keys(patch.annotations).length > 0 && { annotations: patch.annotations }),
      ...(patch.finalizers && { resourceVersion, finalizers: patch.finalizers }),
    };
    try {
      const object = await patchObject(client, { key, patch: { metadata } }, ctx);
      return object === undefined ? { kind: 'gone' } : { kind: 'written', object };
    } catch (error) {
      if (codeOf(error) !== 'kube.conflict' || conflicts >= maxConflicts) throw error;
    }
    const fresh = await getObject(client, key, ctx);
    if (fresh === undefined || textAt(fresh, 'metadata', 'uid') !== run.uid) return { kind: 'gone' };
    const signed = textAt(fresh, 'metadata', 'annotations', 'chains.tekton.dev/signed');
    if (Object.keys(patch.annotations).length > 0 && (signed === 'true' || signed === 'failed')) return { kind: 'marked', signed };
    const listed = at(fresh, 'metadata', 'finalizers');
    finalizers = Array.isArray(listed) ? listed.filter((name) => typeof name === 'string') : [];
    resourceVersion = textAt(fresh, 'metadata', 'resourceVersion');
  }
}

function finalizerOf(run: RunId): string {
  return runKinds[run.kind].finalizer;
}

function without(finalizers: readonly string[], run: RunId): readonly string[] {
  return finalizers.filter((name) => name !== finalizerOf(run));
}

function keyOf({ kind, namespace, name }: RunId): {
  readonly resource: 'taskruns' | 'pipelineruns';
  readonly namespace: string;
  readonly name: string;
} {
  return { resource: runKinds[kind].plural, namespace, name };
}
