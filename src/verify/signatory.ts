import type { X509Certificate } from 'node:crypto';
import type { PublicKey } from '../model/public-key.ts';
import { checkChain, countScts, identityOf } from '../trust/certificate.ts';
import { isWithin } from '../trust/trusted-root.ts';
import { evidenceOf, type Evidence } from './evidence.ts';
import type { Certified, Exhibit } from './exhibit.ts';
import { demandIdentity } from './identity.ts';
import type { CandidateKey, Demands, WantedIdentity } from './policy.ts';
import { certifiedKeyOf, makerOf, type Maker } from './signature.ts';
import { demand, refused, type Check, type Verified } from './verdict.ts';

/** Who signed, and who else vouches for it. */
type Signed = Pick<Verified, 'key' | 'identity' | 'entries' | 'times' | 'notes'>;

/** By one of the keys that are trusted, within its time. A certificate beside it is no proof of anything, but must be of that key. */
export function byKey(exhibit: Exhibit, keys: readonly CandidateKey[], demands: Demands, check: Check): Signed {
  const maker = check('signature', () => makerOf(exhibit, keys, demands.policy.blob));
  const { certificate } = exhibit;
  // At a tag it is only for the log to know.
  const isLookedAt = certificate !== undefined && (exhibit.isBundle || demands.thresholds.log > 0);
  const leaf = isLookedAt ? check('certificate', () => leafOf(maker.key, certificate().leaf)) : undefined;
  const evidence = evidenceOf(exhibit, { publicKey: maker.key, certificate: leaf?.raw }, demands, check);
  return { ...listed(evidence), key: maker.key.fingerprint, identity: undefined, notes: checkTimes(maker, evidence, check) };
}

/** By a certificate of the wanted identity, valid whenever a log or an authority saw the signature. */
export function byIdentity(exhibit: Exhibit, wanted: WantedIdentity, demands: Demands, check: Check): Signed {
  const { leaf, intermediates } = check('certificate', () => {
    if (exhibit.certificate) return exhibit.certificate();
    throw refused('it was signed by a key without a certificate, which is nobody in particular');
  });
  const publicKey = check('signature', () => certifiedKeyOf(exhibit, leaf, demands.policy.blob));
  const evidence = evidenceOf(exhibit, { publicKey, certificate: leaf.raw }, demands, check);
  const issuers = check('chain', () => issuersOf({ leaf, intermediates }, evidence, demands));
  const { scts } = demands.thresholds;
  if (scts > 0) check('sct', () => issuers.forEach((issuer) => demandScts(leaf, issuer, demands)));
  const identity = check('identity', () => {
    const found = identityOf(leaf);
    demandIdentity(found, wanted);
    return found;
  });
  return { ...listed(evidence), key: undefined, identity, notes: [] };
}

function leafOf({ object, fingerprint }: PublicKey, leaf: X509Certificate): X509Certificate {
  demand(leaf.publicKey.equals(object), `its certificate is not of the key ${fingerprint} that signed`);
  return leaf;
}

/** Every time must lie within one and the same window of the key. Without any time there is nothing to hold against it: that is said. */
function checkTimes({ key, candidates }: Maker, { times }: Evidence, check: Check): readonly string[] {
  const windows = candidates.flatMap(({ validFor }) => validFor ?? []);
  if (windows.length < candidates.length) return [];
  if (times.length > 0) {
    const seen = times.map(({ time }) => time.toISOString()).join(', ');
    const isTrusted = windows.some((window) => times.every(({ time }) => isWithin(window, time)));
    check('key-validity', () => demand(isTrusted, `the key ${key.fingerprint} was not trusted when the signature was seen: ${seen}`));
    return [];
  }
  const ends = windows.flatMap(({ end }) => end ?? []);
  if (ends.length < windows.length) return [];
  const last = new Date(Math.max(...ends.map((end) => end.getTime()))).toISOString();
  return [`the key is trusted only for signatures until ${last}, and nobody vouches for when this one was made`];
}

/** Who issued the leaf, at each time; a time that only the bundle says must not contradict the certificate either. */
function issuersOf({ leaf, intermediates }: Certified, { entered, times }: Evidence, { trust }: Demands): readonly X509Certificate[] {
  for (const { entry } of entered) {
    const claimed = entry.integratedTime === undefined ? undefined : new Date(entry.integratedTime * 1000);
    const isWrong = claimed !== undefined && (claimed < leaf.validFromDate || claimed > leaf.validToDate);
    demand(!isWrong, `its log entry is of ${claimed?.toISOString()}, when its certificate was not valid`);
  }
  return times.map(({ time }) => checkChain(leaf, intermediates, time, trust).issuer);
}

function demandScts(leaf: X509Certificate, issuer: X509Certificate, { trust, thresholds }: Demands): void {
  const found = countScts(leaf, issuer, trust);
  demand(found >= thresholds.scts, `its certificate is in ${found} trusted certificate transparency logs, want ${thresholds.scts}`);
}

function listed({ entered, times }: Evidence): Pick<Signed, 'entries' | 'times'> {
  return { entries: entered.map(({ entry, log }) => ({ log: log.baseUrl, index: entry.logIndex })), times };
}
