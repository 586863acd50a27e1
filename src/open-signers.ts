import type { Config } from './config/config.ts';
import { CodedError, codeOf, sentenceOf, TerminalError, TransientError } from './errors.ts';
import type { Context } from './observe/context.ts';
import type { Signer, SignerKind, SignerMeans } from './sign/signer.ts';
import { signers } from './sign/signers.ts';

/** At most this often a signer is asked whether its key is still the one: a look costs a few file attributes, or one small request. */
const lookMs = 5_000;
/** How long a signer that was replaced may still be in use: longer than any signature takes. */
const retiredMs = 60_000;

interface Held {
  readonly signer: Signer;
  lookedAt: number;
}

/**
 * The signers of one configuration, each opened once, on first need. One whose key has changed is opened again; until that works the old one
 * goes on, and what has begun with the old one ends with it.
 */
export class OpenSigners implements AsyncDisposable {
  readonly #config: Config;
  readonly #means: SignerMeans;
  readonly #held = new Map<string, Held>();
  readonly #opening = new Map<string, Promise<Signer>>();
  readonly #retired = new Set<{ readonly signer: Signer; readonly at: number }>();
  #isClosed = false;

  constructor(config: Config, means: SignerMeans) {
    this.#config = config;
    this.#means = means;
  }

  /**
   * The signer of this name, as it is configured and as its key is now. Throws what opening it throws, as something that may mend itself; what the
   * signer throws is of that kind, too, and blames it.
   */
  async get(name: string, ctx: Context): Promise<Signer> {
    const held = this.#held.get(name);
    if (this.#isClosed) return held?.signer ?? closed(name);
    if (held === undefined) return await this.#once(name, ctx);
    if (Date.now() - held.lookedAt < lookMs) return held.signer;
    held.lookedAt = Date.now();
    try {
      if (await held.signer.isCurrent(ctx)) return held.signer;
      return await this.#once(name, ctx);
    } catch (error) {
      ctx.signal.throwIfAborted();
      ctx.logger.warn({ err: error, name }, 'the signer cannot be opened again, the last one goes on');
      return held.signer;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#opening.values());
    const all = [...this.#held.values(), ...this.#retired];
    await Promise.all(all.map(async ({ signer }) => await signer[Symbol.asyncDispose]()));
  }

  /** Callers that come together share one opening; what cannot be opened is tried anew by the next one. */
  async #once(name: string, ctx: Context): Promise<Signer> {
    const underWay = this.#opening.get(name) ?? this.#replace(name, ctx);
    this.#opening.set(name, underWay);
    try {
      return await underWay;
    } finally {
      this.#opening.delete(name);
    }
  }

  async #replace(name: string, ctx: Context): Promise<Signer> {
    const signer = this.#blamed(name, await openSigner(name, this.#config, this.#means, ctx));
    const old = this.#held.get(name);
    this.#held.set(name, { signer, lookedAt: Date.now() });
    if (old !== undefined) {
      ctx.logger.info({ name }, 'the signer has a new key');
      this.#retired.add({ signer: old.signer, at: Date.now() });
    }
    const over = [...this.#retired].filter(({ at }) => Date.now() - at > retiredMs);
    for (const one of over) {
      this.#retired.delete(one);
      await one.signer[Symbol.asyncDispose]();
    }
    return signer;
  }

  /** Closing it is no trouble of the signer. */
  #blamed(name: string, signer: Signer): Signer {
    const blamed = async <T>(ctx: Context, work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        ctx.signal.throwIfAborted();
        throw this.#isClosed ? error : mendable(name, error);
      }
    };
    return {
      publicKey: signer.publicKey,
      sign: async (bytes, ctx) => await blamed(ctx, async () => await signer.sign(bytes, ctx)),
      owns: async (signatory, ctx) => await blamed(ctx, async () => await signer.owns(signatory, ctx)),
      isCurrent: async (ctx) => await signer.isCurrent(ctx),
      [Symbol.asyncDispose]: async () => await signer[Symbol.asyncDispose](),
    };
  }
}

/** A key that is not there may come yet, for instance with the Secret: runs wait for it, they do not fail (P2). */
async function openSigner(name: string, config: Config, means: SignerMeans, ctx: Context): Promise<Signer> {
  const configured = config.signers.get(name);
  if (configured === undefined) {
    throw new TerminalError('sign.unknown', `Cannot open signer "${name}": there is none of that name`, {
      fix: 'name x509, kms, or one of signers.named',
    });
  }
  try {
    const row: SignerKind = signers[configured.kind];
    return await row.open(row.options.parse(configured.options), means, ctx);
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw mendable(name, error);
  }
}

/** Says which signer it is, and blames it, so that its breaker spares it and the log: all runs that it signs wait for the same thing. */
function mendable(name: string, error: unknown): unknown {
  const isKnown = error instanceof CodedError || error instanceof AggregateError;
  if (!isKnown) return error;
  const retryAfterMs = error instanceof TransientError ? error.retryAfterMs : undefined;
  const fix = error instanceof CodedError ? error.fix : undefined;
  const message = error instanceof CodedError ? error.message : sentenceOf(error);
  return new TransientError(codeOf(error), `Signer "${name}": ${message}`, {
    cause: error,
    dependency: `signer:${name}`,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(fix !== undefined && { fix }),
  });
}

function closed(name: string): never {
  throw new TransientError('sign.closed', `Cannot open signer "${name}": another configuration has come meanwhile`);
}
