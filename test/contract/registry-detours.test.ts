import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { sha256Of } from '../../src/model/digest.ts';
import { makeCa, makeServerCertificate } from '../servers/certificates.ts';
import { scratch } from '../servers/scratch.ts';
import { clientOf, digest, failureOf, guarded, json, mediaType, short } from './registry-client.ts';
import { standIn, type Reply, type Seen } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

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

describe('a proxy', () => {
  it('is used, except for hosts that are to be reached directly', async () => {
    await using registry = await standIn(guarded(() => ({ status: 404 })));
    // It refuses to make tunnels, so the look for https ends there; what it is asked to fetch it does not have.
    await using proxy = await standIn(() => ({ status: 404 }));
    const url = `http://${proxy.host}`;
    const manifest = async (except: string) => {
      await using client = await clientOf(registry.host, { proxy: { http: url, https: url, except } });
      return await client.repository.manifest('t', ctx);
    };

    await manifest('127.0.0.1');
    const direct = [registry.seen.length > 0, proxy.seen.length];
    const before = registry.seen.length;
    await manifest('');

    assert.deepEqual([direct, registry.seen.length - before], [[true, 0], 0]);
    assert.deepEqual(proxy.seen.at(-1), {
      method: 'GET',
      url: `http://${registry.host}/v2/app/manifests/t`,
      authorization: undefined,
      body: '',
    });
  });
});
