import { noMaterial, type Material } from '../model/receipt.ts';
import type { Policy } from './policy.ts';
import type { Verdict } from './verdict.ts';
import { verify } from './verify.ts';

// What `import … from 'chainsmith/verify'` gives, documented in docs/library.md: nothing else of this repository is for others.
export { verify } from './verify.ts';
export { parseKeyRing } from '../model/key-ring.ts';
export { parseTrustedRoot } from '../trust/trusted-root.ts';
export type { TrustedRoot } from '../trust/trusted-root.ts';
export type { Blob, Policy, Thresholds, TrustedKey, WantedIdentity } from './policy.ts';
export type { CheckName, Refused, TrustedTime, Verdict, Verified } from './verdict.ts';

/** A Sigstore bundle (JSON, versions 0.1 to 0.3), of a DSSE envelope or of a file (then `policy.blob` is mandatory). Never throws. */
export function verifyBundle(bundle: Uint8Array, policy: Policy): Verdict {
  return verify({ kind: 'bundle', place: nowhere, body: bundle }, policy);
}

/** A DSSE envelope (JSON), with the annotations that stood beside it, if any. Never throws. */
export function verifyEnvelope(envelope: Uint8Array, policy: Policy, material: Partial<Material> = {}): Verdict {
  return verify({ kind: 'dsse', place: nowhere, body: envelope, material: { ...noMaterial, ...material } }, policy);
}

/**
 * A raw signature: of an image, over its simple signing payload, or with `policy.blob` of a file, which is then the payload. With the
 * annotations that stood beside it, if any. Never throws.
 */
export function verifySignature(payload: Uint8Array, signature: Uint8Array, policy: Policy, material: Partial<Material> = {}): Verdict {
  return verify({ kind: 'raw', place: nowhere, payload, signature, material: { ...noMaterial, ...material } }, policy);
}

const nowhere = { address: '(given)', image: undefined } as const;
