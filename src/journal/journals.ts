import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import type { Journal } from './journal.ts';
import { sqlite } from './sqlite.ts';

/** Keyed by the scheme of `journal.url`. */
export const journals = { sqlite };
export type JournalName = keyof typeof journals;

/** `url` names the kind and the place; without `maxBytes` the kind's default holds. */
export interface JournalOptions {
  readonly url: string;
  readonly maxBytes?: number;
}

/** Opens the journal that the URL names. Throws `journal.bad-options` and what the kind throws. */
export async function openJournal({ url, maxBytes }: JournalOptions, ctx: Context): Promise<Journal> {
  const scheme = url.split(':', 1)[0] ?? '';
  if (!isJournalName(scheme)) {
    // Only the scheme is shown: the rest of a database URL may hold a password.
    throw new TerminalError('journal.bad-options', `Cannot open journal "${scheme}:…": no such kind`, {
      fix: `give journal.url one of ${Object.keys(journals).join(', ')}, as in sqlite:///var/lib/chainsmith/journal.db`,
    });
  }
  const kind = journals[scheme];
  const options = kind.options.safeParse({ url, maxBytes });
  if (!options.success) {
    throw new TerminalError('journal.bad-options', `Cannot open journal "${url}": ${z.prettifyError(options.error)}`, {
      cause: options.error,
    });
  }
  return await kind.open(options.data, ctx);
}

function isJournalName(scheme: string): scheme is JournalName {
  return Object.hasOwn(journals, scheme);
}
