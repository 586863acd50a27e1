import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TransientError } from '../../src/errors.ts';
import { sha256Of } from '../../src/model/digest.ts';
import { within } from '../../src/observe/context.ts';
import { clientOf, digest, failureOf, guarded, json, mediaType, secret, short } from './registry-client.ts';
import { standIn, type Reply, type Seen } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

describe('a registry that answers nonsense', () => {
  const manifests: readonly { readonly name: string; readonly reply: Reply; readonly want: string; readonly names: RegExp }[] = [
    {
      name: 'a page',
      reply: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' },
      want: 'TransientError oci.protocol',
      names: /not JSON \(200 text\/html, 6 bytes, from http:/,
    },
    {
      name: 'other JSON',
      reply: { status: 200, headers: json, body: '{"hello":1}' },
      want: 'TransientError oci.protocol',
      names: /not a manifest \(200 application\/json, 11 bytes/,
    },
    {
      name: 'a cut manifest',
      reply: { status: 200, headers: { 'content-type': mediaType }, body: '{"schemaVers' },
      want: 'TransientError oci.protocol',
      names: /not JSON/,
    },
    {
      name: 'a manifest with another digest',
      reply: { status: 200, headers: { 'content-type': mediaType, 'docker-content-digest': digest }, body: '{}' },
      want: 'TransientError oci.protocol',
      names: /want sha256:000/,
    },
    {
      name: 'less than it promised',
      reply: { status: 200, headers: { 'content-type': mediaType }, body: '{}', missingBytes: 9 },
      want: 'TransientError http.unreachable',
      names: /Cannot finish GET/,
    },
    {
      name: 'a redirect to nowhere',
      reply: { status: 307, headers: { location: 'http://[' } },
      want: 'TerminalError http.bad-url',
      names: /no URL/,
    },
    {
      name: 'redirects without end',
      reply: { status: 307, headers: { location: '/v2/app/manifests/t' } },
      want: 'TransientError oci.protocol',
      names: /\(307 /,
    },
    {
      name: 'redirects to a file',
      reply: { status: 307, headers: { location: 'file:///etc/passwd' } },
      want: 'TerminalError http.bad-url',
      names: /http or https/,
    },
    {
      name: 'success without content',
      reply: { status: 204 },
      want: 'TransientError oci.protocol',
      names: /\(204 no content type, 0 bytes/,
    },
    {
      name: 'more than we read',
      reply: { status: 200, body: 'x'.repeat(1024 * 1024 + 1) },
      want: 'TerminalError http.too-large',
      names: /larger than 1048576 bytes/,
    },
  ];
  for (const { name, reply, want, names } of manifests) {
    it(`is named when it gives ${name} for a manifest`, async () => {
      await using server = await standIn(guarded(() => reply));
      await using client = await clientOf(server.host);

      const error = await failureOf(client.repository.manifest('t', ctx));

      assert.equal(short(error), want);
      assert.match(error.message, names);
    });
  }

  const blobs = [
    { name: 'other bytes', body: 'bbb', size: 3 },
    { name: 'more bytes', body: 'aaaa', size: 3 },
    { name: 'fewer bytes', body: 'aa', size: 3 },
  ];
  for (const { name, body, size } of blobs) {
    it(`is named when it gives ${name} for a blob`, async () => {
      await using server = await standIn(guarded(() => ({ status: 200, body })));
      await using client = await clientOf(server.host);

      const error = await failureOf(client.repository.blob({ digest: `sha256:${sha256Of(Buffer.from('aaa'))}`, size }, ctx));

      assert.equal(short(error), 'TransientError oci.protocol');
    });
  }

  it('is not asked for a blob that is too large', async () => {
    await using server = await standIn(guarded(() => ({ status: 200 })));
    await using client = await clientOf(server.host);

    const error = await failureOf(client.repository.blob({ digest, size: 1024 * 1024 + 1 }, ctx));

    assert.deepEqual([short(error), server.seen], ['TerminalError oci.too-large', []]);
  });

  const uploads = [
    { name: 'no place', location: undefined },
    { name: 'a place that is no URL', location: 'http://[' },
    { name: 'a place that is no http', location: 'ftp://127.0.0.1/x' },
  ];
  for (const { name, location } of uploads) {
    it(`is named when it gives ${name} for an upload`, async () => {
      const reply = ({ method }: Seen): Reply =>
        method === 'HEAD' ? { status: 404 } : { status: 202, headers: location === undefined ? {} : { location } };
      await using server = await standIn(guarded(reply));
      await using client = await clientOf(server.host);

      assert.equal(short(await failureOf(client.repository.putBlob(Buffer.from('a'), ctx))), 'TransientError oci.protocol');
    });
  }
});

describe('a registry that refuses', () => {
  const echo = `{"errors":[{"code":"DENIED","message":"you sent ${secret}"}]}`;
  const table: readonly { readonly name: string; readonly reply: Reply; readonly want: string; readonly waitMs?: number }[] = [
    { name: '403', reply: { status: 403, headers: json, body: echo }, want: 'TerminalError oci.denied' },
    { name: '401 again', reply: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }, want: 'TerminalError oci.denied' },
    {
      name: '400',
      reply: { status: 400, headers: json, body: '{"errors":[{"code":"MANIFEST_INVALID"}]}' },
      want: 'TerminalError oci.refused',
    },
    {
      name: '429 with Retry-After',
      reply: { status: 429, headers: { 'retry-after': '1' } },
      want: 'TransientError oci.busy',
      waitMs: 1_000,
    },
    { name: '503', reply: { status: 503, body: '<html>' }, want: 'TransientError oci.unavailable' },
  ];
  for (const { name, reply, want, waitMs } of table) {
    it(`is understood when it says ${name}`, async () => {
      await using server = await standIn(guarded(() => reply));
      await using client = await clientOf(server.host);

      const error = await failureOf(client.repository.manifest('t', ctx));

      const busy = error instanceof TransientError ? { waitMs: error.retryAfterMs, dependency: error.dependency } : undefined;
      assert.equal(short(error), want);
      assert.deepEqual(busy, want.startsWith('Transient') ? { waitMs, dependency: `oci:${server.host}` } : undefined);
    });
  }

  it('is told apart when the repository must be made first', async () => {
    const reply = ({ method }: Seen): Reply => ({
      status: 404,
      headers: json,
      body: method === 'HEAD' ? '' : '{"errors":[{"code":"NAME_UNKNOWN"}]}',
    });
    await using server = await standIn(guarded(reply));
    await using client = await clientOf(server.host);

    const error = await failureOf(client.repository.putBlob(Buffer.from('a'), ctx));

    assert.equal(short(error), 'TerminalError oci.no-repository');
    assert.equal(
      error.message,
      `Cannot push blob "${server.host}/app@sha256:${sha256Of(Buffer.from('a'))}": the answer is 404 NAME_UNKNOWN`,
    );
  });

  it('gives nothing, and no error, for what is not there', async () => {
    await using server = await standIn(guarded(() => ({ status: 404 })));
    await using client = await clientOf(server.host);
    const { repository } = client;

    assert.deepEqual(
      [await repository.manifest('t', ctx), await repository.resolve('t', ctx), await repository.blob({ digest, size: 1 }, ctx)],
      [undefined, undefined, undefined],
    );
  });
});

describe('a registry that says nothing', () => {
  it('is left when the time is up', async () => {
    await using server = await standIn(() => undefined);
    await using client = await clientOf(server.host);

    const asked = within(300, ctx, async (inner) => await client.repository.manifest('t', inner));

    await assert.rejects(asked, { name: 'TimeoutError' });
  });

  it('is a dependency that is down when nobody listens', async () => {
    const server = await standIn(() => undefined);
    await server[Symbol.asyncDispose]();
    await using client = await clientOf(server.host);

    const error = await failureOf(client.repository.manifest('t', ctx));

    assert.deepEqual(
      [short(error), error instanceof TransientError && error.dependency],
      ['TransientError http.unreachable', `oci:${server.host}`],
    );
  });
});
