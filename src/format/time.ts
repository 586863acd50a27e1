/** A point in time to the nanosecond: what Kubernetes and RFC 3339 can say and `Date` cannot. */
export interface Instant {
  /** Milliseconds since the epoch, a whole number of seconds. */
  readonly secondMs: number;
  readonly nanos: number;
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

/** Go's zero time, which the Kubernetes types write as null. */
const zeroMs = Date.parse('0001-01-01T00:00:00Z');

/** Parses RFC 3339 text; undefined when it is something else. */
export function parseTime(text: string): Instant | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return undefined;
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (offsetHours > 24 || offsetMinutes > 60) return undefined;
  const offset = (match[8] === '-' ? -1 : 1) * (offsetHours * 60 + offsetMinutes);
  const secondMs = date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000;
  return { secondMs, nanos: Number((match[7] ?? '').slice(0, 9).padEnd(9, '0')) };
}

export function isZeroTime(instant: Instant): boolean {
  return instant.secondMs === zeroMs && instant.nanos === 0;
}

/** UTC, whole seconds: how the Kubernetes types write it (chains-provenance 9.5). */
export function timeText(instant: Instant): string {
  return `${wholeSeconds(instant)}Z`;
}

/** UTC, with the fraction without trailing zeros: SLSA v0.2. */
export function shortestTimeText(instant: Instant): string {
  return withFraction(instant, nineDigits(instant).replace(/0+$/, ''));
}

/** UTC, with a fraction of 0, 3, 6 or 9 digits: protobuf's JSON, SLSA v1. */
export function protobufTimeText(instant: Instant): string {
  return withFraction(instant, nineDigits(instant).replace(/(?:000)+$/, ''));
}

function withFraction(instant: Instant, fraction: string): string {
  return `${wholeSeconds(instant)}${fraction === '' ? '' : `.${fraction}`}Z`;
}

function nineDigits({ nanos }: Instant): string {
  return String(nanos).padStart(9, '0');
}

function wholeSeconds({ secondMs }: Instant): string {
  return new Date(secondMs).toISOString().slice(0, -'.000Z'.length);
}
