import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Envelope } from '../../src/model/envelope.ts';
import type { Log } from '../../src/tlog/log.ts';
import type { TrustedRoot } from '../../src/trust/trusted-root.ts';
import { makeCa } from '../servers/certificates.ts';
import { missingRekor1, startRekor1, type Rekor1 } from '../servers/rekor1.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';
import { ctx, envelopeOf, keyOf, openLog, startLiar, trustIn } from './tlog-world.ts';

interface World {
  readonly version: 1 | 2;
  readonly skip: string | false;
  start(): Promise<Rekor1 | Rekor2>;
}

const worlds: readonly World[] = [
  { version: 1, skip: await missingRekor1(), start: startRekor1 },
  { version: 2, skip: await missing('rekor-tiles'), start: startRekor2 },
];

for (const { version, skip, start } of worlds) {
  describe(`a log of generation ${version}`, { skip }, () => {
    let rekor: Rekor1 | Rekor2;
    let trust: TrustedRoot;
    const open = async (options: Readonly<Record<string, unknown>> = {}): Promise<Log> =>
      await openLog(version, { url: rekor.url, ...options }, trust);
    before(async () => {
      rekor = await start();
      trust = trustIn({ logs: [rekor] });
    });
    after(async () => {
      await rekor[Symbol.asyncDispose]();
    });

    const want = {
      1: { dsse: ['dsse', '0.0.1'], raw: ['hashedrekord', '0.0.1'] },
      2: { dsse: ['hashedrekord', '0.0.2'], raw: ['hashedrekord', '0.0.2'] },
    }[version];
    for (const kind of ['dsse', 'raw'] as const) {
      it(`takes what is signed as ${kind}, and gives an entry that is checked`, async () => {
        await using log = await open();
        const size = await rekor.size();

        const entry = await log.append(envelopeOf(kind, `first ${kind}`), ctx);

        assert.deepEqual([entry.kind, entry.version], want[kind]);
        assert.equal(entry.log, rekor.url);
        assert.equal(entry.logIndex, size);
        assert.equal(entry.proof?.logIndex, size);
        assert.ok((entry.proof?.treeSize ?? 0) > size);
        assert.equal(entry.promise === undefined, version === 2);
        assert.equal(entry.integratedTime === undefined, version === 2);
        assert.deepEqual(Buffer.from(entry.logId), Buffer.from(trust.logs[0]?.logId ?? []));
        assert.equal(await rekor.size(), size + 1);
      });

      it(`finds the entry of what is signed as ${kind} again, after a life that ended between log and journal`, async () => {
        const envelope = envelopeOf(kind, `again ${kind}`);
        const first = await once(open, envelope);
        for (let count = 0; count < 3; count += 1) await once(open, envelopeOf(kind, `between ${kind} ${count}`));
        const size = await rekor.size();

        const again = await once(open, envelope);

        assert.deepEqual(bodyAndPlace(again), bodyAndPlace(first));
        assert.ok((again.proof?.treeSize ?? 0) >= size);
        assert.equal(await rekor.size(), size);
      });
    }

    it('takes certificates for verifiers where there are any', async () => {
      await using dir = await scratch('tlog');
      const pair = await makeCa(dir.dir, 'signer');
      const privateKey = createPrivateKey(await readFile(pair.keyFile, 'utf8'));
      const certificate = await readFile(pair.certFile, 'utf8');
      const key = keyOf(privateKey, createPublicKey(privateKey), 'sha256');
      await using log = await open();

      for (const kind of ['dsse', 'raw'] as const) {
        const envelope: Envelope = { ...envelopeOf(kind, `certified ${kind}`, key), certificate };
        const first = await log.append(envelope, ctx);
        const again = await log.append(envelope, ctx);
        const text = Buffer.from(first.body).toString();
        assert.deepEqual(bodyAndPlace(again), bodyAndPlace(first));
        assert.match(
          version === 1 ? Buffer.from(/(LS0t[^"]*)"/.exec(text)?.[1] ?? '', 'base64').toString() : text,
          /CERTIFICATE|x509Certificate/,
        );
      }
    });

    it('takes many at once, each once, and finds every one again when whole tiles are full', async () => {
      await using log = await open();
      const size = await rekor.size();
      const many = Array.from({ length: 300 }, (_, index) => envelopeOf('dsse', `many ${index}`));

      const entries = await Promise.all(many.map(async (envelope) => await log.append(envelope, ctx)));
      const places = new Set(entries.map(({ logIndex }) => logIndex));
      // A Rekor 2 remembers the last 256 when nothing says otherwise.
      const known = entries.toSorted((a, b) => a.logIndex - b.logIndex).slice(60);

      assert.deepEqual([places.size, await rekor.size()], [300, size + 300]);
      for (const entry of [known[0], known.find(({ logIndex }) => logIndex >= 256), known.at(-1)]) {
        const envelope = many[entries.findIndex(({ logIndex }) => logIndex === entry?.logIndex)] ?? assert.fail();
        assert.deepEqual(bodyAndPlace(await once(open, envelope)), entry && bodyAndPlace(entry));
      }
      assert.equal(await rekor.size(), size + 300);
    });

    it('gives one entry to several who log the same at the same time', async () => {
      const envelope = envelopeOf('dsse', 'raced');
      const size = await rekor.size();

      const entries = await Promise.all(Array.from({ length: 5 }, async () => await once(open, envelope)));

      assert.deepEqual(new Set(entries.map(({ logIndex }) => logIndex)), new Set([size]));
      assert.equal(await rekor.size(), size + 1);
    });

    it('may have a slash at the end of its URL', async () => {
      await using log = await open({ url: `${rekor.url}/` });

      const entry = await log.append(envelopeOf('raw', 'slash'), ctx);

      assert.deepEqual([log.url, entry.log], [`${rekor.url}/`, `${rekor.url}/`]);
    });

    it('may be below a path', async () => {
      await using front = await startLiar(rekor.url, (reply) => reply);
      await using log = await openLog(version, { url: `${front.url}/rekor/` }, trust);

      // The log does not know the path that we are to keep.
      await assert.rejects(log.append(envelopeOf('dsse', 'path'), ctx), { code: 'tlog.protocol' });

      assert.deepEqual(front.asked, [`POST /rekor/api/v${version}/log/entries`]);
    });

    it('goes on after a restart of the log', async () => {
      await using log = await open();
      const envelope = envelopeOf('dsse', 'before the restart');
      const first = await log.append(envelope, ctx);

      await rekor.stop();
      await assert.rejects(log.append(envelope, ctx), { code: 'http.unreachable', dependency: `tlog:${new URL(rekor.url).host}` });
      await rekor.start();
      const next = await log.append(envelopeOf('dsse', 'after the restart'), ctx);

      assert.equal(next.logIndex, first.logIndex + 1);
    });

    it(version === 1 ? 'is asked for an entry without adding one' : 'cannot be asked for an entry', async () => {
      await using log = await open();
      const [known, unknown] = [envelopeOf('dsse', 'known'), envelopeOf('dsse', 'unknown')];
      const raw = envelopeOf('raw', 'known raw');
      const entries = [await log.append(known, ctx), await log.append(raw, ctx)];
      const size = await rekor.size();

      const found = [await log.find(known, ctx), await log.find(raw, ctx), await log.find(unknown, ctx)];

      assert.equal(log.isTimed, version === 1);
      const expected = version === 1 ? entries.map(({ logIndex }) => logIndex) : [undefined, undefined];
      assert.deepEqual(
        found.map((entry) => entry?.logIndex),
        [...expected, undefined],
      );
      assert.equal(await rekor.size(), size);
    });

    it('stops when it is told to stop', async () => {
      await using log = await open();
      const signal = AbortSignal.abort(new Error('enough'));

      await assert.rejects(log.append(envelopeOf('dsse', 'stopped'), { ...ctx, signal }), { message: 'enough' });
    });
  });
}

/** A life that logs one thing and ends. */
async function once(open: () => Promise<Log>, envelope: Envelope): ReturnType<Log['append']> {
  await using log = await open();
  return await log.append(envelope, ctx);
}

/** Proofs of the same entry differ with the size of the tree, and so may promises: ECDSA is not deterministic. */
function bodyAndPlace({ proof, promise: _, ...entry }: Awaited<ReturnType<Log['append']>>): unknown {
  const { body, logId, ...rest } = entry;
  return { ...rest, inShard: proof?.logIndex, body: Buffer.from(body).toString(), logId: Buffer.from(logId).toString('hex') };
}
