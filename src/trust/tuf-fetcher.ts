import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Fetcher } from 'tuf-js';
import { DownloadHTTPError } from 'tuf-js/dist/error.js';
import type { Dispatcher } from 'undici';
import { TransientError } from '../errors.ts';
import { isBusy, send, shownUrl } from '../http/http.ts';
import type { Context } from '../observe/context.ts';

/** What tuf-js downloads with. */
export interface MirrorFetcher extends Fetcher {
  /** Why the mirror could not be asked: tuf-js would keep its message only. */
  readonly failure: () => unknown;
}

export interface MirrorReach {
  /** Where downloads lie while they are checked. */
  readonly dir: string;
  readonly dispatcher: Dispatcher;
  /** False: every question fails, so that nothing but what is cached counts. */
  readonly mayAsk: boolean;
}

/** Downloads over the one fetch: with deadlines, a limit of bytes, and the caller's signal, which tuf-js has not. */
export function openMirror({ dir, dispatcher, mayAsk }: MirrorReach, ctx: Context): MirrorFetcher {
  let failure: unknown;
  const downloadBytes = async (url: string, maxLength: number): Promise<Buffer> => {
    try {
      if (!mayAsk) throw new TransientError('trust.tuf-unreachable', `Cannot ask for ${shownUrl(url)}: only what is cached may be used`);
      return await get(url, maxLength, dispatcher, ctx);
    } catch (error) {
      if (!(error instanceof DownloadHTTPError)) failure = error;
      throw error;
    }
  };
  return {
    failure: () => failure,
    downloadBytes,
    async downloadFile(url, maxLength, handler) {
      const file = path.join(dir, `download-${randomUUID()}`);
      try {
        await writeFile(file, await downloadBytes(url, maxLength));
        return await handler(file);
      } finally {
        await rm(file, { force: true });
      }
    },
  };
}

async function get(url: string, maxBytes: number, dispatcher: Dispatcher, ctx: Context): Promise<Buffer> {
  const dependency = `tuf:${new URL(url).host}`;
  const answer = await send({ method: 'GET', url, dependency, maxBytes, redirects: 2, dispatcher }, ctx);
  if (answer.status === 200) return Buffer.from(answer.body);
  if (isBusy(answer.status)) {
    throw new TransientError('trust.tuf-unreachable', `Cannot read ${shownUrl(url)}: it answers ${answer.status}`, { dependency });
  }
  // 403 and 404 for the next root mean that there is none; tuf-js knows them by this class.
  throw new DownloadHTTPError(`${shownUrl(url)} answers ${answer.status}`, answer.status);
}
