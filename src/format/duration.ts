/** Nanoseconds of each unit that Go's duration text knows. */
const units: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n],
  ['μs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);
const whole = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const part = /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g;
const maxNanos = 2n ** 63n;

/** Go duration text as Go writes it again: `60m` gives `1h0m0s` (chains-provenance appendix B); undefined when it is none. */
export function durationText(text: string): string | undefined {
  if (/^[+-]?0$/.test(text)) return '0s';
  const match = whole.exec(text);
  if (match?.[2] === undefined) return undefined;
  let nanos = 0n;
  for (const [, digits = '', fraction = '', name = ''] of match[2].matchAll(part)) {
    const unit = units.get(name) ?? 0n;
    // More digits than a nanosecond of an hour has cannot change the result.
    const kept = fraction.slice(0, 18);
    nanos += BigInt(digits || '0') * unit + (BigInt(kept || '0') * unit) / 10n ** BigInt(kept.length);
  }
  if (nanos >= maxNanos) return undefined;
  return nanos === 0n ? '0s' : (match[1] === '-' ? '-' : '') + magnitudeText(nanos);
}

function magnitudeText(nanos: bigint): string {
  if (nanos < 1_000n) return `${nanos}ns`;
  if (nanos < 1_000_000n) return `${decimal(nanos, 3)}µs`;
  if (nanos < 1_000_000_000n) return `${decimal(nanos, 6)}ms`;
  const minutes = nanos / 60_000_000_000n;
  const seconds = `${decimal(nanos % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return seconds;
  return minutes < 60n ? `${minutes}m${seconds}` : `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value` divided by 10^places, without trailing zeros. */
function decimal(value: bigint, places: number): string {
  const scale = 10n ** BigInt(places);
  const fraction = String(value % scale)
    .padStart(places, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(value / scale) : `${value / scale}.${fraction}`;
}
