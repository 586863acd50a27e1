import type { ValueType } from './values.ts';

/**
 * One row of the schema: everything that is known about one key. Parsing, defaults, `--help`, `docs/config.md`, `config show`
 * and "did you mean" are derived from the rows, so a key is added by adding its row.
 */
export interface Key<T = unknown> {
  readonly type: ValueType<T>;
  /** As a user would write it. */
  readonly default: string;
  /** One sentence for a person, without a full stop. */
  readonly doc: string;
  /** `Chains`: a key of Tekton Chains with its meaning (chains-controller 2.1). `Chainsmith`: ours. */
  readonly from: 'Chains' | 'Chainsmith';
  /** `no effect`: accepted, and warned about when set to another value than the default; `why` says why. */
  readonly status: 'used' | 'no effect';
  readonly why?: string;
  /** `all`: the value is never shown. `url`: user, password and query of the URL are never shown. */
  readonly secret?: 'all' | 'url';
  /** The reasons that its type gives hold no piece of a value, so they are said though the value is secret. */
  readonly tells?: 'reasons';
}
