import { createPublicKey, X509Certificate } from 'node:crypto';
import { TerminalError } from '../../errors.ts';
import { checkChain, identityOf, type Identity } from '../../trust/certificate.ts';
import type { TrustedRoot } from '../../trust/trusted-root.ts';
import type { Signatory } from '../signer.ts';

/** Who a signer has been, and who issued that. */
export interface Identities {
  add(identity: Identity, intermediates: readonly X509Certificate[]): void;
  /** Whether this certificate names us. Anybody can write one with our name: only one that a trusted authority issued is ours. */
  has(signatory: Signatory, root: TrustedRoot): boolean;
}

/** A token may name another account after a change of the Deployment, and authorities are renewed; both are few. */
const maxKnown = 16;

export function openIdentities(): Identities {
  let identities: readonly Identity[] = [];
  let intermediates: readonly X509Certificate[] = [];
  return {
    add(identity, issuers) {
      identities = [...identities.filter((one) => !isSame(one, identity)), identity].slice(-maxKnown);
      const older = intermediates.filter((one) => !issuers.some((issuer) => issuer.raw.equals(one.raw)));
      intermediates = [...older, ...issuers].slice(-maxKnown);
    },
    has({ certificate, publicKey }, root) {
      const leaf = leafAbout(certificate, publicKey);
      if (leaf === undefined) return false;
      try {
        const identity = identityOf(leaf);
        // Nothing here says when it signed; what it signed is for `verify` to judge.
        checkChain(leaf, intermediates, leaf.validFromDate, root);
        return identities.some((one) => isSame(one, identity));
      } catch (error) {
        if (error instanceof TerminalError) return false;
        throw error;
      }
    },
  };
}

/** Undefined for what is no certificate, or one about another key. */
function leafAbout(certificate: string, publicKey: string): X509Certificate | undefined {
  try {
    const leaf = new X509Certificate(certificate);
    return leaf.publicKey.equals(createPublicKey(publicKey)) ? leaf : undefined;
  } catch {
    return undefined;
  }
}

function isSame(a: Identity, b: Identity): boolean {
  return a.san === b.san && a.issuer === b.issuer;
}
