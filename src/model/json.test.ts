import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TerminalError } from '../errors.ts';
import { canonical, compareUtf8, goText, orderedText, sortedText } from './json-text.ts';
import { at, isObject, isRawNumber, objectsAt, parseJson, textAt } from './json.ts';

describe('parseJson', () => {
  const kept = ['9007199254740993', '1.0', '-0', '1e3', '1E+400', '0.10', '12345678901234567890', '0', '-7', '1.5', '1e-7'];
  for (const number of kept) {
    it(`keeps ${number} wherever it stands`, () => {
      const text = `{"a":${number},"b":[${number},[${number}]],"c":{"d":${number}}}`;

      assert.equal(JSON.stringify(parseJson(text)), text);
      assert.equal(orderedText(parseJson(number)), number);
    });
  }
  it('keeps them between white space', () => {
    assert.equal(orderedText(parseJson('[ 1.0 , -0\n, 1e3\t]')), '[1.0,-0,1e3]');
  });
  it('takes no raw number for an object', () => {
    assert.equal(isObject(parseJson('1.0')), false);
    assert.equal(isRawNumber(parseJson('1.0')), true);
    assert.equal(isObject(parseJson('{"rawJSON":"1.0"}')), true);
    assert.equal(at(parseJson('{"a":1.0}'), 'a', 'rawJSON'), undefined);
  });
  it('keeps __proto__ as a member and the last of equal members', () => {
    const json = parseJson('{"__proto__":{"x":1.0},"a":1,"a":2}');

    assert.equal(orderedText(json), '{"__proto__":{"x":1.0},"a":2}');
    assert.equal(at(json, 'x'), undefined);
  });
  const surrogates = [
    ['a lone high one', '"\\ud800x"', '"\ufffdx"'],
    ['a lone low one, also in a name', '{"\\udc00":1}', '{"\ufffd":1}'],
    ['a pair', '"\\ud83d\\ude00"', '"\u{1f600}"'],
    ['two high ones', '"\\ud83d\\ud83d\\ude00"', '"\ufffd\u{1f600}"'],
    ['an escaped backslash before', '"\\\\ud800"', '"\\\\ud800"'],
  ] as const;
  for (const [name, text, written] of surrogates) {
    it(`makes U+FFFD of lone surrogates: ${name}`, () => {
      assert.equal(orderedText(parseJson(text)), written);
    });
  }
  for (const text of ['', '{', '01', '{"a":1.0,}', `${'['.repeat(50_000)}1.0${']'.repeat(50_000)}`]) {
    it(`refuses "${text.slice(0, 12)}"`, () => {
      assert.throws(() => parseJson(text), TerminalError);
    });
  }
  it('reads what was written, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = JSON.stringify(value);
        assert.equal(JSON.stringify(parseJson(text)), text);
      }),
    );
  });
});

describe('readers', () => {
  const json = parseJson('{"a":{"b":"c","n":5},"list":[{"x":1},null,5,"y",[]]}');
  it('give what is there and nothing else', () => {
    assert.equal(textAt(json, 'a', 'b'), 'c');
    assert.equal(textAt(json, 'a', 'n'), '');
    assert.equal(textAt(json, 'a', 'toString'), '');
    assert.equal(at(json, '__proto__'), undefined);
    assert.deepEqual(objectsAt(json, 'list'), [{ x: 1 }, {}]);
    assert.deepEqual(objectsAt(json, 'a'), []);
  });
});

describe('writers', () => {
  const json = parseJson('{"b":1.0,"10":"<&>\u2028","9":-0,"\\uffee":9007199254740993,"\u{1f600}":"\u007f\\u0001\\b","a":null}');
  it('canonical sorts by UTF-8 bytes and keeps numbers as received', () => {
    const wanted = '{"10":"<&>\u2028","9":-0,"a":null,"b":1.0,"\uffee":9007199254740993,"\u{1f600}":"\u007f\\u0001\\b"}';
    assert.equal(canonical(json), wanted);
  });
  it('sortedText keeps even what is beyond the range of doubles', () => {
    assert.equal(sortedText(parseJson('[1e400]')), '[1e400]');
    const wanted = '{"10":"<&>\u2028","9":-0,"a":null,"b":1.0,"\uffee":9007199254740993,"\u{1f600}":"\u007f\\u0001\\b"}';
    assert.equal(sortedText(json), wanted);
  });
  it('goText keeps the order and escapes what HTML minds', () => {
    assert.equal(goText(parseJson('{"b":1.0,"a":"<&>\u2028\u2029\\""}')), '{"b":1.0,"a":"\\u003c\\u0026\\u003e\\u2028\\u2029\\""}');
  });
  it('refuse what no JSON number is, and what is nested too deeply', () => {
    assert.throws(() => canonical(parseJson('1e400')), { code: 'json.number' });
    assert.throws(() => canonical(parseJson('['.repeat(5000) + ']'.repeat(5000))), { code: 'json.deep' });
  });
  it('canonical is the same for every order of members', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.integer()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).toReversed());
        assert.equal(canonical(reversed), canonical(value));
        assert.deepEqual(JSON.parse(canonical(value)), JSON.parse(JSON.stringify(value)));
      }),
    );
  });
  it('compareUtf8 orders as bytes do', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});
