import type { Environment } from '../config/environment.ts';
import { TerminalError } from '../errors.ts';
import { openInCluster } from '../kube/auth.ts';
import { openKubeClient, type KubeClient, type RequestDone } from '../kube/client.ts';
import { openKubeconfig } from '../kube/kubeconfig.ts';
import type { Context } from '../observe/context.ts';

export interface ClusterFlags {
  readonly kubeconfig?: string;
  readonly serviceAccountDir?: string;
  readonly environment: Environment;
  readonly onRequest?: (done: RequestDone) => void;
}

/** The cluster around us, or the one that a kubeconfig names: the flag first, then the Pod, then KUBECONFIG. Throws `kube.config`. */
export async function openClient(
  { kubeconfig, serviceAccountDir, environment, onRequest }: ClusterFlags,
  ctx: Context,
): Promise<KubeClient> {
  const { cluster } = environment;
  const path = kubeconfig ?? (cluster === undefined ? environment.kubeconfig : undefined);
  if (path === undefined && cluster === undefined) {
    throw new TerminalError('kube.config', 'Cannot find a cluster: this is not a Pod, and no kubeconfig is given', {
      fix: 'give --kubeconfig FILE, or name files or a folder instead of a cluster',
    });
  }
  const pod = cluster && { host: cluster.host, port: String(cluster.port), ...(serviceAccountDir !== undefined && { serviceAccountDir }) };
  const access = path === undefined && pod ? await openInCluster(pod, ctx) : await openKubeconfig({ path: path ?? '' }, ctx);
  return openKubeClient({ access, ...(onRequest && { onRequest }) });
}
