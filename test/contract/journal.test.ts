import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { TerminalError } from '../../src/errors.ts';
import type { Journal, JournalRun } from '../../src/journal/journal.ts';
import { journals, openJournal, type JournalName } from '../../src/journal/journals.ts';
import { sha256Of } from '../../src/model/digest.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import type { LogEntry, Timestamp } from '../../src/model/evidence.ts';
import type { Receipt } from '../../src/model/receipt.ts';
import type { RunId } from '../../src/model/run.ts';
import type { Payload } from '../../src/model/work.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const image = { repository: 'registry.example/app', digest: sha256Of(Buffer.from('image')) };
const work = {
  key: 'taskrun slsa/v1',
  artifact: 'taskrun',
  format: 'slsa/v1',
  signer: 'x509',
  stores: ['oci', 'tekton'],
  log: true,
} as const;

function idOf(uid: string): RunId {
  return { kind: 'TaskRun', namespace: 'ci', name: `name-${uid}`, uid };
}

function payloadOf(text: string): Payload {
  return {
    payloadType: 'application/vnd.in-toto+json',
    predicateType: 'https://slsa.dev/provenance/v1',
    bytes: new TextEncoder().encode(text),
    subjects: [
      { name: 'app', digest: { sha256: 'aa', sha512: 'bb' } },
      { name: 'empty', digest: {} },
    ],
    images: [image],
    dropped: [{ result: 'status.results[X]', value: 'x', rule: 'extract.x', why: 'no digest', fix: 'add one' }],
  };
}

function envelopeOf(uid: string, payload: Payload, signature: string): Envelope {
  return {
    kind: 'dsse',
    payloadType: payload.payloadType,
    payload: payload.bytes,
    signature: new TextEncoder().encode(signature),
    body: new TextEncoder().encode(`{"signatures":["${signature}"]}`),
    publicKey: 'PEM',
    certificate: '',
    chain: '',
    filing: { run: idOf(uid), shortKey: `taskrun-${uid}`, predicateType: payload.predicateType, images: [image] },
  };
}

const entry: LogEntry = {
  log: 'https://rekor.example',
  logIndex: 7,
  logId: new Uint8Array(32).fill(1),
  kind: 'dsse',
  version: '0.0.1',
  integratedTime: 1_700_000_000,
  promise: new Uint8Array([1, 2]),
  proof: {
    logIndex: 3,
    rootHash: new Uint8Array(32).fill(2),
    treeSize: 9,
    hashes: [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)],
    checkpoint: 'rekor.example - 1\n9\nAg==\n\n— rekor.example AQID\n',
  },
  body: new TextEncoder().encode('{"kind":"dsse"}'),
};
const bareEntry: LogEntry = { ...entry, log: 'https://tiles.example', integratedTime: undefined, promise: undefined };
const timestamps: readonly Timestamp[] = [
  { authority: 'https://tsa.example', over: 'body', response: new Uint8Array([3]) },
  { authority: 'https://tsa.example', over: 'signature', response: new Uint8Array([4]) },
];

function receiptOf(store: string, address: string): Receipt {
  return {
    store,
    places: [
      { address, image },
      { address: 'no image', image: undefined },
    ],
    note: undefined,
    annotations: { a: 'b' },
  };
}

async function admitted(journal: Journal, uid: string): Promise<string> {
  await journal.admit({ id: idOf(uid), lane: 'live', at: 1, snapshot: undefined });
  return uid;
}

async function openRuns(journal: Journal): Promise<readonly JournalRun[]> {
  return await Array.fromAsync(journal.open());
}

interface Row {
  readonly kind: JournalName;
  readonly name: string;
  readonly url: (folder: string) => string;
}

const implementations: readonly Row[] = [
  { kind: 'sqlite', name: 'sqlite, a file', url: (folder) => `sqlite://${join(folder, 'made', 'on demand', 'journal.db')}` },
  { kind: 'sqlite', name: 'sqlite, in memory', url: () => 'sqlite::memory:' },
];

