/** A bundle and a trusted root as JSON that a case may change; only what the cases touch. */
export interface EntryJson {
  logIndex: string;
  logId: { keyId: string };
  kindVersion: { kind: string; version: string };
  integratedTime?: string;
  inclusionPromise?: { signedEntryTimestamp: string };
  inclusionProof?: { logIndex: string; rootHash: string; treeSize: string; hashes: string[]; checkpoint: { envelope: string } };
  canonicalizedBody: string;
}

export interface BundleJson {
  mediaType: string;
  verificationMaterial: {
    certificate?: { rawBytes: string };
    publicKey?: { hint: string };
    x509CertificateChain?: { certificates: { rawBytes: string }[] };
    tlogEntries?: EntryJson[];
    timestampVerificationData?: { rfc3161Timestamps: { signedTimestamp: string }[] };
  };
  dsseEnvelope?: { payload: string; payloadType: string; signatures: { sig: string; keyid?: string }[] };
  messageSignature?: { messageDigest: { algorithm: string; digest: string }; signature: string };
}

interface Range {
  start?: string;
  end?: string;
}
interface LogJson {
  baseUrl: string;
  publicKey: { rawBytes: string; keyDetails: string; validFor?: Range };
  logId: { keyId: string };
}
interface AuthorityJson {
  uri: string;
  certChain: { certificates: { rawBytes: string }[] };
  validFor: Range;
}
export interface RootJson {
  tlogs: LogJson[];
  ctlogs: LogJson[];
  certificateAuthorities: AuthorityJson[];
  timestampAuthorities: AuthorityJson[];
}

/** The one entry, or stamp, or signature, that a specimen has. */
export function entryOf({ verificationMaterial }: BundleJson): EntryJson {
  return only(verificationMaterial.tlogEntries);
}

export function proofOf(bundle: BundleJson): NonNullable<EntryJson['inclusionProof']> {
  return there(entryOf(bundle).inclusionProof);
}

export function envelopeIn(bundle: BundleJson): NonNullable<BundleJson['dsseEnvelope']> {
  return there(bundle.dsseEnvelope);
}

export function messageIn(bundle: BundleJson): NonNullable<BundleJson['messageSignature']> {
  return there(bundle.messageSignature);
}

export function stampsIn({ verificationMaterial }: BundleJson): { signedTimestamp: string }[] {
  return there(verificationMaterial.timestampVerificationData).rfc3161Timestamps;
}

export function only<T>(list: readonly T[] | undefined): T {
  const [first] = list ?? [];
  return there(first);
}

export function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('The specimen has no such part');
  return value;
}
