import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { Breakers } from './breakers.ts';
import type { Carriage, Rooms } from './carriage.ts';
import { TerminalError, TransientError } from './errors.ts';
import type { Journal } from './journal/journal.ts';
import { openJournal } from './journal/journals.ts';
import type { Envelope } from './model/envelope.ts';
import { noEvidence, type Evidence, type LogEntry, type Logged } from './model/evidence.ts';
import type { Payload, Work } from './model/work.ts';
import { openMetrics } from './observe/metrics.ts';
import { seal } from './sign/dsse.ts';
import type { Signer } from './sign/signer.ts';
import { signedAndLogged } from './signed.ts';
import type { Log } from './tlog/log.ts';
import type { Authority } from './tlog/timestamp.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
/** Its time was over on 2024-01-01, ten minutes after it began. */
const certificate = `-----BEGIN CERTIFICATE-----
MIIBGTCBwQIUJKEMcPNEja+MQWxQtupgh+UztwYwCgYIKoZIzj0EAwIwEDEOMAwG
A1UEAwwFc2hvcnQwHhcNMjQwMTAxMDAwMDAwWhcNMjQwMTAxMDAxMDAwWjAQMQ4w
DAYDVQQDDAVzaG9ydDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHOEGul7k10i
LCs4UGH92qesu8peCZesgeJf1fCI76aXV3edziFhKjZlcLMcJnR9KARavltFP7eK
nrIOyWpm0IwwCgYIKoZIzj0EAwIDRwAwRAIgP28ioDtExu0jRew6IFASYDDfuJ9g
RQCbjLmCkfxFi64CIDjlQ2G7yH80tzisM+EsO7iy+vlHEX9qVk2T3/Zr946c
-----END CERTIFICATE-----
`;
const payload: Payload = {
  payloadType: 'application/vnd.in-toto+json',
  predicateType: undefined,
  bytes: Buffer.from('{}'),
  subjects: [],
  images: [],
  dropped: [],
};
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** A key that says what it signed, with this certificate beside it. */
function signerWith(beside: string): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return {
    publicKey: pem,
    sign: async (text) => ({ signature: sign('sha256', text, privateKey), publicKey: pem, certificate: beside, chain: '' }),
    owns: async () => true,
    isCurrent: async () => true,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Gives every envelope an entry. */
function logOf(isTimed: boolean, more: Partial<Log> = {}): Log {
  return {
    url: 'https://log.test',
    isTimed,
    turn: async () => {},
    refusal: () => undefined,
    append: async () => entryAt('https://log.test'),
    find: async () => undefined,
    [Symbol.asyncDispose]: async () => {},
    ...more,
  };
}

function entryAt(log: string): LogEntry {
  const [kind, version] = ['dsse', '0.0.1'];
  return {
    log,
    logIndex: 1,
    logId: bytes('id'),
    kind,
    version,
    integratedTime: 1,
    promise: undefined,
    proof: undefined,
    body: bytes('body'),
  };
}

function authorityAt(url: string, more: Partial<Authority> = {}): Authority {
  return { url, stamp: async () => bytes(url), [Symbol.asyncDispose]: async () => {}, ...more };
}

interface World {
  readonly logs?: readonly Log[];
  readonly authorities?: readonly Authority[];
  readonly signer?: Signer;
  /** What an earlier attempt left. */
  readonly left?: Logged;
  readonly breakers?: Breakers;
}

describe('signedAndLogged', () => {
  let journal: Journal;
  before(async () => {
    journal = await openJournal({ url: 'sqlite::memory:' }, ctx);
  });
  after(async () => await journal[Symbol.asyncDispose]());

  const filingOf = (uid: string): Envelope['filing'] => ({
    run: { kind: 'TaskRun', namespace: 'ci', name: uid, uid },
    shortKey: uid,
    predicateType: undefined,
    images: [],
  });

  /** One attempt on the run of this name, on top of what is in the journal. */
  async function attempt(uid: string, { logs = [], authorities = [], signer = signerWith(''), left, breakers = new Breakers() }: World) {
    const filing = filingOf(uid);
    const work: Work = {
      key: 'taskrun',
      shortKey: uid,
      artifact: 'taskrun',
      format: 'slsa/v2alpha4',
      signer: 'x509',
      stores: [],
      log: logs.length > 0,
      image: undefined,
    };
    await journal.admit({ id: filing.run, lane: 'live', at: 1, snapshot: undefined });
    await journal.keepPayload(uid, work, payload);
    if (left) {
      await journal.keepEnvelope(uid, work.key, left);
      for (const one of [...left.evidence.entries, ...left.evidence.timestamps]) await journal.keepEvidence(uid, work.key, one);
    }
    const known = (await journal.load(uid)) ?? assert.fail('the run is not in the journal');
    const rooms: Rooms = {
      journal,
      breakers,
      metrics: openMetrics(),
      plan: {
        artifacts: { taskrun: noArtifact, pipelinerun: noArtifact, oci: noArtifact },
        format: { builderId: 'b', buildType: '', deepInspection: false },
        redact: { params: [], results: [], tokenShapes: true, salt: '' },
      },
      limits: { payloadBytes: 1_000, subjects: 10 },
      readBack: true,
      bundlesEnvelopes: false,
      tagsEnvelopes: false,
      signer: async () => signer,
      logs: async () => logs,
      authorities: async () => authorities,
      trust: async () => undefined,
      keyUsed: async () => {},
      store: async () => assert.fail('no store is asked'),
      children: async () => [],
    };
    const how = { known, mayExist: false, isAgain: false };
    const carriage: Carriage = { id: filing.run, work, payload, known: known.works[0], how };
    return await signedAndLogged({ carriage, signing: 'dsse', filing }, rooms, ctx);
  }

  const leftBy = async (uid: string, signer: Signer, evidence: Evidence): Promise<Logged> => ({
    ...(await seal(payload, filingOf(uid), signer, 'dsse', ctx)),
    evidence,
  });

  const [a, b] = [authorityAt('https://a.test'), authorityAt('https://b.test')];
  const [timed, untimed] = [logOf(true), logOf(false)];
  const second = logOf(true, { url: 'https://second.test', append: async () => entryAt('https://second.test') });
  const inLog: Evidence = { entries: [entryAt('https://log.test')], timestamps: [] };
  const byA: Evidence = { entries: [], timestamps: [{ authority: a.url, over: 'signature', response: bytes(a.url) }] };
  const cases: readonly (World & { readonly name: string; readonly evidence: Evidence; readonly isReplaced: boolean })[] = [
    { name: 'that a Rekor 1 has not', logs: [timed], evidence: noEvidence, isReplaced: true },
    { name: 'that is stamped and a Rekor 1 has not', logs: [timed], authorities: [a], evidence: byA, isReplaced: true },
    { name: 'that a Rekor 1 has', logs: [timed], evidence: inLog, isReplaced: false },
    { name: 'that one of two logs has', logs: [timed, second], evidence: inLog, isReplaced: false },
    { name: 'that is stamped and a Rekor 2 has not', logs: [untimed], authorities: [a], evidence: byA, isReplaced: false },
    { name: 'that one of two authorities stamped, for a Rekor 2', logs: [untimed], authorities: [a, b], evidence: byA, isReplaced: true },
    { name: 'that one of two authorities stamped, without a log', authorities: [a, b], evidence: byA, isReplaced: true },
    { name: 'that every authority stamped, without a log', authorities: [a], evidence: byA, isReplaced: false },
    { name: 'that nobody ever stamps or logs', evidence: noEvidence, isReplaced: false },
  ];
  for (const [index, { name, evidence, isReplaced, ...world }] of cases.entries()) {
    it(`${isReplaced ? 'replaces' : 'keeps'} what a certificate signed that has run out, ${name}`, async () => {
      const uid = `spent-${index}`;
      const left = await leftBy(uid, signerWith(certificate), evidence);

      const made = await attempt(uid, { ...world, left });

      assert.equal(made.certificate, isReplaced ? '' : certificate);
      assert.equal(Buffer.compare(made.signature, left.signature) === 0, !isReplaced);
      assert.equal(made.evidence.entries.length, world.logs?.length ?? 0);
      assert.equal(made.evidence.timestamps.length, world.authorities?.length ?? 0);
    });
  }

  it('gives its evidence in one order, in the attempt that got it and in those after it', async () => {
    const authorities = [b, a];

    const first = await attempt('order', { authorities });
    const again = await attempt('order', { authorities });

    const named = ({ evidence }: Logged): readonly string[] => evidence.timestamps.map(({ authority }) => authority);
    assert.deepEqual(
      [named(first), named(again)],
      [
        [a.url, b.url],
        [a.url, b.url],
      ],
    );
    assert.equal(Buffer.compare(first.signature, again.signature), 0);
  });

  it("waits for the log's turn before it asks for a signature", async () => {
    const asked: string[] = [];
    const signer = signerWith('');
    const told: Signer = {
      ...signer,
      async sign(text, context) {
        asked.push('signature');
        return await signer.sign(text, context);
      },
    };

    await attempt('turn', { logs: [logOf(true, { turn: async () => void asked.push('turn') })], signer: told });

    assert.deepEqual(asked, ['turn', 'signature']);
  });

  const doubt = async (): Promise<never> => await Promise.reject(new TerminalError('trust.log-unknown', 'Cannot trust it'));
  const doubts: readonly (World & { readonly name: string; readonly dependency: string })[] = [
    { name: 'a log', dependency: 'tlog:log.test', logs: [logOf(true, { append: doubt })] },
    { name: 'an authority', dependency: 'tsa:a.test', authorities: [authorityAt('https://a.test', { stamp: doubt })] },
  ];
  for (const { name, dependency, ...world } of doubts) {
    it(`waits when nobody would believe what ${name} says`, async () => {
      const failure: unknown = await attempt(`doubt-${dependency}`, world).catch((error: unknown) => error);

      assert.ok(failure instanceof TransientError);
      assert.deepEqual([failure.code, failure.dependency], ['trust.log-unknown', dependency]);
      assert.match(failure.fix ?? '', /trust\.root/);
    });
  }

  it('asks a log that is down for nothing, not even for what it may have', async () => {
    const breakers = new Breakers();
    const down = new TransientError('http.unreachable', 'nobody answers', { dependency: 'tlog:log.test' });
    await breakers.guard('tlog:log.test', async () => await Promise.reject(down)).catch(() => undefined);
    const left = await leftBy('down', signerWith(certificate), noEvidence);
    const logs = [logOf(true, { find: async () => assert.fail('the log was asked') })];

    await assert.rejects(attempt('down', { logs, left, breakers }), { code: 'breaker.open' });
  });
});

const noArtifact = { format: 'slsa/v2alpha4', signers: [], stores: [] };
