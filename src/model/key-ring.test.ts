import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { TerminalError } from '../errors.ts';
import { keyRingJsonOf, parseKeyRing, ringKeyOf, rotatedRing, unknownStart, type RingKey } from './key-ring.ts';
import { parsePublicKey, publicKeyOf } from './public-key.ts';

const [a, b, c] = [newKey(), newKey(), newKey()];
const day = (number: number): Date => new Date(Date.UTC(2026, 0, number));
const bytesOf = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

describe('parseKeyRing', () => {
  it('reads what keyRingJsonOf writes', () => {
    const ring: readonly RingKey[] = [
      ringKeyOf(a, 'x509', { start: day(1), end: undefined }),
      ringKeyOf(b, '', { start: unknownStart, end: day(2) }),
    ];

    assert.deepEqual(parseKeyRing(bytesOf(keyRingJsonOf(ring)), 'keys.json'), ring);
    assert.deepEqual(parseKeyRing(bytesOf(keyRingJsonOf([])), 'keys.json'), []);
  });

  it('is content with a public key alone, which is then good for all time', () => {
    const ring = parseKeyRing(bytesOf({ keys: [{ publicKey: a.replaceAll('\n', '\r\n') }] }), 'keys.json');

    assert.deepEqual(ring, [
      { fingerprint: parsePublicKey(a).fingerprint, publicKey: a, signer: '', validFor: { start: new Date(0), end: undefined } },
    ]);
  });

  const refused = [
    { name: 'no JSON', ring: '{"keys":', says: /it is not valid JSON/ },
    { name: 'a name twice', ring: '{"keys":[],"keys":[]}', says: /the member "keys" stands twice/ },
    { name: 'a list', ring: [], says: /want \{"keys"/ },
    { name: 'something beside the keys', ring: { keys: [], more: 1 }, says: /nothing beside/ },
    { name: 'a text for a key', ring: { keys: [a] }, says: /keys\.0": want an object/ },
    { name: 'no public key', ring: { keys: [{}] }, says: /keys\.0": publicKey: .*no PEM block/ },
    {
      name: 'the fingerprint of another key',
      ring: { keys: [{ publicKey: a, fingerprint: 'SHA256:x' }] },
      says: /fingerprint is that of another/,
    },
    { name: 'a key twice', ring: { keys: [{ publicKey: a }, { publicKey: a }] }, says: /stands there twice/ },
    { name: 'a misspelt end', ring: { keys: [{ publicKey: a, validFor: { until: '2026-01-01T00:00:00Z' } }] }, says: /a member "until"/ },
    { name: 'a misspelt member', ring: { keys: [{ publicKey: a, validfor: {} }] }, says: /a member "validfor"/ },
    { name: 'a day for a time', ring: { keys: [{ publicKey: a, validFor: { end: '2026-01-01' } }] }, says: /want times as/ },
    { name: 'a time that is none', ring: { keys: [{ publicKey: a, validFor: { end: '2026-13-01T00:00:00Z' } }] }, says: /want times as/ },
    { name: 'null for an end', ring: { keys: [{ publicKey: a, validFor: { end: null } }] }, says: /want times as/ },
    {
      name: 'an end before the start',
      ring: { keys: [{ publicKey: a, validFor: { start: '2026-01-02T00:00:00Z', end: '2026-01-01T00:00:00Z' } }] },
      says: /ends before it starts/,
    },
    { name: 'more keys than anybody has', ring: { keys: Array.from({ length: 1001 }, () => ({})) }, says: /more than 1000 keys/ },
  ];
  for (const { name, ring, says } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parseKeyRing(bytesOf(ring), 'keys.json'),
        (error) =>
          error instanceof TerminalError && error.code === 'key.ring' && error.message.includes('"keys.json') && says.test(error.message),
      );
    });
  }
});

describe('rotatedRing', () => {
  it('ends the old key after the overlap and begins the new one', () => {
    const ring = rotatedRing([], { from: a, to: b, signer: 'x509', at: day(2), overlapMs: 60_000 });

    assert.deepEqual(ring, [
      ringKeyOf(b, 'x509', { start: day(2), end: undefined }),
      ringKeyOf(a, 'x509', { start: unknownStart, end: new Date(day(2).getTime() + 60_000) }),
    ]);
  });

  it('keeps when a key began, and what ended before', () => {
    const first = rotatedRing([], { from: a, to: b, signer: 'x509', at: day(2), overlapMs: 0 });
    const second = rotatedRing(first, { from: b, to: c, signer: 'x509', at: day(3), overlapMs: 0 });

    assert.deepEqual(second, [
      ringKeyOf(c, 'x509', { start: day(3), end: undefined }),
      ringKeyOf(b, 'x509', { start: day(2), end: day(3) }),
      ringKeyOf(a, 'x509', { start: unknownStart, end: day(2) }),
    ]);
  });

  it('lets a key that comes back begin where it began', () => {
    const first = rotatedRing([], { from: a, to: b, signer: 'x509', at: day(2), overlapMs: 0 });

    const back = rotatedRing(first, { from: b, to: a, signer: 'x509', at: day(3), overlapMs: 0 });

    assert.deepEqual(back, [
      ringKeyOf(a, 'x509', { start: unknownStart, end: undefined }),
      ringKeyOf(b, 'x509', { start: day(2), end: day(3) }),
    ]);
  });
});

function newKey(): string {
  return publicKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey).pem;
}
