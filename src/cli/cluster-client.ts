import type { Environment } from '../config/environment.ts';
import { TerminalError } from '../errors.ts';
import { openInCluster } from '../kube/auth.ts';
import { openKubeClient, type KubeClient, type RequestDone } from '../kube/client.ts';
import { openKubeconfig } from '../kube/kubeconfig.ts';
import { getSecret } from '../kube/objects.ts';
import type { Context } from '../observe/context.ts';
import type { SignerMeans } from '../sign/signer.ts';

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

/**
 * Secrets of the cluster, for signers that want one; the way there is opened when the first is asked for, and closed after each: commands that
 * run once ask once. Throws `sign.no-cluster` where there is no cluster.
 */
export function secretsOf(flags: ClusterFlags): SignerMeans['secret'] {
  return async (namespace, name, ctx) => {
    await using client = await openClient(flags, ctx).catch((cause: unknown) => {
      if (!(cause instanceof TerminalError)) throw cause;
      throw new TerminalError('sign.no-cluster', `Cannot read Secret "${namespace}/${name}": ${cause.message}`, {
        cause,
        ...(cause.fix !== undefined && { fix: cause.fix }),
      });
    });
    return await getSecret(client, { namespace, name }, ctx);
  };
}
