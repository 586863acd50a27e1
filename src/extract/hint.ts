import type { Value } from './value.ts';

/** A result or param with its value decoded. `where` is what a drop calls it: `status.results[IMAGE_URL]`. */
export interface Hint {
  readonly name: string;
  readonly value: Value;
  readonly where: string;
  /** What `extract.hints` made it of; undefined for what the run itself calls so. */
  readonly mappedFrom?: { readonly from: 'result' | 'param'; readonly name: string };
}
