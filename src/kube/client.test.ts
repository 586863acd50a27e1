import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createMute, type Server, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import type { Context } from '../observe/context.ts';
import type { Access } from './access.ts';
import { openKubeClient, type KubeClient, type RequestDone } from './client.ts';
import { listPages } from './objects.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

interface Bed extends AsyncDisposable {
  readonly client: KubeClient;
  /** `METHOD url token` of every request, in order. */
  readonly asked: readonly string[];
  readonly done: readonly Omit<RequestDone, 'durationMs'>[];
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

type Handler = (response: ServerResponse, request: IncomingMessage, count: number) => void;

/** A server that plays one handler, and a client whose token is `t1`, then `t2` once it is asked for a fresh one, and so on. */
async function bed(handler: Handler): Promise<Bed> {
  const asked: string[] = [];
  const done: Omit<RequestDone, 'durationMs'>[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    handler(response, request, asked.length);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  let version = 1;
  const access: Access = {
    server: `http://127.0.0.1:${port}`,
    namespace: undefined,
    credentials: async (fresh) => {
      if (fresh) version += 1;
      return await Promise.resolve({ headers: { authorization: `t${version}` }, tls: {} });
    },
  };
  const client = openKubeClient({ access, onRequest: ({ verb, resource, status }) => done.push({ verb, resource, status }) });
  return {
    client,
    asked,
    done,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const path = '/apis/tekton.dev/v1/namespaces/ci/taskruns/a';

describe('KubeClient.call', () => {
  it('sends a merge patch, and keeps the text of numbers', async () => {
    let type: string | undefined;
    await using it = await bed((response, request) => {
      type = request.headers['content-type'];
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":1.0,"b":9007199254740993}');
    });

    const answer = await it.client.call('PATCH', path, { query: { fieldManager: 'x y' }, body: { metadata: {} } }, ctx);

    assert.equal(JSON.stringify(answer), '{"a":1.0,"b":9007199254740993}');
    assert.equal(type, 'application/merge-patch+json');
    assert.deepEqual(it.asked, [`PATCH ${path}?fieldManager=x+y t1`]);
    assert.deepEqual(it.done, [{ verb: 'patch', resource: 'taskruns.tekton.dev', status: 200 }]);
  });

  it('gives undefined for what is not there', async () => {
    await using it = await bed((response) => json(response, 404, { kind: 'Status' }));

    assert.equal(await it.client.call('GET', path, {}, ctx), undefined);
  });

  it('asks once more with fresh credentials when they are refused, and no oftener', async () => {
    await using it = await bed((response, request) => json(response, request.headers.authorization === 't2' ? 200 : 401, {}));

    await it.client.call('POST', path, { body: {} }, ctx);
    assert.deepEqual(it.asked, [`POST ${path} t1`, `POST ${path} t2`]);

    await using never = await bed((response) => json(response, 401, {}));
    await assert.rejects(never.client.call('GET', path, {}, ctx), { code: 'kube.unauthorized', dependency: 'kube' });
    assert.equal(never.asked.length, 2);
  });

  it('tries again when the server is busy, as often as it is told to, and counts every request', async () => {
    await using it = await bed((response, _, count) =>
      json(response, count === 1 ? 429 : count === 2 ? 503 : 200, {}, { 'retry-after': '0' }),
    );

    await it.client.call('PATCH', path, { body: {} }, ctx);

    assert.deepEqual(
      it.done.map(({ status }) => status),
      [429, 503, 200],
    );
    await using busy = await bed((response) => json(response, 429, {}, { 'retry-after': '7' }));
    await assert.rejects(busy.client.call('GET', path, { retries: 0 }, ctx), { code: 'kube.busy', dependency: 'kube', retryAfterMs: 7000 });
  });

  it('does not try again what the server refuses', async () => {
    await using it = await bed((response) => json(response, 409, {}));

    await assert.rejects(it.client.call('PATCH', path, { body: {} }, ctx), { code: 'kube.conflict' });
    assert.equal(it.asked.length, 1);
  });

  const nonsense: readonly { name: string; play: Handler; code: string }[] = [
    { name: 'HTML', play: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), code: 'kube.protocol' },
    { name: 'half a document', play: (response) => response.end('{"kind":"Task'), code: 'kube.protocol' },
    { name: 'a list instead of an object', play: (response) => json(response, 200, []), code: 'kube.protocol' },
    { name: 'nothing', play: (response) => response.end(), code: 'kube.protocol' },
    { name: 'bytes that are not UTF-8', play: (response) => response.end(Buffer.from([0x7b, 0xff, 0x7d])), code: 'kube.protocol' },
    {
      name: 'fewer bytes than promised',
      play: (response) => response.writeHead(200, { 'content-length': '99' }).write('{', () => response.destroy()),
      code: 'http.unreachable',
    },
    { name: 'a cut connection', play: (response) => response.destroy(), code: 'http.unreachable' },
    { name: 'silence', play: () => undefined, code: 'http.timeout' },
  ];
  for (const { name, play, code } of nonsense) {
    it(`takes ${name} for a failure of the server`, async () => {
      await using it = await bed(play);

      await assert.rejects(it.client.call('GET', path, { retries: 0, timeoutMs: 300 }, ctx), {
        name: 'TransientError',
        code,
        dependency: 'kube',
      });
    });
  }

  it('reads no more than it may', async () => {
    await using it = await bed((response) => json(response, 200, { text: 'x'.repeat(2000) }));

    await assert.rejects(it.client.call('GET', path, { maxBytes: 1000 }, ctx), { name: 'TerminalError', code: 'http.too-large' });
  });

  it('keeps its deadline, and stops at once, while it is still connecting', async () => {
    // Takes connections and never shakes hands.
    const sockets: Socket[] = [];
    const mute = createMute((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const access: Access = {
      server: `https://127.0.0.1:${portOf(mute)}`,
      namespace: undefined,
      credentials: async () => await Promise.resolve({ headers: {}, tls: {} }),
    };
    const client = openKubeClient({ access });
    const startedAt = performance.now();
    try {
      await assert.rejects(client.call('GET', path, { retries: 0, timeoutMs: 100 }, ctx), { code: 'http.timeout' });
      const watch = client.watch('/apis/tekton.dev/v1/taskruns', { query: {}, idleMs: 100, maxLineBytes: 100 }, ctx);
      await assert.rejects(watch, { code: 'kube.idle' });
      assert.ok(performance.now() - startedAt < 2_000);
    } finally {
      await client[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
      mute.close();
    }
  });

  it('stops at once with the reason that it was given', async () => {
    await using it = await bed(() => undefined);
    const stop = new AbortController();
    const pending = it.client.call('GET', path, {}, { ...ctx, signal: stop.signal });

    stop.abort(new Error('enough'));

    await assert.rejects(pending, { message: 'enough' });
  });
});

describe('KubeClient.watch', () => {
  const options = { query: { resourceVersion: '5' }, idleMs: 200, maxLineBytes: 100 };
  const read = async (client: KubeClient): Promise<string[]> => {
    const lines: string[] = [];
    for await (const batch of (await client.watch('/apis/tekton.dev/v1/taskruns', options, ctx)) ?? []) lines.push(...batch.map(String));
    return lines;
  };

  it('gives lines until the server ends the stream', async () => {
    await using it = await bed((response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"a":1}\n{"b"');
      setImmediate(() => response.end(':2}\n'));
    });

    assert.deepEqual(await read(it.client), ['{"a":1}', '{"b":2}']);
    assert.deepEqual(it.asked, ['GET /apis/tekton.dev/v1/taskruns?resourceVersion=5&watch=true t1']);
    assert.deepEqual(it.done, [{ verb: 'watch', resource: 'taskruns.tekton.dev', status: 200 }]);
  });

  const failures: readonly { name: string; play: Handler; expected: object }[] = [
    {
      name: 'a stream on which nothing comes',
      play: (response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{}\n'),
      expected: { code: 'kube.idle' },
    },
    {
      name: 'a stream that breaks',
      play: (response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{}\n', () => response.destroy()),
      expected: { code: 'kube.cut', dependency: 'kube' },
    },
    {
      name: 'HTML',
      play: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      expected: { code: 'kube.protocol' },
    },
    { name: 'a forgotten version', play: (response) => json(response, 410, {}), expected: { code: 'kube.expired' } },
    {
      name: 'a cold CRD',
      play: (response) => json(response, 429, {}, { 'retry-after': '1' }),
      expected: { code: 'kube.busy', retryAfterMs: 1000 },
    },
    { name: 'silence', play: () => undefined, expected: { code: 'kube.idle' } },
  ];
  for (const { name, play, expected } of failures) {
    it(`throws for ${name}`, async () => {
      await using it = await bed(play);

      await assert.rejects(read(it.client), expected);
    });
  }

  it('gives undefined for a resource that is not installed', async () => {
    await using it = await bed((response) => json(response, 404, {}));

    assert.equal(await it.client.watch('/apis/tekton.dev/v1/taskruns', options, ctx), undefined);
  });

  it('closes the connection when nobody reads on', async () => {
    let closed: (() => void) | undefined;
    const end = new Promise<void>((resolve) => (closed = resolve));
    await using it = await bed((response) => {
      response.once('close', () => closed?.());
      response.writeHead(200, { 'content-type': 'application/json' }).write('{}\n{}\n');
    });

    for await (const batch of (await it.client.watch('/apis/tekton.dev/v1/taskruns', { ...options, idleMs: 60_000 }, ctx)) ?? []) {
      assert.equal(batch.length, 2);
      break;
    }

    await end;
  });
});

describe('listPages', () => {
  it('follows the pages, and halves those that are too large', async () => {
    const big = 'x'.repeat(33 * 1024 * 1024);
    await using it = await bed((response, { url }) => {
      const query = new URL(url ?? '', 'http://x').searchParams;
      const metadata = { resourceVersion: '7', continue: query.get('continue') === null ? 'two' : '' };
      const items = query.get('limit') === '8' && query.has('continue') ? [{ big }] : [{ limit: query.get('limit') }];
      json(response, 200, { metadata, items });
    });

    const pages = await Array.fromAsync(listPages(it.client, { resource: 'taskruns', namespace: undefined, limit: 8 }, ctx));

    assert.deepEqual(pages, [
      { items: [{ limit: '8' }], resourceVersion: '7' },
      { items: [{ limit: '2' }], resourceVersion: '7' },
    ]);
  });
});
