import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { entryOfLogBundle, kindOfBody, logBundleOf, responseOfTimestampText, timestampTextOf } from './cosign-annotations.ts';
import type { LogEntry } from './evidence.ts';

const hex = 'ab'.repeat(32);
const body = Buffer.from('{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}');
const entry: LogEntry = {
  log: 'https://log.example',
  logIndex: 1_234,
  logId: Buffer.from(hex, 'hex'),
  kind: 'hashedrekord',
  version: '0.0.1',
  integratedTime: 1_724_148_000,
  promise: Buffer.from('promise'),
  proof: { logIndex: 1, rootHash: Buffer.alloc(32), treeSize: 2, hashes: [], checkpoint: 'x' },
  body,
};
const good = {
  SignedEntryTimestamp: 'cHJvbWlzZQ==',
  Payload: { body: body.toString('base64'), integratedTime: 1_724_148_000, logIndex: 1_234, logID: hex },
};

describe('logBundleOf', () => {
  it('gives what cosign writes, and nothing for a log that promised nothing', () => {
    assert.equal(logBundleOf(entry), JSON.stringify(good));
    assert.equal(logBundleOf({ ...entry, promise: undefined }), undefined);
    assert.equal(logBundleOf({ ...entry, integratedTime: undefined }), undefined);
  });
});

describe('entryOfLogBundle', () => {
  it('gives the entry back without what the annotation has no room for', () => {
    assert.deepEqual(entryOfLogBundle(JSON.stringify(good), 'r/a:t'), { ...entry, log: '', proof: undefined });
  });

  const refused = [
    { name: 'no promise', json: { ...good, SignedEntryTimestamp: undefined } },
    { name: 'a promise that is no base64', json: { ...good, SignedEntryTimestamp: 'A' } },
    { name: 'no payload', json: { ...good, Payload: undefined } },
    { name: 'a body of no kind', json: { ...good, Payload: { ...good.Payload, body: 'e30=' } } },
    { name: 'a body that is no JSON', json: { ...good, Payload: { ...good.Payload, body: 'AAAA' } } },
    { name: 'a negative index', json: { ...good, Payload: { ...good.Payload, logIndex: -1 } } },
    { name: 'a time that is a text', json: { ...good, Payload: { ...good.Payload, integratedTime: '1' } } },
    { name: 'a log id of upper case', json: { ...good, Payload: { ...good.Payload, logID: hex.toUpperCase() } } },
    { name: 'a short log id', json: { ...good, Payload: { ...good.Payload, logID: 'ab' } } },
    { name: 'a list', json: [good] },
  ];
  for (const { name, json } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => entryOfLogBundle(JSON.stringify(json), 'r/a:t'), { name: 'TerminalError', code: 'annotation.log-bundle' });
    });
  }

  it('refuses what is no JSON, and a member that stands twice', () => {
    assert.throws(() => entryOfLogBundle('', 'r/a:t'), { code: 'json.malformed' });
    assert.throws(() => entryOfLogBundle(`{"Payload":{},${JSON.stringify(good).slice(1)}`, 'r/a:t'), { code: 'json.duplicate-member' });
  });
});

describe('timestampTextOf', () => {
  it('is read back, and refused when it is not one', () => {
    assert.equal(timestampTextOf(Buffer.from('abc')), '{"SignedRFC3161Timestamp":"YWJj"}');
    assert.deepEqual(responseOfTimestampText('{"SignedRFC3161Timestamp":"YWJj"}', 'r/a:t'), Buffer.from('abc'));
    for (const text of ['{}', '{"SignedRFC3161Timestamp":""}', '{"SignedRFC3161Timestamp":"YWJ"}', '[]']) {
      assert.throws(() => responseOfTimestampText(text, 'r/a:t'), { name: 'TerminalError', code: 'annotation.timestamp' });
    }
  });
});

describe('kindOfBody', () => {
  it('says what a leaf is, and undefined of what is none', () => {
    assert.deepEqual(kindOfBody(body), { kind: 'hashedrekord', version: '0.0.1' });
    for (const text of ['', '{}', '{"kind":"dsse"}', '{"kind":"","apiVersion":"1"}', '{"kind":"a","kind":"b","apiVersion":"1"}']) {
      assert.equal(kindOfBody(Buffer.from(text)), undefined);
    }
  });
});
