import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { TransientError } from '../../src/errors.ts';
import { openAuthority, type Authority } from '../../src/tlog/timestamp.ts';
import { checkTimestamp } from '../../src/trust/timestamp.ts';
import { emptyRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { makeCa, makeServerCertificate } from '../servers/certificates.ts';
import { output } from '../servers/command.ts';
import { startFaultProxy, type Fault } from '../servers/fault-proxy.ts';
import { serveHttp } from '../servers/http-server.ts';
import { scratch } from '../servers/scratch.ts';
import { startTimestampAuthority, type TimestampAuthority } from '../servers/timestamp-authority.ts';
import { missing } from '../servers/tools.ts';
import { ctx, failureOf, startLiar, trustIn } from './tlog-world.ts';

const signature = Buffer.from('a signature');

describe('a timestamp authority', { skip: await missing('timestamp-authority') }, () => {
  let server: TimestampAuthority;
  let trust: TrustedRoot;
  before(async () => {
    server = await startTimestampAuthority();
    trust = trustIn({ timestampAuthorities: [server] });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
  });
  const open = async (url: string, root: TrustedRoot = trust): Promise<Authority> => await openAuthority({ url }, root, ctx);

  it('gives a response that verifiers take for now, and openssl, too', async () => {
    await using dir = await scratch('timestamp');
    await using authority = await open(server.url);

    const response = await authority.stamp(signature, ctx);
    const file = path.join(dir.dir, 'response.tsr');
    const data = path.join(dir.dir, 'data');
    await writeFile(file, response);
    await writeFile(data, signature);
    const said = await output('openssl', ['ts', '-verify', '-in', file, '-data', data, '-CAfile', server.chainFile]);

    assert.ok(Math.abs(checkTimestamp(response, signature, trust).getTime() - Date.now()) < 60_000);
    assert.match(said, /Verification: OK/);
    assert.equal(authority.url, server.url);
  });

  it('gives another response each time', async () => {
    await using authority = await open(server.url);

    const [one, two] = await Promise.all([authority.stamp(signature, ctx), authority.stamp(signature, ctx)]);

    assert.notDeepEqual(one, two);
  });

  it("is asked at Sigstore's path when its URL has none, and else where the URL says", async () => {
    await using front = await startLiar(new URL(server.url).origin, (reply) => ({ ...reply, status: 201 }));

    for (const url of [front.url, `${front.url}/`, `${front.url}/api/v1/timestamp`]) {
      await using authority = await open(url);
      await authority.stamp(signature, ctx);
    }
    await using elsewhere = await open(`${front.url}/tsr`);
    await assert.rejects(elsewhere.stamp(signature, ctx), TransientError);

    assert.deepEqual(front.asked, [...Array.from({ length: 3 }, () => 'POST /api/v1/timestamp'), 'POST /tsr']);
  });

  it('is not believed when nobody trusts it', async () => {
    await using authority = await open(server.url, emptyRoot);

    const error = await failureOf(authority.stamp(signature, ctx));

    assert.equal(error.code, 'trust.timestamp-untrusted');
  });

  it('is not believed when it answers somebody else', async () => {
    const first = Promise.withResolvers<Buffer>();
    await using cache = await startLiar(new URL(server.url).origin, async (reply) => {
      first.resolve(reply.body);
      return { ...reply, body: await first.promise };
    });
    await using authority = await open(cache.url);

    await authority.stamp(signature, ctx);
    const error = await failureOf(authority.stamp(signature, ctx));

    assert.deepEqual([error.code, error instanceof TransientError], ['tlog.timestamp-nonce', true]);
  });

  it('is not believed when its clock is another', async (context) => {
    await using authority = await open(server.url);
    const real = Date.now();
    context.mock.method(Date, 'now', () => real + 6 * 60_000);

    const error = await failureOf(authority.stamp(signature, ctx));

    assert.equal(error.code, 'tlog.timestamp-time');
    assert.match(error.message, /is 3[56]\d s away from our clock/);
  });

  const rejections = [
    { der: '30053003020102', want: 'TerminalError tlog.timestamp-refused', says: 'status 2' },
    // rejection (2), "no", badAlg
    { der: '300f300d02010230040c026e6f03020780', want: 'TerminalError tlog.timestamp-refused', says: 'status 2 badAlg no' },
    // rejection (2), timeNotAvailable
    { der: '300a30080201020303010002', want: 'TransientError tlog.timestamp-unavailable', says: 'status 2 timeNotAvailable' },
    { der: '3c68746d6c3e', want: 'TransientError tlog.timestamp-protocol', says: '' },
    { der: '', want: 'TransientError tlog.timestamp-protocol', says: '' },
    { der: '30053003020100', want: 'TerminalError trust.timestamp-refused', says: '' },
  ];
  for (const { der, want, says } of rejections) {
    it(`is understood when it answers ${der === '' ? 'nothing' : der}`, async () => {
      await using stub = await serveHttp((_, response) => response.end(Buffer.from(der, 'hex')));
      await using authority = await open(`http://127.0.0.1:${stub.port}`);

      const error = await failureOf(authority.stamp(signature, ctx));

      assert.equal(`${error.name} ${error.code}`, want, error.message);
      assert.ok(error.message.endsWith(says), error.message);
    });
  }

  const faults: readonly { readonly fault: Fault; readonly want: string }[] = [
    { fault: { kind: 'refuse' }, want: 'TransientError http.unreachable' },
    { fault: { kind: 'status', status: 500 }, want: 'TransientError tlog.timestamp-unavailable' },
    { fault: { kind: 'status', status: 429, retryAfter: 3 }, want: 'TransientError tlog.timestamp-busy' },
    { fault: { kind: 'status', status: 400, body: 'unsupported hash' }, want: 'TerminalError tlog.timestamp-refused' },
    { fault: { kind: 'truncate', bytes: 400 }, want: 'TransientError http.unreachable' },
    { fault: { kind: 'lie', body: 'x'.repeat(70_000) }, want: 'TerminalError http.too-large' },
  ];
  for (const { fault, want } of faults) {
    it(`says ${want} of ${fault.kind === 'status' ? `status ${fault.status}` : fault.kind}`, async () => {
      await using proxy = await startFaultProxy(new URL(server.url).host);
      await using authority = await open(proxy.url);
      await proxy.set(fault);

      const error = await failureOf(authority.stamp(signature, ctx));

      assert.equal(`${error.name} ${error.code}`, want, error.message);
      assert.equal(
        error instanceof TransientError ? error.dependency : undefined,
        want.startsWith('Terminal') ? undefined : `tsa:${proxy.host}`,
      );
    });
  }

  it('has a URL without credentials, which would be published', async () => {
    await assert.rejects(open('https://user:secret@tsa.example/ts?token=secret'), (error) => {
      assert.equal(
        String(error),
        'TerminalError: Cannot use https://tsa.example/ts: want an http or https URL without user, query and fragment',
      );
      return true;
    });
  });

  it('is reached with the certificate authority of a CA file, and not without', async () => {
    await using dir = await scratch('timestamp');
    const ca = await makeCa(dir.dir, 'ca');
    await using front = await startFaultProxy('127.0.0.1:9', await makeServerCertificate(dir.dir, 'front', ca));
    await front.set({ kind: 'status', status: 500 });

    const errors = await Promise.all(
      [{ caFile: ca.certFile }, {}].map(async (options) => {
        await using authority = await openAuthority({ url: front.url, ...options }, trust, ctx);
        return await failureOf(authority.stamp(signature, ctx));
      }),
    );

    assert.deepEqual(
      errors.map(({ code }) => code),
      ['tlog.timestamp-unavailable', 'http.tls'],
    );
  });

  it('has a CA file with certificates', async () => {
    await using dir = await scratch('timestamp');
    const file = path.join(dir.dir, 'ca.pem');
    await writeFile(file, 'nothing');

    for (const caFile of [file, path.join(dir.dir, 'none.pem')]) {
      await assert.rejects(openAuthority({ url: server.url, caFile }, trust, ctx), { code: 'tlog.ca-file' });
    }
  });
});
