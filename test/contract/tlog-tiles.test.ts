import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Envelope } from '../../src/model/envelope.ts';
import type { LogEntry } from '../../src/model/evidence.ts';
import type { TrustedRoot } from '../../src/trust/trusted-root.ts';
import { TransientError } from '../../src/errors.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { missing } from '../servers/tools.ts';
import { ctx, envelopeOf, failureOf, openLog, startLiar, trustIn, withJson, type Reply } from './tlog-world.ts';

/** An entry that the log has, read from where `lie` stands before the tiles. */
type Lie = (reply: Reply, asked: string) => Reply;

describe('the tiles of a Rekor 2', { skip: await missing('rekor-tiles') }, () => {
  let rekor: Rekor2;
  let trust: TrustedRoot;
  let known: Envelope;
  let entry: LogEntry;
  let early: Reply;
  before(async () => {
    rekor = await startRekor2({ key: 'Ed25519' });
    trust = trustIn({ logs: [rekor] });
    await using log = await openLog(2, { url: rekor.url }, trust);
    const names = Array.from({ length: 5 }, (_, index) => `early ${index}`);
    await Promise.all(names.map(async (name) => await log.append(envelopeOf('dsse', name), ctx)));
    const checkpoint = await fetch(`${rekor.url}/api/v2/checkpoint`);
    early = { status: 200, headers: {}, body: Buffer.from(await checkpoint.arrayBuffer()) };
    known = envelopeOf('dsse', 'known');
    entry = await log.append(known, ctx);
  });
  after(async () => {
    await rekor[Symbol.asyncDispose]();
  });

  async function adopt(lie: Lie, envelope = known): Promise<LogEntry> {
    await using liar = await startLiar(rekor.url, lie);
    await using log = await openLog(2, { url: rekor.url, readUrl: liar.url }, trust);
    return await log.append(envelope, ctx);
  }

  it('give the entry that the log says it has, of a log with an Ed25519 key', async () => {
    const adopted = await adopt((reply) => reply);

    assert.deepEqual({ ...adopted, proof: undefined }, { ...entry, proof: undefined });
    assert.equal(adopted.proof?.logIndex, entry.logIndex);
  });

  it('are read from where they are served, and only then', async () => {
    await using reader = await startLiar(rekor.url, (reply) => reply);
    await using log = await openLog(2, { url: rekor.url, readUrl: `${reader.url}/` }, trust);

    await log.append(envelopeOf('dsse', 'new'), ctx);
    const before = [...reader.asked];
    await log.append(known, ctx);

    assert.deepEqual(before, []);
    assert.deepEqual(
      reader.asked.map((asked) => asked.replace(/\d+$/, 'N')),
      ['GET /api/v2/checkpoint', 'GET /api/v2/tile/entries/000.p/N', 'GET /api/v2/tile/0/000.p/N'],
    );
  });

  it('are missed with the name of what to configure when the URL of the log has none', async () => {
    await using writer = await startLiar(rekor.url, (reply, asked) => (asked.startsWith('GET') ? { ...reply, status: 501 } : reply));
    await using log = await openLog(2, { url: writer.url }, trust);

    const error = await failureOf(log.append(known, ctx));

    assert.ok(error instanceof TransientError);
    assert.deepEqual([error.code, error.dependency], ['tlog.unreadable', undefined]);
    assert.equal(error.message, `Cannot read from ${writer.url} the entry that the log has already: the answer for its checkpoint is 501`);
    assert.match(error.fix ?? '', /transparency\.read-url/);
  });

  it('are missed when nobody is there', async () => {
    await using log = await openLog(2, { url: rekor.url, readUrl: 'http://127.0.0.1:9' }, trust);

    const error = await failureOf(log.append(known, ctx));

    assert.deepEqual([error.code, /ECONNREFUSED/.test(error.message)], ['tlog.unreadable', true]);
  });

  it('are waited for when the checkpoint is older than the entry', async () => {
    let looks = 0;

    const adopted = await adopt((reply, asked) => (asked.endsWith('/checkpoint') && (looks += 1) === 1 ? early : reply));

    assert.deepEqual([adopted.logIndex, looks], [entry.logIndex, 2]);
  });

  const flipped = (reply: Reply, at: number): Reply => {
    const body = Buffer.from(reply.body);
    body[at] = (body[at] ?? 0) ^ 1;
    return { ...reply, body };
  };
  const lies: readonly { readonly name: string; readonly file: RegExp; readonly change: (reply: Reply) => Reply; readonly want: string }[] =
    [
      { name: 'another hash', file: /tile\/0/, change: (reply) => flipped(reply, 0), want: 'trust.entry-inclusion' },
      { name: 'a cut tile', file: /tile\/0/, change: (reply) => ({ ...reply, body: reply.body.subarray(1) }), want: 'tlog.unreadable' },
      {
        name: 'another entry',
        file: /tile\/entries/,
        change: (reply) => flipped(reply, reply.body.indexOf(entry.body) + 10),
        want: 'trust.entry-inclusion',
      },
      {
        name: 'a cut bundle',
        file: /tile\/entries/,
        change: (reply) => ({ ...reply, body: reply.body.subarray(0, -1) }),
        want: 'tlog.unreadable',
      },
      { name: 'no tiles', file: /tile/, change: (reply) => ({ ...reply, status: 404 }), want: 'tlog.unreadable' },
      { name: 'tiles for members only', file: /tile/, change: (reply) => ({ ...reply, status: 403 }), want: 'tlog.unreadable' },
      { name: 'a page', file: /checkpoint/, change: (reply) => withJson(reply, () => '<html>'), want: 'tlog.unreadable' },
      {
        name: 'a checkpoint of another log',
        file: /checkpoint/,
        change: (reply) => withJson(reply, (text) => text.replaceAll('localhost', 'other')),
        want: 'trust.entry-origin',
      },
      {
        name: 'a checkpoint with another root',
        file: /checkpoint/,
        change: (reply) => withJson(reply, (text) => text.replace(/\n.{4}(.*=)\n\n/, '\nAAAA$1\n\n')),
        want: 'trust.entry-checkpoint',
      },
      {
        name: 'a checkpoint that an unknown key signed',
        file: /checkpoint/,
        change: (reply) => withJson(reply, (text) => text.replace(/(— localhost )..../, '$1AAAA')),
        want: 'trust.log-unknown',
      },
    ];
  for (const { name, file, change, want } of lies) {
    it(`are not believed when they give ${name}`, async () => {
      const error = await failureOf(adopt((reply, asked) => (file.test(asked) ? change(reply) : reply)));

      assert.equal(error.code, want, error.message);
    });
  }

  it('may be full though the checkpoint is of a time when they were not', async () => {
    await using log = await openLog(2, { url: rekor.url }, trust);
    const size = await rekor.size();
    const checkpoint = await fetch(`${rekor.url}/api/v2/checkpoint`);
    const older = { status: 200, headers: {}, body: Buffer.from(await checkpoint.arrayBuffer()) };
    const names = Array.from({ length: 256 - size }, (_, index) => `late ${index}`);
    await Promise.all(names.map(async (name) => await log.append(envelopeOf('raw', name), ctx)));

    const adopted = await adopt((reply, asked) => {
      if (asked.endsWith('/checkpoint')) return older;
      return asked.includes('.p/') ? { ...reply, status: 404 } : reply;
    });

    assert.deepEqual([adopted.logIndex, adopted.proof?.treeSize], [entry.logIndex, size]);
  });
});
