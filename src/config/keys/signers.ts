import type { Key } from '../key.ts';
import { namedSigners, signingRules } from '../signing.ts';
import { providerNames } from '../rooms.ts';
import { bool, httpUrl, keyReference, oneOf, path, secretName, text, wholeNumber } from '../values.ts';

/** A text, or a path, of a key management service. */
function kms(doc: string, from: 'Chains' | 'Chainsmith' = 'Chains') {
  return { type: text, default: '', doc, from, status: 'used' } as const satisfies Key;
}

function fulcioPath(doc: string, from: 'Chains' | 'Chainsmith') {
  return { type: path, default: '', doc, from, status: 'used' } as const satisfies Key;
}

export const signerKeys = {
  'signers.x509.directory': {
    type: path,
    default: '/etc/signing-secrets',
    doc: 'Folder with the signing key: x509.pem, or cosign.key and cosign.password, or tls.key and tls.crt; with cert.pem and chain.pem if there are any',
    from: 'Chainsmith',
    status: 'used',
  },
  'signers.x509.secret': {
    type: secretName,
    default: '',
    doc: 'Secret with the same files, read through the API server instead of a folder: namespace/name',
    from: 'Chainsmith',
    status: 'used',
  },
  'signers.x509.fulcio.enabled': {
    type: bool,
    default: 'false',
    doc: 'Sign with short-lived certificates instead of a key in a folder (keyless)',
    from: 'Chains',
    status: 'used',
  },
  'signers.x509.fulcio.address': {
    type: httpUrl,
    default: 'https://fulcio.sigstore.dev',
    doc: 'URL of the certificate authority',
    from: 'Chains',
    status: 'used',
    secret: 'url',
  },
  'signers.x509.fulcio.issuer': {
    type: text,
    default: 'https://oauth2.sigstore.dev/auth',
    doc: 'Issuer of identity tokens: with another value than the default, a token of any other issuer is refused',
    from: 'Chains',
    status: 'used',
    secret: 'url',
  },
  'signers.x509.fulcio.provider': {
    type: oneOf<(typeof providerNames)[number] | ''>({ now: ['', ...providerNames] }),
    default: '',
    doc: 'Provider of identity tokens; empty: the first that is there',
    from: 'Chains',
    status: 'used',
  },
  'signers.x509.fulcio.audience': {
    type: text,
    default: 'sigstore',
    doc: 'Audience that identity tokens are asked for, and must have',
    from: 'Chainsmith',
    status: 'used',
  },
  'signers.x509.identity.token.file': fulcioPath('File with an identity token; read again for each certificate', 'Chains'),
  'signers.x509.tuf.mirror.url': {
    type: httpUrl,
    default: 'https://tuf-repo-cdn.sigstore.dev',
    doc: 'TUF mirror with the trusted root, when trust.root is empty',
    from: 'Chains',
    status: 'used',
    secret: 'url',
  },
  'signers.kms.kmsref': {
    ...kms(
      'URI of a key in a key management service: awskms://, gcpkms://, azurekms://, hashivault://, openbao://, or k8s://namespace/secret',
    ),
    type: keyReference,
    secret: 'url',
  },
  'signers.kms.auth.address': { ...kms('Address of the key management service'), secret: 'url' },
  'signers.kms.auth.token': { ...kms('Token, in clear text'), secret: 'all' },
  'signers.kms.auth.token-path': kms('File with the token'),
  'signers.kms.auth.oidc.path': kms('Path of the OIDC authentication'),
  'signers.kms.auth.oidc.role': kms('Role of the OIDC authentication'),
  'signers.kms.auth.oidc.token-path': kms('File with the OIDC token'),
  'signers.kms.auth.spire.sock': kms('Socket of the SPIRE agent'),
  'signers.kms.auth.spire.audience': kms('Audience of the SPIRE token'),
  'signers.kms.auth.approle.path': kms('Path of the AppRole authentication; empty: approle', 'Chainsmith'),
  'signers.kms.auth.approle.role-id-path': kms('File with the role id of the AppRole authentication', 'Chainsmith'),
  'signers.kms.auth.approle.secret-id-path': kms('File with the secret id of the AppRole authentication', 'Chainsmith'),
  'signers.kms.auth.kubernetes.path': kms('Path of the Kubernetes authentication; empty: kubernetes', 'Chainsmith'),
  'signers.kms.auth.kubernetes.role': kms('Role of the Kubernetes authentication', 'Chainsmith'),
  'signers.kms.auth.kubernetes.token-path': kms("File with the token for it; empty: the Pod's own", 'Chainsmith'),
  'signers.kms.namespace': kms('Namespace of a Vault', 'Chainsmith'),
  'signers.kms.mount': kms('Mount path of the transit engine; empty: transit', 'Chainsmith'),
  'signers.kms.key-version': {
    type: wholeNumber,
    default: '',
    doc: 'Version of the key in a Vault to sign with; empty: the newest, also after a rotation',
    from: 'Chainsmith',
    status: 'used',
  },
  'signers.kms.ca-file': fulcioPath('PEM file with certificate authorities to trust for it, beside the well-known ones', 'Chainsmith'),
  'signers.preflight': {
    type: bool,
    default: 'false',
    doc: 'Open every signer and sign a test when a configuration is read: one with a signer that cannot sign is refused, and the last good one stays',
    from: 'Chainsmith',
    status: 'used',
  },
  'signers.named': {
    type: namedSigners,
    default: '',
    doc: 'More signers, by name, as YAML: `payments: { kind: kms, kmsref: awskms:///alias/payments }`. kind x509 has directory or secret, kms has kmsref, key-version, namespace and mount, fulcio has token-file, provider and audience; the rest is as for all',
    from: 'Chainsmith',
    status: 'used',
    secret: 'all',
    tells: 'reasons',
  },
  'signers.rules': {
    type: signingRules,
    default: '',
    doc: 'Who signs instead of artifacts.*.signer, as a YAML list; the first rule that fits counts: `- { namespaces: [payments-*], signers: [payments] }`, narrower with pipelines, labels and artifacts',
    from: 'Chainsmith',
    status: 'used',
  },
} as const satisfies Record<string, Key>;
