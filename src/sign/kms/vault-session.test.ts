import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { pino } from 'pino';
import type { Context } from '../../observe/context.ts';
import type { VaultApi } from './vault-api.ts';
import type { TokenSource } from './vault-login.ts';
import { VaultSession } from './vault-session.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const lifeMs = 5_000;

/** As a Vault whose tokens live for five seconds at most: it says their life in whole seconds, rounded down, as Vault does. */
function world() {
  let logins = 0;
  let endsAt = 0;
  const source: TokenSource = {
    isLogin: true,
    hasChanged: async () => await Promise.resolve(false),
    async acquire() {
      logins += 1;
      endsAt = Date.now() + lifeMs;
      return await Promise.resolve({ token: `token ${logins}`, ttlMs: lifeMs, isRenewable: true });
    },
  };
  const api: VaultApi = {
    async ask() {
      const body = { auth: { lease_duration: Math.floor((endsAt - Date.now()) / 1_000), renewable: true } };
      return await Promise.resolve({ status: 200, body, reason: '', retryAfterMs: undefined });
    },
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
  return { session: new VaultSession(source, api, ctx), logins: () => logins, isOver: () => Date.now() >= endsAt };
}

describe('VaultSession', () => {
  it('uses a token to the end of its life, whatever a last renewal rounds away, and never after', async () => {
    mock.timers.enable({ apis: ['Date'], now: 0 });
    try {
      const { session, logins, isOver } = world();
      const overs: number[] = [];

      for (let second = 0; second < 600; second += 0.1) {
        await session.token(ctx);
        if (isOver()) overs.push(second);
        mock.timers.tick(100);
      }

      assert.deepEqual({ logins: logins(), overs }, { logins: 120, overs: [] });
      await session[Symbol.asyncDispose]();
    } finally {
      mock.timers.reset();
    }
  });
});