describe('journals', () => {
  it('has a row of this suite for every kind', () => {
    assert.deepEqual([...new Set(implementations.map(({ kind }) => kind))], Object.keys(journals));
  });

  const refused = ['mysql://user:secret@host/db', 'journal.db', 'sqlite:', 'sqlite://relative/path', 'toString:x'];
  for (const url of refused) {
    it(`refuses ${url}`, async () => {
      await assert.rejects(openJournal({ url }, ctx), (error) => {
        return error instanceof TerminalError && error.code === 'journal.bad-options' && !error.message.includes('secret');
      });
    });
  }
});

for (const { name, url } of implementations) {
  describe(`Journal: ${name}`, () => {
    let folder = '';
    let journal: Journal;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'chainsmith-journal-'));
      journal = await openJournal({ url: url(folder) }, ctx);
    });
    after(async () => {
      await journal[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    it('does not know a run that was never admitted', async () => {
      assert.equal(await journal.load('stranger'), undefined);
    });

    it('gives back everything that was kept of a run', async () => {
      const uid = 'everything';
      const payload = payloadOf('statement');
      const envelope = envelopeOf(uid, payload, 'signature');

      await journal.admit({ id: idOf(uid), lane: 'backfill', at: 10, snapshot: '{"kind":"TaskRun"}' });
      await journal.keepPayload(uid, work, payload);
      await journal.keepEnvelope(uid, work.key, envelope);
      for (const one of [entry, bareEntry, ...timestamps, { ...entry, logIndex: 8 }]) await journal.keepEvidence(uid, work.key, one);
      await journal.keepReceipt(uid, work.key, receiptOf('tekton', 'annotations'));
      await journal.keepReceipt(uid, work.key, receiptOf('oci', 'registry.example/app:sha256-00.att'));
      await journal.markProven(uid, work.key, 'oci', 20);
      await journal.postpone(uid, { attempts: 3, dueAt: 900, reason: 'registry is down', at: 30 });

      assert.deepEqual(await journal.load(uid), {
        id: idOf(uid),
        state: 'open',
        lane: 'retry',
        attempts: 3,
        dueAt: 900,
        reason: 'registry is down',
        updatedAt: 30,
        snapshot: '{"kind":"TaskRun"}',
        works: [
          {
            ...work,
            payload,
            payloadSha256: sha256Of(payload.bytes),
            envelope,
            evidence: { entries: [entry, bareEntry], timestamps },
            receipts: [
              { receipt: receiptOf('oci', 'registry.example/app:sha256-00.att'), provenAt: 20 },
              { receipt: receiptOf('tekton', 'annotations'), provenAt: undefined },
            ],
          },
        ],
      });
    });

    it('gives the works of a run in the order in which they came', async () => {
      const uid = await admitted(journal, 'several-works');

      for (const key of ['z', 'a', 'm']) await journal.keepPayload(uid, { ...work, key }, payloadOf(key));

      assert.deepEqual(
        (await journal.load(uid))?.works.map(({ key }) => key),
        ['z', 'a', 'm'],
      );
    });

    it('keeps the first children of an image, for each run and image', async () => {
      const uid = await admitted(journal, 'index');
      const other = await admitted(journal, 'another-index');
      const child = (text: string) => ({ repository: image.repository, digest: sha256Of(Buffer.from(text)) });
      const children = [child('amd64'), child('arm64')];

      const before = await journal.children(uid, image);
      const racing = await Promise.all([children, [child('later')]].map(async (some) => await journal.keepChildren(uid, image, some)));
      const empty = await journal.keepChildren(uid, child('amd64'), []);

      assert.deepEqual({ before, racing, empty }, { before: undefined, racing: [children, children], empty: [] });
      assert.deepEqual(await journal.children(uid, image), children);
      assert.deepEqual(await journal.children(uid, child('amd64')), []);
      assert.equal(await journal.children(other, image), undefined);
    });

    it('keeps what is known when a run is admitted again', async () => {
      const uid = 'again';
      const first = await journal.admit({ id: idOf(uid), lane: 'live', at: 1, snapshot: 'first' });
      await journal.keepPayload(uid, work, payloadOf('kept'));
      await journal.postpone(uid, { attempts: 2, dueAt: 50, reason: 'waiting', at: 2 });

      const second = await journal.admit({ id: idOf(uid), lane: 'backfill', at: 3, snapshot: undefined });

      const line = { id: idOf(uid), state: 'open', snapshot: 'first' } as const;
      assert.deepEqual(first, { ...line, lane: 'live', attempts: 0, dueAt: undefined, reason: undefined, updatedAt: 1, works: [] });
      const { works, ...rest } = second;
      assert.deepEqual(rest, { ...line, lane: 'backfill', attempts: 2, dueAt: 50, reason: 'waiting', updatedAt: 3 });
      assert.deepEqual(
        works.map(({ payload }) => payload),
        [payloadOf('kept')],
      );
    });

    it('drops the snapshot of a finished run, and opens it anew when it is admitted again', async () => {
      const uid = 'finished';
      await journal.admit({ id: idOf(uid), lane: 'live', at: 1, snapshot: 'big' });
      await journal.postpone(uid, { attempts: 4, dueAt: 9, reason: 'slow', at: 2 });
      const line = { id: idOf(uid), dueAt: undefined, snapshot: undefined, works: [] };

      await journal.finish(uid, { state: 'failed', reason: 'no key', at: 3 });
      const finished = await journal.load(uid);
      const reopened = await journal.admit({ id: idOf(uid), lane: 'live', at: 4, snapshot: undefined });

      assert.deepEqual(finished, { ...line, state: 'failed', lane: 'retry', attempts: 4, reason: 'no key', updatedAt: 3 });
      assert.deepEqual(reopened, { ...line, state: 'open', lane: 'live', attempts: 0, reason: undefined, updatedAt: 4 });
    });

    it('keeps the first of racing payloads and envelopes, and gives it to everyone', async () => {
      const uid = await admitted(journal, 'race');
      const payloads = Array.from({ length: 20 }, (_, index) => ({
        ...payloadOf(`statement ${index}`),
        subjects: [{ name: `${index}`, digest: { sha256: 'aa' } }],
      }));

      const kept = await Promise.all(payloads.map(async (payload) => await journal.keepPayload(uid, work, payload)));
      const winner = kept[0] ?? assert.fail('nothing kept');
      const envelopes = payloads.map((_, index) => envelopeOf(uid, winner, `signature ${index}`));
      const signed = await Promise.all(envelopes.map(async (envelope) => await journal.keepEnvelope(uid, work.key, envelope)));

      assert.deepEqual(
        kept,
        payloads.map(() => payloads[0]),
      );
      assert.deepEqual(
        signed,
        envelopes.map(() => envelopes[0]),
      );
      const [only] = (await journal.load(uid))?.works ?? [];
      assert.deepEqual({ payload: only?.payload, envelope: only?.envelope }, { payload: payloads[0], envelope: envelopes[0] });
    });

    it('refuses an envelope over another payload than the kept one', async () => {
      const uid = await admitted(journal, 'mismatch');
      await journal.keepPayload(uid, work, payloadOf('one'));

      const keeping = journal.keepEnvelope(uid, work.key, envelopeOf(uid, payloadOf('another'), 'signature'));

      await assert.rejects(keeping, { name: 'TerminalError', code: 'journal.payload-mismatch' });
      assert.equal((await journal.load(uid))?.works[0]?.envelope, undefined);
    });

    it('replaces an envelope that nobody has seen, and keeps one that a log or a store has', async () => {
      const uid = await admitted(journal, 'replaced');
      const payload = payloadOf('one');
      const [first, second, third, fourth] = ['1', '2', '3', '4'].map((signature) => envelopeOf(uid, payload, signature));
      if (first === undefined || second === undefined || third === undefined || fourth === undefined) return assert.fail();
      await journal.keepPayload(uid, work, payload);
      await journal.keepEnvelope(uid, work.key, first);

      for (const timestamp of timestamps) await journal.keepEvidence(uid, work.key, timestamp);

      const unseen = await journal.replaceEnvelope(uid, work.key, second);
      const evidence = (await journal.load(uid))?.works[0]?.evidence;
      await journal.keepReceipt(uid, work.key, receiptOf('oci', 'here'));
      const stored = await journal.replaceEnvelope(uid, work.key, third);
      const logged = await admitted(journal, 'replaced-logged');
      await journal.keepPayload(logged, work, payload);
      await journal.keepEnvelope(logged, work.key, third);
      await journal.keepEvidence(logged, work.key, entry);
      const afterLog = await journal.replaceEnvelope(logged, work.key, fourth);

      assert.deepEqual([unseen, stored, afterLog], [second, second, third]);
      assert.deepEqual(evidence, { entries: [], timestamps: [] });
    });

    it('keeps the keys that have signed, each with its first and last use', async () => {
      const key = { fingerprint: 'SHA256:a', publicKey: 'PEM a', signer: 'x509' };
      const other = { fingerprint: 'SHA256:b', publicKey: 'PEM b', signer: 'kms' };

      await journal.keepKey(key, 5);
      await journal.keepKey(other, 6);
      await journal.keepKey(key, 9);

      assert.deepEqual(await journal.keys(), [
        { ...key, firstAt: 5, lastAt: 9 },
        { ...other, firstAt: 6, lastAt: 6 },
      ]);
    });

    it('forgets a proof when the receipt changes, and keeps it when it does not', async () => {
      const uid = await admitted(journal, 'receipts');
      await journal.keepPayload(uid, work, payloadOf('one'));
      const provenAt = async () => (await journal.load(uid))?.works[0]?.receipts.map((known) => known.provenAt);

      await journal.keepReceipt(uid, work.key, receiptOf('oci', 'here'));
      await journal.markProven(uid, work.key, 'oci', 7);
      await journal.keepReceipt(uid, work.key, receiptOf('oci', 'here'));
      const same = await provenAt();
      await journal.keepReceipt(uid, work.key, receiptOf('oci', 'there'));
      const moved = await provenAt();

      assert.deepEqual({ same, moved }, { same: [7], moved: [undefined] });
    });

    const strangers: readonly { readonly name: string; act(): Promise<unknown> }[] = [
      { name: 'keepPayload', act: () => journal.keepPayload('nobody', work, payloadOf('x')) },
      { name: 'keepChildren', act: () => journal.keepChildren('nobody', image, []) },
      { name: 'keepEnvelope', act: () => journal.keepEnvelope('nobody', 'x', envelopeOf('nobody', payloadOf('x'), 's')) },
      { name: 'replaceEnvelope', act: () => journal.replaceEnvelope('nobody', 'x', envelopeOf('nobody', payloadOf('x'), 's')) },
      { name: 'keepEvidence', act: () => journal.keepEvidence('nobody', 'x', entry) },
      { name: 'keepReceipt', act: () => journal.keepReceipt('nobody', 'x', receiptOf('oci', 'x')) },
      { name: 'markProven', act: () => journal.markProven('nobody', 'x', 'oci', 1) },
      { name: 'finish', act: () => journal.finish('nobody', { state: 'signed', reason: undefined, at: 1 }) },
      { name: 'postpone', act: () => journal.postpone('nobody', { attempts: 1, dueAt: 1, reason: 'x', at: 1 }) },
    ];
    for (const stranger of strangers) {
      it(`${stranger.name} refuses a run that was never admitted, and harms no other call`, async () => {
        const uid = `beside-${stranger.name}`;

        const [refused, kept] = await Promise.allSettled([stranger.act(), admitted(journal, uid)]);

        assert.equal(refused.status === 'rejected' && refused.reason instanceof TerminalError && refused.reason.code, 'journal.unknown');
        assert.deepEqual(kept, { status: 'fulfilled', value: uid });
        assert.deepEqual((await journal.load(uid))?.id, idOf(uid));
      });
    }

    it('gives back any envelope byte for byte', async () => {
      let count = 0;
      const bytes = fc.uint8Array({ maxLength: 300 });
      const text = fc.string({ unit: 'binary', maxLength: 60 });
      const plain = { noNullPrototype: true };
      const envelopes = fc.record(
        {
          kind: fc.constantFrom('dsse' as const, 'raw' as const),
          payloadType: text,
          payload: bytes,
          signature: bytes,
          body: bytes,
          publicKey: text,
          certificate: text,
          chain: text,
          filing: fc.record(
            {
              run: fc.record(
                { kind: fc.constantFrom('TaskRun' as const, 'PipelineRun' as const), namespace: text, name: text, uid: text },
                plain,
              ),
              shortKey: text,
              predicateType: fc.option(text, { nil: undefined }),
              images: fc.array(fc.record({ repository: text, digest: bytes.map(sha256Of) }, plain), { maxLength: 3 }),
            },
            plain,
          ),
        },
        plain,
      );

      await fc.assert(
        fc.asyncProperty(envelopes, async (envelope) => {
          const uid = await admitted(journal, `property-${(count += 1)}`);
          await journal.keepPayload(uid, work, { ...payloadOf(''), bytes: envelope.payload });
          await journal.keepEnvelope(uid, work.key, envelope);
          assert.deepEqual((await journal.load(uid))?.works[0]?.envelope, envelope);
        }),
        { numRuns: 60 },
      );
    });

    it('is not changed by a caller that reuses its buffer', async () => {
      const uid = await admitted(journal, 'buffer');
      const payload = payloadOf('before');

      const keeping = journal.keepPayload(uid, work, payload);
      payload.bytes.fill(0);
      await keeping;

      assert.deepEqual((await journal.load(uid))?.works[0]?.payload.bytes, payloadOf('before').bytes);
    });

    it('lists the open runs, over several pages, and no finished one', async () => {
      const before = (await openRuns(journal)).map(({ id }) => id.uid);
      const uids = Array.from({ length: 1001 }, (_, index) => `page-${String(index).padStart(4, '0')}`);
      await Promise.all(uids.map(async (uid) => await admitted(journal, uid)));
      await journal.finish('page-0500', { state: 'skipped', reason: 'not covered', at: 5 });

      const listed = (await openRuns(journal)).map(({ id }) => id.uid);

      assert.deepEqual(listed, [...before, ...uids.filter((uid) => uid !== 'page-0500')].toSorted());
    });

    it('lists the runs that changed last, newest first', async () => {
      for (const [uid, at] of [
        ['early', 1e12],
        ['late', 2e12],
        ['middle', 1.5e12],
      ] as const) {
        await journal.admit({ id: idOf(uid), lane: 'live', at, snapshot: undefined });
      }

      assert.deepEqual(
        (await journal.recent(3)).map(({ id }) => id.uid),
        ['late', 'middle', 'early'],
      );
    });

    it('prunes finished runs by age, then by number, oldest first, and never an open one', async () => {
      await journal.prune({ finishedBefore: Number.MAX_SAFE_INTEGER, maxRuns: 0 });
      const open = (await openRuns(journal)).length;
      const uids = Array.from({ length: 450 }, (_, index) => `prune-${String(index).padStart(3, '0')}`);
      await Promise.all(
        uids.map(async (uid, index) => {
          await admitted(journal, uid);
          await journal.keepPayload(uid, work, payloadOf(uid));
          await journal.finish(uid, { state: 'signed', reason: undefined, at: 1000 + index });
        }),
      );

      const byAge = await journal.prune({ finishedBefore: 1210, maxRuns: 1000 });
      const byNumber = await journal.prune({ finishedBefore: 0, maxRuns: 5 });

      const left = (await journal.recent(100_000)).filter(({ state }) => state !== 'open').map(({ id }) => id.uid);
      assert.deepEqual({ byAge, byNumber, left }, { byAge: 210, byNumber: 235, left: uids.slice(-5).toReversed() });
      assert.equal(await journal.load('prune-000'), undefined);
      assert.equal((await openRuns(journal)).length, open);
    });
  });
}
