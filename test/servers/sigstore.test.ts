import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { request } from 'undici';
import { output, run } from './command.ts';
import { startFulcio } from './fulcio.ts';
import { isAlive } from './lock.ts';
import { startOidcIssuer } from './oidc-issuer.ts';
import { missingRekor1, startRekor1 } from './rekor1.ts';
import { startRekor2 } from './rekor2.ts';
import { scratch } from './scratch.ts';
import { signBundle, verifyBundle } from './sigstore-go.ts';
import { startSigstore } from './sigstore.ts';
import { startTimestampAuthority } from './timestamp-authority.ts';
import { missing } from './tools.ts';
import { trustedRootOf } from './trusted-root.ts';

const noRekor2 = await missing('rekor-tiles');
const noRekor1 = await missingRekor1();
const noTimestamps = await missing('timestamp-authority');
const noFulcio = await missing('fulcio');
const noClient = await missing('rekor-tiles', 'timestamp-authority', 'fulcio', 'sigstore-go');

describe('startRekor2', { skip: noRekor2 }, () => {
  for (const key of ['P-256', 'Ed25519'] as const) {
    it(`keeps a log with a ${key} key that goes on after a stop, and is gone afterwards`, async () => {
      let pid = 0;
      {
        await using rekor = await startRekor2({ key });
        const first = await postEntry(rekor.url, 'first');
        assert.equal(first.status, 201);
        assert.deepEqual(await checkpointOf(rekor), { origin: 'localhost', size: 1 });
        assert.equal((await request(`${rekor.url}/api/v2/tile/0/000.p/1`)).statusCode, 200);
        assert.equal((await request(`${rekor.url}/api/v2/tile/0/000.p/2`)).statusCode, 404);

        await rekor.stop();
        await assert.rejects(request(`${rekor.url}/healthz`), { code: 'ECONNREFUSED' });
        await rekor.start();

        const second = await postEntry(rekor.url, 'second');
        assert.deepEqual(
          { status: second.status, index: second.body.logIndex, keyId: second.body.logId?.keyId },
          {
            status: 201,
            index: '1',
            keyId: first.body.logId?.keyId,
          },
        );
        assert.deepEqual(await checkpointOf(rekor), { origin: 'localhost', size: 2 });
        assert.equal((JSON.parse(trustedRootOf({ logs: [rekor] })) as Root).tlogs[0]?.logId.keyId, first.body.logId?.keyId);
        assert.deepEqual({ posts: rekor.posts(), size: await rekor.size() }, { posts: 2, size: 2 });
        pid = rekor.pid();
      }
      assert.equal(isAlive(pid), false);
    });
  }

  it('tells a duplicate by its index', async () => {
    await using rekor = await startRekor2();
    const pair = entryOf('once');
    assert.equal((await post(rekor.url, pair)).status, 201);

    const again = await post(rekor.url, pair);

    assert.deepEqual({ status: again.status, index: again.index }, { status: 409, index: '0' });
  });
});

describe('startRekor1', { skip: noRekor1 }, () => {
  it('keeps a log that goes on after a stop, and is gone afterwards', async () => {
    let pid = 0;
    {
      await using rekor = await startRekor1();
      const { status, body } = await postEntry1(rekor.url, 'first');
      assert.equal(status, 201);
      const keyId = (JSON.parse(trustedRootOf({ logs: [rekor] })) as Root).tlogs[0]?.logId.keyId ?? '';
      assert.equal(Object.values(body)[0]?.logID, Buffer.from(keyId, 'base64').toString('hex'));

      await rekor.stop();
      await assert.rejects(request(`${rekor.url}/ping`), { code: 'ECONNREFUSED' });
      await rekor.start();

      assert.equal((await postEntry1(rekor.url, 'second')).status, 201);
      assert.equal(await rekor.size(), 2);
      assert.equal(await (await request(`${rekor.url}/api/v1/log/publicKey`)).body.text(), rekor.publicKeyPem);
      pid = rekor.pid();
    }
    assert.equal(isAlive(pid), false);
  });
});

describe('startTimestampAuthority', { skip: noTimestamps }, () => {
  it('stamps with the chain it gives, beside another one, and keeps its key over a stop', async () => {
    await using work = await scratch('stamp');
    await using authority = await startTimestampAuthority();
    await using other = await startTimestampAuthority();
    assert.match(await stamp(work.dir, authority), /Verification: OK/);
    assert.match(await stamp(work.dir, other), /Verification: OK/);

    await authority.stop();
    await assert.rejects(request(authority.url), { code: 'ECONNREFUSED' });
    await authority.start();

    assert.match(await stamp(work.dir, authority), /Verification: OK/);
    await assert.rejects(stamp(work.dir, { url: authority.url, chainFile: other.chainFile }), /Verification: FAILED|verify/);
  });
});

describe('startFulcio', { skip: noFulcio }, () => {
  it('publishes the chain it signs with, with an intermediate, and keeps it over a stop', async () => {
    await using issuer = await startOidcIssuer();
    await using fulcio = await startFulcio({ issuer, intermediate: true });
    const published = await trustBundle(fulcio.url);
    assert.deepEqual(
      published.map(({ subject }) => subject),
      ['O=chainsmith test\nCN=fulcio-intermediate', 'CN=fulcio-root'],
    );
    assert.equal(published.map((certificate) => certificate.toString()).join(''), fulcio.chainPem);
    assert.equal(issuer.discoveries(), 1);

    await fulcio.stop();
    await assert.rejects(request(`${fulcio.url}/healthz`), { code: 'ECONNREFUSED' });
    await fulcio.start();

    assert.equal((await trustBundle(fulcio.url))[0]?.fingerprint256, published[0]?.fingerprint256);
  });
});

