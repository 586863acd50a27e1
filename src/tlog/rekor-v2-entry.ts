import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { base64Of, bytesOfBase64 } from '../model/base64.ts';
import type { LogEntry } from '../model/evidence.ts';
import { keyDetailsOf, spkiOf } from '../trust/log-key.ts';
import { hashOf } from './algorithm.ts';
import type { Claim } from './claim.ts';

/** What every entry of this log is, since rekor-tiles 2.3. */
export const kindVersion = { kind: 'hashedrekord', version: '0.0.2' } as const;

/**
 * The request as JSON (sigstore-wire 5.8): the digest of what was signed (of a DSSE envelope: its PAE), the signature, and what verifies it.
 * The log never sees the payload. The same claim gives the same text.
 */
export function requestOf({ envelope, key, certificate, bytes, over }: Claim): string {
  const keyDetails = keyDetailsOf(key.object);
  if (keyDetails === undefined || over === 'bytes')
    throw new TerminalError('tlog.key', 'Cannot log an envelope: Rekor 2 has no name for its key');
  const verifier =
    certificate === undefined
      ? { publicKey: { rawBytes: base64Of(spkiOf(key.object)) } }
      : { x509Certificate: { rawBytes: base64Of(certificate) } };
  const signature = { content: base64Of(envelope.signature), verifier: { ...verifier, keyDetails } };
  return JSON.stringify({ hashedRekordRequestV002: { digest: base64Of(hashOf(over, bytes)), signature } });
}

/** Protobuf JSON: 64-bit numbers are texts; a careless server may write them as numbers. */
const Int64 = z
  .union([z.string().regex(/^\d{1,16}$/), z.number()])
  .transform(Number)
  .pipe(z.int().nonnegative());
const Base64 = z.string().transform((text, context) => {
  const bytes = bytesOfBase64(text);
  if (bytes === undefined || bytes.length === 0) context.addIssue('want base64');
  return bytes ?? new Uint8Array();
});
const Entry = z.object({
  logIndex: Int64,
  logId: z.object({ keyId: Base64 }),
  kindVersion: z.object({ kind: z.string().max(64), version: z.string().max(64) }),
  inclusionProof: z.object({
    logIndex: Int64,
    rootHash: Base64,
    treeSize: Int64,
    // The tree of the largest log has less than 64 levels.
    hashes: z.array(Base64).max(64),
    checkpoint: z.object({ envelope: z.string().min(1).max(65_536) }),
  }),
  canonicalizedBody: Base64,
});

/** A `TransparencyLogEntry` (sigstore-wire 5.8); a text is why it cannot be read. `log` is the URL as configured. */
export function entryIn(answer: Uint8Array, log: string): LogEntry | string {
  const parsed = Entry.safeParse(jsonOf(answer));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `the entry has a wrong member: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unreadable'}`.slice(0, 240);
  }
  const { logIndex, logId, kindVersion: is, inclusionProof, canonicalizedBody: body } = parsed.data;
  const { checkpoint, ...proof } = inclusionProof;
  return {
    log,
    logIndex,
    logId: logId.keyId,
    kind: is.kind,
    version: is.version,
    integratedTime: undefined,
    promise: undefined,
    proof: { ...proof, checkpoint: checkpoint.envelope },
    body,
  };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
