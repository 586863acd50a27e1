import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { durationText } from './duration.ts';
import { quantityText } from './quantity.ts';
import { isZeroTime, parseTime, protobufTimeText, shortestTimeText, timeText } from './time.ts';

describe('durationText', () => {
  const texts = {
    '0': '0s',
    '-0': '0s',
    '60m': '1h0m0s',
    '90m': '1h30m0s',
    '1.5h': '1h30m0s',
    '1h1s': '1h0m1s',
    '61s': '1m1s',
    '24h': '24h0m0s',
    '1500ms': '1.5s',
    '100ms': '100ms',
    '1us': '1µs',
    '1μs': '1µs',
    '1.5us': '1.5µs',
    '-5m': '-5m0s',
    '+.5s': '500ms',
    '1.s': '1s',
    '1ns': '1ns',
    '1.9ns': '1ns',
    '2562047h47m16.854775807s': '2562047h47m16.854775807s',
  };
  for (const [text, written] of Object.entries(texts)) {
    it(`writes ${text} as ${written}`, () => {
      assert.equal(durationText(text), written);
    });
  }
  for (const text of ['', '5', '1d', 's', '.s', '1h-1m', ' 1s', '1e3s', '2562048h']) {
    it(`refuses "${text}"`, () => {
      assert.equal(durationText(text), undefined);
    });
  }
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (nanos) => {
        const text = durationText(`${nanos}ns`);
        assert.equal(durationText(text ?? ''), text);
      }),
    );
  });
});

describe('quantityText', () => {
  const table = `1000 1k|1000m 1|0.5 500m|1500m 1500m|0.1 100m|1.5 1500m|1024 1024|1024Mi 1Gi|1.5Gi 1536Mi|0.5Gi 512Mi|1000Mi 1000Mi|2048Ki 2Mi
|1000k 1M|1.25M 1250k|1000000 1M|1e3 1e3|5e-1 500e-3|0.001k 1|1000e3 1e6|15e2 1500|1.0 1|1.1Ki 1126400m|0.3Ki 307200m|0.1n 1n|01 01|+5 +5
|16Ei 9223372036854775807|0 0|00 0|0Ki 0|-1000 -1k|.5 500m|5. 5.|1E3 1E3|1Ki 1Ki|8Ki 8Ki|-0.1n -1n`;
  for (const row of table.replaceAll('\n', '').split('|')) {
    const [text = '', written = ''] = row.split(' ');
    it(`writes ${text} as ${written}`, () => {
      assert.equal(quantityText(text), written);
    });
  }
  for (const text of ['', '.', 'Ki', '1 Gi', '1KiB', '1e', 'one', '--1', '1'.repeat(65), '1e9999']) {
    it(`refuses "${text.slice(0, 20)}"`, () => {
      assert.equal(quantityText(text), undefined);
    });
  }
  it('is settled after one writing', () => {
    const number = fc.tuple(fc.nat(), fc.nat({ max: 999 }), fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi'));
    fc.assert(
      fc.property(number, ([integer, fraction, suffix]) => {
        const text = quantityText(`${integer}.${fraction}${suffix}`);
        assert.equal(quantityText(text ?? ''), text);
      }),
    );
  });
});

describe('times', () => {
  const rows = [
    ['2024-05-01T10:00:00Z', '2024-05-01T10:00:00Z', '2024-05-01T10:00:00Z', '2024-05-01T10:00:00Z'],
    ['2024-05-01T10:00:00.120Z', '2024-05-01T10:00:00Z', '2024-05-01T10:00:00.12Z', '2024-05-01T10:00:00.120Z'],
    ['2024-05-01T10:00:00.1234Z', '2024-05-01T10:00:00Z', '2024-05-01T10:00:00.1234Z', '2024-05-01T10:00:00.123400Z'],
    ['2024-12-31T23:59:59.123456789+05:30', '2024-12-31T18:29:59Z', '2024-12-31T18:29:59.123456789Z', '2024-12-31T18:29:59.123456789Z'],
    ['2024-02-29T00:00:00-08:00', '2024-02-29T08:00:00Z', '2024-02-29T08:00:00Z', '2024-02-29T08:00:00Z'],
    ['0099-01-01T00:00:00Z', '0099-01-01T00:00:00Z', '0099-01-01T00:00:00Z', '0099-01-01T00:00:00Z'],
  ] as const;
  for (const [text, whole, shortest, protobuf] of rows) {
    it(`writes ${text}`, () => {
      const instant = parseTime(text);
      assert.ok(instant);
      assert.deepEqual([timeText(instant), shortestTimeText(instant), protobufTimeText(instant)], [whole, shortest, protobuf]);
    });
  }
  for (const text of ['', '2024-05-01', '2023-02-29T00:00:00Z', '2024-05-01T24:00:00Z', '2024-05-01T10:00:00', '2024-05-01t10:00:00z']) {
    it(`refuses "${text}"`, () => {
      assert.equal(parseTime(text), undefined);
    });
  }
  it('knows the zero time', () => {
    const instant = parseTime('0001-01-01T01:00:00+01:00');
    assert.ok(instant && isZeroTime(instant));
  });
});
