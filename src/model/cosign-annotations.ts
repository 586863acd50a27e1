import { TerminalError } from '../errors.ts';
import { base64Of, bytesOfBase64 } from './base64.ts';
import type { LogEntry } from './evidence.ts';
import { at, type Json } from './json.ts';
import { parseStrictJson } from './strict-json.ts';

/** Annotations are small: a logged statement's entry is a few kilobytes, a timestamp with its chain too. */
const maxBytes = 1024 * 1024;

/** cosign's `dev.sigstore.cosign/bundle`: the entry of a Rekor 1, with its promise and without proof (sigstore-wire 3.2). */
export function logBundleOf({ promise, body, integratedTime, logIndex, logId }: LogEntry): string | undefined {
  if (promise === undefined || integratedTime === undefined) return undefined;
  return JSON.stringify({
    SignedEntryTimestamp: base64Of(promise),
    Payload: { body: base64Of(body), integratedTime, logIndex, logID: Buffer.from(logId).toString('hex') },
  });
}

/** The other way round; `log` is empty text. What the entry says is not believed before its promise is verified. Throws `annotation.log-bundle`. */
export function entryOfLogBundle(text: string, where: string): LogEntry {
  const json = parseStrictJson(Buffer.from(text), `the log bundle of "${where}"`, maxBytes);
  const fail = (reason: string): TerminalError =>
    new TerminalError('annotation.log-bundle', `Cannot read the log bundle of "${where}": ${reason}`);
  const promise = bytesAt(json, 'SignedEntryTimestamp');
  const body = bytesAt(json, 'Payload', 'body');
  const integratedTime = indexAt(json, 'Payload', 'integratedTime');
  const logIndex = indexAt(json, 'Payload', 'logIndex');
  const logId = at(json, 'Payload', 'logID');
  if (promise === undefined || body === undefined) throw fail('SignedEntryTimestamp and Payload.body must be base64');
  if (integratedTime === undefined || logIndex === undefined) throw fail('integratedTime and logIndex must be whole numbers');
  if (typeof logId !== 'string' || !/^[0-9a-f]{64}$/.test(logId)) throw fail('logID must be 64 hex digits');
  const { kind, version } = kindOfBody(body) ?? {};
  if (kind === undefined || version === undefined) throw fail('its body has no kind and apiVersion');
  return { log: '', logIndex, logId: Buffer.from(logId, 'hex'), kind, version, integratedTime, promise, proof: undefined, body };
}

/** cosign's `dev.sigstore.cosign/rfc3161timestamp` (sigstore-wire 3.1). */
export function timestampTextOf(response: Uint8Array): string {
  return JSON.stringify({ SignedRFC3161Timestamp: base64Of(response) });
}

/** The other way round: the TimeStampResp, DER. Throws `annotation.timestamp`. */
export function responseOfTimestampText(text: string, where: string): Uint8Array {
  const json = parseStrictJson(Buffer.from(text), `the timestamp of "${where}"`, maxBytes);
  const response = bytesAt(json, 'SignedRFC3161Timestamp');
  if (response !== undefined) return response;
  throw new TerminalError(
    'annotation.timestamp',
    `Cannot read the timestamp of "${where}": SignedRFC3161Timestamp must be base64 and not empty`,
  );
}

/** What the leaf of a Rekor log says that it is; undefined for what is no entry. */
export function kindOfBody(body: Uint8Array): { readonly kind: string; readonly version: string } | undefined {
  try {
    const json = parseStrictJson(body, 'the body of the log entry', 64 * maxBytes);
    const [kind, version] = [at(json, 'kind'), at(json, 'apiVersion')];
    return typeof kind === 'string' && typeof version === 'string' && kind !== '' ? { kind, version } : undefined;
  } catch (error) {
    if (error instanceof TerminalError) return undefined;
    throw error;
  }
}

function bytesAt(json: Json, ...path: readonly string[]): Uint8Array | undefined {
  const text = at(json, ...path);
  const bytes = typeof text === 'string' ? bytesOfBase64(text) : undefined;
  return bytes === undefined || bytes.length === 0 ? undefined : bytes;
}

function indexAt(json: Json, ...path: readonly string[]): number | undefined {
  const value = at(json, ...path);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
