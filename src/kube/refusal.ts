import { TerminalError, TransientError, type CodedError } from '../errors.ts';
import { at, isObject, objectsAt, textAt, type Json } from '../model/json.ts';
import { shownTarget, type Target } from './target.ts';

/** An answer that is not 2xx and not 404, or the `Status` in a watch's ERROR event. */
export interface Refusal {
  readonly status: number;
  /** The `Status` object; undefined when the answer was something else. */
  readonly body: Json | undefined;
  readonly retryAfterMs: number | undefined;
}

interface Meaning {
  readonly code: string;
  readonly retry: 'later' | 'never';
  /** The API server as a whole is at fault, not this request. */
  readonly isDown?: boolean;
  readonly why: string;
  readonly fix?: string;
}

const busy: Meaning = { code: 'kube.busy', retry: 'later', isDown: true, why: 'the API server is busy' };
const expired: Meaning = { code: 'kube.expired', retry: 'later', why: 'the API server does not have that resourceVersion' };
const refused: Meaning = { code: 'kube.refused', retry: 'never', why: 'the API server refused it' };
const meanings: Readonly<Record<number, Meaning>> = {
  400: { code: 'kube.invalid', retry: 'never', why: 'the API server does not accept the request' },
  401: {
    code: 'kube.unauthorized',
    retry: 'later',
    isDown: true,
    why: 'the API server does not accept our credentials',
    fix: 'check the ServiceAccount token, or the user of the kubeconfig, and the clocks of both sides',
  },
  403: { code: 'kube.forbidden', retry: 'never', why: 'it is forbidden' },
  408: busy,
  409: { code: 'kube.conflict', retry: 'later', why: 'the object has changed meanwhile' },
  410: expired,
  413: {
    code: 'kube.too-large',
    retry: 'never',
    why: 'the request is larger than the API server takes',
    fix: 'use a store outside the cluster for large payloads',
  },
  422: { code: 'kube.invalid', retry: 'never', why: 'the API server does not accept the object' },
  429: busy,
};
/** A patch for an object whose place another one has taken: for custom resources no 409 but "metadata.uid: field is immutable". */
const replaced: Meaning = { code: 'kube.conflict', retry: 'later', why: 'it is another object now' };
const exists: Meaning = { code: 'kube.exists', retry: 'later', why: 'it is already there' };
const unavailable: Meaning = { code: 'kube.unavailable', retry: 'later', isDown: true, why: 'the API server failed' };
/** Webhooks of others change with their releases and may be broken for a while (chains-controller 1.12): asked again later. */
const denied: Meaning = {
  code: 'kube.denied',
  retry: 'later',
  why: 'an admission webhook denied it',
  fix: 'see what the webhook says; upgrading Tekton Pipelines can make it refuse changes of finished runs',
};

/** What a refusal means. The server's own words are added, cut, except where they could quote a Secret. */
export function refusalError(refusal: Refusal, target: Target): CodedError {
  const said = target.resource.startsWith('secrets') ? '' : textAt(refusal.body, 'message').slice(0, 300);
  const meaning = meaningOf(refusal, said);
  const message = `Cannot ${shownTarget(target)}: ${meaning.why} (${refusal.status}${said === '' ? '' : `: ${said}`})`;
  const fix = meaning.code === 'kube.forbidden' ? fixForbidden(target) : meaning.fix;
  const detail = fix === undefined ? {} : { fix };
  if (meaning.retry === 'never') return new TerminalError(meaning.code, message, detail);
  return new TransientError(meaning.code, message, {
    ...detail,
    ...(refusal.retryAfterMs !== undefined && { retryAfterMs: refusal.retryAfterMs }),
    ...(meaning.isDown === true && { dependency: 'kube' }),
  });
}

/** The refusal in a `Status` object; undefined when it is none. `details.retryAfterSeconds` counts as `Retry-After`. */
export function refusalIn(body: Json | undefined): Refusal | undefined {
  if (!isObject(body) || textAt(body, 'kind') !== 'Status') return undefined;
  const status = at(body, 'code');
  const seconds = at(body, 'details', 'retryAfterSeconds');
  const isExpired = ['Expired', 'Gone'].includes(textAt(body, 'reason'));
  return {
    status: isExpired ? 410 : typeof status === 'number' ? status : 500,
    body,
    retryAfterMs: typeof seconds === 'number' ? seconds * 1000 : undefined,
  };
}

function meaningOf({ status, body }: Refusal, said: string): Meaning {
  if (status < 500 && said.includes('admission webhook')) return denied;
  if (status === 409 && textAt(body, 'reason') === 'AlreadyExists') return exists;
  // A 504 that never mends itself: etcd was restored from a backup and has yet to reach a resourceVersion of ours.
  if (hasCause(body, 'reason', 'ResourceVersionTooLarge')) return expired;
  if (status === 422 && hasCause(body, 'field', 'metadata.uid')) return replaced;
  return meanings[status] ?? (status >= 500 ? unavailable : refused);
}

function hasCause(body: Json | undefined, member: 'reason' | 'field', value: string): boolean {
  return objectsAt(body, 'details', 'causes').some((cause) => cause[member] === value);
}

function fixForbidden({ verb, resource, namespace }: Target): string {
  const where = namespace === undefined ? 'cluster-wide' : `in namespace "${namespace}"`;
  return `apply Chainsmith's ClusterRole and Role, or allow our account to ${verb} ${resource} ${where}`;
}
