import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import type { Access } from '../../src/kube/access.ts';
import { openKubeClient } from '../../src/kube/client.ts';
import type { Context } from '../../src/observe/context.ts';
import { Bodies } from '../../src/watch/bodies.ts';
import { KnownRuns } from '../../src/watch/known-runs.ts';
import { Reflector, reflectorDefaults } from '../../src/watch/reflector.ts';
import type { Change } from '../../src/watch/source.ts';
import { until } from '../servers/process.ts';

/** What the API server's protocol may do to one request; `query` has what was asked. A play that does not end the answer keeps it open. */
type Play = (response: ServerResponse, query: URLSearchParams) => void;

interface Bed extends AsyncDisposable {
  /** `seen ci/a 5`, with `initial` after it when it was, `gone ci/a 5`, `synced`. */
  readonly told: readonly string[];
  /** The queries in order, without what is the same in all: `watchlist`, `watch 5`, `list limit=2 continue=x`. */
  readonly asked: readonly string[];
  readonly logs: readonly Readonly<Record<string, unknown>>[];
  readonly reflector: Reflector;
  /** Stops it and waits for its end. */
  stop(): Promise<void>;
}

async function reflecting(plays: readonly Play[], namespaces: readonly string[] = []): Promise<Bed> {
  const asked: string[] = [];
  const told: string[] = [];
  const logs: Record<string, unknown>[] = [];
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    asked.push(shownQuery(query));
    plays[asked.length - 1]?.(response, query);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const access: Access = {
    server: `http://127.0.0.1:${address.port}`,
    namespace: undefined,
    credentials: async () => await Promise.resolve({ headers: {}, tls: {} }),
  };
  const client = openKubeClient({ access });
  const stop = new AbortController();
  const logger = pino({ level: 'debug' }, { write: (line: string) => logs.push(JSON.parse(line) as Record<string, unknown>) });
  const ctx: Context = { signal: stop.signal, logger };
  const known = new KnownRuns('TaskRun', new Bodies(1_000_000), (change) => told.push(shownChange(change)));
  const settings = { ...reflectorDefaults, idleMs: 150, firstWaitMs: 1, maxWaitMs: 4, maxLineBytes: 4096, pageSize: 2 };
  const reflector = new Reflector({ client, kind: 'TaskRun', known, namespaces, settings });
  const running = reflector.run(ctx);
  return {
    told,
    asked,
    logs,
    reflector,
    async stop() {
      stop.abort(new Error('stopped'));
      await running;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

function shownQuery(query: URLSearchParams): string {
  if (query.get('watch') !== 'true') {
    const next = query.get('continue');
    return `list limit=${query.get('limit')}${next === null ? '' : ` continue=${next}`}`;
  }
  assert.equal(query.get('allowWatchBookmarks'), 'true');
  const seconds = Number(query.get('timeoutSeconds'));
  assert.ok(seconds >= 300 && seconds < 600);
  if (query.get('sendInitialEvents') === null) return `watch ${query.get('resourceVersion')}`;
  assert.deepEqual([query.get('resourceVersionMatch'), query.get('resourceVersion')], ['NotOlderThan', null]);
  return 'watchlist';
}

function shownChange(change: Change): string {
  if (change.kind === 'synced') return 'synced';
  const { namespace, name, resourceVersion } = change.run;
  return `${change.kind} ${namespace}/${name} ${resourceVersion}${change.kind === 'seen' && change.isInitial ? ' initial' : ''}`;
}

const run = (name: string, resourceVersion: string, namespace = 'ci'): object => ({
  kind: 'TaskRun',
  metadata: { name, namespace, uid: `uid-${name}`, resourceVersion },
});
const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const added = (name: string, resourceVersion: string): string => event('ADDED', run(name, resourceVersion));
const deleted = (name: string, resourceVersion: string): string => event('DELETED', run(name, resourceVersion));
const bookmark = (resourceVersion: string, annotations: object = {}): string =>
  event('BOOKMARK', { kind: 'TaskRun', metadata: { resourceVersion, annotations } });
const initialEnd = (resourceVersion: string): string => bookmark(resourceVersion, { 'k8s.io/initial-events-end': 'true' });
const failure = (code: number): string => event('ERROR', { kind: 'Status', code, reason: code === 410 ? 'Expired' : 'InternalError' });

const stream =
  (text: string, then: 'end' | 'open' | 'break' = 'open'): Play =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write(text, () => {
      if (then === 'break') response.destroy();
    });
    if (then === 'end') response.end();
  };
const status =
  (code: number, headers: Record<string, string> = {}): Play =>
  (response) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ kind: 'Status', code }));
  };
