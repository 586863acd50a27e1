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

  constructor(config: Config, means: SignerMeans) {
    this.#config = config;
    this.#means = means;
  }

  /** The signer of this name, as it is configured and as its key is now. Throws what opening it throws, as something that may mend itself. */
  async get(name: string, ctx: Context): Promise<Signer> {
    const held = this.#held.get(name);
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
    const signer = await openSigner(name, this.#config, this.#means, ctx);
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
    const isKnown = error instanceof CodedError || error instanceof AggregateError;
    if (!isKnown) throw error;
    const retryAfterMs = error instanceof TransientError ? error.retryAfterMs : undefined;
    const fix = error instanceof CodedError ? error.fix : undefined;
    throw new TransientError(codeOf(error), error instanceof CodedError ? error.message : sentenceOf(error), {
      cause: error,
      dependency: `signer:${name}`,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(fix !== undefined && { fix }),
    });
  }
}
