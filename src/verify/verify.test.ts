import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { parseSha256 } from '../model/digest.ts';
import { envelopeBytesOf, openEnvelope, paeOf, type DsseEnvelope } from '../model/dsse.ts';
import { publicKeyOf } from '../model/public-key.ts';
import { noMaterial, type Stored } from '../model/receipt.ts';
import type { Policy } from './policy.ts';
import { verify } from './verify.ts';

const place = { address: 'somewhere', image: undefined };
const inToto = 'application/vnd.in-toto+json';
const provenance = 'https://slsa.dev/provenance/v1';
const image = { digest: parseSha256('a'.repeat(64)) };
const other = { digest: parseSha256('b'.repeat(64)) };
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = publicKeyOf(keys.publicKey);
const stranger = publicKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);

const subject = { name: 'registry.example/app', digest: { sha256: image.digest } };
const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [subject],
  predicateType: provenance,
  predicate: { runDetails: { metadata: { invocationId: 'u-1' } } },
};
const simpleSigning = {
  critical: {
    identity: { 'docker-reference': 'registry.example/app' },
    image: { 'docker-manifest-digest': `sha256:${image.digest}` },
    type: 'cosign container image signature',
  },
  optional: null,
};

function envelope(payload: string | object, change: Partial<DsseEnvelope> = {}): Uint8Array {
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const payloadType = change.payloadType ?? inToto;
  const signature = sign('sha256', paeOf(payloadType, bytes), keys.privateKey);
  return envelopeBytesOf({ payloadType, payload: bytes, signatures: [{ keyid: key.fingerprint, signature }], ...change });
}
const attestation = (body: Uint8Array): Stored => ({ kind: 'dsse', place, body, material: noMaterial });
function imageSignature(payload: string | object, privateKey: KeyObject = keys.privateKey): Stored {
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return { kind: 'raw', place, payload: bytes, signature: sign('sha256', bytes, privateKey), material: noMaterial };
}
/** `verified`, or the check that refused. */
function outcome(stored: Stored, policy: Partial<Policy> = {}): string {
  const verdict = verify(stored, { keys: [key.pem], ...policy });
  return verdict.kind === 'verified' ? verdict.kind : verdict.check;
}