const page =
  (items: readonly object[], resourceVersion: string, next?: string): Play =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ metadata: { resourceVersion, continue: next }, items }));
  };

interface Case {
  readonly name: string;
  readonly plays: readonly Play[];
  readonly asked: readonly string[];
  readonly told: readonly string[];
}

const sound = stream(added('a', '1') + initialEnd('5'));
const cutShort = stream(added('a', '1'), 'end');

const cases: readonly Case[] = [
  {
    name: 'tells the initial events when they have all come, then each change',
    plays: [
      stream(
        added('a', '1') + added('b', '2') + deleted('b', '3') + initialEnd('5') + added('a', '6') + added('c', '7') + deleted('a', '8'),
      ),
    ],
    asked: ['watchlist'],
    told: ['seen ci/a 1 initial', 'synced', 'seen ci/a 6', 'seen ci/c 7', 'gone ci/a 8'],
  },
  {
    name: 'takes a stream that ends before the initial events do for a failed list, and tells nothing of it',
    plays: [cutShort, stream(added('b', '2') + initialEnd('5'))],
    asked: ['watchlist', 'watchlist'],
    told: ['seen ci/b 2 initial', 'synced'],
  },
  {
    name: 'is not taken in by a bookmark without the annotation',
    plays: [stream(added('a', '1') + bookmark('4'), 'end'), sound],
    asked: ['watchlist', 'watchlist'],
    told: ['seen ci/a 1 initial', 'synced'],
  },
  {
    name: 'lists in pages after three such cuts, then watches, and comes back to WatchList later',
    plays: [
      cutShort,
      stream(added('x', '1'), 'break'),
      cutShort,
      page([run('a', '1'), run('b', '2')], '9', 'two'),
      page([run('c', '3')], '9'),
      stream(failure(410)),
      stream(added('c', '3') + initialEnd('20')),
    ],
    asked: ['watchlist', 'watchlist', 'watchlist', 'list limit=2', 'list limit=2 continue=two', 'watch 9', 'watchlist'],
    told: ['seen ci/a 1 initial', 'seen ci/b 2 initial', 'seen ci/c 3 initial', 'synced', 'gone ci/a 1', 'gone ci/b 2'],
  },
  {
    name: 'starts a list in pages again when its place has expired in the middle',
    plays: [status(422), page([run('a', '1')], '9', 'two'), status(410), page([run('b', '2')], '10'), stream('')],
    asked: ['watchlist', 'list limit=2', 'list limit=2 continue=two', 'list limit=2', 'watch 10'],
    told: ['seen ci/b 2 initial', 'synced'],
  },
  {
    name: 'lists in pages for good where WatchList is not known',
    plays: [status(422), page([run('a', '1')], '9'), stream(failure(410)), page([run('a', '1')], '20'), stream('')],
    asked: ['watchlist', 'list limit=2', 'watch 9', 'list limit=2', 'watch 20'],
    told: ['seen ci/a 1 initial', 'synced'],
  },
  {
    name: 'asks a cold CRD again, which is no reason for pages',
    plays: [1, 2, 3, 4].map(() => status(429, { 'retry-after': '0' })).concat(sound),
    asked: ['watchlist', 'watchlist', 'watchlist', 'watchlist', 'watchlist'],
    told: ['seen ci/a 1 initial', 'synced'],
  },
  {
    name: 'goes on where the last bookmark was, after the end, a break, silence and a failing server',
    plays: [
      stream(added('a', '1') + initialEnd('5'), 'end'),
      stream(bookmark('11'), 'end'),
      stream(bookmark('12'), 'break'),
      stream(bookmark('13')),
      status(503),
      stream(bookmark('14') + failure(500)),
      stream(added('b', '15')),
    ],
    asked: ['watchlist', 'watch 5', 'watch 11', 'watch 12', 'watch 13', 'watch 13', 'watch 14'],
    told: ['seen ci/a 1 initial', 'synced', 'seen ci/b 15'],
  },
  {
    name: 'lists again after 410 as an event, and tells what vanished',
    plays: [stream(added('a', '1') + added('b', '2') + initialEnd('5') + failure(410)), stream(added('b', '9') + initialEnd('10'))],
    asked: ['watchlist', 'watchlist'],
    told: ['seen ci/a 1 initial', 'seen ci/b 2 initial', 'synced', 'gone ci/a 1', 'seen ci/b 9'],
  },
  {
    name: 'lists again after 410 as a status',
    plays: [stream(added('a', '1') + initialEnd('5'), 'end'), status(410), stream(initialEnd('10'))],
    asked: ['watchlist', 'watch 5', 'watchlist'],
    told: ['seen ci/a 1 initial', 'synced', 'gone ci/a 1'],
  },
  {
    name: 'opens a stream with a nonsense line again, and lists again when it stays there',
    plays: [
      stream(added('a', '1') + initialEnd('5') + '<html>\n'),
      stream('}{\n'),
      stream('7\n'),
      stream(added('b', '6') + initialEnd('9')),
    ],
    asked: ['watchlist', 'watch 5', 'watch 5', 'watchlist'],
    told: ['seen ci/a 1 initial', 'synced', 'gone ci/a 1', 'seen ci/b 6'],
  },
  {
    name: 'gets over HTML and a line that is too long',
    plays: [
      (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      stream(`${'x'.repeat(5000)}\n`),
      sound,
    ],
    asked: ['watchlist', 'watchlist', 'watchlist'],
    told: ['seen ci/a 1 initial', 'synced'],
  },
  {
    name: 'does not take a missing right, or refused credentials, for a server without WatchList',
    plays: [status(403), status(401), status(401), sound],
    asked: ['watchlist', 'watchlist', 'watchlist', 'watchlist'],
    told: ['seen ci/a 1 initial', 'synced'],
  },
];

describe('Reflector', () => {
  for (const { name, plays, asked, told } of cases) {
    it(name, async () => {
      await using bed = await reflecting(plays);

      await until('what is to be told', 5_000, () => bed.told.length >= told.length && bed.asked.length >= asked.length);

      assert.deepEqual(bed.told, told);
      assert.deepEqual(bed.asked.slice(0, asked.length), asked);
    });
  }

  it('waits for a CRD that is not installed, forgets nothing meanwhile, and says so once', async () => {
    await using bed = await reflecting([
      stream(added('a', '1') + initialEnd('5'), 'end'),
      status(404),
      status(404),
      status(404),
      stream(added('b', '6')),
    ]);

    await until('the CRD', 5_000, () => bed.told.length >= 3);

    assert.deepEqual(bed.told, ['seen ci/a 1 initial', 'synced', 'seen ci/b 6']);
    assert.equal(bed.logs.filter(({ code }) => code === 'kube.absent').length, 1);
  });

  it('obeys Retry-After', async () => {
    await using bed = await reflecting([status(429, { 'retry-after': '1' }), sound]);
    const startedAt = performance.now();

    await until('the second request', 5_000, () => bed.asked.length >= 2);

    assert.ok(performance.now() - startedAt >= 950);
  });

  it('reports an object that is no run once, and goes on with the others', async () => {
    const bad = event('ADDED', { kind: 'TaskRun', metadata: { name: 'bad', namespace: 'ci', resourceVersion: '3' } });
    await using bed = await reflecting([stream(added('a', '1') + bad + initialEnd('5') + bad + bad + added('c', '7'))]);

    await until('the last run', 5_000, () => bed.told.length >= 3);

    assert.deepEqual(bed.told, ['seen ci/a 1 initial', 'synced', 'seen ci/c 7']);
    const warnings = bed.logs.filter(({ level }) => level === 40);
    assert.deepEqual(
      warnings.map(({ run: shown, why, code }) => [shown, why, code]),
      [['ci/bad', 'it has no metadata.uid', 'watch.malformed']],
    );
  });

  it('passes over other namespaces, whose events move its place all the same', async () => {
    const foreign = event('ADDED', run('x', '8', 'other'));
    await using bed = await reflecting([stream(added('a', '1') + foreign + initialEnd('5') + foreign, 'end'), stream('')], ['ci']);

    await until('the second watch', 5_000, () => bed.asked.length >= 2);

    assert.deepEqual(bed.told, ['seen ci/a 1 initial', 'synced']);
    assert.deepEqual(bed.asked, ['watchlist', 'watch 8']);
  });

  it('ends when it is told to, in the middle of a stream and of a wait', async () => {
    await using inStream = await reflecting([sound]);
    await until('the stream', 5_000, () => inStream.told.length >= 2);
    await inStream.stop();

    await using inWait = await reflecting([status(429, { 'retry-after': '3600' })]);
    await until('the refusal', 5_000, () => inWait.logs.length > 0);
    await inWait.stop();

    assert.ok(inStream.reflector.lastEventAt > 0);
    assert.equal(inWait.asked.length, 1);
  });
});
