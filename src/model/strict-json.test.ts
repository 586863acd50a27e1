import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TerminalError } from '../errors.ts';
import { parseStrictJson } from './strict-json.ts';

const parse = (text: string | Uint8Array) => parseStrictJson(Buffer.from(text), 'the text', 1000);

describe('parseStrictJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.integer({ min: 0, max: 2 }), (json, indent) => {
        const text = JSON.stringify(JSON.parse(json), undefined, indent);

        assert.deepEqual(parseStrictJson(Buffer.from(text), 'the text', 1_000_000), JSON.parse(text));
      }),
    );
  });

  const fine = [
    '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
    '{"a":"a","b":"a"}',
    '["a","a"]',
    '{"a":"{\\"b\\":1,\\"b\\":2}","b":"\\\\"}',
    '{"":"","a":[]}',
  ];
  for (const text of fine) {
    it(`reads ${text}`, () => {
      assert.deepEqual(parse(text), JSON.parse(text));
    });
  }

  const refused = [
    { name: 'a member twice', text: '{"a":1,"b":2,"a":1}', code: 'json.duplicate-member' },
    { name: 'a member twice, once escaped', text: '{"a":1,"\\u0061":1}', code: 'json.duplicate-member' },
    { name: 'a member twice deep inside', text: '[{"x":[1,{"y":{},"y":[]}]}]', code: 'json.duplicate-member' },
    { name: 'a member twice around a tricky text', text: '{"a":"\\\\\\"{[","a":1}', code: 'json.duplicate-member' },
    { name: 'an empty member twice', text: '{"":1,"":1}', code: 'json.duplicate-member' },
    { name: '__proto__ twice', text: '{"__proto__":1,"__proto__":1}', code: 'json.duplicate-member' },
    { name: 'a byte order mark', text: '\uFEFF{}', code: 'json.malformed' },
    { name: 'broken UTF-8', text: Buffer.from([0x22, 0xff, 0x22]), code: 'json.malformed' },
    { name: 'text after the value', text: '{}{}', code: 'json.malformed' },
    { name: 'nothing', text: '', code: 'json.malformed' },
    { name: 'a trailing comma', text: '[1,]', code: 'json.malformed' },
    { name: 'too much', text: `"${'a'.repeat(999)}"`, code: 'json.too-large' },
  ];
  for (const { name, text, code } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parse(text),
        (error) => error instanceof TerminalError && error.code === code,
      );
    });
  }

  it('refuses what is nested without end, and says so without the stack', () => {
    const text = Buffer.from('['.repeat(200_000) + ']'.repeat(200_000));

    assert.throws(() => parseStrictJson(text, 'the text', 1_000_000), { code: 'json.malformed', message: /nested deeper/ });
  });

  it('takes no more than linear time over backslashes and quotes', () => {
    const text = JSON.stringify({ a: '\\"'.repeat(250_000), b: '\\'.repeat(500_000) });

    assert.deepEqual(parseStrictJson(Buffer.from(text), 'the text', 4_000_000), JSON.parse(text));
  });

  it('quotes nothing of a text that is not JSON', () => {
    assert.throws(
      () => parse('hunter2'),
      (error) => error instanceof TerminalError && !error.message.includes('hunter2') && error.cause === undefined,
    );
  });
});
