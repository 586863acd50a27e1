import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sha256Of } from '../../src/model/digest.ts';
import { clientOf, failureOf, guarded, short } from './registry-client.ts';
import { standIn, type Reply, type StandIn } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

const indexType = 'application/vnd.oci.image.index.v1+json';

/** Of each write its `If-Match`. */
const conditionsOf = ({ seen, headers }: StandIn) =>
  headers.filter((_, index) => seen[index]?.method === 'PUT').map((each) => each['if-match']);

describe('tags of a registry that compares', () => {
  const tagged = (etag: string, onPut: (count: number, condition: string | undefined) => number) => {
    let [body, puts] = ['{"n":0}', 0];
    return guarded((request, headers): Reply => {
      if (request.method === 'PUT') {
        const status = onPut((puts += 1), headers['if-match']);
        if (status === 201) body = request.body;
        return { status };
      }
      const digest = `sha256:${sha256Of(Buffer.from(body))}`;
      return { status: 200, headers: { 'content-type': indexType, 'docker-content-digest': digest, etag }, body };
    });
  };
  const change = async (current: { readonly bytes: Uint8Array } | undefined) => {
    const isThere = Buffer.from(current?.bytes ?? []).toString() === '{"n":1}';
    return await Promise.resolve(isThere ? undefined : { mediaType: indexType, bytes: Buffer.from('{"n":1}') });
  };

  it('are written with what was read as the condition, and again after a 412', async () => {
    await using server = await standIn(tagged('"one"', (count) => (count === 1 ? 412 : 201)));
    await using client = await clientOf(server.host);

    await client.repository.update('t', change, ctx);

    const conditions = conditionsOf(server);
    assert.deepEqual(conditions, ['"one"', '"one"']);
  });

  it('are written without a condition that never holds', async () => {
    await using server = await standIn(tagged('"odd"', (_, condition) => (condition === undefined ? 201 : 412)));
    await using client = await clientOf(server.host);

    await client.repository.update('t', change, ctx);

    const conditions = conditionsOf(server);
    assert.equal(conditions.at(-1), undefined);
  });

  it('are not written with a weak ETag as the condition', async () => {
    await using server = await standIn(tagged('W/"weak"', () => 201));
    await using client = await clientOf(server.host);

    await client.repository.update('t', change, ctx);

    assert.deepEqual(conditionsOf(server), [undefined]);
  });

  for (const { name, status, body } of [
    { name: '409', status: 409, body: '' },
    { name: '405', status: 405, body: '' },
    { name: '400 and TAG_INVALID', status: 400, body: '{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}' },
    { name: '403 and words', status: 403, body: '{"errors":[{"code":"DENIED","message":"tag immutability is enabled"}]}' },
  ]) {
    it(`are said to be immutable after ${name}`, async () => {
      const reply = guarded((request): Reply => {
        if (request.method === 'PUT') return { status, body };
        return { status: 200, headers: { 'content-type': indexType }, body: '{}' };
      });
      await using server = await standIn(reply);
      await using client = await clientOf(server.host);

      const error = await failureOf(client.repository.update('t', change, ctx));

      assert.equal(short(error), 'TerminalError oci.immutable-tag');
      assert.match(error.fix ?? '', /exempt tags that begin with "sha256-"/);
    });
  }
});
