import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { CodedError, TransientError } from '../../src/errors.ts';
import { sha256Of } from '../../src/model/digest.ts';
import { within } from '../../src/observe/context.ts';
import { openRegistries, type RegistryOptions } from '../../src/store/oci/client.ts';
import { openCredentials } from '../../src/store/oci/credentials.ts';
import type { Repository } from '../../src/store/oci/repository.ts';
import { makeCa, makeServerCertificate } from '../servers/certificates.ts';
import { scratch } from '../servers/scratch.ts';
import { standIn, type Reply, type Seen } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const json = { 'content-type': 'application/json' };
const secret = 'hunter2';

interface Client extends AsyncDisposable {
  readonly repository: Repository;
}

/** A client with credentials for `host`, and a repository there. */
async function clientOf(host: string, options: Partial<RegistryOptions> = {}): Promise<Client> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('faults'));
  const file = path.join(dir, 'config.json');
  await writeFile(file, JSON.stringify({ auths: { [host]: { username: 'me', password: secret } } }));
  const registries = stack.use(
    await openRegistries(
      { credentials: openCredentials(file), insecure: false, caFile: undefined, maxBytes: 1024 * 1024, proxy: undefined, ...options },
      ctx,
    ),
  );
  const life = stack.move();
  return { repository: registries.repository(`${host}/app`, 'pull,push'), [Symbol.asyncDispose]: async () => await life.disposeAsync() };
}

/** Basic authentication before everything, then `reply` for what is below `/v2/app/`. */
function guarded(reply: (request: Seen) => Reply | undefined): (request: Seen) => Reply | undefined {
  return (request) => {
    if (request.authorization === undefined) return { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
    return reply(request);
  };
}

async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CodedError, String(error));
  assert.doesNotMatch(`${error.message} ${error.fix}`, new RegExp(secret));
  return error;
}

const short = (error: CodedError): string => `${error.name} ${error.code}`;
const digest = `sha256:${'0'.repeat(64)}`;

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

describe('a registry that sends us elsewhere', () => {
  it('never lets our credentials go there with a blob', async () => {
    await using elsewhere = await standIn(() => ({ status: 200, body: 'aaa' }));
    await using server = await standIn(
      guarded(() => ({ status: 307, headers: { location: `http://${elsewhere.host}/bucket/x?signed=1` } })),
    );
    await using client = await clientOf(server.host);

    const blob = await client.repository.blob({ digest: `sha256:${sha256Of(Buffer.from('aaa'))}`, size: 3 }, ctx);

    assert.deepEqual(blob && Buffer.from(blob).toString(), 'aaa');
    assert.deepEqual(elsewhere.seen, [{ method: 'GET', url: '/bucket/x?signed=1', authorization: undefined, body: '' }]);
    assert.match(server.seen.at(-1)?.authorization ?? '', /^Basic /);
  });

  it('never lets our credentials go there when it asks for them', async () => {
    await using realm = await standIn(() => ({ status: 200, headers: json, body: '{"token":"t"}' }));
    const challenge = { 'www-authenticate': `Bearer realm="http://localhost:${realm.host.split(':')[1]}/token"` };
    await using elsewhere = await standIn(() => ({ status: 401, headers: challenge }));
    await using server = await standIn(guarded(() => ({ status: 307, headers: { location: `http://${elsewhere.host}/x` } })));
    await using client = await clientOf(server.host);

    const error = await failureOf(client.repository.blob({ digest, size: 3 }, ctx));

    assert.deepEqual([short(error), realm.seen, elsewhere.seen.length], ['TerminalError oci.denied', [], 1]);
  });

  it('never lets our credentials go there with an upload, and keeps the query', async () => {
    await using elsewhere = await standIn(() => ({ status: 201 }));
    const reply = ({ method }: Seen): Reply =>
      method === 'HEAD' ? { status: 404 } : { status: 202, headers: { location: `http://${elsewhere.host}/up?state=a%2Bb&x=` } };
    await using server = await standIn(guarded(reply));
    await using client = await clientOf(server.host);

    await client.repository.putBlob(Buffer.from('aaa'), ctx);

    const query = `state=a%2Bb&x=&digest=sha256%3A${sha256Of(Buffer.from('aaa'))}`;
    assert.deepEqual(elsewhere.seen, [{ method: 'PUT', url: `/up?${query}`, authorization: undefined, body: 'aaa' }]);
  });

  it('is followed to a place below itself, with credentials', async () => {
    const reply = ({ method }: Seen): Reply =>
      method === 'PUT' ? { status: 201 } : method === 'HEAD' ? { status: 404 } : { status: 202, headers: { location: '/up/1' } };
    await using server = await standIn(guarded(reply));
    await using client = await clientOf(server.host);

    await client.repository.putBlob(Buffer.from('aaa'), ctx);

    const last = server.seen.at(-1);
    assert.deepEqual([last?.url, last?.body], [`/up/1?digest=sha256%3A${sha256Of(Buffer.from('aaa'))}`, 'aaa']);
    assert.match(last?.authorization ?? '', /^Basic /);
  });

  it('is not followed from https to plain http, but taken for https where it is the same host', async () => {
    await using stack = new AsyncDisposableStack();
    const { dir } = stack.use(await scratch('faults'));
    const ca = await makeCa(dir, 'ca');
    const pair = await makeServerCertificate(dir, 'server', ca);
    const elsewhere = stack.use(await standIn(() => ({ status: 201 })));
    let location = `http://${elsewhere.host}/up`;
    const reply = ({ method }: Seen): Reply =>
      method === 'PUT'
        ? { status: 201 }
        : method === 'HEAD'
          ? { status: 404 }
          : { status: method === 'GET' ? 307 : 202, headers: { location } };
    const server = stack.use(await standIn(guarded(reply), { cert: await readFile(pair.certFile), key: await readFile(pair.keyFile) }));
    const client = stack.use(await clientOf(server.host, { caFile: ca.certFile }));

    const upload = await failureOf(client.repository.putBlob(Buffer.from('aaa'), ctx));
    const download = await failureOf(client.repository.blob({ digest, size: 3 }, ctx));
    location = `http://${server.host}/up`;
    await client.repository.putBlob(Buffer.from('aaa'), ctx);

    assert.deepEqual([short(upload), short(download), elsewhere.seen], ['TransientError oci.protocol', 'TerminalError http.bad-url', []]);
    assert.equal(server.seen.at(-1)?.method, 'PUT');
  });
});

