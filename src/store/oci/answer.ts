import { TerminalError, TransientError, type CodedError } from '../../errors.ts';
import { isBusy, retryAfterMs, shownUrl, type Answer } from '../../http/http.ts';
import { at, isObject, type Json } from '../../model/json.ts';

/** What was tried, for messages: `push blob`, and where: `registry/repository`. `dependency` is `oci:<registry>`. */
export interface Attempt {
  readonly action: string;
  readonly where: string;
  readonly dependency: string;
}

/** The error that an unwelcome status means (distribution-spec, error codes; sigstore-wire 3.8). Bodies are not shown: they may echo what we sent. */
export function refusal(answer: Answer, attempt: Attempt): CodedError {
  const { status } = answer;
  const codes = errorCodesOf(answer);
  const reason = `the answer is ${status}${codes === '' ? '' : ` ${codes}`}`;
  const message = `Cannot ${attempt.action} "${attempt.where}": ${reason}`;
  if (status === 401 || status === 403) {
    return new TerminalError('oci.denied', message, {
      fix: 'give credentials for this repository that allow it in the docker configuration (storage.oci.docker-config)',
    });
  }
  if (isBusy(status)) {
    const waitMs = retryAfterMs(answer.headers);
    return new TransientError(status === 429 ? 'oci.busy' : 'oci.unavailable', message, {
      dependency: attempt.dependency,
      ...(waitMs !== undefined && { retryAfterMs: waitMs }),
    });
  }
  // Blobs that were just pushed may not be visible everywhere yet.
  if (/BLOB_UNKNOWN|BLOB_UPLOAD_|DIGEST_INVALID/.test(codes)) return new TransientError('oci.blob-unknown', message);
  if (status === 404)
    return new TerminalError('oci.no-repository', message, { fix: 'make the repository: this registry does not do it by itself' });
  if (status < 400) return nonsense(answer, attempt, 'not what was asked for');
  return new TerminalError('oci.refused', message, {
    fix: 'look at what the registry allows: tags sha256-*.att and .sig must not be immutable, and OCI manifests must be accepted',
  });
}

/** An answer that breaks the protocol: a page of a proxy, a cut body, somebody else's server. May mend itself. */
export function nonsense(answer: Answer, attempt: Attempt, reason: string): TransientError {
  const type = (answer.headers['content-type'] ?? 'no content type').slice(0, 80).replaceAll(/[^\x20-\x7e]/g, '?');
  const came = `${answer.status} ${type}, ${answer.body.length} bytes, from ${shownUrl(answer.url)}`;
  return new TransientError('oci.protocol', `Cannot ${attempt.action} "${attempt.where}": ${reason} (${came})`, {
    fix: 'see that the name and port are a registry, and that no proxy answers in its place',
  });
}

/** `{"errors":[{"code"}]}`: the codes only. */
function errorCodesOf(answer: Answer): string {
  const body = jsonOf(answer.body);
  const errors = at(body, 'errors');
  if (!Array.isArray(errors)) return '';
  const codes = errors.flatMap((error: Json) => (isObject(error) && typeof error['code'] === 'string' ? [error['code']] : []));
  return codes
    .filter((code) => /^[A-Z_]{1,64}$/.test(code))
    .slice(0, 5)
    .join(', ');
}

/** undefined for what is not JSON. */
export function jsonOf(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as Json;
  } catch {
    return undefined;
  }
}
