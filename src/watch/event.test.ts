import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventOf, runIn } from './event.ts';

const run = { kind: 'TaskRun', metadata: { name: 'a', namespace: 'ci', uid: 'u', resourceVersion: '5' } };
const line = (type: string, object: unknown): Buffer => Buffer.from(JSON.stringify({ type, object }));
const bookmark = (annotations?: object): object => ({ kind: 'TaskRun', metadata: { resourceVersion: '9', annotations } });

describe('eventOf', () => {
  for (const [type, kind] of [
    ['ADDED', 'seen'],
    ['MODIFIED', 'seen'],
    ['DELETED', 'gone'],
  ] as const) {
    it(`reads ${type} as ${kind}`, () => {
      const event = eventOf(line(type, run), 'TaskRun');

      assert.equal(event.kind, kind);
      assert.deepEqual(event.kind === kind && [event.run.uid, event.resourceVersion], ['u', '5']);
    });
  }

  it('tells a bookmark from the one that ends the initial events', () => {
    assert.deepEqual(eventOf(line('BOOKMARK', bookmark()), 'TaskRun'), { kind: 'bookmark', resourceVersion: '9', endsInitial: false });
    assert.deepEqual(eventOf(line('BOOKMARK', bookmark({ 'k8s.io/initial-events-end': 'true' })), 'TaskRun'), {
      kind: 'bookmark',
      resourceVersion: '9',
      endsInitial: true,
    });
  });

  it('reads an error, with and without a Status in it', () => {
    const expired = { kind: 'Status', code: 410, reason: 'Expired' };

    assert.deepEqual(eventOf(line('ERROR', expired), 'TaskRun'), {
      kind: 'error',
      refusal: { status: 410, body: expired, retryAfterMs: undefined },
    });
    assert.deepEqual(eventOf(line('ERROR', {}), 'TaskRun'), { kind: 'error', refusal: { status: 500, body: {}, retryAfterMs: undefined } });
  });

  it('reports an object that is no run, and where it stood', () => {
    const event = eventOf(line('ADDED', { metadata: { namespace: 'ci', resourceVersion: '6' } }), 'TaskRun');

    assert.deepEqual(event, {
      kind: 'malformed',
      what: { kind: 'malformed', name: 'ci/?', why: 'it has no metadata.name, metadata.uid' },
      resourceVersion: '6',
    });
  });

  const nonsense = ['', '{', '[]', 'null', '7', '<html>', '{"type":"ADDED"}', '{"type":"toString","object":{}}', '{"object":{}}'];
  for (const text of nonsense) {
    it(`takes ${JSON.stringify(text)} for nonsense`, () => {
      assert.deepEqual(eventOf(Buffer.from(text), 'TaskRun'), { kind: 'nonsense' });
    });
  }
});

describe('runIn', () => {
  it('gives the object with its numbers as they were written', () => {
    const event = eventOf(line('ADDED', run), 'TaskRun');
    assert.ok(event.kind === 'seen');

    const whole = runIn(Buffer.from('{"type":"ADDED","object":{"spec":{"n":1.50}}}'), event.run);

    assert.equal(JSON.stringify(whole?.object), '{"spec":{"n":1.50}}');
    assert.deepEqual(whole && [whole.uid, whole.slim], ['u', event.run]);
  });
});