describe('verify, an attestation', () => {
  it('says what was checked, with which key, and what it speaks about', () => {
    const body = envelope(statement);

    const verdict = verify(attestation(body), {
      keys: [stranger.pem, key.pem],
      image,
      predicateType: provenance,
      expectedBody: body,
      runUid: 'u-1',
    });

    assert.deepEqual(verdict, {
      kind: 'verified',
      checks: [
        'size',
        'same-bytes',
        'encoding',
        'payload-type',
        'one-signature',
        'signature',
        'statement',
        'image',
        'predicate-type',
        'run',
      ],
      key: key.fingerprint,
      identity: undefined,
      entries: [],
      times: [],
      notes: [],
      predicateType: provenance,
      subjects: [subject],
    });
  });

  it('lists no check that the policy did not ask for', () => {
    const verdict = verify(attestation(envelope(statement)), { keys: [key.pem] });

    assert.deepEqual(verdict.checks, ['size', 'encoding', 'payload-type', 'one-signature', 'signature', 'statement']);
  });

  it('says which check refused, and why, without the checks after it', () => {
    const verdict = verify(attestation(envelope(statement)), { keys: [key.pem], image: other });

    assert.deepEqual(verdict, {
      kind: 'refused',
      check: 'image',
      checks: ['size', 'encoding', 'payload-type', 'one-signature', 'signature', 'statement'],
      code: 'verify.refused',
      reason: `none of its 1 subjects is the image sha256:${other.digest}`,
    });
  });

  const { keyid, signature } = openEnvelope(envelope(statement)).signatures[0] ?? assert.fail();
  const text = JSON.stringify(statement);
  const bodies = [
    { name: 'an old statement type', body: envelope({ ...statement, _type: 'https://in-toto.io/Statement/v0.1' }), want: 'verified' },
    { name: 'a statement without subjects', body: envelope({ ...statement, subject: undefined }), want: 'verified' },
    {
      name: 'all members of a resource descriptor',
      body: envelope({
        ...statement,
        subject: [{ ...subject, uri: 'u', content: '', downloadLocation: '', mediaType: '', annotations: { x: 1 } }],
      }),
      want: 'verified',
    },
    { name: 'no bytes', body: new Uint8Array(), want: 'size' },
    { name: 'no JSON', body: Buffer.from('x'), want: 'encoding' },
    { name: 'another payload type', body: envelope(statement, { payloadType: 'text/plain' }), want: 'payload-type' },
    {
      name: 'a second signature',
      body: envelope(statement, {
        signatures: [
          { keyid, signature },
          { keyid, signature },
        ],
      }),
      want: 'one-signature',
    },
    {
      name: 'a signature over something else',
      body: envelope({ ...statement, predicate: {} }, { signatures: [{ keyid, signature }] }),
      want: 'signature',
    },
    {
      name: 'a signature that is no DER',
      body: envelope(statement, { signatures: [{ keyid, signature: Buffer.from('x') }] }),
      want: 'signature',
    },
    { name: 'an unknown member', body: envelope({ ...statement, extra: 1 }), want: 'statement' },
    { name: 'a member in other letters', body: envelope({ ...statement, Subject: [] }), want: 'statement' },
    { name: 'an unknown member in a subject', body: envelope({ ...statement, subject: [{ ...subject, extra: 1 }] }), want: 'statement' },
    { name: 'subjects that are no list', body: envelope({ ...statement, subject }), want: 'statement' },
    { name: 'a subject that is no object', body: envelope({ ...statement, subject: ['x'] }), want: 'statement' },
    {
      name: 'a digest that is no text',
      body: envelope({ ...statement, subject: [{ name: 'x', digest: { sha256: 1 } }] }),
      want: 'statement',
    },
    { name: 'a predicate that is no object', body: envelope({ ...statement, predicate: 'x' }), want: 'statement' },
    { name: 'an unknown statement type', body: envelope({ ...statement, _type: 'https://in-toto.io/Statement/v2' }), want: 'statement' },
    { name: 'no predicate type', body: envelope({ ...statement, predicateType: undefined }), want: 'statement' },
    { name: 'subjects twice', body: envelope(text.replace('{', '{"subject":[],')), want: 'statement' },
    {
      name: 'a digest that is no hex',
      body: envelope({ ...statement, subject: [subject, { name: 'x', digest: { dirHash: 'h1:x' } }] }),
      want: 'statement',
    },
    {
      name: 'half a byte of a digest',
      body: envelope({ ...statement, subject: [subject, { name: 'x', digest: { sha1: 'abc' } }] }),
      want: 'statement',
    },
    { name: '1024 subjects', body: envelope({ ...statement, subject: Array.from({ length: 1024 }, () => subject) }), want: 'verified' },
    { name: '1025 subjects', body: envelope({ ...statement, subject: Array.from({ length: 1025 }, () => subject) }), want: 'statement' },
    {
      name: '33 digests',
      body: envelope({
        ...statement,
        subject: [{ name: 'x', digest: Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`a${index}`, 'ab'])) }],
      }),
      want: 'statement',
    },
    { name: 'a digest twice', body: envelope(text.replace('"sha256":', '"sha256":"","sha256":')), want: 'statement' },
    { name: 'a payload that is no JSON', body: envelope(`${text},`), want: 'statement' },
    { name: 'a simple signing payload', body: envelope(simpleSigning), want: 'statement' },
  ];
  for (const { name, body, want } of bodies) {
    it(`${want === 'verified' ? 'takes' : 'refuses'} ${name}`, () => {
      assert.equal(outcome(attestation(body)), want);
    });
  }

  it('takes an empty key id with a good signature, and refuses that of another key', () => {
    const payload = Buffer.from(text);
    const made = sign('sha256', paeOf(inToto, payload), keys.privateKey);

    assert.equal(
      outcome(attestation(envelopeBytesOf({ payloadType: inToto, payload, signatures: [{ keyid: '', signature: made }] }))),
      'verified',
    );
    assert.equal(
      outcome(
        attestation(envelopeBytesOf({ payloadType: inToto, payload, signatures: [{ keyid: stranger.fingerprint, signature: made }] })),
        {
          keys: [key.pem, stranger.pem],
        },
      ),
      'signature',
    );
  });

  const good = envelope(statement);
  const policies = [
    { name: 'the key of somebody else', policy: { keys: [stranger.pem] }, want: 'signature' },
    { name: 'no key at all', policy: { keys: [] }, want: 'policy' },
    { name: 'a key that is none', policy: { keys: ['no key'] }, want: 'policy' },
    { name: 'keys and an identity', policy: { identity: { san: 'a', issuer: 'b' } }, want: 'policy' },
    { name: 'a threshold that is none', policy: { thresholds: { log: -1 } }, want: 'policy' },
    { name: 'a log that nobody trusts', policy: { thresholds: { log: 1 } }, want: 'log' },
    { name: 'an authority that nobody trusts', policy: { thresholds: { timestamps: 1 } }, want: 'timestamp' },
    { name: 'a time that nobody vouches for', policy: { requireTrustedTime: true }, want: 'trusted-time' },
    { name: 'another image', policy: { image: other }, want: 'image' },
    { name: 'another predicate type', policy: { predicateType: 'https://slsa.dev/provenance/v0.2' }, want: 'predicate-type' },
    { name: 'another run', policy: { runUid: 'u-2' }, want: 'run' },
    { name: 'other bytes than were stored', policy: { expectedBody: envelope(statement) }, want: 'same-bytes' },
    { name: 'a smaller limit', policy: { maxBytes: 100 }, want: 'size' },
  ];
  for (const { name, policy, want } of policies) {
    it(`refuses under ${name}`, () => {
      assert.equal(outcome(attestation(good), policy), want);
    });
  }

  it('does not look for a run in a format without a place for it', () => {
    const old = { ...statement, predicateType: 'https://slsa.dev/provenance/v0.2' };

    assert.equal(outcome(attestation(envelope(old)), { runUid: 'u-2' }), 'verified');
  });

  it('takes a digest for nothing but an own member of a subject', () => {
    const odd = text.replace('"sha256":', '"__proto__":');

    assert.equal(outcome(attestation(envelope(odd)), { image }), 'image');
  });

  it('refuses every change of one byte, or reads the same payload out of it', () => {
    const payload = Buffer.from(JSON.stringify(statement));
    let changes = 0;
    let refusals = 0;
    for (let index = 0; index < good.length; index += 1) {
      for (const byte of mutationsOf(good[index] ?? 0)) {
        const changed = Buffer.from(good);
        changed[index] = byte;
        changes += 1;
        if (outcome(attestation(changed), { image }) === 'verified') assert.deepEqual(Buffer.from(openEnvelope(changed).payload), payload);
        else refusals += 1;
        assert.equal(outcome(attestation(changed), { expectedBody: good }), 'same-bytes');
      }
    }
    // What may pass is a change of the name "keyid", which leaves a member that readers ignore: 5 letters of some 750.
    assert.ok(changes > 2000 && refusals > changes * 0.99, `${refusals} of ${changes}`);
  });

  it('refuses every cut', () => {
    for (let length = 0; length < good.length; length += 1) assert.notEqual(outcome(attestation(good.subarray(0, length))), 'verified');
  });
});

