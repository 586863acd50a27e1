import type { X509Certificate } from 'node:crypto';
import { keyDetailsOf } from '../trust/log-key.ts';
import type { OpenTrust } from '../trust/open.ts';
import type { TrustedAuthority, TrustedLog, Validity } from '../trust/trusted-root.ts';
import { plain, styleOf, type Io, type Style } from './io.ts';

/** What ends within this time is worth a line of its own: a month is what an organisation needs to act. */
const soonMs = 30 * 24 * 60 * 60 * 1000;

/** One log or authority. Times are ISO 8601; no `until`: no end is known. */
interface Row {
  readonly kind: 'log' | 'certificate log' | 'certificate authority' | 'timestamp authority';
  readonly url: string;
  /** Of a log, in hex. */
  readonly id?: string;
  /** Kind of a log's key, as protobuf-specs names it. */
  readonly key?: string;
  /** Of an authority, nearest first. */
  readonly certificates?: readonly { readonly subject: string; readonly from: string; readonly until: string }[];
  readonly from: string;
  /** When it is trusted no more: its own end, or that of the first certificate that runs out. */
  readonly until: string | undefined;
  readonly state: 'trusted' | 'soon over' | 'over' | 'not yet';
}

/** Prints where trust is from, and everything in it: `{origin, tuf: [{role, version, expires}], trusted: [row]}`, or text for a person. */
export function reportOfTrust(trust: OpenTrust, now: Date, isJson: boolean, io: Io): void {
  const rows = rowsOf(trust, now);
  const tuf = trust.roles.map(({ role, version, expires }) => ({ role, version, expires: expires.toISOString() }));
  const json = () => `${JSON.stringify({ origin: trust.origin, tuf, trusted: rows }, undefined, 2)}\n`;
  io.stdout.write(isJson ? json() : textOf(trust, rows, now, styleOf(io.stdout, io)));
}

function rowsOf({ root }: OpenTrust, now: Date): readonly Row[] {
  return [
    ...root.logs.map((log) => logRow('log', log, now)),
    ...root.certificateAuthorities.map((authority) => authorityRow('certificate authority', authority, now)),
    ...root.ctLogs.map((log) => logRow('certificate log', log, now)),
    ...root.timestampAuthorities.map((authority) => authorityRow('timestamp authority', authority, now)),
  ];
}

function logRow(kind: Row['kind'], { baseUrl, logId, publicKey, validFor }: TrustedLog, now: Date): Row {
  const key = keyDetailsOf(publicKey) ?? publicKey.asymmetricKeyType ?? '';
  return { kind, url: baseUrl, id: Buffer.from(logId).toString('hex'), key, ...periodOf(validFor, now) };
}

function authorityRow(kind: Row['kind'], { uri, chain, validFor }: TrustedAuthority, now: Date): Row {
  const ends = [validFor.end, ...chain.map(({ validToDate }) => validToDate)].flatMap((end) => end ?? []);
  const end = ends.reduce((first, one) => (one < first ? one : first));
  return { kind, url: uri, certificates: chain.map(certificateRow), ...periodOf({ start: validFor.start, end }, now) };
}

function certificateRow({ subject, validFromDate, validToDate }: X509Certificate): NonNullable<Row['certificates']>[number] {
  return { subject: subject.replaceAll('\n', ', '), from: validFromDate.toISOString(), until: validToDate.toISOString() };
}

function periodOf({ start, end }: Validity, now: Date): Pick<Row, 'from' | 'until' | 'state'> {
  return { from: start.toISOString(), until: end?.toISOString(), state: stateOf(start, end, now) };
}

function stateOf(start: Date, end: Date | undefined, now: Date): Row['state'] {
  if (now < start) return 'not yet';
  if (end === undefined || end.getTime() - now.getTime() > soonMs) return 'trusted';
  return end < now ? 'over' : 'soon over';
}

function textOf({ origin, roles }: OpenTrust, rows: readonly Row[], now: Date, style: Style): string {
  const lines = [`${style('bold', 'from')}  ${plain(origin)}`];
  for (const { role, version, expires } of roles) {
    lines.push(
      `      ${`${role}.json`.padEnd(14)} version ${String(version).padEnd(4)} expires ${expires.toISOString()} (${spanOf(expires, now)})`,
    );
  }
  if (rows.length === 0) lines.push('', 'nothing is trusted: signatures are verified by keys alone');
  for (const row of rows) lines.push('', ...rowLines(row, style));
  const ending = rows.filter(({ state }) => state === 'soon over');
  if (ending.length > 0) lines.push('');
  for (const { kind, url, until = '' } of ending) {
    lines.push(`${style('yellow', 'soon over:')} the ${kind} ${plain(url)} is trusted until ${until} (${spanOf(new Date(until), now)})`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function rowLines({ kind, url, id, key, certificates = [], from, until, state }: Row, style: Style): readonly string[] {
  const mark = state === 'trusted' ? '' : `  ${style(state === 'over' ? 'dim' : 'yellow', state)}`;
  return [
    `${style('bold', kind)}  ${plain(url)}${mark}`,
    ...(id === undefined ? [] : [`  id     ${id}`, `  key    ${plain(key ?? '')}`]),
    ...certificates.map(({ subject, until: end }) => `  holds  ${plain(subject)} (until ${end})`),
    `  valid  from ${from}${until === undefined ? '' : ` until ${until}`}`,
  ];
}

function spanOf(end: Date, now: Date): string {
  const days = Math.floor((end.getTime() - now.getTime()) / (24 * 60 * 60 * 1000));
  if (end < now) return 'over';
  return days === 0 ? 'less than a day' : `${days} ${days === 1 ? 'day' : 'days'}`;
}
