import { join } from 'node:path';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import type { Surroundings } from './config.ts';
import { environmentLayer, type Layer } from './layers.ts';
import { ambientNames } from './rooms.ts';
import { vaultNames } from './signer-choices.ts';

/** An empty variable is an absent one, as Kubernetes manifests leave them. */
const Text = z
  .string()
  .optional()
  .transform((text) => (text === '' ? undefined : text));

const Port = z
  .string()
  .regex(/^\d{1,5}$/, 'it is no port')
  .transform(Number)
  .refine((port) => port >= 1 && port <= 65_535, 'it is no port');

const Variables = z.object({
  KUBERNETES_SERVICE_HOST: Text,
  KUBERNETES_SERVICE_PORT: Text.pipe(Port.optional()),
  SYSTEM_NAMESPACE: Text,
  POD_NAME: Text,
  HOSTNAME: Text,
  DOCKER_CONFIG: Text,
  REGISTRY_AUTH_FILE: Text,
  COSIGN_PASSWORD: z.string().optional(),
  KUBECONFIG: Text,
  HOME: Text,
  USERPROFILE: Text,
  NO_COLOR: Text,
  FORCE_COLOR: Text,
  HTTP_PROXY: Text,
  HTTPS_PROXY: Text,
  NO_PROXY: Text,
  http_proxy: Text,
  https_proxy: Text,
  no_proxy: Text,
});

/** What the program wants to know from its environment, besides the configuration. */
export interface Environment {
  /** The API server of the cluster around us; undefined outside of one. */
  readonly cluster: { readonly host: string; readonly port: number } | undefined;
  /** Where the ConfigMap, the Secret and the leases live. */
  readonly systemNamespace: string;
  /** Who we are among replicas: the pod, or else the host. */
  readonly identity: string | undefined;
  /** Credentials of registries: `DOCKER_CONFIG`, `REGISTRY_AUTH_FILE`, or else Docker's folder at home (chains-controller 5.3.6). */
  readonly dockerConfig: string | undefined;
  /** `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, in either case. The URLs may hold passwords. */
  readonly proxy: Surroundings['proxy'];
  /** A secret; an empty password is one, too. */
  readonly cosignPassword: string | undefined;
  /** What signers read: see `ambientNames` and `vaultNames`. Values may be secrets. */
  readonly ambient: Readonly<Record<string, string>>;
  readonly kubeconfig: string | undefined;
  readonly home: string | undefined;
  /** What the user wants of colour; undefined leaves it to the terminal (no-color.org). */
  readonly color: boolean | undefined;
  /** The `CHAINSMITH_…` variables as a layer of the configuration. */
  readonly layer: Layer;
}

/** The only reader of the process's variables. Throws `config.environment`, which names every variable that is wrong and shows no value. */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>>): Environment {
  const parsed = Variables.safeParse(variables);
  if (!parsed.success) {
    const names = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new TerminalError('config.environment', `Cannot read the environment: ${names.join('; ')}`, {
      fix: 'mend or unset these variables',
    });
  }
  const given = parsed.data;
  const home = given.HOME ?? given.USERPROFILE;
  const host = given.KUBERNETES_SERVICE_HOST;
  return {
    cluster: host === undefined ? undefined : { host, port: given.KUBERNETES_SERVICE_PORT ?? 443 },
    systemNamespace: given.SYSTEM_NAMESPACE ?? 'tekton-chains',
    identity: given.POD_NAME ?? given.HOSTNAME,
    dockerConfig: given.DOCKER_CONFIG ?? given.REGISTRY_AUTH_FILE ?? (home === undefined ? undefined : join(home, '.docker')),
    proxy: proxyIn(given),
    cosignPassword: given.COSIGN_PASSWORD,
    ambient: Object.fromEntries(
      [...ambientNames, ...vaultNames].flatMap((name) => {
        const value = variables[name];
        return value === undefined || value === '' ? [] : [[name, value]];
      }),
    ),
    kubeconfig: given.KUBECONFIG,
    home,
    color: given.NO_COLOR !== undefined ? false : given.FORCE_COLOR !== undefined ? given.FORCE_COLOR !== '0' : undefined,
    layer: environmentLayer(variables),
  };
}

/** Lower case wins, as with curl. */
function proxyIn(given: z.output<typeof Variables>): Surroundings['proxy'] {
  const http = given.http_proxy ?? given.HTTP_PROXY;
  const https = given.https_proxy ?? given.HTTPS_PROXY;
  const except = given.no_proxy ?? given.NO_PROXY;
  if (http === undefined && https === undefined) return undefined;
  return { ...(http !== undefined && { http }), ...(https !== undefined && { https }), ...(except !== undefined && { except }) };
}
