/** What a request means to the API server's authorisation: the words that a ClusterRole is written with. */
export interface Target {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  /** Plural, with the group where there is one: `taskruns.tekton.dev`, `configmaps`, `taskruns.tekton.dev/status`. `-` outside the API's tree. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

export type KubeMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const verbs = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;

/** Reads `/api/v1/...` and `/apis/GROUP/VERSION/...` as the API server does (its RequestInfo). `path` has no query. */
export function targetOf(method: KubeMethod, path: string, isWatch: boolean): Target {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const group = parts[0] === 'apis' ? parts[1] : undefined;
  let rest = parts[0] === 'api' ? parts.slice(2) : parts[0] === 'apis' ? parts.slice(3) : [];
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [plural, name, subresource] = rest;
  const full = plural === undefined ? '-' : group === undefined ? plural : `${plural}.${group}`;
  const resource = subresource === undefined ? full : `${full}/${subresource}`;
  const verb = method !== 'GET' ? verbs[method] : isWatch ? 'watch' : name === undefined ? 'list' : 'get';
  return { verb, resource, namespace, name };
}

/** `patch taskruns.tekton.dev "build-x" in namespace "ci"`. */
export function shownTarget({ verb, resource, namespace, name }: Target): string {
  return `${verb} ${resource}${name === undefined ? '' : ` "${name}"`}${namespace === undefined ? '' : ` in namespace "${namespace}"`}`;
}
