import type { Rooms } from './carriage.ts';
import type { Config } from './config/config.ts';
import { CodedError, codeOf, TerminalError } from './errors.ts';
import type { Envelope } from './model/envelope.ts';
import { parsePublicKey } from './model/public-key.ts';
import type { Context } from './observe/context.ts';
import { servicesOf } from './services.ts';
import { seal } from './sign/dsse.ts';
import type { Signer } from './sign/signer.ts';
import { signedBytesOf, signedOver } from './tlog/algorithm.ts';

/**
 * Looks at the signers of a configuration before it is applied. With `signers.preflight` each must open and sign; whatever is configured, a key
 * that opens and that the log would refuse is refused here, not when the first run fails. Throws what is wrong with the first one.
 */
export async function preflight(config: Config, rooms: Rooms, ctx: Context): Promise<void> {
  await demandTimed(config);
  for (const name of signerNamesOf(config)) {
    const signer = await opened(name, config, rooms, ctx);
    if (signer === undefined) continue;
    const envelope = await seal(probe.payload, probe.filing, signer, 'dsse', ctx);
    if (config.transparency !== 'off') await demandLoggable(name, envelope, { config, rooms }, ctx);
  }
}

/** A signing configuration with a log that nobody gives times for is refused; one that is not there, or half written, may come. */
async function demandTimed(config: Config): Promise<void> {
  if (config.transparency === 'off') return;
  try {
    await servicesOf(config);
  } catch (error) {
    if (codeOf(error) === 'config.no-timestamp') throw error;
  }
}

/** Everybody who may sign anything. */
function signerNamesOf({ artifacts, rules }: Config): readonly string[] {
  const own = Object.values(artifacts).flatMap(({ signers, stores }) => (stores.length === 0 ? [] : signers));
  return [...new Set([...own, ...rules.flatMap(({ signers }) => signers)])];
}

/** Without preflight only what costs nothing is opened, and what is not there yet may come. */
async function opened(name: string, config: Config, rooms: Rooms, ctx: Context): Promise<Signer | undefined> {
  if (config.preflight) return await rooms.signer(name, ctx);
  if (config.transparency === 'off' || config.signers.get(name)?.kind !== 'x509') return undefined;
  return await rooms.signer(name, ctx).catch(passedOver(ctx));
}

async function demandLoggable(name: string, envelope: Envelope, { config, rooms }: Applied, ctx: Context): Promise<void> {
  const key = parsePublicKey(envelope.publicKey);
  const over = signedOver(key, signedBytesOf(envelope), envelope.signature);
  const logs = config.preflight ? await rooms.logs(ctx) : await rooms.logs(ctx).catch(passedOver(ctx));
  const { oci } = config.artifacts;
  const kinds = oci.signers.includes(name) && oci.stores.length > 0 ? (['dsse', 'raw'] as const) : (['dsse'] as const);
  const why = logs?.flatMap((log) => kinds.flatMap((kind) => log.refusal(key, kind, over) ?? []))[0];
  if (why === undefined) return;
  throw new TerminalError('config.not-loggable', `Cannot log what signer "${name}" signs: ${why}`, {
    fix: 'use an ECDSA P-256 key, which every log takes, or set transparency.enabled to "false"',
  });
}

interface Applied {
  readonly config: Config;
  readonly rooms: Rooms;
}

function passedOver(ctx: Context) {
  return (error: unknown): undefined => {
    ctx.signal.throwIfAborted();
    if (!(error instanceof CodedError)) throw error;
    return undefined;
  };
}

/** What is signed to see whether it works. Nobody ever gets it. */
const probe = {
  payload: {
    payloadType: 'application/vnd.chainsmith.preflight',
    predicateType: undefined,
    bytes: new TextEncoder().encode('preflight'),
    subjects: [],
    images: [],
    dropped: [],
  },
  filing: {
    run: { kind: 'TaskRun', namespace: '', name: '', uid: '' },
    shortKey: 'preflight',
    predicateType: undefined,
    images: [],
  },
} as const;
