/** A number with its unit, or why the text is none. */
export type Quantity = { readonly kind: 'amount'; readonly amount: number } | { readonly kind: 'wrong'; readonly reason: string };

const unitsMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

const sizeUnits: ReadonlyMap<string, bigint> = new Map(
  Object.entries({
    '': 1n,
    k: 1000n,
    M: 1000n ** 2n,
    G: 1000n ** 3n,
    T: 1000n ** 4n,
    P: 1000n ** 5n,
    E: 1000n ** 6n,
    Ki: 1024n,
    Mi: 1024n ** 2n,
    Gi: 1024n ** 3n,
    Ti: 1024n ** 4n,
    Pi: 1024n ** 5n,
    Ei: 1024n ** 6n,
  }),
);

/**
 * A duration as Go's `time.ParseDuration` reads it (`168h`, `1h30m`, `1.5s`, `0`), in whole milliseconds, rounded.
 * Negative ones are refused: nothing here runs backwards.
 */
export function parseDuration(text: string): Quantity {
  const unsigned = text.startsWith('+') ? text.slice(1) : text;
  if (unsigned === '0') return { kind: 'amount', amount: 0 };
  if (/^\d+(\.\d+)?$/.test(unsigned)) return { kind: 'wrong', reason: `a unit is missing (write "${unsigned}s" for seconds)` };
  if (/^\d+d$/.test(unsigned))
    return { kind: 'wrong', reason: `there is no unit for days (write "${Number(unsigned.slice(0, -1)) * 24}h")` };
  if (!/^((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(unsigned)) return { kind: 'wrong', reason: 'it is no duration' };
  let ms = 0;
  for (const [, amount, unit] of unsigned.matchAll(/(\d+\.?\d*|\.\d+)([a-zµμ]+)/g))
    ms += Number(amount) * (unitsMs[unit ?? ''] ?? Number.NaN);
  const amount = Math.round(ms);
  return Number.isSafeInteger(amount) ? { kind: 'amount', amount } : { kind: 'wrong', reason: 'it is too long to count in milliseconds' };
}

/**
 * A size as a Kubernetes quantity (`16Mi`, `1Gi`, `1.5G`, `1048576`, `1e6`), in bytes; a part of a byte is rounded up, as Kubernetes does.
 * Units are powers of 1000 (`k M G T P E`) and of 1024 (`Ki Mi Gi Ti Pi Ei`); `m` (thousandths) makes no sense for bytes and is refused.
 */
export function parseSize(text: string): Quantity {
  const match = /^\+?(\d+)(?:\.(\d*))?(?:[eE]\+?(\d{1,2})|([A-Za-z]*))$/.exec(text);
  if (match === null) return { kind: 'wrong', reason: 'it is no size' };
  const [, whole = '', fraction = '', exponent, suffix = ''] = match;
  const unit = exponent === undefined ? sizeUnits.get(suffix) : 10n ** BigInt(exponent);
  if (unit === undefined) return { kind: 'wrong', reason: `the unit "${suffix}" is not known${hintForUnit(suffix)}` };
  if (fraction.length > 30) return { kind: 'wrong', reason: 'it has too many digits' };
  const scale = 10n ** BigInt(fraction.length);
  const bytes = (BigInt(whole + fraction) * unit + scale - 1n) / scale;
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) return { kind: 'wrong', reason: 'it is larger than anything that can be counted' };
  return { kind: 'amount', amount: Number(bytes) };
}

function hintForUnit(suffix: string): string {
  const bare = suffix.replace(/i?[bB](yte)?s?$/, '').toUpperCase();
  const unit = bare.charAt(0);
  return 'KMGTPE'.includes(unit) && unit !== '' ? ` (write "${unit}i")` : '';
}

const durationUnits = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** The duration in the largest units that hold it exactly (`90m` is `1h30m`), for people; `parseDuration` reads it back. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s';
  let rest = ms;
  let text = '';
  for (const [unit, size] of durationUnits) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return rest > 0 ? `${text}${rest}ms` : text;
}

/** The size in the largest binary unit that divides it (`16Mi`); `parseSize` reads it back. */
export function sizeText(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti'];
  let amount = bytes;
  let step = 0;
  while (amount > 0 && amount % 1024 === 0 && step < units.length - 1) {
    amount /= 1024;
    step += 1;
  }
  return `${amount}${units[step]}`;
}
