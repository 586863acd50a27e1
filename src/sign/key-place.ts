import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { TerminalError, TransientError } from '../errors.ts';
import type { Context } from '../observe/context.ts';

/** The files of a key, as they are called in a folder or a Secret. */
export const memberNames = [
  'x509.pem',
  'cosign.key',
  'cosign.password',
  'tls.key',
  'tls.crt',
  'cert.pem',
  'chain.pem',
  'keys.json',
] as const;
/** `key` and `password`: files that were named one by one. */
export type PartName = (typeof memberNames)[number] | 'key' | 'password';

/** Where a key and what belongs to it lie: files or a Secret. */
export interface KeyPlace {
  /** A mark of what is there now, cheaply: another one after every change. Throws when the place cannot be looked at. */
  mark(ctx: Context): Promise<string>;
  /** Everything that is there, from one moment: never the key of today beside the certificate of yesterday. */
  read(ctx: Context): Promise<KeyParts>;
}

export interface KeyParts {
  /** The mark that the place had when this was read. */
  readonly mark: string;
  /** A hash of all of it. */
  readonly digest: string;
  /** undefined when there is none. Throws `sign.key-unreadable` and `sign.key-format` for what is there and cannot be read. */
  part(name: PartName): Part | undefined;
}

export interface Part {
  /** What it is called in errors: a path, or `k8s://namespace/secret/member`. */
  readonly file: string;
  readonly bytes: Buffer;
}

type Found = Part | TerminalError;

/** The files by their paths. Reads again when one changes meanwhile; throws `sign.key-changing` (transient) when that does not end. */
export function filePlace(files: ReadonlyMap<PartName, string>): KeyPlace {
  const mark = async (): Promise<string> => (await Promise.all([...files.values()].map(markOf))).join(' ');
  return {
    mark,
    async read(ctx) {
      for (let tries = 0; tries < 5; tries += 1) {
        ctx.signal.throwIfAborted();
        const before = await mark();
        const found = new Map(await Promise.all([...files].map(async ([name, file]) => [name, await readIfThere(file)] as const)));
        if ((await mark()) === before) return partsOf(found, before);
      }
      const [file = ''] = files.values();
      throw new TransientError('sign.key-changing', `Cannot read "${file}" and the files beside it: they change while they are read`);
    },
  };
}

export function partsOf(found: ReadonlyMap<PartName, Found | undefined>, mark: string): KeyParts {
  const hash = createHash('sha256');
  for (const [name, part] of found)
    hash.update(`${name} ${lengthOf(part)} `).update(part === undefined || part instanceof TerminalError ? '' : part.bytes);
  return {
    mark,
    digest: hash.digest('hex'),
    part(name) {
      const part = found.get(name);
      if (part instanceof TerminalError) throw part;
      return part;
    },
  };
}

function lengthOf(part: Found | undefined): string {
  if (part === undefined) return 'none';
  return part instanceof TerminalError ? part.code : String(part.bytes.length);
}

/** Of the file that a link leads to: the kubelet renews a mounted Secret by turning a link to another folder. */
async function markOf(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch (error) {
    return reasonOf(error);
  }
}

/** The largest key, RSA of 4096 bits in a cosign container, has some 5 KB; a ring of keys may grow as large as a Secret. */
const maxKeyBytes = 64 * 1024;
const maxRingBytes = 1024 * 1024;

/** undefined when there is no such file: what is there and cannot be read is an error (`sign.key-unreadable`). */
async function readIfThere(file: string): Promise<Found | undefined> {
  try {
    await using handle = await open(file, constants.O_RDONLY);
    const maxBytes = file.endsWith('keys.json') ? maxRingBytes : maxKeyBytes;
    const buffer = Buffer.alloc(maxBytes + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead > maxBytes) return tooLarge(file, maxBytes);
    return { file, bytes: buffer.subarray(0, bytesRead) };
  } catch (error) {
    const code = reasonOf(error);
    if (code === 'ENOENT') return undefined;
    return new TerminalError('sign.key-unreadable', `Cannot read "${file}": ${code}`, {
      cause: error,
      fix: 'make it a plain file that the user of this process may read (fsGroup and defaultMode of the volume)',
    });
  }
}

function tooLarge(file: string, maxBytes: number): TerminalError {
  return new TerminalError('sign.key-format', `Cannot use "${file}": it is larger than ${maxBytes} bytes, so it is no key`);
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}
