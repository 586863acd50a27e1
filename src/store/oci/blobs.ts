import { TerminalError, TransientError, type CodedError } from '../../errors.ts';
import type { Answer } from '../../http/http.ts';
import { parseSha256, sha256Of } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';
import { nonsense, refusal, type Attempt } from './answer.ts';
import { attemptOf, demandPlain, type Line } from './line.ts';

/** Undefined when it is not there. Throws `oci.too-large` without asking, and `oci.protocol` for other bytes than the digest says. */
export async function readBlob(
  line: Line,
  layer: { readonly digest: string; readonly size: number },
  ctx: Context,
): Promise<Uint8Array | undefined> {
  const digest = parseSha256(layer.digest);
  const attempt = attemptOf(line, 'read blob', `@${layer.digest}`);
  if (layer.size > line.maxBytes) {
    throw new TerminalError(
      'oci.too-large',
      `Cannot read blob "${attempt.where}": it has ${layer.size} bytes, more than ${line.maxBytes}`,
      {
        fix: 'raise limits.response-bytes if such layers are expected',
      },
    );
  }
  const answer = await line.speak({ method: 'GET', to: `blobs/sha256:${digest}` }, ctx);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refusal(answer, attempt);
  demandPlain(answer, attempt);
  if (answer.body.length !== layer.size) throw nonsense(answer, attempt, `it must have ${layer.size} bytes`);
  if (sha256Of(answer.body) !== digest) throw nonsense(answer, attempt, 'it has another digest');
  return answer.body;
}

/** Sends a blob that is not there yet. */
export async function ensureBlob(line: Line, bytes: Uint8Array, ctx: Context): Promise<void> {
  const digest = sha256Of(bytes);
  const answer = await line.speak({ method: 'HEAD', to: `blobs/sha256:${digest}` }, ctx);
  if (answer.status === 200) return;
  if (answer.status !== 404) throw refusal(answer, attemptOf(line, 'look for blob', `@sha256:${digest}`));
  await putBlob(line, bytes, ctx);
}

/** POST for a session, PUT of everything at once; a session that broke is begun anew once. Envelopes are small: no chunks. */
export async function putBlob(line: Line, bytes: Uint8Array, ctx: Context): Promise<void> {
  const digest = `sha256:${sha256Of(bytes)}`;
  const attempt = attemptOf(line, 'push blob', `@${digest}`);
  for (let tries = 1; ; tries += 1) {
    const started = await line.speak({ method: 'POST', to: 'blobs/uploads/', retries: 2 }, ctx);
    if (started.status !== 202) throw refusal(started, attempt);
    const to = uploadUrl(started, attempt, digest);
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await line.speak({ method: 'PUT', to, headers, body: bytes, retries: 0 }, ctx);
    if (answer.status === 201) return;
    const error = answer.status === 404 ? sessionLost(attempt) : refusal(answer, attempt);
    if (tries >= 2 || error instanceof TerminalError) throw error;
  }
}

/** `Location` may be relative, of another origin, and have a query that must be kept. */
function uploadUrl(started: Answer, attempt: Attempt, digest: string): string {
  const location = started.headers['location'];
  if (location === undefined || !URL.canParse(location, started.url))
    throw nonsense(started, attempt, 'the registry gave no place for the upload');
  const url = new URL(location, started.url);
  const from = new URL(started.url);
  // A registry behind a proxy that speaks TLS for it often does not know that it is https.
  if (from.protocol === 'https:' && url.protocol === 'http:' && url.host === from.host) url.protocol = 'https:';
  if ((from.protocol === 'https:' && url.protocol !== 'https:') || !/^https?:$/.test(url.protocol))
    throw nonsense(started, attempt, `the upload would go to ${url.protocol}//${url.host}`);
  // Not through searchParams: it would write the query anew, and some registries have it signed.
  const query = `digest=${encodeURIComponent(digest)}`;
  url.search = url.search === '' ? query : `${url.search}&${query}`;
  return url.href;
}

function sessionLost({ action, where }: Attempt): CodedError {
  return new TransientError('oci.upload-lost', `Cannot ${action} "${where}": the registry forgot the upload`);
}
