import { createHash, createPublicKey, X509Certificate } from 'node:crypto';

/** A log as a trusted root tells of it. With `origin` it is a tiled one (Rekor 2); its url must have the origin as its host. */
export interface LogMaterial {
  readonly url: string;
  readonly publicKeyPem: string;
  readonly origin?: string;
}

/** Certificates of an authority, the one nearest to what it signs first, the root last. */
export interface AuthorityMaterial {
  readonly url: string;
  readonly chainPem: string;
}

export interface TrustMaterial {
  readonly logs?: readonly LogMaterial[];
  readonly ctLogs?: readonly LogMaterial[];
  readonly certificateAuthorities?: readonly AuthorityMaterial[];
  readonly timestampAuthorities?: readonly AuthorityMaterial[];
}

/** Before every certificate and entry of a test. */
const start = '2024-01-01T00:00:00Z';

/** A `trusted_root.json` (protobuf-specs `sigstore_trustroot.proto`, its JSON form). */
export function trustedRootOf(material: TrustMaterial): string {
  const { logs = [], ctLogs = [], certificateAuthorities = [], timestampAuthorities = [] } = material;
  return JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: logs.map(logOf),
    certificateAuthorities: certificateAuthorities.map(authorityOf),
    ctlogs: ctLogs.map(logOf),
    timestampAuthorities: timestampAuthorities.map(authorityOf),
  });
}

export interface Services {
  readonly rekor?: { readonly url: string; readonly version: 1 | 2 };
  readonly fulcioUrl?: string;
  readonly oidcUrl?: string;
  readonly timestampUrls?: readonly string[];
}

/** A `signing_config.json`: one log, and every timestamp authority is asked. */
export function signingConfigOf(services: Services): string {
  const { rekor, fulcioUrl, oidcUrl, timestampUrls = [] } = services;
  // A signer takes one service of an operator.
  const service = (url: string | undefined, majorApiVersion: number, operator = 'test'): readonly unknown[] =>
    url === undefined ? [] : [{ url, majorApiVersion, validFor: { start }, operator }];
  return JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: service(fulcioUrl, 1),
    oidcUrls: service(oidcUrl, 1),
    rekorTlogUrls: service(rekor?.url, rekor?.version ?? 1),
    tsaUrls: timestampUrls.flatMap((url, at) => service(url, 1, `test-${at}`)),
    ...(rekor && { rekorTlogConfig: { selector: 'ANY' } }),
    ...(timestampUrls.length > 0 && { tsaConfig: { selector: 'ALL' } }),
  });
}

function logOf({ url, publicKeyPem, origin }: LogMaterial): unknown {
  const key = createPublicKey(publicKeyPem);
  const isEd25519 = key.asymmetricKeyType === 'ed25519';
  const spki = key.export({ format: 'der', type: 'spki' });
  // A signed note's key id (c2sp signed-note); ECDSA keys have kept that of Rekor 1.
  const named = isEd25519 && origin !== undefined ? [`${origin}\n`, Buffer.from([1]), spki.subarray(-32)] : [spki];
  const id = named.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
  return {
    baseUrl: url,
    hashAlgorithm: 'SHA2_256',
    publicKey: {
      rawBytes: spki.toString('base64'),
      keyDetails: isEd25519 ? 'PKIX_ED25519' : 'PKIX_ECDSA_P256_SHA_256',
      validFor: { start },
    },
    logId: { keyId: id.toString('base64') },
  };
}

function authorityOf({ url, chainPem }: AuthorityMaterial): unknown {
  const blocks = chainPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const chain = blocks.map((block) => new X509Certificate(block));
  const partOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(chain.at(-1)?.subject ?? '')?.[1] ?? '';
  return {
    subject: { organization: partOf('O'), commonName: partOf('CN') },
    uri: url,
    certChain: { certificates: chain.map((certificate) => ({ rawBytes: certificate.raw.toString('base64') })) },
    validFor: { start },
  };
}
