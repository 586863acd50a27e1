import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { CodedError } from '../../src/errors.ts';
import type { Context } from '../../src/observe/context.ts';
import { fetchJwtSvid } from '../../src/sign/spiffe.ts';
import { scratch } from '../servers/scratch.ts';
import { startSpiffeAgent } from '../servers/spiffe-agent.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

describe('fetchJwtSvid', () => {
  it('gives the token that the agent has for this audience, each time a fresh one', async () => {
    let count = 0;
    await using agent = await startSpiffeAgent({ tokenFor: ([audience]) => `head.${audience}${(count += 1)}.tail` });

    const options = { address: agent.address, audience: 'vault' };

    assert.deepEqual([await fetchJwtSvid(options, ctx), await fetchJwtSvid(options, ctx)], ['head.vault1.tail', 'head.vault2.tail']);
    assert.deepEqual(agent.asked, [['vault'], ['vault']]);
  });

  it('takes a plain path, too', async () => {
    await using agent = await startSpiffeAgent({ tokenFor: () => 'a.b.c' });

    assert.equal(await fetchJwtSvid({ address: agent.address.slice('unix://'.length), audience: 'x' }, ctx), 'a.b.c');
  });

  const refused = [
    { name: 'a workload without identity', tokenFor: () => undefined, want: 'sign.spiffe-refused later' },
    { name: 'an answer that is no JWT', tokenFor: () => 'secret words', want: 'sign.spiffe-protocol later' },
  ];
  for (const { name, tokenFor, want } of refused) {
    it(`names ${name}`, async () => {
      await using agent = await startSpiffeAgent({ tokenFor });

      const error = await failureOf(fetchJwtSvid({ address: agent.address, audience: 'x' }, ctx));

      assert.equal(short(error), want);
      assert.equal(JSON.stringify([error.message, error.cause]).includes('secret words'), false);
    });
  }

  it('names an agent that is not there, and one that hangs up', async () => {
    await using folder = await scratch('spiffe');
    const socket = path.join(folder.dir, 'closed.sock');
    const rude = createServer((client) => client.destroy()).listen(socket);
    await once(rude, 'listening');
    await using _rude = {
      [Symbol.asyncDispose]: async () => {
        await once(rude.close(), 'close');
      },
    };

    for (const address of [`unix://${folder.dir}/none.sock`, `unix://${socket}`, 'tcp://127.0.0.1:1']) {
      assert.equal(short(await failureOf(fetchJwtSvid({ address, audience: 'x' }, ctx))), 'sign.spiffe-unreachable later', address);
    }
  });

  it('ends when it is told to', async () => {
    await using folder = await scratch('spiffe');
    const socket = path.join(folder.dir, 'silent.sock');
    const silent = createServer((client) => client.resume()).listen(socket);
    await once(silent, 'listening');
    const stop = new AbortController();
    const call = fetchJwtSvid({ address: socket, audience: 'x' }, { ...ctx, signal: stop.signal });
    await once(silent, 'connection');

    stop.abort(new Error('told to stop'));

    await assert.rejects(call, /told to stop/);
    await once(silent.close(), 'close');
  });

  for (const address of ['', 'agent.sock', 'http://127.0.0.1:1', 'tcp://spire:8081', 'tcp://127.0.0.1', 'unix://host/agent.sock']) {
    it(`refuses the address "${address}"`, async () => {
      assert.equal(short(await failureOf(fetchJwtSvid({ address, audience: 'x' }, ctx))), 'sign.spiffe-address never');
    });
  }
});

async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.equal(error instanceof CodedError, true, String(error));
  return error as CodedError;
}

function short(error: CodedError): string {
  return `${error.code} ${'retry' in error ? String(error.retry) : ''}`;
}
