import { readFile } from 'node:fs/promises';
import { CodedError, sentenceOf, TerminalError } from '../errors.ts';
import { parseKeyRing, unknownStart, type RingKey } from '../model/key-ring.ts';
import { parsePublicKey } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { placeOf, x509, type X509Options } from '../sign/x509.ts';
import { plain, styleOf, type Io } from './io.ts';
import { listedKeys, listJsonOf, type KnownFrom, type ListedKey } from './key-ring.ts';
import { parseSecretName } from './key-secret.ts';
import { choicesOf, configOf, knownKeys, meansOf, openChoice, type NamedChoice, type OpenKube, type SignerFlags } from './keys-world.ts';

export interface ListOptions extends SignerFlags {
  readonly ring?: string;
  readonly directory?: string;
  readonly k8s?: string;
  readonly journal: boolean;
  readonly json: boolean;
}

/** `chainsmith keys list`: 0 when all that was asked could be looked at, 1 otherwise; what could be is listed all the same. */
export async function listKeys(options: ListOptions, openKube: OpenKube, io: Io): Promise<void> {
  const ctx = io.context();
  const found = await knownFrom(options, openKube, io, ctx);
  const keys = listedKeys(found.from);
  io.stdout.write(options.json ? listJsonOf(keys) : keys.map((key) => lineOf(key, io)).join(''));
  for (const problem of found.problems) {
    io.stderr.write(`${styleOf(io.stderr, io)('red', 'problem:')} ${plain(sentenceOf(problem))}\n`);
  }
  io.end(found.problems.length === 0 ? 0 : 1);
}

interface Found {
  readonly from: KnownFrom;
  readonly problems: readonly CodedError[];
}

async function knownFrom(options: ListOptions, openKube: OpenKube, io: Io, ctx: Context): Promise<Found> {
  const { ring, directory, k8s, journal, signer } = options;
  const places = [ring, directory, k8s].filter((place) => place !== undefined);
  if (places.length > 1) throw new TerminalError('cli.usage', 'Cannot use more than one of --ring, --directory and --k8s');
  if (ring !== undefined) return { from: { rings: parseKeyRing(await bytesOf(ring), ring), current: [], journal: [] }, problems: [] };
  const config = places.length === 0 || journal ? await configOf(options, io) : undefined;
  const choices = chosen(directory, k8s) ?? (config ? choicesOf(config, signer) : []);
  const parts = await Promise.all(choices.map(async (choice) => await keysOf(choice, openKube, ctx)));
  return {
    from: {
      rings: parts.flatMap(({ rings }) => rings),
      current: parts.flatMap(({ current }) => current),
      journal: config !== undefined && journal ? await knownKeys(config, ctx) : [],
    },
    problems: parts.flatMap(({ problems }) => problems),
  };
}

function chosen(directory: string | undefined, k8s: string | undefined): readonly NamedChoice[] | undefined {
  if (directory !== undefined) return [{ name: 'x509', choice: { kind: 'x509', options: { directory } } }];
  if (k8s !== undefined) return [{ name: 'x509', choice: { kind: 'x509', options: { secret: parseSecretName(k8s) } } }];
  return undefined;
}

/** A ring can be read when the key beside it cannot, and a key whose ring is damaged is still the key. */
async function keysOf(named: NamedChoice, openKube: OpenKube, ctx: Context): Promise<Omit<KnownFrom, 'journal'> & Pick<Found, 'problems'>> {
  const { name, choice } = named;
  const problems: CodedError[] = [];
  const tried = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      problems.push(error);
      return otherwise;
    }
  };
  const rings = choice.kind === 'x509' ? await tried(async () => await ringOf(x509.options.parse(choice.options), openKube, ctx), []) : [];
  const publicKey = choice.kind === 'fulcio' ? undefined : await tried(async () => await currentOf(named, openKube, ctx), undefined);
  return { rings, current: publicKey === undefined ? [] : [{ publicKey, signer: name }], problems: distinct(problems) };
}

async function ringOf(options: X509Options, openKube: OpenKube, ctx: Context): Promise<readonly RingKey[]> {
  const parts = await placeOf(options, meansOf(openKube)).read(ctx);
  const ring = parts.part('keys.json');
  return ring === undefined ? [] : parseKeyRing(ring.bytes, ring.file);
}

async function currentOf(named: NamedChoice, openKube: OpenKube, ctx: Context): Promise<string | undefined> {
  await using signer = await openChoice(named, openKube, ctx);
  return signer.publicKey;
}

/** A Secret that is not there is so for the ring and for the key. */
function distinct(problems: readonly CodedError[]): readonly CodedError[] {
  return problems.filter(({ message }, index) => problems.findIndex((other) => other.message === message) === index);
}

async function bytesOf(file: string): Promise<Uint8Array> {
  return await readFile(file).catch((cause: unknown) => {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new TerminalError('cli.read', `Cannot read "${file}": ${reason}`, { cause, fix: 'name a file that can be read' });
  });
}

function lineOf({ fingerprint, publicKey, signer, validFor: { start, end }, isInUse, signed }: ListedKey, io: Io): string {
  const style = styleOf(io.stdout, io);
  const state = isInUse ? style('green', 'in use') : end === undefined ? style('yellow', 'known ') : style('dim', 'former');
  const since = start.getTime() === unknownStart.getTime() ? '' : `since ${start.toISOString()}`;
  const until = end === undefined ? '' : `until ${end.toISOString()}`;
  const seen = signed && `last signed ${signed.last.toISOString()}`;
  const times = [since, until, seen ?? ''].filter((text) => text !== '').join(', ');
  const columns = [state, fingerprint, parsePublicKey(publicKey).algorithm.padEnd(10), plain(signer).padEnd(10), times];
  return `${columns.join('  ').trimEnd()}\n`;
}
