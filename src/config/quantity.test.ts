import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { durationText, parseDuration, parseSize, sizeText } from './quantity.ts';

describe('parseDuration', () => {
  const read = [
    { text: '168h', ms: 604_800_000 },
    { text: '5m', ms: 300_000 },
    { text: '30s', ms: 30_000 },
    { text: '1h30m', ms: 5_400_000 },
    { text: '1.5h', ms: 5_400_000 },
    { text: '.5s', ms: 500 },
    { text: '250ms', ms: 250 },
    { text: '2s500ms', ms: 2500 },
    { text: '1500us', ms: 2 },
    { text: '1µs', ms: 0 },
    { text: '+1m', ms: 60_000 },
    { text: '0', ms: 0 },
    { text: '0s', ms: 0 },
  ];
  for (const { text, ms } of read) {
    it(`reads ${text}`, () => assert.deepEqual(parseDuration(text), { kind: 'amount', amount: ms }));
  }

  const refused = [
    { text: '', reason: /no duration/ },
    { text: '30', reason: /write "30s"/ },
    { text: '7d', reason: /write "168h"/ },
    { text: '-1s', reason: /no duration/ },
    { text: '1 h', reason: /no duration/ },
    { text: ' 1h', reason: /no duration/ },
    { text: '1H', reason: /no duration/ },
    { text: 's', reason: /no duration/ },
    { text: '1h30', reason: /no duration/ },
    { text: '9999999999999h', reason: /too long/ },
  ];
  for (const { text, reason } of refused) {
    it(`refuses "${text}"`, () => {
      const parsed = parseDuration(text);
      assert.equal(parsed.kind, 'wrong');
      assert.match(parsed.kind === 'wrong' ? parsed.reason : '', reason);
    });
  }

  it('reads back what durationText writes', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 40 }), (ms) => {
        assert.deepEqual(parseDuration(durationText(ms)), { kind: 'amount', amount: ms });
      }),
    );
  });

  it('adds up its parts, in any order', () => {
    const part = fc.tuple(
      fc.nat({ max: 10_000 }),
      fc.constantFrom({ unit: 'h', ms: 3_600_000 }, { unit: 'm', ms: 60_000 }, { unit: 's', ms: 1000 }, { unit: 'ms', ms: 1 }),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const text = parts.map(([amount, { unit }]) => `${amount}${unit}`).join('');
        const amount = parts.reduce((sum, [count, { ms }]) => sum + count * ms, 0);
        assert.deepEqual(parseDuration(text), { kind: 'amount', amount });
      }),
    );
  });

  it('never throws and never gives a negative or fractional number', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.hmsnuµ+-]{0,12}$/)), (text) => {
        const parsed = parseDuration(text);
        if (parsed.kind === 'amount') assert.ok(Number.isSafeInteger(parsed.amount) && parsed.amount >= 0);
      }),
    );
  });
});

describe('parseSize', () => {
  const read = [
    { text: '16Mi', bytes: 16_777_216 },
    { text: '1Gi', bytes: 1_073_741_824 },
    { text: '1G', bytes: 1_000_000_000 },
    { text: '512k', bytes: 512_000 },
    { text: '1.5Gi', bytes: 1_610_612_736 },
    { text: '0.1', bytes: 1 },
    { text: '1.', bytes: 1 },
    { text: '1024', bytes: 1024 },
    { text: '1e6', bytes: 1_000_000 },
    { text: '2E3', bytes: 2000 },
    { text: '0', bytes: 0 },
  ];
  for (const { text, bytes } of read) {
    it(`reads ${text}`, () => assert.deepEqual(parseSize(text), { kind: 'amount', amount: bytes }));
  }

  const refused = [
    { text: '', reason: /no size/ },
    { text: '-1', reason: /no size/ },
    { text: '16MB', reason: /unit "MB" is not known \(write "Mi"\)/ },
    { text: '16mb', reason: /write "Mi"/ },
    { text: '100m', reason: /unit "m" is not known/ },
    { text: '1 Gi', reason: /no size/ },
    { text: '1constructor', reason: /not known/ },
    { text: '100Ei', reason: /larger/ },
    { text: '1e99', reason: /larger/ },
  ];
  for (const { text, reason } of refused) {
    it(`refuses "${text}"`, () => {
      const parsed = parseSize(text);
      assert.equal(parsed.kind, 'wrong');
      assert.match(parsed.kind === 'wrong' ? parsed.reason : '', reason);
    });
  }

  it('reads back what sizeText writes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeNat(),
          fc.nat({ max: 4096 }).map((count) => count * 1024 ** 3),
        ),
        (bytes) => {
          assert.deepEqual(parseSize(sizeText(bytes)), { kind: 'amount', amount: bytes });
        },
      ),
    );
  });

  it('never throws and never gives a negative or fractional number', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.eEKMGi+-]{0,12}$/)), (text) => {
        const parsed = parseSize(text);
        if (parsed.kind === 'amount') assert.ok(Number.isSafeInteger(parsed.amount) && parsed.amount >= 0);
      }),
    );
  });
});
