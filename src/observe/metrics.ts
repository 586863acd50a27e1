import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from '@prometheus-io/client';
import type { RunKind } from '../model/run.ts';

/** Causes of Tekton Chains' `error_type` label (chains-controller 6.1). */
export type ErrorType = 'payload_creation' | 'signing' | 'storage' | 'tlog' | 'record';

/** The four counters that Tekton Chains has for each kind, by the same names, so that dashboards go on working. */
export interface RunMetrics {
  readonly signCreated: Counter;
  readonly payloadStored: Counter;
  readonly markedSigned: Counter;
  readonly signingFailures: Counter<'error_type'>;
}

/** Every metric of the process, built once; labels come from unions or from the tables, never from input. */
export interface Metrics {
  readonly runs: Readonly<Record<RunKind, RunMetrics>>;
  /** Attempts by how they ended: the labels are members of the union `Outcome` and error codes. */
  readonly attempts: Counter<'kind' | 'outcome' | 'code'>;
  readonly queueDepth: Gauge<'lane'>;
  /** Completion of a run to its `signed`, in seconds; live runs only. */
  readonly completionToSigned: Histogram;
  readonly kubeRequests: Counter<'verb' | 'resource' | 'status'>;
  readonly kubeRequestSeconds: Histogram<'verb'>;
  readonly dependenciesDown: Gauge;
  /** Called before each scrape, to set the gauges to what is so. */
  onScrape(set: () => void): void;
  /** The text of a scrape, and its content type. */
  scrape(): Promise<{ readonly text: string; readonly contentType: string }>;
}

export function openMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const setters: (() => void)[] = [];
  collectDefaultMetrics({ register: registry });
  return {
    runs: { TaskRun: runMetrics('taskrun', registry), PipelineRun: runMetrics('pipelinerun', registry) },
    attempts: new Counter({
      name: 'chainsmith_attempts_total',
      help: 'Attempts at runs by how they ended',
      labelNames: ['kind', 'outcome', 'code'],
      registers,
    }),
    queueDepth: new Gauge({
      name: 'chainsmith_queue_depth',
      help: 'Runs that wait or are worked on, per lane',
      labelNames: ['lane'],
      registers,
    }),
    completionToSigned: new Histogram({
      name: 'chainsmith_completion_to_signed_seconds',
      help: 'From the completion of a live run to its signed annotation',
      buckets: [0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800],
      registers,
    }),
    kubeRequests: new Counter({
      name: 'chainsmith_kube_requests_total',
      help: 'Requests to the API server',
      labelNames: ['verb', 'resource', 'status'],
      registers,
    }),
    kubeRequestSeconds: new Histogram({
      name: 'chainsmith_kube_request_seconds',
      help: 'Duration of requests to the API server, watches apart',
      labelNames: ['verb'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
      registers,
    }),
    dependenciesDown: new Gauge({
      name: 'chainsmith_dependencies_down',
      help: 'Dependencies that are taken to be down; their runs are parked',
      registers,
    }),
    onScrape: (set) => void setters.push(set),
    async scrape() {
      for (const set of setters) set();
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
  };
}

function runMetrics(kind: 'taskrun' | 'pipelinerun', registry: Registry): RunMetrics {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name: `watcher_${kind}_${name}_total`, help, registers });
  return {
    signCreated: counter('sign_created', `Total number of signed messages for ${kind}s`),
    payloadStored: counter('payload_stored', `Total number of stored payloads for ${kind}s`),
    markedSigned: counter('marked_signed', `Total number of objects marked as signed for ${kind}s`),
    signingFailures: new Counter({
      name: `watcher_${kind}_signing_failures_total`,
      help: `Total number of ${kind === 'taskrun' ? 'TaskRun' : 'PipelineRun'} signing failures`,
      labelNames: ['error_type'],
      registers,
    }),
  };
}