describe('sigstore-go', { skip: noClient }, () => {
  it('accepts what it signed through the services, and refuses other bytes, another identity and another root', async () => {
    await using sigstore = await startSigstore({ rekor: 'v2', fulcio: true, ct: true, tsa: true });
    await using stranger = await startSigstore({ rekor: 'v2', fulcio: true, ct: true, tsa: true });
    const artifact = Buffer.from('hello');
    const identityToken = sigstore.issuer?.token({ kubernetes: { namespace: 'team', serviceAccount: 'builder' } }) ?? '';
    const signed = { identityToken, signingConfig: sigstore.signingConfigJson, trustedRoot: sigstore.trustedRootJson, artifact };
    const by = { identity: 'https://kubernetes.io/namespaces/team/serviceaccounts/builder', issuer: sigstore.issuer?.url ?? '' };
    const good = { bundle: await signBundle(signed), by, trustedRoot: sigstore.trustedRootJson, artifact };

    assert.deepEqual(await verifyBundle(good), { ok: true, stderr: '' });
    assert.equal(sigstore.ctLog?.given(), 1);
    const wrong = [
      { change: { artifact: Buffer.from('hullo') }, says: /invalid signature/ },
      { change: { by: { ...by, identity: 'https://kubernetes.io/x' } }, says: /no matching CertificateIdentity found/ },
      { change: { trustedRoot: stranger.trustedRootJson }, says: /not enough verified log entries from transparency log: 0 < 1/ },
    ];
    for (const { change, says } of wrong) {
      const { ok, stderr } = await verifyBundle({ ...good, ...change });
      assert.equal(ok, false);
      assert.match(stderr, says);
    }
  });
});

interface Root {
  readonly tlogs: readonly { readonly logId: { readonly keyId: string } }[];
}

type Entries1 = Readonly<Record<string, { readonly logID: string }>>;

interface Posted {
  readonly status: number;
  readonly index: string | string[] | undefined;
  readonly body: { readonly logIndex?: string; readonly logId?: { readonly keyId: string } };
}

async function postEntry(url: string, text: string): Promise<Posted> {
  return await post(url, entryOf(text));
}

/** A hashedrekord request for Rekor 2, signed with a key of its own. */
function entryOf(text: string): unknown {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const content = sign('sha256', Buffer.from(text), privateKey).toString('base64');
  const rawBytes = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const digest = createHash('sha256').update(text).digest('base64');
  const verifier = { publicKey: { rawBytes }, keyDetails: 'PKIX_ECDSA_P256_SHA_256' };
  return { hashedRekordRequestV002: { digest, signature: { content, verifier } } };
}

async function post(url: string, entry: unknown): Promise<Posted> {
  const answer = await request(`${url}/api/v2/log/entries`, { method: 'POST', body: JSON.stringify(entry) });
  return { status: answer.statusCode, index: answer.headers['x-log-index'], body: (await answer.body.json()) as Posted['body'] };
}

/** Posts a hashedrekord of Rekor 1, signed with a key of its own. */
async function postEntry1(url: string, text: string): Promise<{ readonly status: number; readonly body: Entries1 }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const content = sign('sha256', Buffer.from(text), privateKey).toString('base64');
  const pem = Buffer.from(publicKey.export({ format: 'pem', type: 'spki' })).toString('base64');
  const value = createHash('sha256').update(text).digest('hex');
  const spec = { data: { hash: { algorithm: 'sha256', value } }, signature: { content, publicKey: { content: pem } } };
  const answer = await request(`${url}/api/v1/log/entries`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: '0.0.1', kind: 'hashedrekord', spec }),
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Entries1 };
}

async function checkpointOf({ url }: { readonly url: string }): Promise<{ readonly origin: string | undefined; readonly size: number }> {
  const [origin, size] = (await (await request(`${url}/api/v2/checkpoint`)).body.text()).split('\n');
  return { origin, size: Number(size) };
}

/** What openssl says of a new timestamp. */
async function stamp(dir: string, authority: { readonly url: string; readonly chainFile: string }): Promise<string> {
  const [data, query, reply] = ['data', 'query.tsq', 'reply.tsr'].map((name) => path.join(dir, name)) as [string, string, string];
  await writeFile(data, 'stamp me');
  await output('openssl', ['ts', '-query', '-data', data, '-sha256', '-cert', '-out', query]);
  const headers = { 'content-type': 'application/timestamp-query' };
  const answer = await request(authority.url, { method: 'POST', headers, body: await readFile(query) });
  await writeFile(reply, Buffer.from(await answer.body.arrayBuffer()));
  const { stdout, stderr, code } = await run('openssl', [
    'ts',
    '-verify',
    '-in',
    reply,
    '-queryfile',
    query,
    '-CAfile',
    authority.chainFile,
  ]);
  if (code !== 0) throw new Error(stdout + stderr);
  return stdout + stderr;
}

async function trustBundle(url: string): Promise<readonly X509Certificate[]> {
  const { chains } = (await (await request(`${url}/api/v2/trustBundle`)).body.json()) as {
    readonly chains: readonly { readonly certificates: readonly string[] }[];
  };
  return chains.flatMap(({ certificates }) => certificates.map((pem) => new X509Certificate(pem)));
}
