import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TerminalError } from '../errors.ts';
import { envelopeBytesOf, openEnvelope, paeOf } from './dsse.ts';

describe('paeOf', () => {
  it('gives the test vector of the specification', () => {
    const pae = paeOf('http://example.com/HelloWorld', Buffer.from('hello world'));

    assert.equal(Buffer.from(pae).toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });

  it('counts bytes, not characters, and keeps bytes that are no text', () => {
    const pae = paeOf('é', Buffer.from([0xff, 0x00]));

    assert.deepEqual(Buffer.from(pae), Buffer.concat([Buffer.from('DSSEv1 2 é 2 '), Buffer.from([0xff, 0x00])]));
  });
});

const good = { payloadType: 't', payload: Buffer.from('payload'), signatures: [{ keyid: 'SHA256:abc', signature: Buffer.from('sig') }] };

describe('envelopeBytesOf', () => {
  it('writes members in the order of Tekton Chains, without white space', () => {
    const bytes = envelopeBytesOf(good);

    assert.equal(
      Buffer.from(bytes).toString(),
      '{"payloadType":"t","payload":"cGF5bG9hZA==","signatures":[{"keyid":"SHA256:abc","sig":"c2ln"}]}',
    );
  });
});

describe('openEnvelope', () => {
  it('reads what envelopeBytesOf writes', () => {
    const signature = fc.record(
      { keyid: fc.string(), signature: fc.uint8Array({ minLength: 1 }).map((bytes) => Buffer.from(bytes)) },
      { noNullPrototype: true },
    );
    const envelope = fc.record(
      {
        payloadType: fc.string({ minLength: 1 }),
        payload: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        signatures: fc.array(signature, { minLength: 1, maxLength: 4 }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(envelope, (value) => {
        assert.deepEqual(openEnvelope(envelopeBytesOf(value)), value);
      }),
    );
  });

  it('ignores members that DSSE does not know, and takes a missing key id as none', () => {
    const bytes = Buffer.from('{"x":{},"payloadType":"t","payload":"-_-_","signatures":[{"sig":"c2ln","cert":"…"}]}');

    const envelope = openEnvelope(bytes);

    assert.deepEqual(envelope, {
      payloadType: 't',
      payload: Buffer.from([0xfb, 0xff, 0xbf]),
      signatures: [{ keyid: '', signature: Buffer.from('sig') }],
    });
  });

  const sig = '{"sig":"c2ln"}';
  const refused = [
    { name: 'no object', text: '[]', code: 'dsse.malformed' },
    { name: 'no payload', text: `{"payloadType":"t","signatures":[${sig}]}`, code: 'dsse.malformed' },
    { name: 'no payload type', text: `{"payload":"","signatures":[${sig}]}`, code: 'dsse.malformed' },
    { name: 'an empty payload type', text: `{"payloadType":"","payload":"","signatures":[${sig}]}`, code: 'dsse.malformed' },
    { name: 'no signatures', text: '{"payloadType":"t","payload":""}', code: 'dsse.malformed' },
    { name: 'an empty list of signatures', text: '{"payloadType":"t","payload":"","signatures":[]}', code: 'dsse.malformed' },
    {
      name: 'more signatures than anybody makes',
      text: `{"payloadType":"t","payload":"","signatures":[${Array(33).fill(sig).join()}]}`,
      code: 'dsse.malformed',
    },
    { name: 'an empty signature', text: '{"payloadType":"t","payload":"","signatures":[{"sig":""}]}', code: 'dsse.malformed' },
    {
      name: 'a key id that is no text',
      text: '{"payloadType":"t","payload":"","signatures":[{"sig":"c2ln","keyid":null}]}',
      code: 'dsse.malformed',
    },
    { name: 'base64 with white space', text: `{"payloadType":"t","payload":"Zm 8=","signatures":[${sig}]}`, code: 'dsse.malformed' },
    { name: 'a payload twice', text: `{"payloadType":"t","payload":"","payload":"","signatures":[${sig}]}`, code: 'json.duplicate-member' },
    {
      name: 'a payload in other letters beside it',
      text: `{"payloadType":"t","payload":"","Payload":"Zm8=","signatures":[${sig}]}`,
      code: 'dsse.malformed',
    },
    {
      name: 'signatures with a long s',
      text: `{"payloadType":"t","payload":"","signatures":[${sig}],"ſignatures":[]}`,
      code: 'dsse.malformed',
    },
    {
      name: 'a key id with a Kelvin sign',
      text: '{"payloadType":"t","payload":"","signatures":[{"sig":"c2ln","\u212aeyid":""}]}',
      code: 'dsse.malformed',
    },
    { name: 'what is no JSON', text: 'payload', code: 'json.malformed' },
  ];
  for (const { name, text, code } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => openEnvelope(Buffer.from(text)),
        (error) => error instanceof TerminalError && error.code === code,
      );
    });
  }

  it('refuses more bytes than it may read', () => {
    assert.throws(() => openEnvelope(envelopeBytesOf(good), 20), { code: 'json.too-large' });
  });
});
