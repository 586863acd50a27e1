import { isDeepStrictEqual } from 'node:util';
import { deviations } from './deviations.ts';
import { files, outcomeOf, readRows, type GoldenRow, type Outcome } from './rows.ts';

/** What we want of a row, any one of them: what Tekton Chains made, or what `deviations` says instead. */
export function wantedOf(row: GoldenRow): readonly Outcome[] {
  const deviation = Object.hasOwn(deviations, row.id) ? deviations[row.id] : undefined;
  if (deviation !== undefined) return [deviation.expected(row)];
  // The one error that Chains gives and we give as well: a param or result without a value (E-60).
  if (row.error !== undefined) return [{ kind: 'error', code: 'format.value-missing' }];
  if (row.expectedImages !== undefined) return [{ kind: 'images', images: row.expectedImages }];
  return (row.expectedAnyOf ?? [row.expected ?? '']).map((text) => ({ kind: 'payload', text }));
}

/**
 * Where a row differs from what is wanted; undefined when the bytes agree, but for the texts of numbers: Tekton Chains writes the nearest
 * double, we write what was received, and every reader makes the same of both.
 */
export function differenceOf(row: GoldenRow): string | undefined {
  const made = doubled(outcomeOf(row));
  const wanted = wantedOf(row);
  if (wanted.some((outcome) => isDeepStrictEqual(made, outcome))) return undefined;
  return firstDifference(readable(made), readable(wanted[0]), '$') ?? 'only the order of members differs';
}

/** Strings are stepped over; what is a number outside of them is written as Tekton Chains writes it. */
const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function doubled(outcome: Outcome): Outcome {
  if (outcome.kind !== 'payload') return outcome;
  const nearest = (token: string) => (token.startsWith('"') ? token : Object.is(Number(token), -0) ? '-0' : String(Number(token)));
  return { kind: 'payload', text: outcome.text.replace(stringOrNumber, nearest) };
}

function readable(outcome: Outcome | undefined): unknown {
  return outcome?.kind === 'payload' ? JSON.parse(outcome.text === '' ? 'null' : outcome.text) : outcome;
}

function firstDifference(made: unknown, wanted: unknown, path: string): string | undefined {
  if (isDeepStrictEqual(made, wanted)) return undefined;
  if (isContainer(made) && isContainer(wanted)) {
    const names = new Set([...Object.keys(made), ...Object.keys(wanted)]);
    return [...names].map((name) => firstDifference(made[name], wanted[name], `${path}.${name}`)).find((found) => found !== undefined);
  }
  if (path.endsWith('.content') && typeof made === 'string' && typeof wanted === 'string') {
    return firstDifference(decoded(made), decoded(wanted), `${path}()`) ?? `${path}: only the order of members differs`;
  }
  return `${path}: made ${JSON.stringify(made)?.slice(0, 300)}, want ${JSON.stringify(wanted)?.slice(0, 300)}`;
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function decoded(content: string): unknown {
  return JSON.parse(Buffer.from(content, 'base64').toString('utf8'));
}

if (import.meta.main) {
  const rows = files.flatMap(readRows);
  const failures = rows.flatMap((row) => {
    const difference = differenceOf(row);
    return difference === undefined ? [] : [`${row.id} (${row.kind} ${row.format}): ${difference}`];
  });
  for (const failure of failures) console.log(failure);
  console.log(`${rows.length - failures.length} of ${rows.length}`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
