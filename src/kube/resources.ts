/** The resources that this program touches, by plural; nothing else is asked for. */
export const resources = {
  taskruns: '/apis/tekton.dev/v1',
  pipelineruns: '/apis/tekton.dev/v1',
  configmaps: '/api/v1',
  secrets: '/api/v1',
  serviceaccounts: '/api/v1',
  events: '/api/v1',
  leases: '/apis/coordination.k8s.io/v1',
} as const satisfies Record<string, string>;

export type ResourceName = keyof typeof resources;

/** Which object. */
export interface ObjectKey {
  readonly resource: ResourceName;
  readonly namespace: string;
  readonly name: string;
}

/** The path of one object. */
export function objectPath({ resource, namespace, name }: ObjectKey): string {
  return `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
}

/** The path of a namespace's objects, or of all when `namespace` is undefined. */
export function collectionPath(resource: ResourceName, namespace: string | undefined): string {
  const base = resources[resource];
  return namespace === undefined ? `${base}/${resource}` : `${base}/namespaces/${encodeURIComponent(namespace)}/${resource}`;
}
