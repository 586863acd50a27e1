import type { Key } from '../key.ts';
import { bool, path, text } from '../values.ts';

const fulcioLater = 'keyless signing comes with a later version';

/** Refused when set, even though Chains would not look at it without `kms`: who names a key expects it to sign. */
function kms(doc: string) {
  return { type: text, default: '', doc, from: 'Chains', status: 'not yet' } as const satisfies Key;
}

export const signerKeys = {
  'signers.x509.directory': {
    type: path,
    default: '/etc/signing-secrets',
    doc: 'Folder with the signing key: cosign.key and cosign.password, or x509.pem, with cert.pem and chain.pem if there are any',
    from: 'Chainsmith',
    status: 'used',
  },
  'signers.x509.fulcio.enabled': {
    type: bool,
    default: 'false',
    doc: 'Sign with short-lived certificates instead of a key in a folder (keyless)',
    from: 'Chains',
    status: 'not yet',
  },
  'signers.x509.fulcio.address': {
    type: text,
    default: 'https://fulcio.sigstore.dev',
    doc: 'URL of the certificate authority',
    from: 'Chains',
    status: 'no effect',
    why: fulcioLater,
    secret: 'url',
  },
  'signers.x509.fulcio.issuer': {
    type: text,
    default: 'https://oauth2.sigstore.dev/auth',
    doc: 'Issuer of identity tokens',
    from: 'Chains',
    status: 'no effect',
    why: 'it has none in Tekton Chains either: the token says who issued it',
    secret: 'url',
  },
  'signers.x509.fulcio.provider': {
    type: text,
    default: '',
    doc: 'Provider of identity tokens; empty tries all',
    from: 'Chains',
    status: 'no effect',
    why: fulcioLater,
  },
  'signers.x509.identity.token.file': {
    type: text,
    default: '',
    doc: 'File with an identity token',
    from: 'Chains',
    status: 'no effect',
    why: fulcioLater,
  },
  'signers.x509.tuf.mirror.url': {
    type: text,
    default: 'https://tuf-repo-cdn.sigstore.dev',
    doc: 'TUF mirror with the trusted root',
    from: 'Chains',
    status: 'no effect',
    why: fulcioLater,
    secret: 'url',
  },
  'signers.kms.kmsref': { ...kms('URI of a key in a key management service'), secret: 'url' },
  'signers.kms.auth.address': { ...kms('Address of the key management service'), secret: 'url' },
  'signers.kms.auth.token': { ...kms('Token, in clear text'), secret: 'all' },
  'signers.kms.auth.token-path': kms('File with the token'),
  'signers.kms.auth.oidc.path': kms('Path of the OIDC authentication'),
  'signers.kms.auth.oidc.role': kms('Role of the OIDC authentication'),
  'signers.kms.auth.oidc.token-path': kms('File with the OIDC token'),
  'signers.kms.auth.spire.sock': kms('Socket of the SPIRE agent'),
  'signers.kms.auth.spire.audience': kms('Audience of the SPIRE token'),
} as const satisfies Record<string, Key>;