describe('a registry that forgets', () => {
  it('gets a blob again in a new session, once', async () => {
    let puts = 0;
    const reply = ({ method }: Seen): Reply => {
      if (method === 'HEAD') return { status: 404 };
      if (method === 'POST') return { status: 202, headers: { location: `/up/${puts}` } };
      puts += 1;
      return { status: puts === 1 || puts > 2 ? 404 : 201 };
    };
    await using server = await standIn(guarded(reply));
    await using client = await clientOf(server.host);

    await client.repository.putBlob(Buffer.from('aaa'), ctx);

    assert.deepEqual(
      server.seen.filter(({ method }) => method === 'PUT').map(({ url }) => url.split('?')[0]),
      ['/up/0', '/up/1'],
    );
    assert.equal(short(await failureOf(client.repository.putBlob(Buffer.from('bbb'), ctx))), 'TransientError oci.upload-lost');
  });

  it('is asked again later for blobs that it does not see yet', async () => {
    const reply = ({ method }: Seen): Reply =>
      method === 'PUT' ? { status: 404, headers: json, body: '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}' } : { status: 404 };
    await using server = await standIn(guarded(reply));
    await using client = await clientOf(server.host);
    const change = async () => await Promise.resolve({ mediaType, bytes: Buffer.from('{}') });

    assert.equal(short(await failureOf(client.repository.update('t', change, ctx))), 'TransientError oci.blob-unknown');
  });

  /** Another writer puts back what it had read before us, so many times. */
  const forgetful = (times: number): ((request: Seen) => Reply) => {
    let body = '{"n":0}';
    let left = times;
    return (request) => {
      if (request.method !== 'PUT') return { status: 200, headers: { 'content-type': mediaType }, body };
      if (left > 0) left -= 1;
      else body = request.body;
      return { status: 201 };
    };
  };
  const ours = '{"n":1}';
  const change = async (current: { readonly bytes: Uint8Array } | undefined) =>
    await Promise.resolve(
      current !== undefined && Buffer.from(current.bytes).toString() === ours ? undefined : { mediaType, bytes: Buffer.from(ours) },
    );

  it('gets a tag again until it stays', async () => {
    await using server = await standIn(guarded(forgetful(3)));
    await using client = await clientOf(server.host);

    await client.repository.update('t', change, ctx);

    assert.equal(server.seen.filter(({ method }) => method === 'PUT').length, 4);
  });

  it('is given up for now when a tag never stays', async () => {
    await using server = await standIn(guarded(forgetful(Infinity)));
    await using client = await clientOf(server.host);

    assert.equal(short(await failureOf(client.repository.update('t', change, ctx))), 'TransientError oci.contended');
  });
});
