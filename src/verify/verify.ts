import type { Stored } from '../model/receipt.ts';
import { bind, demandFile } from './binding.ts';
import { exhibitOf, type Exhibit } from './exhibit.ts';
import { demandsOf, type Demands, type Policy } from './policy.ts';
import { byIdentity, byKey } from './signatory.ts';
import { simpleSigningOf, statementOf, type Claim } from './statement.ts';
import { judge, type Check, type Verdict } from './verdict.ts';

/**
 * The one verifier: read-back, command line, library, later admission. Pure and total: it reads no clock and asks nobody, and whatever fails,
 * parsing included, is a refusal with the name of the check. Every check must pass, in order (sigstore-wire 4, 7.1).
 */
export function verify(stored: Stored, policy: Policy): Verdict {
  return judge((check) => {
    const demands = check('policy', () => demandsOf(policy));
    const exhibit = exhibitOf(stored, demands.maxBytes, policy.expectedBody, check);
    // An image signature at a tag has its payload beside it, which names the image; every other message is a file.
    const isFile = exhibit.content.kind === 'message' && (stored.kind === 'bundle' || policy.blob !== undefined);
    if (isFile) check('blob', () => demandFile(exhibit.content, policy.blob));
    const { signer } = demands;
    const signed =
      signer.kind === 'keys' ? byKey(exhibit, signer.keys, demands, check) : byIdentity(exhibit, signer.identity, demands, check);
    const claim = isFile ? aFile : claimOf(exhibit, demands, check);
    bind(claim, isFile ? { ...policy, blob: undefined } : policy, check);
    return { ...signed, predicateType: claim.predicateType, subjects: claim.subjects };
  });
}

/** What the signature of a file claims: nothing beside the file. */
const aFile: Claim = { predicateType: undefined, subjects: [], predicate: undefined };

function claimOf({ content }: Exhibit, { maxBytes }: Demands, check: Check): Claim {
  return check('statement', () =>
    content.kind === 'dsse' ? statementOf(content.payload, maxBytes) : simpleSigningOf(content.payload ?? new Uint8Array(), maxBytes),
  );
}
