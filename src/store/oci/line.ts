import type { Answer, Call } from '../../http/http.ts';
import { parseSha256, type Sha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';
import { nonsense, type Attempt } from './answer.ts';

/** One request below `/v2/<repository>/`, or to a URL that the registry gave. */
export interface Ask extends Pick<Call, 'method' | 'headers' | 'body' | 'retries' | 'maxBytes'> {
  /** Relative to `/v2/<repository>/`; an absolute URL is taken as it is, and gets our credentials only at the registry's own origin. */
  readonly to: string;
}

/** Speaks for one repository: endpoint, credentials, and one more try after a challenge. Any status is an answer. */
export type Speak = (request: Ask, ctx: Context) => Promise<Answer>;

/** What one repository of a registry needs of its client. */
export interface Line {
  /** `registry/path`, for messages. */
  readonly where: string;
  readonly dependency: string;
  readonly maxBytes: number;
  readonly speak: Speak;
  exclusively<T>(tag: string, work: () => Promise<T>): Promise<T>;
}

export function attemptOf(line: Line, action: string, suffix: string): Attempt {
  return { action, where: `${line.where}${suffix}`, dependency: line.dependency };
}

/** `:tag` or `@sha256:…`, as it stands behind a repository. */
export function suffixOf(reference: string): string {
  return reference.startsWith('sha256:') ? `@${reference}` : `:${reference}`;
}

/** `Docker-Content-Digest`; undefined when it is absent or not SHA-256. */
export function digestIn(answer: Answer): Sha256 | undefined {
  const text = answer.headers['docker-content-digest'];
  return text !== undefined && /^sha256:[0-9a-f]{64}$/.test(text) ? parseSha256(text) : undefined;
}

/** The media type of an answer, without parameters; empty text when there is none. */
export function mediaTypeOf(answer: Answer): string {
  return (answer.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
}

/** We ask for bytes as they are, and never decompress: what is compressed all the same is refused before anything reads it. */
export function demandPlain(answer: Answer, attempt: Attempt): void {
  const encoding = answer.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity' && encoding !== '') throw nonsense(answer, attempt, 'the answer is compressed, which was not asked for');
}