describe('verify, an image signature', () => {
  it('says what was checked, and the image as its subject', () => {
    const stored = imageSignature(simpleSigning);
    const expectedBody = stored.kind === 'raw' ? stored.signature : assert.fail();

    const verdict = verify(stored, { keys: [key.pem], image, expectedBody });

    assert.deepEqual(verdict, {
      kind: 'verified',
      checks: ['size', 'same-bytes', 'signature', 'statement', 'image'],
      key: key.fingerprint,
      identity: undefined,
      entries: [],
      times: [],
      notes: [],
      predicateType: undefined,
      subjects: [subject],
    });
  });

  const { critical } = simpleSigning;
  const payloads = [
    { name: 'annotations', payload: { critical, optional: { creator: 'x' } }, want: 'verified' },
    { name: 'another type', payload: { critical: { ...critical, type: 'atomic container signature' } }, want: 'statement' },
    { name: 'an unknown critical member', payload: { critical: { ...critical, extra: 1 } }, want: 'statement' },
    { name: 'an unknown member', payload: { ...simpleSigning, Critical: critical }, want: 'statement' },
    {
      name: 'a digest that is none',
      payload: { critical: { ...critical, image: { 'docker-manifest-digest': image.digest } } },
      want: 'statement',
    },
    { name: 'a statement', payload: statement, want: 'statement' },
    { name: 'no JSON', payload: 'x', want: 'statement' },
  ];
  for (const { name, payload, want } of payloads) {
    it(`${want === 'verified' ? 'takes' : 'refuses'} ${name}`, () => {
      assert.equal(outcome(imageSignature(payload)), want);
    });
  }

  const good = imageSignature(simpleSigning);
  const policies = [
    { name: 'another key', policy: { keys: [stranger.pem] }, want: 'signature' },
    { name: 'another image', policy: { image: other }, want: 'image' },
    { name: 'a predicate type', policy: { predicateType: provenance }, want: 'predicate-type' },
    { name: 'another signature than was stored', policy: { expectedBody: Buffer.from('x') }, want: 'same-bytes' },
  ];
  for (const { name, policy, want } of policies) {
    it(`refuses under ${name}`, () => {
      assert.equal(outcome(good, policy), want);
    });
  }

  it('refuses every change of one byte of payload and signature', () => {
    if (good.kind !== 'raw') return assert.fail();
    for (const part of ['payload', 'signature'] as const) {
      for (let index = 0; index < good[part].length; index += 1) {
        for (const byte of mutationsOf(good[part][index] ?? 0)) {
          const changed: Buffer = Buffer.from(good[part]);
          changed[index] = byte;
          assert.equal(outcome({ ...good, [part]: changed }), 'signature');
        }
      }
    }
  });
});

/** Another letter, white space, and two flipped bits; never the byte itself. */
function mutationsOf(byte: number): readonly number[] {
  return [...new Set([byte ^ 1, byte ^ 0x20, byte ^ 0x80, 0x20, 0x0a])].filter((other_) => other_ !== byte);
}
