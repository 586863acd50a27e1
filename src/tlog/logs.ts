import type { LogKind } from './log.ts';
import { rekorV1 } from './rekor-v1.ts';
import { rekorV2 } from './rekor-v2.ts';

/** One row for each generation of logs. */
export const logs = { 'rekor-v1': rekorV1, 'rekor-v2': rekorV2 } satisfies Record<string, LogKind>;
