import { TerminalError } from '../errors.ts';
import { bytesOfBase64 } from '../model/base64.ts';

/** A log's statement of its size and root hash, and who signed it (C2SP tlog-checkpoint and signed-note; sigstore-wire 5.3, 5.8). */
export interface Checkpoint {
  /** `host` of Rekor 2, `host - tree id` of Rekor 1. */
  readonly origin: string;
  readonly size: number;
  readonly rootHash: Uint8Array;
  /** What the signatures are over: the text up to the empty line, with its last newline. */
  readonly signed: Uint8Array;
  /** At least one: the log's, and those of witnesses. */
  readonly signatures: readonly NoteSignature[];
}

export interface NoteSignature {
  readonly name: string;
  /** The first 4 bytes of the id of the key. */
  readonly hint: Uint8Array;
  readonly signature: Uint8Array;
}

const maxBytes = 64 * 1024;
const maxSignatures = 100;
const signatureLine = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;

/** Parses a checkpoint. Nothing of it is believed before the log's signature is verified. Throws `trust.entry-checkpoint`. */
export function parseCheckpoint(note: string): Checkpoint {
  const at = note.indexOf('\n\n');
  if (note.length > maxBytes) throw malformed(`it is longer than ${maxBytes} characters`);
  // Readers differ in which of two empty lines they take.
  if (at < 0 || note.includes('\n\n', at + 1)) throw malformed('want one empty line, between the text and the signatures');
  if (!note.endsWith('\n')) throw malformed('its last line is cut off');
  const [origin = '', size = '', root = ''] = note.slice(0, at).split('\n');
  const rootHash = bytesOfBase64(root);
  if (origin === '') throw malformed('its first line, the origin, is empty');
  if (!/^(0|[1-9]\d{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) throw malformed('its second line is no size of a tree');
  if (rootHash?.length !== 32 || /[-_]/.test(root)) throw malformed('its third line is no hash in base64');
  const lines = note.slice(at + 2, -1).split('\n');
  if (lines.length > maxSignatures) throw malformed(`it has more than ${maxSignatures} signatures`);
  return {
    origin,
    size: Number(size),
    rootHash,
    signed: Buffer.from(note.slice(0, at + 1)),
    signatures: lines.map(signatureOf),
  };
}

/** Whether the origin is that of a Rekor 1 log: it ends in the id of a tree (sigstore-wire 4.3). */
export function isRekor1({ origin }: Checkpoint): boolean {
  return / - \d+$/.test(origin);
}

function signatureOf(line: string): NoteSignature {
  const [, name = '', base64 = ''] = signatureLine.exec(line) ?? [];
  const bytes = bytesOfBase64(base64);
  if (bytes === undefined || bytes.length < 5) throw malformed('a line after the empty one is no signature');
  return { name, hint: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

function malformed(reason: string): TerminalError {
  return new TerminalError('trust.entry-checkpoint', `Cannot read the checkpoint of a log entry: ${reason}`);
}
