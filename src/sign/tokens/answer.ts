import { TransientError } from '../../errors.ts';
import { isBusy, retryAfterMs, send, shownUrl, type Answer, type Call } from '../../http/http.ts';
import { parseJson, textAt, type Json } from '../../model/json.ts';
import type { Context } from '../../observe/context.ts';
import { maxTokenBytes } from './token.ts';

/**
 * The body of a token service's answer. Throws what `send` throws, `sign.token-refused` for a status that is no success (transient: rights
 * are given while we wait) and `sign.token-answer` for nonsense. What such a service says may hold secrets: nothing of it is passed on.
 */
export async function textFrom(call: Call, ctx: Context): Promise<string> {
  const answer = await send({ ...call, timeoutMs: 5_000, maxBytes: 2 * maxTokenBytes }, ctx);
  if (answer.status < 200 || answer.status > 299) throw refused(call, answer);
  return Buffer.from(answer.body).toString('utf8');
}

/** A text member of a JSON answer. */
export async function memberFrom(call: Call, member: string, ctx: Context): Promise<string> {
  const text = textAt(jsonIn(await textFrom(call, ctx)), member);
  if (text !== '') return text;
  const { dependency } = call;
  throw new TransientError('sign.token-answer', `Cannot use the answer of ${shownUrl(call.url)}: it has no text "${member}"`, {
    dependency,
    fix: 'check the address: something else seems to answer there',
  });
}

function jsonIn(text: string): Json | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function refused({ url, dependency }: Call, { status, headers }: Answer): TransientError {
  const waitMs = retryAfterMs(headers);
  return new TransientError('sign.token-refused', `Cannot get an identity token from ${shownUrl(url)}: status ${status}`, {
    ...(isBusy(status) ? { dependency } : { fix: 'check that this workload may get identity tokens there' }),
    ...(waitMs !== undefined && { retryAfterMs: waitMs }),
  });
}
