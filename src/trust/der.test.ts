import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TerminalError } from '../errors.ts';
import { bitsOf, booleanOf, childrenOf, derOf, oidOf, readDer, smallIntegerOf, tags, timeOf, type Der } from './der.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const read = (text: string): Der => readDer(hex(text), 'a value');
const text = (tag: number, value: string) => readDer(derOf(tag, Buffer.from(value)), 'a value');

describe('readDer', () => {
  it('gives back what derOf wrote, whatever its length', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 127, 128, 255, 256, 65_535, 65_536), fc.uint8Array({ maxLength: 3 }), (length, end) => {
        const value = Buffer.concat([Buffer.alloc(length, 5), end]);
        const der = readDer(derOf(tags.octetString, value), 'a value');

        assert.deepEqual(Buffer.from(der.value), value);
        assert.deepEqual(Buffer.from(der.raw), Buffer.from(derOf(tags.octetString, value)));
      }),
    );
  });

  const refused: readonly { readonly name: string; readonly bytes: string }[] = [
    { name: 'nothing', bytes: '' },
    { name: 'a tag alone', bytes: '30' },
    { name: 'bytes after its end', bytes: '0500 00' },
    { name: 'a value that is cut off', bytes: '0402 00' },
    { name: 'an indefinite length', bytes: '3080 0500 0000' },
    { name: 'a length in the long form that fits the short one', bytes: '0481 01 00' },
    { name: 'a length with a zero before it', bytes: `04820080 ${'00'.repeat(128)}` },
    { name: 'a length of five bytes', bytes: '0485 0000000001 00' },
    { name: 'a length that is cut off', bytes: '0482 01' },
    { name: 'a tag of more than one byte', bytes: '1f81 00 00' },
    { name: 'the tag of end-of-contents', bytes: '0000' },
  ];
  for (const { name, bytes } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => read(bytes), { name: 'TerminalError', code: 'trust.der' });
    });
  }

  it('never throws anything else, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const der = readDer(bytes, 'a value');
          childrenOf(der, 'a value');
          for (const readAs of [oidOf, booleanOf, bitsOf, smallIntegerOf, timeOf]) readAs(der, 'a value');
        } catch (error) {
          assert.ok(error instanceof TerminalError && error.code === 'trust.der');
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the readers of values', () => {
  it('read object identifiers, and refuse padded and cut ones', () => {
    assert.equal(oidOf(read('0603 551d11'), 'it'), '2.5.29.17');
    assert.equal(oidOf(read('060a 2b0601040183bf300108'), 'it'), '1.3.6.1.4.1.57264.1.8');
    assert.equal(oidOf(read('0603 883703'), 'it'), '2.999.3');
    for (const bytes of ['0600', '0602 5580', '0603 558001', '0500']) assert.throws(() => oidOf(read(bytes), 'it'), { code: 'trust.der' });
  });

  it('read small numbers, and refuse negative, padded and large ones', () => {
    assert.deepEqual(
      ['0201 00', '0201 7f', '0202 0080', '0203 010000'].map((bytes) => smallIntegerOf(read(bytes), 'it')),
      [0, 127, 128, 65_536],
    );
    for (const bytes of ['0200', '0201 80', '0202 0001', '0205 0100000000']) {
      assert.throws(() => smallIntegerOf(read(bytes), 'it'), { code: 'trust.der' });
    }
  });

  it('read truth values and bits', () => {
    assert.deepEqual([booleanOf(read('0101 00'), 'it'), booleanOf(read('0101 ff'), 'it')], [false, true]);
    assert.throws(() => booleanOf(read('0101 01'), 'it'), { code: 'trust.der' });
    assert.deepEqual(bitsOf(read('0302 0206'), 'it').slice(0, 7), [false, false, false, false, false, true, true]);
    assert.throws(() => bitsOf(read('0302 0800'), 'it'), { code: 'trust.der' });
    assert.throws(() => bitsOf(read('0300'), 'it'), { code: 'trust.der' });
  });

  it('read times, and refuse what is none', () => {
    const times = [
      text(tags.utcTime, '491231235959Z'),
      text(tags.utcTime, '500101000000Z'),
      text(tags.generalizedTime, '20260102030405.25Z'),
    ];
    assert.deepEqual(
      times.map((der) => timeOf(der, 'it').toISOString()),
      ['2049-12-31T23:59:59.000Z', '1950-01-01T00:00:00.000Z', '2026-01-02T03:04:05.250Z'],
    );
    const refused = ['20260102030405', '20260102030405.20Z', '20260231000000Z', '20261301000000Z', '202601020304Z', '20260102030405+0100'];
    for (const value of refused) assert.throws(() => timeOf(text(tags.generalizedTime, value), 'it'), { code: 'trust.der' });
  });
});
