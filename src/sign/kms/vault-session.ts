import { z } from 'zod';
import { orAborted } from '../../http/http.ts';
import { within, type Context } from '../../observe/context.ts';
import type { VaultApi } from './vault-api.ts';
import type { Lease, TokenSource } from './vault-login.ts';

/** A lease with its times, in milliseconds since the epoch; they count from before it was asked for, so they are never too late. */
interface Held {
  readonly token: string;
  readonly isRenewable: boolean;
  readonly ttlMs: number;
  readonly renewAt: number;
  readonly endsAt: number;
}

const upkeepMs = 10_000;
const revokeMs = 2_000;
/** How soon a renewal that failed is tried again. */
const againMs = 1_000;

/**
 * The token of one Vault, kept alive: renewed after two thirds of its life, replaced by a login when it cannot be, read again when its file
 * changes. Whoever needs it meanwhile waits for the same call. A token that is configured cannot be replaced, so it is renewed also while
 * nobody asks for it. What is done for all callers goes on when the one that began it is told to stop.
 */
export class VaultSession implements AsyncDisposable {
  readonly #source: TokenSource;
  readonly #api: VaultApi;
  readonly #ctx: Context;
  readonly #stop = new AbortController();
  #held: Held | undefined;
  #refreshing: Promise<Held> | undefined;
  #judging: Promise<string | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: TokenSource, api: VaultApi, ctx: Context) {
    this.#source = source;
    this.#api = api;
    this.#ctx = { logger: ctx.logger, signal: this.#stop.signal };
  }

  /** A token that should do. */
  async token(ctx: Context): Promise<string> {
    const held = this.#held;
    if (held !== undefined && Date.now() < held.renewAt && !(await this.#source.hasChanged())) return held.token;
    return (await orAborted(this.#refreshed(), ctx.signal)).token;
  }

  /**
   * Another token, after `refused` was: undefined when there is no use in trying again, because the server knows the token and denies the call,
   * or because there is no other.
   */
  async another(refused: string, ctx: Context): Promise<string | undefined> {
    if (this.#held !== undefined && this.#held.token !== refused) return this.#held.token;
    this.#judging ??= this.#judge(refused).finally(() => (this.#judging = undefined));
    return await orAborted(this.#judging, ctx.signal);
  }

  /** A token of a login is given back, so that it does not wait in Vault for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#refreshing?.catch(() => undefined);
    const held = this.#held;
    if (held !== undefined && this.#source.isLogin && Date.now() < held.endsAt) {
      await within(revokeMs, this.#ctx, async (ctx) => {
        await this.#api.ask({ method: 'POST', path: 'auth/token/revoke-self', token: held.token }, ctx);
      }).catch((error: unknown) => {
        this.#ctx.logger.debug({ err: error }, 'token not given back');
      });
    }
    this.#stop.abort(new Error('the signer was closed'));
  }

  async #refreshed(): Promise<Held> {
    this.#refreshing ??= within(upkeepMs, this.#ctx, async (ctx) => await this.#refresh(ctx)).finally(() => (this.#refreshing = undefined));
    return await this.#refreshing;
  }

  async #refresh(ctx: Context): Promise<Held> {
    const held = this.#held;
    const now = Date.now();
    if (held === undefined || now >= held.endsAt || (await this.#source.hasChanged())) return await this.#acquire(ctx);
    // Somebody was quicker, or a timer of ours too early by a rounding.
    if (now < held.renewAt) return this.#keep(held);
    return this.#keep(await this.#renewed(held, now, ctx));
  }

  async #acquire(ctx: Context): Promise<Held> {
    const from = Date.now();
    return this.#keep(heldOf(await this.#source.acquire(this.#api, ctx), from));
  }

  /** A lease that cannot be made longer is used up, so that there are no more logins than lives. */
  async #renewed(held: Held, from: number, ctx: Context): Promise<Held> {
    try {
      const said = await this.#api.ask({ method: 'POST', path: 'auth/token/renew-self', body: {}, token: held.token }, ctx);
      const parsed = Renewal.safeParse(said.body);
      if (said.status < 300 && parsed.success) {
        const { lease_duration: seconds, renewable } = parsed.data.auth;
        const saidMs = seconds > 0 ? seconds * 1000 : Infinity;
        // Whole seconds, rounded down: a life that was not made longer ends when it would have.
        const leftMs = held.endsAt - from;
        const ttlMs = leftMs > saidMs && leftMs < saidMs + 1_000 ? leftMs : saidMs;
        // Close to its greatest age each renewal gives less: half of what it was is the last.
        return heldOf({ token: held.token, ttlMs, isRenewable: renewable && ttlMs * 2 > held.ttlMs }, from);
      }
      if (said.status < 500 && said.status !== 429) return { ...held, isRenewable: false, renewAt: held.endsAt };
    } catch (error) {
      this.#ctx.logger.debug({ err: error }, 'token not renewed yet');
    }
    return { ...held, renewAt: Math.min(from + againMs, held.endsAt) };
  }

  async #judge(refused: string): Promise<string | undefined> {
    return await within(upkeepMs, this.#ctx, async (ctx) => {
      const said = await this.#api.ask({ method: 'GET', path: 'auth/token/lookup-self', token: refused }, ctx);
      if (said.status === 200) return undefined;
      this.#held = undefined;
      const { token } = await this.#refreshed();
      return token === refused ? undefined : token;
    });
  }

  #keep(held: Held): Held {
    this.#held = held;
    clearTimeout(this.#timer);
    if (!this.#source.isLogin && held.isRenewable && Number.isFinite(held.renewAt) && !this.#stop.signal.aborted) {
      // A timer takes at most 2^31 - 1 ms.
      const waitMs = Math.min(Math.max(held.renewAt - Date.now(), 50), 2 ** 31 - 1);
      this.#timer = setTimeout(() => void this.#refreshed().catch(() => undefined), waitMs).unref();
    }
    return held;
  }
}

const Renewal = z.object({ auth: z.object({ lease_duration: z.number(), renewable: z.boolean().default(false) }) });

function heldOf({ token, ttlMs, isRenewable }: Lease, from: number): Held {
  return { token, isRenewable, ttlMs, endsAt: from + ttlMs, renewAt: from + (isRenewable ? (ttlMs * 2) / 3 : ttlMs) };
}
