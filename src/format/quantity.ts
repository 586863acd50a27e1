type Family = 'decimal' | 'binary' | 'exponent';
interface Parsed {
  readonly sign: -1n | 1n;
  readonly integer: string;
  readonly fraction: string;
  readonly family: Family;
  /** Power of ten, or of two in the binary family. */
  readonly exponent: number;
}

const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const pattern = /^([+-]?)(\d*)(?:\.(\d*))?([numkMGTPE]?|[KMGTPE]i|[eE][+-]?\d{1,3})$/;
const maxBinary = 2n ** 63n - 1n;

/** A Kubernetes quantity as its type writes it again: `1024Mi` gives `1Gi` (chains-provenance appendix B); undefined when it is none. */
export function quantityText(text: string): string | undefined {
  const parsed = parse(text);
  if (parsed === undefined) return undefined;
  return text === '0' || looksCanonical(parsed) ? text : canonicalText(parsed);
}

function parse(text: string): Parsed | undefined {
  // 64 characters hold every number that the type can; more would only be work for BigInt.
  const match = text.length > 64 ? null : pattern.exec(text);
  if (match === null) return undefined;
  const [, sign, digits = '', fraction = '', suffix = ''] = match;
  if (digits === '' && fraction === '') return undefined;
  const integer = digits.replace(/^0+/, '') || '0';
  const shared = { sign: sign === '-' ? -1n : 1n, integer, fraction } as const;
  if (binarySuffixes.indexOf(suffix) > 0) return { ...shared, family: 'binary', exponent: binarySuffixes.indexOf(suffix) * 10 };
  const place = decimalSuffixes.indexOf(suffix);
  if (place >= 0) return { ...shared, family: 'decimal', exponent: place * 3 - 9 };
  return { ...shared, family: 'exponent', exponent: Number(suffix.slice(1)) };
}

function looksCanonical({ integer, fraction, family, exponent }: Parsed): boolean {
  const digits = integer + fraction;
  if (family === 'binary') {
    const isSmall = integer.length + Math.floor((exponent * 3) / 10) + 1 <= 15;
    return fraction === '' && isSmall && BigInt(integer) % 8n !== 0n;
  }
  const scale = exponent - fraction.length;
  return digits.length <= 18 && scale >= -9 && scale % 3 === 0 && !digits.endsWith('000') && !digits.startsWith('0');
}

function canonicalText({ sign, integer, fraction, family, exponent }: Parsed): string {
  const factor = family === 'binary' ? 2n ** BigInt(exponent) : 1n;
  const mantissa = BigInt(integer + fraction) * factor;
  const scale = (family === 'binary' ? 0 : exponent) - fraction.length;
  if (mantissa === 0n) return '0';
  const nanos = inNanos(mantissa, scale);
  if (family !== 'binary') return decimalText(sign * nanos, family);
  const capped = nanos > maxBinary * 10n ** 9n && sign > 0n ? maxBinary * 10n ** 9n : nanos;
  return binaryText(sign, capped);
}

/** Billionths; what is finer is rounded away from zero, so that a little stays a little. */
function inNanos(mantissa: bigint, scale: number): bigint {
  const shift = scale + 9;
  if (shift >= 0) return mantissa * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return (mantissa + divisor - 1n) / divisor;
}

function binaryText(sign: bigint, nanos: bigint): string {
  const one = 10n ** 9n;
  if (nanos % one !== 0n || nanos < 1024n * one) return decimalText(sign * nanos, 'decimal');
  let value = nanos / one;
  let power = 0;
  while (value % 1024n === 0n && power < binarySuffixes.length - 1) {
    value /= 1024n;
    power++;
  }
  return `${sign * value}${binarySuffixes[power]}`;
}

function decimalText(nanos: bigint, family: 'decimal' | 'exponent'): string {
  let value = nanos;
  let exponent = -9;
  while (value % 1000n === 0n && (family === 'exponent' || exponent < 18)) {
    value /= 1000n;
    exponent += 3;
  }
  if (family === 'exponent') return exponent === 0 ? `${value}` : `${value}e${exponent}`;
  return `${value}${decimalSuffixes[(exponent + 9) / 3]}`;
}
