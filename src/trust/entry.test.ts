import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { checkpointOf, entryOn, keyKinds, logTime, paperLog, promiseOf, withProof, type PaperLog } from '../../test/contract/trust-log.ts';
import { CodedError } from '../errors.ts';
import type { LogEntry } from '../model/evidence.ts';
import { checkEntry } from './entry.ts';
import { emptyRoot } from './trusted-root.ts';

const body = Buffer.from('{"apiVersion":"0.0.1","kind":"dsse","spec":{}}');
const first = paperLog(1);
const second = paperLog(2);
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

describe('checkEntry', () => {
  for (const kind of Object.keys(keyKinds) as (keyof typeof keyKinds)[]) {
    it(`believes Rekor 1 and 2 with a key of ${kind}`, () => {
      const [one, two] = [paperLog(1, kind), paperLog(2, kind)];

      assert.deepEqual(checkEntry(entryOn(one, body), one.root), { log: one.trusted, time: new Date(logTime * 1000) });
      assert.deepEqual(checkEntry(entryOn(two, body), two.root), { log: two.trusted, time: undefined });
    });
  }

  it('believes an entry in a tree of any shape', () => {
    for (const size of [1, 2, 3, 8, 9, 257]) {
      for (const index of [0, size - 1]) assert.equal(checkEntry(entryOn(second, body, { index, size }), second.root).log, second.trusted);
    }
  });

  it('has no time that only an entry says: without a promise there is none', () => {
    assert.equal(checkEntry({ ...entryOn(first, body), promise: undefined }, first.root).time, undefined);
  });

  it('is content with the promise where an annotation has no room for a proof', () => {
    assert.deepEqual(checkEntry({ ...entryOn(first, body), proof: undefined }, first.root).time, new Date(logTime * 1000));
  });

  it('bears with witnesses, and with lines of others', () => {
    const entry = entryOn(second, body);
    const { treeSize = 0, rootHash = Buffer.alloc(0) } = entry.proof ?? {};
    const checkpoint = checkpointOf(second, treeSize, rootHash, { witness: stranger });

    assert.equal(checkEntry(withProof(entry, { checkpoint }), second.root).log, second.trusted);
  });

  it('chooses among keys of one id that which is trusted at the time', () => {
    const old = { ...first.trusted, validFor: { start: new Date('2020-01-01'), end: new Date('2021-01-01') } };

    assert.equal(checkEntry(entryOn(first, body), { ...emptyRoot, logs: [old, first.trusted] }).log, first.trusted);
  });

  const anew = (log: PaperLog, entry: LogEntry, change: Parameters<typeof checkpointOf>[3]) =>
    withProof(entry, { checkpoint: checkpointOf(log, entry.proof?.treeSize ?? 0, entry.proof?.rootHash ?? Buffer.alloc(0), change) });
  const promised = (change: Partial<LogEntry>) => {
    const changed = { ...entryOn(first, body), ...change };
    return { ...changed, promise: promiseOf(first, changed) };
  };
  const edited = (log: PaperLog, from: string | RegExp, to: string) =>
    withProof(entryOn(log, body), { checkpoint: (entryOn(log, body).proof?.checkpoint ?? '').replace(from, to) });
  const refused: readonly { readonly name: string; readonly entry: LogEntry; readonly code: string; readonly log?: PaperLog }[] = [
    { name: 'a log that is not trusted', entry: { ...entryOn(second, body), logId: Buffer.alloc(32, 7) }, code: 'trust.log-unknown' },
    {
      name: 'an id that is cut short',
      entry: { ...entryOn(second, body), logId: second.trusted.logId.subarray(0, 4) },
      code: 'trust.entry-number',
    },
    { name: 'neither proof nor promise', entry: { ...entryOn(second, body), proof: undefined }, code: 'trust.entry-proof' },
    { name: 'another body', entry: { ...entryOn(second, body), body: Buffer.from('{}') }, code: 'trust.entry-inclusion' },
    {
      name: 'another body under a promise',
      entry: { ...entryOn(first, body), body: Buffer.from('{}'), proof: undefined },
      log: first,
      code: 'trust.entry-promise',
    },
    {
      name: 'a promise for another time',
      entry: { ...entryOn(first, body), integratedTime: logTime + 1 },
      log: first,
      code: 'trust.entry-promise',
    },
    { name: 'a promise for another index', entry: { ...entryOn(first, body), logIndex: 1006 }, log: first, code: 'trust.entry-promise' },
    {
      name: 'a promise without a time',
      entry: { ...entryOn(first, body), integratedTime: undefined },
      log: first,
      code: 'trust.entry-promise',
    },
    {
      name: 'a promise of another key',
      entry: { ...entryOn(first, body), promise: promiseOf({ ...first, privateKey: stranger }, entryOn(first, body)) },
      log: first,
      code: 'trust.entry-promise',
    },
    { name: 'an empty promise', entry: { ...entryOn(first, body), promise: Buffer.alloc(0) }, log: first, code: 'trust.entry-promise' },
    {
      name: 'a time before the key was trusted',
      entry: promised({ integratedTime: Date.UTC(2025, 11, 31, 23, 59, 59) / 1000 }),
      log: first,
      code: 'trust.entry-time',
    },
    {
      name: 'a time after the key was trusted',
      entry: promised({ integratedTime: Date.UTC(2027, 0, 1, 0, 0, 1) / 1000 }),
      log: first,
      code: 'trust.entry-time',
    },
    {
      name: 'a claimed time outside without a promise',
      entry: { ...entryOn(first, body), integratedTime: 1, promise: undefined },
      log: first,
      code: 'trust.entry-time',
    },
    { name: 'a time that no date has', entry: promised({ integratedTime: 8_640_000_000_001 }), log: first, code: 'trust.entry-number' },
    { name: 'an index below that in its shard', entry: promised({ logIndex: 4 }), log: first, code: 'trust.entry-index' },
    { name: 'two indexes of Rekor 2', entry: { ...entryOn(second, body), logIndex: 6 }, code: 'trust.entry-index' },
    {
      name: 'another place in the tree',
      entry: { ...withProof(entryOn(second, body), { logIndex: 4 }), logIndex: 4 },
      code: 'trust.entry-inclusion',
    },
    {
      name: 'a fraction for an index',
      entry: { ...withProof(entryOn(second, body), { logIndex: 5.5 }), logIndex: 5.5 },
      code: 'trust.entry-number',
    },
    {
      name: 'a negative index',
      entry: { ...withProof(entryOn(second, body), { logIndex: -1 }), logIndex: -1 },
      code: 'trust.entry-number',
    },
    { name: 'a tree size that differs', entry: withProof(entryOn(second, body), { treeSize: 12 }), code: 'trust.entry-checkpoint' },
    {
      name: 'a root hash that differs',
      entry: withProof(entryOn(second, body), { rootHash: Buffer.alloc(32) }),
      code: 'trust.entry-checkpoint',
    },
    {
      name: 'a hash more',
      entry: withProof(entryOn(second, body), { hashes: [...(entryOn(second, body).proof?.hashes ?? []), Buffer.alloc(32)] }),
      code: 'trust.entry-inclusion',
    },
    { name: 'no hashes', entry: withProof(entryOn(second, body), { hashes: [] }), code: 'trust.entry-inclusion' },
    { name: 'a checkpoint of another key', entry: anew(second, entryOn(second, body), { key: stranger }), code: 'trust.entry-checkpoint' },
    {
      name: 'a checkpoint that only a witness signed',
      entry: edited(second, /\u2014 log\.example .*\n/, '\u2014 witness.example d2l0bmVzcyE=\n'),
      code: 'trust.entry-checkpoint',
    },
    {
      name: 'a checkpoint with another hint',
      entry: edited(second, /(\u2014 log\.example )..../, '$1AAAA'),
      code: 'trust.entry-checkpoint',
    },
    {
      name: 'a checkpoint of another origin',
      entry: anew(second, entryOn(second, body), { origin: 'other.example', name: 'other.example' }),
      code: 'trust.entry-origin',
    },
    {
      name: 'a signature under another name',
      entry: anew(second, entryOn(second, body), { name: 'other.example' }),
      code: 'trust.entry-checkpoint',
    },
    { name: 'a size with a sign', entry: anew(second, entryOn(second, body), { sizeText: '+11' }), code: 'trust.entry-checkpoint' },
    {
      name: 'a size with a zero before it',
      entry: anew(second, entryOn(second, body), { sizeText: '011' }),
      code: 'trust.entry-checkpoint',
    },
    { name: 'a line added after signing', entry: edited(second, '\n\n', '\nextension\n\n'), code: 'trust.entry-checkpoint' },
    { name: 'two empty lines', entry: edited(second, '\n\n', '\n\n\n'), code: 'trust.entry-checkpoint' },
    { name: 'a hyphen for the dash', entry: edited(second, '\u2014', '-'), code: 'trust.entry-checkpoint' },
    { name: 'a checkpoint without its last newline', entry: edited(second, /\n$/, ''), code: 'trust.entry-checkpoint' },
    { name: 'a checkpoint without signatures', entry: edited(second, /\n\n[^]*/, '\n\n'), code: 'trust.entry-checkpoint' },
    { name: 'an empty checkpoint', entry: withProof(entryOn(second, body), { checkpoint: '' }), code: 'trust.entry-checkpoint' },
    {
      name: 'one good and one bad signature in the name of the log',
      entry: edited(
        second,
        /\n$/,
        `\n${(anew(second, entryOn(second, body), { key: stranger }).proof?.checkpoint ?? '').split('\n\n')[1] ?? ''}`,
      ),
      code: 'trust.entry-checkpoint',
    },
  ];
  for (const { name, entry, code, log = second } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => checkEntry(entry, log.root),
        (error) => error instanceof CodedError && assert.equal(error.code, code, error.message) === undefined,
      );
    });
  }
});
