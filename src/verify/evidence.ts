import { codeOf, TerminalError } from '../errors.ts';
import type { LogEntry } from '../model/evidence.ts';
import { checkEntry, checkEntryBody, type CheckedEntry, type EntryClaim } from '../trust/entry.ts';
import { checkTimestamp } from '../trust/timestamp.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { Exhibit, Stamp } from './exhibit.ts';
import type { Demands } from './policy.ts';
import { demand, refused, type Check, type TrustedTime } from './verdict.ts';

/** Who else vouches for a signature, all of it verified. */
export interface Evidence {
  readonly entered: readonly Entered[];
  /** Those of logs first, each in the order in which they stand. */
  readonly times: readonly TrustedTime[];
}

/** An entry that a trusted log has, and that is about the signature. */
export interface Entered extends CheckedEntry {
  readonly entry: LogEntry;
}

/** `signatory` is whoever the entries must name. What nobody asks for is not looked at, and then not listed as checked. */
export function evidenceOf(
  exhibit: Exhibit,
  signatory: Pick<EntryClaim, 'publicKey' | 'certificate'>,
  demands: Demands,
  check: Check,
): Evidence {
  const { trust, thresholds, isTimed } = demands;
  const { content, signature } = exhibit;
  const claim = { ...signatory, content, signature };
  const entered = thresholds.log === 0 ? [] : check('log', () => enteredIn(exhibit.entries(), claim, trust, thresholds.log));
  const isStamped = thresholds.timestamps > 0 || (trust.timestampAuthorities.length > 0 && exhibit.isStamped);
  const stamped = isStamped ? check('timestamp', () => stampedIn(exhibit.stamps(), trust, thresholds.timestamps)) : [];
  const times = [...timesOf(entered), ...stamped];
  if (isTimed || times.length > 0) {
    check('trusted-time', () => {
      demand(times.length > 0, 'no log and no authority that is trusted vouches for when it was made');
      demandOpenLogs(entered, times);
    });
  }
  return { entered, times };
}

const maxEntries = 32;
const maxStamps = 32;

/**
 * The entries of logs that are trusted; all of them must be good, and about this very signature. Those of other logs are left out: a bundle may
 * serve several worlds. `threshold` counts logs, not entries: one that is given twice vouches once, and the same entry twice is refused.
 */
function enteredIn(entries: readonly LogEntry[], claim: EntryClaim, root: TrustedRoot, threshold: number): readonly Entered[] {
  demand(entries.length <= maxEntries, `it has ${entries.length} log entries, more than ${maxEntries}`);
  const places = entries.map(({ logId, logIndex }) => `${Buffer.from(logId).toString('hex')} ${logIndex}`);
  demand(new Set(places).size === places.length, 'it has the same log entry twice');
  const entered: Entered[] = [];
  for (const entry of entries) {
    const checked = knownOf(entry, root);
    if (checked === undefined) continue;
    checkEntryBody(entry, claim);
    entered.push({ ...checked, entry });
  }
  const logs = new Set(entered.map(({ entry }) => Buffer.from(entry.logId).toString('hex'))).size;
  const others = entries.length - entered.length;
  const more = others === 0 ? '' : `; ${others} more of logs that the trusted root does not have`;
  demand(logs >= threshold, `it is in ${logs} trusted logs, want ${threshold}${more}`);
  return entered;
}

function knownOf(entry: LogEntry, root: TrustedRoot): CheckedEntry | undefined {
  try {
    return checkEntry(entry, root);
  } catch (error) {
    if (codeOf(error) === 'trust.log-unknown') return undefined;
    throw error;
  }
}

/** The times of trusted authorities. A response of one that the root does not have is left out, a wrong one of one that it has is refused. */
function stampedIn(stamps: readonly Stamp[], root: TrustedRoot, threshold: number): readonly TrustedTime[] {
  demand(stamps.length <= maxStamps, `it has ${stamps.length} timestamps, more than ${maxStamps}`);
  const times: TrustedTime[] = [];
  const reasons: string[] = [];
  for (const { response, over } of stamps) {
    const stamped = timeOf(response, over, root);
    if (typeof stamped === 'string') reasons.push(stamped);
    else times.push(stamped);
  }
  const authorities = new Set(times.map(({ from }) => from)).size;
  const why = reasons.length === 0 ? '' : `; ${reasons.join('; ')}`;
  demand(authorities >= threshold, `${authorities} trusted timestamp authorities have stamped it, want ${threshold}${why}`);
  return times;
}

/** Each authority is asked alone: it is known then who stamped, and none can lend another the time for which it is trusted. */
function timeOf(response: Uint8Array, over: Uint8Array, root: TrustedRoot): TrustedTime | string {
  let reason = 'the trusted root has no timestamp authority';
  for (const authority of root.timestampAuthorities) {
    try {
      return { time: checkTimestamp(response, over, { ...root, timestampAuthorities: [authority] }), from: authority.uri };
    } catch (error) {
      if (!(error instanceof TerminalError) || error.code !== 'trust.timestamp-untrusted') throw error;
      reason = error.message;
    }
  }
  return reason;
}

/** The times that logs signed, in the order of the entries. */
function timesOf(entered: readonly Entered[]): readonly TrustedTime[] {
  return entered.flatMap(({ log, time }) => (time === undefined ? [] : [{ time, from: log.baseUrl }]));
}

/**
 * An entry without a signed time must be of a log that was not closed before the signature existed: whoever finds the key of a closed log could
 * write entries today.
 */
function demandOpenLogs(entered: readonly Entered[], times: readonly TrustedTime[]): void {
  for (const { log, time } of entered) {
    const late = time === undefined && times.find((trusted) => log.validFor.end !== undefined && trusted.time > log.validFor.end);
    if (late) throw refused(`the log ${log.baseUrl} was closed before ${late.time.toISOString()}, when ${late.from} saw the signature`);
  }
}
