import { z } from 'zod';
import type { Envelope } from '../model/envelope.ts';
import type { LogEntry } from '../model/evidence.ts';
import type { PublicKey } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import type { SignedOver } from './algorithm.ts';
import { checkedEntry, claimOf, expectTaken } from './claim.ts';
import { adding, logOptions, openConnection, upload, type Connection } from './connection.ts';
import { nonsense, openLine } from './line.ts';
import type { Log, LogKind } from './log.ts';
import { refusalOf } from './refusal.ts';
import { entryIn, requestOf } from './rekor-v2-entry.ts';
import { readEntry, type TiledLog } from './tiled-log.ts';

const Options = z.strictObject({
  ...logOptions,
  /** Where checkpoint and tiles are served; without it the URL of the log. */
  readUrl: logOptions.url.optional(),
});
type Options = z.output<typeof Options>;

const name = 'Rekor 2';
/** The answer waits for the next checkpoint, and its witnesses: 20 s at least (rekor-tiles CLIENTS.md, "Handling Longer Requests"). */
const timeoutMs = 60_000;

/**
 * A log of the second generation, made of tiles: one kind of entry, `hashedrekord` 0.0.2, over what was signed (sigstore-wire 5.8). Sending the
 * same envelope again gives the index of the first time (409); the entry is then built anew from the tiles.
 */
export const rekorV2 = {
  options: Options,
  async open(options, trust): Promise<Log> {
    await using stack = new AsyncDisposableStack();
    const { readUrl = options.url, ...own } = options;
    const log = stack.use(await openConnection(own, trust));
    const line = stack.use(await openLine({ url: readUrl, caFile: options.caFile, proxy: options.proxy }, 'tlog'));
    const tiles: TiledLog = { line, readUrl, url: options.url, trust, maxBytes: options.maxResponseBytes };
    const life = stack.move();
    return {
      url: options.url,
      isTimed: false,
      turn: async (ctx) => {
        await log.rate.turn(ctx);
      },
      refusal: (key: PublicKey, _kind: Envelope['kind'], over?: SignedOver) => refusalOf(key, { log: name, entry: 'hashedrekord', over }),
      append: async (envelope, ctx) => await append(envelope, log, tiles, ctx),
      // It has no way to look up but the upload.
      find: async () => undefined,
      async [Symbol.asyncDispose]() {
        await life.disposeAsync();
      },
    };
  },
} satisfies LogKind<typeof Options>;

async function append(envelope: Envelope, log: Connection, tiles: TiledLog, ctx: Context): Promise<LogEntry> {
  const claim = claimOf(envelope);
  expectTaken(claim, name, 'hashedrekord');
  const answer = await upload({ path: 'api/v2/log/entries', body: requestOf(claim), timeoutMs }, log, ctx);
  if (answer.status === 409) {
    const index = indexIn(answer.headers['x-log-index']);
    if (index === undefined) throw nonsense(answer, 'it says that the entry exists, and not which it is', adding(log));
    return checkedEntry(await readEntry(index, tiles, ctx), claim, log.trust);
  }
  const entry = entryIn(answer.body, log.options.url);
  if (typeof entry === 'string') throw nonsense(answer, entry, adding(log));
  return checkedEntry(entry, claim, log.trust);
}

function indexIn(text: string | undefined): number | undefined {
  const index = /^\d{1,16}$/.test(text ?? '') ? Number(text) : Number.NaN;
  return Number.isSafeInteger(index) ? index : undefined;
}
