import { X509Certificate } from 'node:crypto';
import { TransientError } from './errors.ts';
import { bundleOf } from './model/bundle.ts';
import type { Logged } from './model/evidence.ts';
import type { Place, Receipt, Stored } from './model/receipt.ts';
import type { Context } from './observe/context.ts';
import type { Readable } from './store/store.ts';
import { identityOf } from './trust/certificate.ts';
import type { TrustedRoot } from './trust/trusted-root.ts';
import type { Policy } from './verify/policy.ts';
import { verify } from './verify/verify.ts';

/** What a proof is made with. */
export interface Grounds {
  readonly reader: Readable;
  /** What a consumer believes in; undefined when nothing but keys is used. */
  readonly trust: TrustedRoot | undefined;
}

/**
 * Reads back from the outside and verifies as a consumer would: only then a store's word counts (P1). Throws `proof.refused`, which is
 * transient: what stands there may be put again.
 */
export async function prove(receipt: Receipt, envelope: Logged, { reader, trust }: Grounds, ctx: Context): Promise<void> {
  const there = await reader.get(receipt, ctx);
  for (const [index, place] of receipt.places.entries()) {
    const stored = there[index];
    const verdict = stored && verify(stored, policyOf(stored.kind, envelope, place, trust));
    if (verdict?.kind === 'verified') continue;
    const why = verdict === undefined ? 'it gave nothing back' : `check "${verdict.check}" failed: ${verdict.reason}`;
    throw new TransientError('proof.refused', `Cannot prove "${place.address}": ${why}`, {
      fix: 'look at what stands there; somebody else may have written it, or trust.root is not that of the log, the authority or the CA in use',
    });
  }
}

function policyOf(kind: Stored['kind'], envelope: Logged, { image }: Place, trust: TrustedRoot | undefined): Policy {
  const { publicKey, certificate, body, filing } = envelope;
  const { entries, timestamps } = visibleIn(kind, envelope);
  const isTimed = timestamps > 0 || entries.some(({ integratedTime }) => integratedTime !== undefined);
  const identity = certificate !== '' && trust !== undefined && isTimed ? identityIn(certificate, trust) : undefined;
  return {
    ...(identity === undefined ? { keys: [publicKey] } : { identity }),
    ...(trust && { trust }),
    thresholds: {
      log: entries.length > 0 ? 1 : 0,
      timestamps: timestamps > 0 ? 1 : 0,
      scts: identity !== undefined && (trust?.ctLogs.length ?? 0) > 0 ? 1 : 0,
    },
    expectedBody: kind === 'bundle' ? Buffer.from(bundleOf(envelope)) : body,
    ...(image && { image }),
    ...(filing.predicateType !== undefined && { predicateType: filing.predicateType }),
  };
}

/** What a place of this kind has room for: a tag has none for the entry of a Rekor 2 (sigstore-wire 3.2). */
function visibleIn(kind: Stored['kind'], { evidence: { entries, timestamps } }: Logged) {
  const over = kind === 'dsse' ? 'body' : 'signature';
  return {
    entries: kind === 'bundle' ? entries : entries.filter(({ promise }) => promise !== undefined),
    timestamps: timestamps.filter((timestamp) => timestamp.over === over).length,
  };
}

/** Undefined for a certificate that names no issuer of identities: it is a company's own, and stands for the key alone. */
function identityIn(certificate: string, { certificateAuthorities }: TrustedRoot): Policy['identity'] {
  if (certificateAuthorities.length === 0) return undefined;
  try {
    return identityOf(new X509Certificate(certificate));
  } catch {
    return undefined;
  }
}
