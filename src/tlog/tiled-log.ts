import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../errors.ts';
import type { Answer } from '../http/http.ts';
import type { InclusionProof, LogEntry } from '../model/evidence.ts';
import type { Context } from '../observe/context.ts';
import { parseCheckpoint, type Checkpoint } from '../trust/note.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { Line } from './line.ts';
import { kindVersion } from './rekor-v2-entry.ts';
import { entriesIn, inclusionPath, tileAt, tilePath, tileWidth, type Tile } from './tiles.ts';

/** The read side of a Rekor 2: static files (sigstore-wire 5.8, C2SP tlog-tiles). */
export interface TiledLog {
  readonly line: Line;
  /** Where they are, for messages. */
  readonly readUrl: string;
  /** Base URL of the log as it is configured: what its entries are labelled with. */
  readonly url: string;
  readonly trust: TrustedRoot;
  readonly maxBytes: number;
}

/** One file is small. */
const timeoutMs = 20_000;
/** A checkpoint of before the entry: caches may keep it for a while. 12 looks, 2.5 s apart. */
const looks = 12;
const napMs = 2_500;
/** 256 entries of at most 64 KiB, each with its length. */
const maxBundleBytes = tileWidth * 65_538;

/**
 * Builds the entry `index` from what the log publishes, as the answer to its upload would have been: body, and proof of inclusion in the newest
 * checkpoint. Nothing of it is checked. Throws `tlog.unreadable`, which names `transparency.read-url`.
 */
export async function readEntry(index: number, log: TiledLog, ctx: Context): Promise<LogEntry> {
  const { text, checkpoint } = await checkpointBeyond(index, log, ctx);
  const { size } = checkpoint;
  const place = tileAt('entries', index, size);
  const bundle = entriesIn(...(await readTile(place, log, ctx)));
  const body = bundle?.[index % tileWidth];
  if (body === undefined) throw unread(`${tilePath(place)} does not hold entry ${index}`, log);
  const hashes = await inclusionPath(index, size, async (tile) => await readHashes(tile, log, ctx));
  const proof: InclusionProof = { logIndex: index, rootHash: checkpoint.rootHash, treeSize: size, hashes, checkpoint: text };
  return { log: log.url, logIndex: index, logId: logIdIn(checkpoint, log), ...kindVersion, ...noTime, proof, body };
}

const noTime = { integratedTime: undefined, promise: undefined } as const;

interface Published {
  readonly text: string;
  readonly checkpoint: Checkpoint;
}

async function checkpointBeyond(index: number, log: TiledLog, ctx: Context): Promise<Published> {
  for (let look = 1; ; look += 1) {
    const answer = await get('checkpoint', log, 65_536, ctx);
    if (answer.status !== 200) throw unread(`the answer for its checkpoint is ${answer.status}`, log);
    const text = Buffer.from(answer.body).toString('utf8');
    const checkpoint = checkpointIn(text, log);
    if (checkpoint.size > index) return { text, checkpoint };
    if (look >= looks) throw unread(`its checkpoint has ${checkpoint.size} entries, so entry ${index} is not there yet`, log);
    await sleep(napMs, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}

function checkpointIn(text: string, log: TiledLog): Checkpoint {
  try {
    return parseCheckpoint(text);
  } catch (error) {
    throw unread('what it serves as its checkpoint is none', log, error);
  }
}

/** The id is not published, but its first four bytes are: the hint of the log's line in the checkpoint. A log that nobody trusts keeps these. */
function logIdIn({ signatures }: Checkpoint, { trust }: TiledLog): Uint8Array {
  const hints = signatures.map(({ hint }) => Buffer.from(hint).toString('hex'));
  const known = trust.logs.find(({ logId }) => hints.includes(Buffer.from(logId.subarray(0, 4)).toString('hex')));
  return known?.logId ?? Buffer.concat([signatures[0]?.hint ?? Buffer.alloc(4), Buffer.alloc(28)]);
}

async function readHashes(tile: Tile, log: TiledLog, ctx: Context): Promise<Uint8Array> {
  const [bytes, width] = await readTile(tile, log, ctx);
  if (bytes.length !== width * 32) throw unread(`${tilePath(tile)} has ${bytes.length} bytes, want ${width * 32}`, log);
  return bytes;
}

/** Its bytes and how many items these are: a tile that was partial may be there as a full one only, meanwhile (C2SP tlog-tiles, "Partial tiles"). */
async function readTile(tile: Tile, log: TiledLog, ctx: Context): Promise<[Uint8Array, number]> {
  const candidates = tile.width === tileWidth ? [tile] : [tile, { ...tile, width: tileWidth }];
  for (const candidate of candidates) {
    const answer = await get(tilePath(candidate), log, maxBundleBytes, ctx);
    if (answer.status === 200) return [answer.body, candidate.width];
    if (answer.status !== 404) throw unread(`the answer for ${tilePath(candidate)} is ${answer.status}`, log);
  }
  throw unread(`${tilePath(tile)} is not there`, log);
}

async function get(path: string, log: TiledLog, maxBytes: number, ctx: Context): Promise<Answer> {
  try {
    const question = { method: 'GET', path: `api/v2/${path}`, type: 'application/octet-stream', timeoutMs } as const;
    return await log.line.ask({ ...question, maxBytes: Math.min(maxBytes, log.maxBytes) }, ctx);
  } catch (error) {
    if (!(error instanceof TransientError)) throw error;
    throw unread(error.message, log, error);
  }
}

/** Blames no dependency: the log itself answers, and takes what others add. */
function unread(reason: string, { readUrl }: TiledLog, cause?: unknown): TransientError {
  return new TransientError('tlog.unreadable', `Cannot read from ${readUrl} the entry that the log has already: ${reason}`, {
    cause,
    fix: 'point transparency.read-url to where the tiles of the log are served; its write server has none',
  });
}
