import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Bodies } from './bodies.ts';

const body = (size: number, resourceVersion = '1'): { resourceVersion: string; line: Buffer } => ({
  resourceVersion,
  line: Buffer.alloc(size, 'x'),
});

describe('Bodies', () => {
  it('gives a copy of the line of exactly the version that is asked for', () => {
    const bodies = new Bodies(100);
    const given = body(3, '7');
    bodies.put('a', given, 'way');
    given.line.fill('y');

    assert.equal(String(bodies.get('a', '7')), 'xxx');
    assert.equal(bodies.get('a', '8'), undefined);
    assert.equal(bodies.get('b', '7'), undefined);
  });

  it('lets the one go that was used longest ago', () => {
    const bodies = new Bodies(30);
    for (const uid of ['a', 'b', 'c']) bodies.put(uid, body(10), 'way');
    bodies.get('a', '1');

    bodies.put('d', body(10), 'way');

    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((uid) => bodies.get(uid, '1') !== undefined),
      [true, false, true, true],
    );
  });

  it('sends nobody away for one that only takes room that is left', () => {
    const bodies = new Bodies(25);
    for (const uid of ['a', 'b', 'c']) bodies.put(uid, body(10), 'room');

    assert.deepEqual(
      ['a', 'b', 'c'].map((uid) => bodies.get(uid, '1') !== undefined),
      [true, true, false],
    );
  });

  it('counts its bytes and never holds more than it may', () => {
    const step = fc.record({
      uid: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      size: fc.nat(60),
      how: fc.constantFrom<('room' | 'way' | 'delete')[]>('room', 'way', 'delete'),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const bodies = new Bodies(100);
        for (const { uid, size, how } of steps) {
          if (how === 'delete') bodies.delete(uid);
          else bodies.put(uid, body(size), how);

          const held = ['a', 'b', 'c', 'd', 'e'].map((one) => bodies.get(one, '1')?.length ?? 0);
          assert.equal(
            bodies.bytes,
            held.reduce((sum, length) => sum + length, 0),
          );
          assert.ok(bodies.bytes <= 100);
        }
      }),
    );
  });
});
