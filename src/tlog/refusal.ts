import type { KeyAlgorithm, PublicKey } from '../model/public-key.ts';
import { candidatesOf, type SignedOver } from './algorithm.ts';

/** What one kind of entry takes of each key type: signatures over these. */
type Taken = Readonly<Record<KeyAlgorithm, readonly SignedOver[]>>;

/** Key types as people name them. */
const names: Readonly<Record<KeyAlgorithm, string>> = {
  'ecdsa-p256': 'ECDSA P-256',
  'ecdsa-p384': 'ECDSA P-384',
  'ecdsa-p521': 'ECDSA P-521',
  rsa: 'RSA',
  ed25519: 'Ed25519',
};

/**
 * The kinds of entries that we make, and what servers take with their default settings (sigstore-wire 2.4; seen on Rekor 1.5.4 and
 * rekor-tiles 2.3.0, `test/contract/tlog-keys.test.ts`). `because` finishes the sentence "it …".
 */
export const entryKinds = {
  /** Rekor 1 checks an envelope with SHA-256 whatever the curve; key sizes are not looked at. */
  dsse: {
    taken: { 'ecdsa-p256': ['sha256'], 'ecdsa-p384': ['sha256'], 'ecdsa-p521': ['sha256'], rsa: ['sha256'], ed25519: ['bytes'] },
    rsaBits: undefined,
    because: 'checks envelopes with SHA-256 only',
  },
  /** Rekor 1 and 2: the log sees a digest, so pure Ed25519 cannot be checked; each curve goes with its own digest. */
  hashedrekord: {
    taken: { 'ecdsa-p256': ['sha256'], 'ecdsa-p384': ['sha384'], 'ecdsa-p521': ['sha512'], rsa: ['sha256'], ed25519: [] },
    rsaBits: [2048, 3072, 4096],
    because: 'takes ECDSA with the digest of its curve, and RSA of 2048, 3072 or 4096 bits',
  },
} as const satisfies Record<string, { readonly taken: Taken; readonly rsaBits: readonly number[] | undefined; readonly because: string }>;
export type EntryKind = keyof typeof entryKinds;

/** Which signature it is about. Without `over`: whether there is any that such a key may make and the log takes. */
export interface Question {
  readonly log: string;
  readonly entry: EntryKind;
  readonly over: SignedOver | undefined;
}

/** One sentence without its full stop; undefined when the log takes it. */
export function refusalOf(key: PublicKey, { log, entry, over }: Question): string | undefined {
  const row: { readonly taken: Taken; readonly rsaBits: readonly number[] | undefined; readonly because: string } = entryKinds[entry];
  const bits = key.object.asymmetricKeyDetails?.modulusLength;
  const isGoodSize = bits === undefined || row.rsaBits === undefined || row.rsaBits.includes(bits);
  const offered = over === undefined ? candidatesOf(key.algorithm) : [over];
  if (isGoodSize && offered.some((candidate) => row.taken[key.algorithm].includes(candidate))) return undefined;
  const size = bits === undefined ? '' : ` of ${bits} bits`;
  const made = over === undefined || over === 'bytes' ? '' : ` over ${over.replace('sha', 'SHA-')}`;
  return `${log} takes no ${entry} entry of signatures${made} by an ${names[key.algorithm]} key${size}: it ${row.because}`;
}
