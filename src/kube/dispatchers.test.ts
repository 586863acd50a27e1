import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { createSecureServer } from 'node:http2';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { makeCa, makeServerCertificate } from '../../test/servers/certificates.ts';
import { until } from '../../test/servers/process.ts';
import { scratch } from '../../test/servers/scratch.ts';
import { openInCluster } from './auth.ts';
import { openKubeClient } from './client.ts';
import { openDispatchers } from './dispatchers.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

describe('openDispatchers', () => {
  it('keeps the connections as long as the TLS material is the same', async () => {
    await using dispatchers = openDispatchers();
    const first = dispatchers.for({ ca: 'a', cert: 'b' }, 'call');

    assert.equal(dispatchers.for({ ca: Buffer.from('a'), cert: 'b' }, 'call'), first);
    assert.notEqual(dispatchers.for({ ca: 'a', cert: 'b' }, 'watch'), first);
    assert.notEqual(dispatchers.for({ ca: 'a', key: 'b' }, 'call'), first);
  });

  it('uses HTTP/2 for calls and HTTP/1.1 for watches, and follows a CA that is replaced while a watch goes on', async () => {
    await using folder = await scratch('dispatchers');
    const { dir } = folder;
    const [one, two] = [await makeCa(dir, 'ca1'), await makeCa(dir, 'ca2')];
    const pairs = [await makeServerCertificate(dir, 's1', one), await makeServerCertificate(dir, 's2', two)];
    const [material, next] = await Promise.all(
      pairs.map(async (pair) => ({ cert: await readFile(pair.certFile), key: await readFile(pair.keyFile) })),
    );
    assert.ok(material !== undefined && next !== undefined);
    await Promise.all([writeFile(path.join(dir, 'token'), 't'), copyFile(one.certFile, path.join(dir, 'ca.crt'))]);
    const versions: string[] = [];
    let endWatch = (): void => undefined;
    const server = createSecureServer({ ...material, allowHTTP1: true }, (request, response) => {
      versions.push(request.httpVersion);
      response.writeHead(200, { 'content-type': 'application/json' });
      if (!request.url.includes('watch=true')) {
        response.end('{}');
        return;
      }
      response.write('{"a":1}\n');
      endWatch = () => void response.end('{"b":2}\n');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const access = await openInCluster({ host: '127.0.0.1', port: String(address.port), serviceAccountDir: dir }, ctx);
    const client = openKubeClient({ access });
    try {
      await client.call('GET', '/api/v1/namespaces/a/configmaps/b', {}, ctx);
      const lines = await client.watch('/api/v1/configmaps', { query: {}, idleMs: 60_000, maxLineBytes: 100 }, ctx);
      assert.ok(lines !== undefined);
      const read: string[] = [];
      const reading = (async () => {
        for await (const batch of lines) read.push(...batch.map(String));
      })();
      await until('the first line', 5_000, () => read.length === 1);

      server.setSecureContext(next);
      await copyFile(two.certFile, path.join(dir, 'ca.crt'));
      await access.credentials(true, ctx);
      await client.call('GET', '/api/v1/namespaces/a/configmaps/b', {}, ctx);

      endWatch();
      await reading;
      assert.deepEqual(read, ['{"a":1}', '{"b":2}']);
      assert.deepEqual(versions, ['2.0', '1.1', '2.0']);
    } finally {
      await client[Symbol.asyncDispose]();
      server.close();
    }
  });

  it('reads the CA again at once when the certificate of the server is not trusted any more', async () => {
    await using folder = await scratch('dispatchers');
    const { dir } = folder;
    const [one, two] = [await makeCa(dir, 'ca1'), await makeCa(dir, 'ca2')];
    const pair = await makeServerCertificate(dir, 's2', two);
    await Promise.all([writeFile(path.join(dir, 'token'), 't'), copyFile(one.certFile, path.join(dir, 'ca.crt'))]);
    const server = createSecureServer({ cert: await readFile(pair.certFile), key: await readFile(pair.keyFile) }, (_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"kind":"x"}'),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const access = await openInCluster({ host: '127.0.0.1', port: String(address.port), serviceAccountDir: dir }, ctx);
    const client = openKubeClient({ access });
    try {
      await assert.rejects(client.call('GET', '/api/v1/namespaces/a', { retries: 0 }, ctx), { code: 'http.tls' });

      await copyFile(two.certFile, path.join(dir, 'ca.crt'));

      assert.deepEqual(await client.call('GET', '/api/v1/namespaces/a', { retries: 0 }, ctx), { kind: 'x' });
    } finally {
      await client[Symbol.asyncDispose]();
      server.close();
    }
  });
});
