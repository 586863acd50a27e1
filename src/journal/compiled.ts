import type { Compilable, Kysely } from 'kysely';
import type { Tables } from './schema.ts';
import { parameterOf, type Statement } from './statement.ts';

export type Db = Kysely<Tables>;

/**
 * One statement of the journal with its values. It must not look at them: it is called once, with stand-ins, and whatever the values are, the
 * text is the same.
 */
export type Query<Values> = (db: Db, values: Values) => Compilable;

interface Template {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** What a value is while its statement is compiled. */
class StandIn {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** The journal has some thirty statements. */
const maxTemplates = 128;

/**
 * The statements of one journal, each compiled once: building and printing one takes 20 times as long as filling it, which was a tenth of what
 * a run costs.
 */
export class Statements {
  readonly #db: Db;
  readonly #templates = new Map<Query<never>, Template>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** `query` must be one and the same function each time, not one made on the way. Bytes are copied, as `parameterOf` has it. */
  of<Values extends object>(query: Query<Values>, values: Values, isGate = false): Statement {
    const { sql, parameters } = this.#templates.get(query) ?? this.#compiled(query);
    const filled = parameters.map((parameter) => {
      return parameterOf(parameter instanceof StandIn ? (values as Record<string, unknown>)[parameter.name] : parameter);
    });
    return { sql, parameters: filled, isGate };
  }

  #compiled<Values extends object>(query: Query<Values>): Template {
    const standIns = new Proxy({}, { get: (_, name) => new StandIn(String(name)) }) as Values;
    const { sql, parameters } = query(this.#db, standIns).compile();
    const template = { sql, parameters };
    if (this.#templates.size >= maxTemplates) this.#templates.clear();
    this.#templates.set(query, template);
    return template;
  }
}
