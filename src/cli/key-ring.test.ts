import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import type { KnownKey } from '../journal/journal.ts';
import { parseKeyRing, ringKeyOf, unknownStart } from '../model/key-ring.ts';
import { parsePublicKey, publicKeyOf } from '../model/public-key.ts';
import { listedKeys, listJsonOf } from './key-ring.ts';

const [a, b, c] = [newKey(), newKey(), newKey()];
const day = (number: number): Date => new Date(Date.UTC(2026, 0, number));
const known = (publicKey: string, signer: string, first: number, last: number): KnownKey => ({
  fingerprint: parsePublicKey(publicKey).fingerprint,
  publicKey,
  signer,
  firstAt: day(first).getTime(),
  lastAt: day(last).getTime(),
});

describe('listedKeys', () => {
  it('lists each key once, those in use first, then by their end', () => {
    const old = ringKeyOf(a, 'x509', { start: unknownStart, end: day(2) });
    const older = ringKeyOf(b, 'x509', { start: unknownStart, end: day(1) });

    const listed = listedKeys({ rings: [older, old], current: [{ publicKey: c, signer: 'kms' }], journal: [] });

    assert.deepEqual(listed, [
      { ...ringKeyOf(c, 'kms', { start: unknownStart, end: undefined }), isInUse: true, signed: undefined },
      { ...old, isInUse: false, signed: undefined },
      { ...older, isInUse: false, signed: undefined },
    ]);
  });

  it('takes the longest time of a key that is in two rings', () => {
    const [first, second] = [
      ringKeyOf(a, 'x509', { start: day(2), end: undefined }),
      ringKeyOf(a, 'other', { start: day(1), end: day(3) }),
    ];

    for (const rings of [
      [first, second],
      [second, first],
    ]) {
      assert.deepEqual(
        listedKeys({ rings, current: [], journal: [] }).map(({ validFor }) => validFor),
        [{ start: day(1), end: undefined }],
      );
    }
  });

  it('tells when the journal saw a key sign, and takes no bound from that', () => {
    const listed = listedKeys({ rings: [], current: [], journal: [known(a, 'x509', 3, 5), known(a, 'team', 2, 4)] });

    assert.deepEqual(listed, [
      {
        ...ringKeyOf(a, 'x509', { start: unknownStart, end: undefined }),
        isInUse: false,
        signed: { first: day(2), last: day(5) },
      },
    ]);
  });
});

describe('listJsonOf', () => {
  it('is a ring, with what is known besides', () => {
    const ring = [ringKeyOf(a, 'x509', { start: day(1), end: day(2) })];
    const listed = listedKeys({ rings: ring, current: [], journal: [known(a, 'x509', 1, 2)] });

    const json = listJsonOf(listed);

    assert.deepEqual(parseKeyRing(Buffer.from(json), 'list'), ring);
    assert.deepEqual(JSON.parse(json), {
      keys: [
        {
          fingerprint: parsePublicKey(a).fingerprint,
          publicKey: a,
          signer: 'x509',
          validFor: { start: '2026-01-01T00:00:00.000Z', end: '2026-01-02T00:00:00.000Z' },
          algorithm: 'ecdsa-p256',
          firstSigned: '2026-01-01T00:00:00.000Z',
          lastSigned: '2026-01-02T00:00:00.000Z',
        },
      ],
    });
  });
});

function newKey(): string {
  return publicKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey).pem;
}
