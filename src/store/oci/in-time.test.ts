import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { TerminalError } from '../../errors.ts';
import type { Context } from '../../observe/context.ts';
import { inTime } from './in-time.ts';

const logger = pino({ level: 'silent' });
const limit = { ms: 20, code: 'oci.timeout', action: 'store what belongs to "r.example/app"', dependency: 'oci:r.example' };
const forEver = async ({ signal }: Context): Promise<void> => await sleep(60_000, undefined, { signal });

describe('inTime', () => {
  it('gives what the work gives', async () => {
    const given = await inTime(limit, { signal: new AbortController().signal, logger }, async () => await Promise.resolve('x'));

    assert.equal(given, 'x');
  });

  it('ends work that takes too long, and names where', async () => {
    await assert.rejects(inTime(limit, { signal: new AbortController().signal, logger }, forEver), {
      name: 'TransientError',
      code: 'oci.timeout',
      message: 'Cannot store what belongs to "r.example/app": it took longer than 0.02 s',
      dependency: 'oci:r.example',
    });
  });

  it('passes on what the work throws, and being told to stop', async () => {
    const error = new TerminalError('x.y', 'no');
    const stopped = new Error('stopped');

    await assert.rejects(
      inTime(limit, { signal: new AbortController().signal, logger }, async () => await Promise.reject(error)),
      error,
    );
    await assert.rejects(
      inTime(limit, { signal: AbortSignal.abort(stopped), logger }, async ({ signal }) => await Promise.reject(signal.reason as Error)),
      stopped,
    );
  });
});
