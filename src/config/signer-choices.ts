import { resolve } from 'node:path';
import type { Surroundings } from './config.ts';
import type { SignerChoice } from './rooms.ts';
import type { Values } from './schema.ts';
import type { NamedSigner } from './signing.ts';

/** The signers `x509` and `kms`, and those of `signers.named`, each with what it is opened with. `kms` is there only with a key. */
export function signersOf(values: Values, surroundings: Surroundings): ReadonlyMap<string, SignerChoice> {
  const fulcio = values['signers.x509.fulcio.enabled'];
  const ref = values['signers.kms.kmsref'];
  const own = values['signers.x509.secret'];
  const x509 = own ? ({ kind: 'x509', options: { secret: own } } as const) : folder(values['signers.x509.directory'], surroundings);
  return new Map<string, SignerChoice>([
    ['x509', fulcio ? fulcioOf({}, values, surroundings) : x509],
    ...(ref === '' ? [] : [['kms', kmsOf({ kmsref: ref }, values, surroundings)] as const]),
    ...[...values['signers.named']].map(([name, named]) => [name, namedOf(named, values, surroundings)] as const),
  ]);
}

function namedOf(named: NamedSigner, values: Values, surroundings: Surroundings): SignerChoice {
  if (named.kind === 'kms') return kmsOf(named, values, surroundings);
  if (named.kind === 'fulcio') return fulcioOf(named, values, surroundings);
  const [namespace = '', name = ''] = named.secret?.split('/') ?? [];
  if (named.secret !== undefined) return { kind: 'x509', options: { secret: { namespace, name } } };
  return folder(named.directory ?? values['signers.x509.directory'], surroundings);
}

function folder(directory: string, surroundings: Surroundings): SignerChoice {
  return { kind: 'x509', options: { directory: resolve(surroundings.directory, directory) } };
}

type Kms = Pick<Extract<NamedSigner, { readonly kind: 'kms' }>, 'kmsref' | 'key-version' | 'namespace' | 'mount'>;

/** A key in a Secret is a key at hand, whatever it is called by. */
function kmsOf(named: Kms, values: Values, { directory, ambient = {}, home }: Surroundings): SignerChoice {
  const [, namespace, name] = /^k8s:\/\/([^/]+)\/([^/]+)$/.exec(named.kmsref) ?? [];
  if (namespace !== undefined && name !== undefined) return { kind: 'x509', options: { secret: { namespace, name } } };
  const keyVersion = named['key-version'] ?? values['signers.kms.key-version'];
  const caFile = values['signers.kms.ca-file'];
  return {
    kind: 'kms',
    options: {
      ref: named.kmsref,
      auth: {
        address: values['signers.kms.auth.address'],
        token: values['signers.kms.auth.token'],
        tokenPath: values['signers.kms.auth.token-path'],
        oidc: {
          path: values['signers.kms.auth.oidc.path'],
          role: values['signers.kms.auth.oidc.role'],
          tokenPath: values['signers.kms.auth.oidc.token-path'],
        },
        spire: { sock: values['signers.kms.auth.spire.sock'], audience: values['signers.kms.auth.spire.audience'] },
        approle: {
          path: values['signers.kms.auth.approle.path'],
          roleIdPath: values['signers.kms.auth.approle.role-id-path'],
          secretIdPath: values['signers.kms.auth.approle.secret-id-path'],
        },
        kubernetes: {
          path: values['signers.kms.auth.kubernetes.path'],
          role: values['signers.kms.auth.kubernetes.role'],
          tokenPath: values['signers.kms.auth.kubernetes.token-path'],
        },
        namespace: named.namespace ?? values['signers.kms.namespace'],
        mount: named.mount ?? values['signers.kms.mount'],
        ...(keyVersion !== undefined && { keyVersion }),
        caFile: caFile === '' ? '' : resolve(directory, caFile),
      },
      ambient: { ...vaultIn(ambient), ...(home !== undefined && { homeTokenFile: resolve(home, '.vault-token') }) },
    },
  };
}

/** What the clients of Vault and OpenBao read from the environment. */
export const vaultNames = [
  'VAULT_ADDR',
  'BAO_ADDR',
  'VAULT_TOKEN',
  'BAO_TOKEN',
  'VAULT_NAMESPACE',
  'BAO_NAMESPACE',
  'VAULT_CACERT',
  'BAO_CACERT',
  'TRANSIT_SECRET_ENGINE_PATH',
] as const;

function vaultIn(ambient: Readonly<Record<string, string>>): { readonly [Name in (typeof vaultNames)[number]]?: string } {
  return Object.fromEntries(vaultNames.flatMap((name) => (ambient[name] === undefined ? [] : [[name, ambient[name]]])));
}

type Fulcio = Pick<Extract<NamedSigner, { readonly kind: 'fulcio' }>, 'token-file' | 'provider' | 'audience'>;

/** Chains never looks at the issuer, so its default asks for none (chains-controller 2.1). */
const anyIssuer = 'https://oauth2.sigstore.dev/auth';

function fulcioOf(named: Fulcio, values: Values, { directory, ambient = {}, proxy }: Surroundings): SignerChoice {
  const issuer = values['signers.x509.fulcio.issuer'];
  const provider = named.provider ?? values['signers.x509.fulcio.provider'];
  const tokenFile = named['token-file'] ?? values['signers.x509.identity.token.file'];
  const caFile = values['transparency.ca-file'];
  return {
    kind: 'fulcio',
    options: {
      address: values['signers.x509.fulcio.address'],
      audience: named.audience ?? values['signers.x509.fulcio.audience'],
      ...(issuer !== anyIssuer && issuer !== '' && { issuer }),
      ...(provider !== '' && { provider }),
      ...(tokenFile !== '' && { tokenFile: resolve(directory, tokenFile) }),
      ...(caFile !== '' && { caFile: resolve(directory, caFile) }),
      ambient,
      ...(proxy && { proxy }),
    },
  };
}
