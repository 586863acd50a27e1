import type { Compilable } from 'kysely';
import { TerminalError } from '../errors.ts';

/** What an engine binds. `null` is SQL's, and lives only here. */
export type Parameter = string | number | Uint8Array | null;

/** One compiled statement of a request; the statements of a request are done together or not at all. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  /** The statements after it are left out when it changed no row. */
  readonly isGate: boolean;
}

/** What a statement gave: rows of a query, or the number of rows that it changed. */
export interface Result {
  readonly rows: readonly unknown[];
  readonly changes: number;
}

/** Runs the statements of one request in order, durably; gives a result for each that was run. */
export type Execute = (statements: readonly Statement[]) => Promise<readonly Result[]>;

/** Bytes are copied: the caller may reuse its buffer, and a copy can be handed to another thread whole. */
export function statementOf(query: Compilable, isGate = false): Statement {
  const { sql, parameters } = query.compile();
  return { sql, parameters: parameters.map(parameterOf), isGate };
}

export function parameterOf(value: unknown): Parameter {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  throw new TerminalError('journal.parameter', `Cannot bind a value of type "${typeof value}": want text, a number, bytes or null`);
}
