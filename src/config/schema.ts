import { artifactKeys } from './keys/artifacts.ts';
import { extractKeys } from './keys/extract.ts';
import { perArtifactKeys } from './keys/per-artifact.ts';
import { hintKeys } from './keys/hints.ts';
import { serviceKeys } from './keys/service.ts';
import { signerKeys } from './keys/signers.ts';
import { storageKeys } from './keys/storage.ts';
import { transparencyKeys } from './keys/transparency.ts';
import type { Key } from './key.ts';
import type { ValueType } from './values.ts';

/** Every key there is, in the order of the documentation. */
export const schema = {
  ...artifactKeys,
  ...perArtifactKeys,
  ...extractKeys,
  ...hintKeys,
  ...storageKeys,
  ...transparencyKeys,
  ...signerKeys,
  ...serviceKeys,
} as const satisfies Record<string, Key>;

export type KeyName = keyof typeof schema;
type TypeOf<K extends KeyName> = (typeof schema)[K]['type'] extends ValueType<infer T> ? T : never;

/** What every key was parsed to, typed by its row. */
export type Values = { readonly [K in KeyName]: TypeOf<K> };

export const keyNames: readonly KeyName[] = Object.keys(schema).filter(isKeyName);

export function isKeyName(name: string): name is KeyName {
  return Object.hasOwn(schema, name);
}

/** The row of a key, as the derived things see it. */
export function rowOf(name: KeyName): Key {
  return schema[name];
}

/** `CHAINSMITH_ARTIFACTS_TASKRUN_FORMAT` for `artifacts.taskrun.format`. */
export function variableOf(name: string): string {
  return `CHAINSMITH_${name.toUpperCase().replaceAll(/[.-]/g, '_')}`;
}
