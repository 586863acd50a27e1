import { TransientError } from './errors.ts';
import type { Envelope } from './model/envelope.ts';
import type { Place, Receipt } from './model/receipt.ts';
import type { Context } from './observe/context.ts';
import type { Readable } from './store/store.ts';
import { verify, type Policy } from './verify/verify.ts';

/**
 * Reads back from the outside and verifies, with the key that signed: only then a store's word counts (P1). Throws `proof.refused`, which is
 * transient: what stands there may be put again.
 */
export async function prove(receipt: Receipt, envelope: Envelope, reader: Readable, ctx: Context): Promise<void> {
  const there = await reader.get(receipt, ctx);
  for (const [index, place] of receipt.places.entries()) {
    const stored = there[index];
    const verdict = stored && verify(stored, policyOf(envelope, place));
    if (verdict?.kind === 'verified') continue;
    const why = verdict === undefined ? 'it gave nothing back' : `check "${verdict.check}" failed: ${verdict.reason}`;
    throw new TransientError('proof.refused', `Cannot prove "${place.address}": ${why}`, {
      fix: 'look at what stands there; somebody else may have written it',
    });
  }
}

function policyOf({ publicKey, body, filing }: Envelope, { image }: Place): Policy {
  return {
    keys: [publicKey],
    expectedBody: body,
    ...(image && { image }),
    ...(filing.predicateType !== undefined && { predicateType: filing.predicateType }),
  };
}
