import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { TransientError } from '../../src/errors.ts';
import { within } from '../../src/observe/context.ts';
import { emptyRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { startFaultProxy, type Fault } from '../servers/fault-proxy.ts';
import { missingRekor1, startRekor1, type Rekor1 } from '../servers/rekor1.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { missing } from '../servers/tools.ts';
import { ctx, envelopeOf, failureOf, openLog, startLiar, trustIn, withJson, type Reply } from './tlog-world.ts';

interface Lie {
  readonly name: string;
  readonly change: (text: string) => string;
  readonly want: string;
}

const hex = '[0-9a-f]{64}';
/** Another letter of base64 or digit of hex. */
const other = (letter: string): string => (letter === 'a' ? 'b' : 'a');

const common: readonly Lie[] = [
  {
    name: 'a checkpoint that the log has not signed',
    change: (text) => text.replace(/(— [^ ]+ .{30})(.)/, (_, head: string, letter: string) => head + other(letter)),
    want: 'trust.entry-checkpoint',
  },
  { name: 'an answer that is cut', change: (text) => text.slice(0, 200), want: 'tlog.protocol' },
  { name: 'a page', change: () => '<html>welcome</html>', want: 'tlog.protocol' },
  { name: 'nothing', change: () => '', want: 'tlog.protocol' },
];

const lies: Readonly<Record<1 | 2, readonly Lie[]>> = {
  1: [
    ...common,
    {
      name: 'a proof with a hash less',
      change: (text) => text.replace(new RegExp(`"hashes":\\["${hex}",?`), '"hashes":['),
      want: 'trust.entry-inclusion',
    },
    {
      name: 'a proof with another hash',
      change: (text) => text.replace(/("hashes":\[")(.)/, (_, head: string, letter: string) => head + other(letter)),
      want: 'trust.entry-inclusion',
    },
    { name: 'another index', change: (text) => text.replace(/("logIndex":)(\d+)/, '$1 9$2'), want: 'trust.entry-promise' },
    {
      name: 'another index within the shard',
      change: (text) => text.replace(/("inclusionProof":.*"logIndex":)\d+/, '$1 0'),
      want: 'trust.entry-inclusion',
    },
    { name: 'another time', change: (text) => text.replace(/("integratedTime":)\d/, '$13'), want: 'trust.entry-promise' },
    { name: 'another size of the tree', change: (text) => text.replace(/("treeSize":)/, '$11'), want: 'trust.entry-checkpoint' },
    {
      name: 'no promise',
      change: (text) => text.replace(/"signedEntryTimestamp":"[^"]*"/, '"x":1'),
      want: 'tlog.protocol',
    },
    {
      name: 'the id of another log',
      change: (text) => text.replace(/("logID":")(.)/, (_, head: string, letter: string) => head + other(letter)),
      want: 'trust.log-unknown',
    },
    { name: 'two entries', change: (text) => text.replace(/^\{/, `{"${'0'.repeat(80)}":{},`), want: 'tlog.protocol' },
  ],
  2: [
    ...common,
    {
      name: 'a proof with a hash less',
      change: (text) => text.replace(/"hashes":\s*\["[^"]*",?/, '"hashes":['),
      want: 'trust.entry-inclusion',
    },
    {
      name: 'a proof with another hash',
      change: (text) => text.replace(/("hashes":\s*\[")(.)/, (_, head: string, letter: string) => head + other(letter)),
      want: 'trust.entry-inclusion',
    },
    { name: 'another index', change: (text) => text.replace(/("logIndex":\s*")(\d+)/, '$19$2'), want: 'trust.entry-index' },
    {
      name: 'another index throughout',
      change: (text) => text.replaceAll(/("logIndex":\s*")\d+/g, '$10'),
      want: 'trust.entry-inclusion',
    },
    { name: 'another size of the tree', change: (text) => text.replace(/("treeSize":\s*")/, '$11'), want: 'trust.entry-checkpoint' },
    {
      name: 'the id of another log',
      change: (text) => text.replace(/("keyId":\s*")(.)/, (_, head: string, letter: string) => head + other(letter)),
      want: 'trust.log-unknown',
    },
    { name: 'no proof', change: (text) => text.replace('"inclusionProof"', '"exclusionProof"'), want: 'tlog.protocol' },
    {
      name: 'an index that is too large',
      change: (text) => text.replace(/("logIndex":\s*")/, '$19999999999999999'),
      want: 'tlog.protocol',
    },
  ],
};

const worlds = [
  { version: 1, skip: await missingRekor1(), start: startRekor1 },
  { version: 2, skip: await missing('rekor-tiles'), start: startRekor2 },
] as const;

for (const { version, skip, start } of worlds) {
  describe(`a log of generation ${version} with troubles`, { skip }, () => {
    let rekor: Rekor1 | Rekor2;
    let trust: TrustedRoot;
    let dependency: string;
    before(async () => {
      rekor = await start();
      trust = trustIn({ logs: [rekor] });
      await using log = await openLog(version, { url: rekor.url }, trust);
      await Promise.all(['a', 'b', 'c'].map(async (name) => await log.append(envelopeOf('dsse', name), ctx)));
    });
    after(async () => {
      await rekor[Symbol.asyncDispose]();
    });

    const losses: readonly { readonly name: string; readonly fault: Fault; readonly withinMs: number; readonly want: RegExp }[] = [
      { name: 'the connection breaks', fault: { kind: 'truncate', bytes: 0 }, withinMs: 20_000, want: /TransientError|http\.unreachable/ },
      { name: 'the answer is cut', fault: { kind: 'truncate', bytes: 600 }, withinMs: 20_000, want: /TransientError|http\.unreachable/ },
      { name: 'the time is over', fault: { kind: 'drip', bytes: 1, everyMs: 500 }, withinMs: 3_000, want: /TimeoutError/ },
    ];
    for (const { name, fault, withinMs, want } of losses) {
      it(`adds an entry once though ${name} after it took the upload`, async () => {
        await using proxy = await startFaultProxy(new URL(rekor.url).host);
        await using log = await openLog(version, { url: proxy.url }, trust);
        const envelope = envelopeOf('dsse', name);
        const size = await rekor.size();

        await proxy.set(fault);
        const lost = await within(withinMs, ctx, async (ctx) => await log.append(envelope, ctx)).catch((error: unknown) => error);
        await proxy.set({ kind: 'none' });
        const entry = await log.append(envelope, ctx);

        assert.match(String(lost), want);
        assert.equal(entry.logIndex, size);
        assert.equal(await rekor.size(), size + 1);
      });
    }

    const refusals: readonly {
      readonly fault: Fault;
      readonly want: { readonly code: string; readonly retry: string; readonly retryAfterMs?: number };
      readonly says: RegExp;
    }[] = [
      { fault: { kind: 'refuse' }, want: { code: 'http.unreachable', retry: 'later' }, says: /ECONNREFUSED/ },
      { fault: { kind: 'status', status: 500 }, want: { code: 'tlog.unavailable', retry: 'later' }, says: /the answer is 500$/ },
      {
        fault: { kind: 'status', status: 502, body: 'bad gateway' },
        want: { code: 'tlog.unavailable', retry: 'later' },
        says: /502 "bad gateway"$/,
      },
      {
        fault: { kind: 'status', status: 503, retryAfter: 7 },
        want: { code: 'tlog.unavailable', retry: 'later', retryAfterMs: 7_000 },
        says: /503$/,
      },
      {
        fault: { kind: 'status', status: 429, retryAfter: 60 },
        want: { code: 'tlog.busy', retry: 'later', retryAfterMs: 60_000 },
        says: /429$/,
      },
      {
        fault: { kind: 'status', status: 405, body: 'This log has been frozen, please switch to the latest log.\n' },
        want: { code: 'tlog.frozen', retry: 'later' },
        says: /405 "This log has been frozen, please switch to the latest log\."$/,
      },
      { fault: { kind: 'status', status: 404 }, want: { code: 'tlog.protocol', retry: 'later' }, says: /404$/ },
      {
        fault: { kind: 'status', status: 400, body: '{"code":3,"message":"invalid \\u001b[31mentry","details":[]}' },
        want: { code: 'tlog.refused', retry: 'never' },
        says: /400 "invalid \\u001b\[31mentry"$/,
      },
      { fault: { kind: 'status', status: 403 }, want: { code: 'tlog.denied', retry: 'never' }, says: /403$/ },
      { fault: { kind: 'lie', body: '{}' }, want: { code: 'tlog.protocol', retry: 'later' }, says: /200/ },
    ];
    for (const { fault, want, says } of refusals) {
      it(`says ${want.code} of ${fault.kind === 'status' ? `status ${fault.status}` : fault.kind}`, async () => {
        await using proxy = await startFaultProxy(new URL(rekor.url).host);
        await using log = await openLog(version, { url: proxy.url }, trust);
        dependency = `tlog:${proxy.host}`;
        const size = await rekor.size();
        await proxy.set(fault);

        const error = await failureOf(log.append(envelopeOf('raw', want.code), ctx));

        assert.deepEqual(
          { code: error.code, retry: error instanceof TransientError ? 'later' : 'never', dependency: dependencyIn(error) },
          { code: want.code, retry: want.retry, dependency: want.retry === 'later' ? dependency : undefined },
        );
        assert.equal(error instanceof TransientError ? error.retryAfterMs : undefined, want.retryAfterMs);
        assert.match(error.message, says);
        assert.equal(await rekor.size(), size);
      });
    }

    it('gives no turn while the log asks for patience, and the next one at half the rate', async () => {
      await using proxy = await startFaultProxy(new URL(rekor.url).host);
      await using log = await openLog(version, { url: proxy.url, rate: 20 }, trust);

      await proxy.set({ kind: 'status', status: 429, retryAfter: 1 });
      await assert.rejects(log.append(envelopeOf('raw', 'patience'), ctx), { code: 'tlog.busy' });
      const began = performance.now();
      for (let count = 0; count < 3; count += 1) await log.turn(ctx);
      const tookMs = performance.now() - began;

      // One second, and two more at 10/s.
      assert.ok(tookMs > 1_100 && tookMs < 3_000, `${tookMs} ms`);
    });

    for (const { name, change, want } of lies[version]) {
      it(`is not believed when it gives ${name}`, async () => {
        await using liar = await startLiar(rekor.url, (reply, asked) => (asked.startsWith('POST') ? withJson(reply, change) : reply));
        await using log = await openLog(version, { url: liar.url }, trust);

        const error = await failureOf(log.append(envelopeOf('dsse', name), ctx));

        assert.equal(error.code, want, error.message);
      });
    }

    it('is not believed when it gives the entry of another signature', async () => {
      let earlier: Reply | undefined;
      await using liar = await startLiar(rekor.url, (reply, asked) => {
        if (asked.startsWith('POST')) earlier ??= reply;
        return earlier ?? reply;
      });
      await using log = await openLog(version, { url: liar.url }, trust);
      await log.append(envelopeOf('dsse', 'mine'), ctx);

      const error = await failureOf(log.append(envelopeOf('dsse', 'not mine'), ctx));

      assert.equal(error.code, 'trust.entry-body');
    });

    it('is not believed when it says that another entry is ours already', async () => {
      await using real = await openLog(version, { url: rekor.url }, trust);
      const { logIndex } = await real.append(envelopeOf('dsse', 'somebody else'), ctx);
      const lookUp = await fetch(`${rekor.url}/api/v1/log/entries?logIndex=${logIndex}`);
      const uuid = version === 1 ? Object.keys((await lookUp.json()) as object)[0] : undefined;
      const headers = { 'x-log-index': String(logIndex), location: `/api/v1/log/entries/${uuid}` };
      await using liar = await startLiar(rekor.url, (reply, asked) =>
        asked.startsWith('POST') ? { status: 409, headers, body: Buffer.from('{}') } : reply,
      );
      await using log = await openLog(version, { url: liar.url }, trust);

      const error = await failureOf(log.append(envelopeOf('dsse', 'ours'), ctx));

      assert.equal(error.code, 'trust.entry-body');
    });

    it('is asked to say which entry it means when it has ours already', async () => {
      await using liar = await startLiar(rekor.url, (reply) => ({ ...reply, status: 409, headers: {}, body: Buffer.from('{}') }));
      await using log = await openLog(version, { url: liar.url }, trust);

      const error = await failureOf(log.append(envelopeOf('dsse', 'which'), ctx));

      assert.deepEqual([error.code, /not which it is/.test(error.message)], ['tlog.protocol', true]);
    });

    it('is not believed when nobody trusts its key', async () => {
      await using log = await openLog(version, { url: rekor.url }, emptyRoot);

      const error = await failureOf(log.append(envelopeOf('dsse', 'unknown'), ctx));

      assert.equal(error.code, 'trust.log-unknown');
    });

    it('is read up to a limit', async () => {
      await using log = await openLog(version, { url: rekor.url, maxResponseBytes: 100 }, trust);

      const error = await failureOf(log.append(envelopeOf('dsse', 'large'), ctx));

      assert.equal(error.code, 'http.too-large');
    });
  });
}

function dependencyIn(error: unknown): string | undefined {
  return error instanceof TransientError ? error.dependency : undefined;
}
