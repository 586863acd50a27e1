import type { Envelope } from './envelope.ts';

/**
 * What a transparency log says of a signature: a bundle's `tlogEntries[]` (sigstore-wire 4.3), decoded. Numbers are safe integers. Of Rekor 1
 * and Rekor 2 alike; the second has neither promise nor time.
 */
export interface LogEntry {
  /** Base URL of the log, as it is configured. */
  readonly log: string;
  /** Over all shards (Rekor 1), or the one there is. */
  readonly logIndex: number;
  /** SHA-256 of the log's key, or what the C2SP key id is of (sigstore-wire 5.8): 32 bytes. */
  readonly logId: Uint8Array;
  /** `dsse` `0.0.1`, `hashedrekord` `0.0.1` or `0.0.2`. */
  readonly kind: string;
  readonly version: string;
  /** Seconds since the epoch; undefined for Rekor 2. */
  readonly integratedTime: number | undefined;
  /** The signed entry timestamp (SET); undefined for Rekor 2. */
  readonly promise: Uint8Array | undefined;
  /** Undefined only for what was read from an annotation, which has no room for it. */
  readonly proof: InclusionProof | undefined;
  /** The canonical body, which is the leaf of the tree. */
  readonly body: Uint8Array;
}

export interface InclusionProof {
  /** Within its shard. */
  readonly logIndex: number;
  readonly rootHash: Uint8Array;
  readonly treeSize: number;
  readonly hashes: readonly Uint8Array[];
  /** The signed note, as it came, with its last newline. */
  readonly checkpoint: string;
}

/** An RFC 3161 response, and what it is over: the raw signature (bundles, `.sig`), or the envelope as stored (`.att`; sigstore-wire 3.1). */
export interface Timestamp {
  /** URL of the authority, as it is configured. */
  readonly authority: string;
  readonly over: 'signature' | 'body';
  /** The whole TimeStampResp, DER. */
  readonly response: Uint8Array;
}

/** Who else vouches for an envelope. */
export interface Evidence {
  readonly entries: readonly LogEntry[];
  readonly timestamps: readonly Timestamp[];
}

export const noEvidence: Evidence = { entries: [], timestamps: [] };

/** An envelope with everything that a store may publish about it. */
export interface Logged extends Envelope {
  readonly evidence: Evidence;
}
