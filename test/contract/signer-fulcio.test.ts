import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { codeOf } from '../../src/errors.ts';
import { sha256Of } from '../../src/model/digest.ts';
import { payloadTypes } from '../../src/model/dsse.ts';
import type { Filing } from '../../src/model/envelope.ts';
import type { Payload } from '../../src/model/work.ts';
import { seal } from '../../src/sign/dsse.ts';
import { fulcio } from '../../src/sign/fulcio.ts';
import type { Signed } from '../../src/sign/signer.ts';
import { identityOf } from '../../src/trust/certificate.ts';
import { emptyRoot, parseTrustedRoot } from '../../src/trust/trusted-root.ts';
import { makeCa, makeServerCertificate } from '../servers/certificates.ts';
import { output } from '../servers/command.ts';
import { cosign } from '../servers/cosign.ts';
import { startCtLog, type CtLog } from '../servers/ct-log.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { bodyOf, serveHttp } from '../servers/http-server.ts';
import { startSpiffeAgent } from '../servers/spiffe-agent.ts';
import { missing } from '../servers/tools.ts';
import { trustedRootOf } from '../servers/trusted-root.ts';
import { failureOf, meansOf, startEllipticIssuer, startTlsFront, startWorld } from './fulcio-world.ts';

const skip = await missing('fulcio');
const noJudge = await missing('fulcio', 'cosign3', 'cosign2');

const bytes = Buffer.from('what is signed');
const minute = 60_000;
const account = (name: string) => `https://kubernetes.io/namespaces/team/serviceaccounts/${name}`;
const claims = (serviceAccount: string) => ({ kubernetes: { namespace: 'team', serviceAccount } });

function isGood({ signature, publicKey, certificate }: Signed): boolean {
  const leaf = new X509Certificate(certificate);
  return verify('sha256', bytes, createPublicKey(publicKey), signature) && verify('sha256', bytes, leaf.publicKey, signature);
}

const sanOf = ({ certificate }: Pick<Signed, 'certificate'>): string => identityOf(new X509Certificate(certificate)).san;

describe('a signer with certificates of Fulcio', { skip }, () => {
  it('signs as the ServiceAccount that a mounted token names, and gives the whole chain', async () => {
    await using world = await startWorld({ intermediate: true });
    await world.newToken(claims('builder'));
    await using signer = await world.open();

    const signed = await signer.sign(bytes, world.ctx);

    assert.equal(isGood(signed), true);
    assert.deepEqual(identityOf(new X509Certificate(signed.certificate)), { san: account('builder'), issuer: world.issuer.url });
    assert.equal(signed.chain, world.fulcio.chainPem);
    assert.equal(signer.publicKey, undefined);
    const files = { key: path.join(world.dir, 'key.pem'), sig: path.join(world.dir, 'sig'), blob: path.join(world.dir, 'blob') };
    await Promise.all([writeFile(files.key, signed.publicKey), writeFile(files.sig, signed.signature), writeFile(files.blob, bytes)]);
    assert.equal(await output('openssl', ['dgst', '-sha256', '-verify', files.key, '-signature', files.sig, files.blob]), 'Verified OK\n');
  });

  it('signs as whoever its other tokens name: a SPIFFE id (ES256), an e-mail address, the environment', async () => {
    await using spire = await startEllipticIssuer();
    await using google = await startEllipticIssuer();
    const spiffeId = 'spiffe://example.test/chainsmith';
    await using agent = await startSpiffeAgent({ tokenFor: (aud) => spire.token({ aud, sub: spiffeId }) });
    const mail = { email: 'builder@project.iam.gserviceaccount.com', email_verified: true };
    await using metadata = await serveHttp((_, response) => void response.end(google.token({ sub: '1234', ...mail })));
    const issuers = [
      { url: spire.url, type: 'spiffe', trustDomain: 'example.test' },
      { url: google.url, type: 'email' },
    ] as const;
    await using world = await startWorld({ issuer: issuers });

    const found: string[] = [];
    for (const ambient of [
      { provider: 'spiffe', ambient: { SPIFFE_ENDPOINT_SOCKET: agent.address } },
      { provider: 'google-workload-identity', ambient: { GCE_METADATA_HOST: `127.0.0.1:${metadata.port}` } },
      { provider: 'envvar', ambient: { SIGSTORE_ID_TOKEN: ` ${spire.token({ sub: `${spiffeId}/2` })}\n` } },
    ]) {
      await using signer = await world.open(ambient);
      found.push(sanOf(await signer.sign(bytes, world.ctx)));
    }

    assert.deepEqual(found, [spiffeId, mail.email, `${spiffeId}/2`]);
    assert.deepEqual(agent.asked, [['sigstore']]);
  });

  it('signs as the workflow that a job of GitHub Actions runs, by the token service of the job', async () => {
    await using github = await startEllipticIssuer();
    // No templates of GitHub's claims here: Fulcio takes the subject for the workflow's URL as it is.
    const workflow = `${github.url}/team/app/.github/workflows/release.yaml@refs/heads/main`;
    await using service = await serveHttp((_, response) => void response.end(JSON.stringify({ value: github.token({ sub: workflow }) })));
    await using world = await startWorld({ issuer: { url: github.url, type: 'uri', subjectDomain: github.url } });
    const ambient = { ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${service.port}/?v=1`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'x' };

    const other = await failureOf(world.open({ provider: 'github-actions', ambient, issuer: 'https://token.actions.example' }));
    await using signer = await world.open({ provider: 'github-actions', ambient, issuer: github.url });

    assert.equal(other.code, 'sign.token-issuer');
    assert.equal(sanOf(await signer.sign(bytes, world.ctx)), workflow);
  });

  it('uses one key and certificate for many signatures, and has the next before 80 % of its life are over', async () => {
    await using world = await startWorld();
    await world.newToken({ expiresInSeconds: 3600 });
    await using signer = await world.open();
    const certificates: string[] = [];

    for (let count = 0; count < 200; count += 1) {
      world.skewMs = (count / 200) * 9.5 * minute;
      const signed = await signer.sign(bytes, world.ctx);
      assert.equal(isGood(signed), true);
      const { validFromDate, validToDate } = new X509Certificate(signed.certificate);
      const now = Date.now() + world.skewMs;
      assert.equal(validFromDate.getTime() <= now && now < validToDate.getTime(), true);
      if (certificates.at(-1) !== signed.certificate) certificates.push(signed.certificate);
      // The renewal runs beside; in real life there are minutes for it.
      if (world.skewMs >= 8 * minute && certificates.length === 1) await sleep(20);
    }

    assert.deepEqual([certificates.length, world.issued()], [2, 2]);
  });

  it('asks once for all who sign at the same time', async () => {
    await using world = await startWorld();
    await world.newToken({ expiresInSeconds: 3600 });
    await using signer = await world.open();
    world.skewMs = 9.52 * minute;

    const all = await Promise.all(Array.from({ length: 50 }, async () => await signer.sign(bytes, world.ctx)));

    assert.equal(all.every(isGood), true);
    assert.deepEqual([new Set(all.map(({ certificate }) => certificate)).size, world.issued()], [1, 2]);
  });

  it('reads the token again for each certificate, and goes on with the last one while the token is over', async () => {
    await using world = await startWorld();
    await world.newToken({ ...claims('builder'), expiresInSeconds: 300 });
    await using signer = await world.open();
    const first = await signer.sign(bytes, world.ctx);

    world.skewMs = 8.5 * minute;
    const during = await signer.sign(bytes, world.ctx);
    world.skewMs = 9.52 * minute;
    const failure = await failureOf(signer.sign(bytes, world.ctx));
    await world.newToken({ ...claims('other'), expiresInSeconds: 3600 });
    world.skewMs += 1_100;
    const after = await signer.sign(bytes, world.ctx);

    assert.equal(during.certificate, first.certificate);
    assert.equal(failure.code, 'sign.token-expired');
    assert.match(failure.message, /it expired at 20\d\d-.*Z$/);
    assert.match(world.log(), /cannot be renewed yet, the last one goes on/);
    assert.deepEqual([first, after].map(sanOf), [account('builder'), account('other')]);
  });

  it('finds a token for somebody else, and an empty one, without asking Fulcio', async () => {
    await using world = await startWorld();

    await world.newToken({ aud: 'vault' });
    const other = await failureOf(world.open());
    await writeFile(world.tokenFile, '\n');
    const empty = await failureOf(world.open());

    assert.deepEqual([other.code, empty.code, world.issued()], ['sign.token-audience', 'sign.token-empty', 0]);
  });

  it('knows its own by a trusted certificate with its identity, whatever the key', async () => {
    await using world = await startWorld({ intermediate: true });
    await using forgers = await startWorld({ issuer: { url: world.issuer.url } });
    const token = await world.newToken(claims('builder'));
    await using signer = await world.open();
    await using same = await world.open();
    await world.newToken(claims('other'));
    await using other = await world.open();
    await writeFile(forgers.tokenFile, token);
    await using forged = await forgers.open();

    const [ours, earlier, others, fake] = await Promise.all(
      [signer, same, other, forged].map(async (one) => await one.sign(bytes, world.ctx)),
    );
    const owned = async (signatory: Partial<Signed> | undefined) =>
      await signer.owns({ publicKey: '', certificate: '', ...signatory }, world.ctx);

    assert.deepEqual([await owned(ours), await owned(earlier), await owned(others)], [true, true, false]);
    assert.equal(fake && sanOf(fake), account('builder'));
    assert.equal(await owned(fake), false);
    assert.equal(await owned({ ...ours, publicKey: others?.publicKey ?? '' }), false);
    assert.equal(await owned({ ...ours, certificate: '' }), false);
    assert.equal(await owned({ ...ours, certificate: 'nonsense' }), false);
  });

  it('reaches Fulcio over https with a CA of its own, and is no longer current when that CA changes', async () => {
    await using world = await startWorld();
    const ca = await makeCa(world.dir, 'own-ca');
    await using front = await startTlsFront(await makeServerCertificate(world.dir, 'server', ca), world.fulcio.url);
    const caFile = path.join(world.dir, 'mounted.pem');
    await copyFile(ca.certFile, caFile);

    const stranger = await failureOf(world.open({ address: front.url }));
    const noCa: unknown = await world
      .open({ address: front.url, caFile: path.join(world.dir, 'none.pem') })
      .catch((error: unknown) => error);
    await using signer = await world.open({ address: `${front.url}/`, caFile });
    const before = await signer.isCurrent(world.ctx);
    await copyFile((await makeCa(world.dir, 'next-ca')).certFile, caFile);

    assert.deepEqual([stranger.code, codeOf(noCa)], ['http.tls', 'sign.ca-file']);
    assert.deepEqual([before, await signer.isCurrent(world.ctx)], [true, false]);
    assert.equal(isGood(await signer.sign(bytes, world.ctx)), true);
  });
});

describe('what Fulcio issues', { skip }, () => {
  it('does not count when the trusted root has no authority, and none is asked for', async () => {
    await using world = await startWorld();

    const failure = await failureOf(world.open({}, emptyRoot));

    assert.deepEqual([failure.code, world.issued()], ['sign.fulcio-trust', 0]);
    assert.match(failure.fix ?? '', /trust\.root/);
  });

  it('does not count when another authority than the trusted ones did', async () => {
    await using world = await startWorld();
    await using other = await startWorld();

    const failure = await failureOf(world.open({}, other.root));

    assert.equal(failure.code, 'sign.fulcio-untrusted');
  });

  it('needs the promise of a trusted CT log, unless that is switched off or there is no such log', async () => {
    await using world = await startWorld();
    await using other = await startCtLog();
    const rootWith = (...ctLogs: readonly CtLog[]) =>
      parseTrustedRoot(Buffer.from(trustedRootOf({ ctLogs, certificateAuthorities: [world.fulcio] })), 'the test');
    const [log] = world.root.ctLogs;
    const wrongKey = { ...world.root, ctLogs: log ? [{ ...log, publicKey: createPublicKey(other.publicKeyPem) }] : [] };

    const wrong = await failureOf(world.open({}, wrongKey));
    const unknown = await failureOf(world.open({}, rootWith(other)));
    const demanded = await failureOf(world.open({ requireSct: true }, rootWith()));
    await using off = await world.open({ requireSct: false }, wrongKey);
    await using none = await world.open({}, rootWith());

    assert.deepEqual(
      [wrong, unknown, demanded].map(({ code }) => code),
      Array(3).fill('sign.fulcio-sct'),
    );
    assert.match(wrong.message, /an SCT in it is not signed by the log that it names/);
    assert.match(unknown.message, /no CT log of the trusted root has promised to show it/);
    assert.deepEqual([isGood(await off.sign(bytes, world.ctx)), isGood(await none.sign(bytes, world.ctx))], [true, true]);
  });

  it('may have no promise at all where there is no CT log', async () => {
    await using world = await startWorld({ isLogged: false });

    await using signer = await world.open({}, { ...world.root, ctLogs: [] });
    const failure = await failureOf(world.open());

    assert.equal(isGood(await signer.sign(bytes, world.ctx)), true);
    assert.equal(failure.code, 'sign.fulcio-sct');
  });

  it('is waited for when it begins in a moment, and refused when the clocks are wrong', async () => {
    await using world = await startWorld();
    await world.newToken({ expiresInSeconds: 3600 });

    world.skewMs = -1_500;
    const started = Date.now();
    await using signer = await world.open();
    const waitedMs = Date.now() - started;
    const signed = await signer.sign(bytes, world.ctx);
    world.skewMs = -minute;
    const behind = await failureOf(world.open());
    world.skewMs = 9.8 * minute;
    const ahead = await failureOf(world.open());

    assert.equal(waitedMs >= 450 && waitedMs < 5_000, true, String(waitedMs));
    assert.equal(isGood(signed), true);
    assert.deepEqual([behind.code, ahead.code], ['sign.fulcio-clock', 'sign.fulcio-clock']);
    assert.match(behind.message, /it is good from .* to .*, and here it is /);
  });

  it('must be about the key that was made for it', async () => {
    await using world = await startWorld();
    await using signer = await world.open();
    const { certificate, chain } = await signer.sign(bytes, world.ctx);
    const answer = { signedCertificateEmbeddedSct: { chain: { certificates: [certificate, chain] } } };
    await using replay = await serveHttp((_, response) => void response.end(JSON.stringify(answer)));

    const failure = await failureOf(world.open({ address: `http://127.0.0.1:${replay.port}` }));

    assert.equal(failure.code, 'sign.fulcio-key');
  });
});

describe('trouble with Fulcio', { skip }, () => {
  it('that refuses a token is told in its words, and waited for', async () => {
    await using world = await startWorld();
    await using stranger = await startEllipticIssuer();
    const token = stranger.token({ sub: 'system:serviceaccount:team:builder' });
    await writeFile(world.tokenFile, token);

    const failure = await failureOf(world.open());

    assert.deepEqual([failure.code, failure.dependency], ['sign.fulcio-refused', undefined]);
    assert.match(failure.message, /it refused the identity token, status 400: "There was an error processing the identity token"$/);
    assert.equal(failure.shown.includes(token), false);
  });

  it('that cannot reach the issuer ends when the issuer is back', async () => {
    await using issuer = await startEllipticIssuer();
    await using world = await startWorld({ issuer: { url: issuer.url } });
    const bound = { namespace: 'team', serviceaccount: { name: 'builder', uid: '1' } };
    await writeFile(world.tokenFile, issuer.token({ sub: 'system:serviceaccount:team:builder', 'kubernetes.io': bound }));

    await issuer.stop();
    const failure = await failureOf(world.open());
    await issuer.start();
    await using signer = await world.open();

    assert.equal(failure.code, 'sign.fulcio-refused');
    assert.equal(sanOf(await signer.sign(bytes, world.ctx)), account('builder'));
  });

  it('that is down does no harm while the certificate is good, and ends when it is up', async () => {
    await using world = await startWorld();
    await world.newToken({ expiresInSeconds: 3600 });
    await using signer = await world.open();
    await world.fulcio.stop();

    world.skewMs = 9 * minute;
    const during = isGood(await signer.sign(bytes, world.ctx));
    world.skewMs = 9.52 * minute;
    await sleep(50);
    world.skewMs += 1_100;
    const failure = await failureOf(signer.sign(bytes, world.ctx));
    await world.fulcio.start();
    world.skewMs += 1_100;

    assert.equal(during, true);
    assert.deepEqual([failure.code, failure.dependency], ['http.unreachable', `fulcio:${new URL(world.fulcio.url).host}`]);
    assert.equal(isGood(await signer.sign(bytes, world.ctx)), true);
  });

  it('that is busy, or answers nonsense, blames it and heeds its wish to be left alone', async () => {
    await using world = await startWorld();
    await using proxy = await startFaultProxy(new URL(world.fulcio.url).host);
    const found: unknown[] = [];

    for (const fault of [
      { kind: 'status', status: 503 },
      { kind: 'status', status: 500, body: '{"code":13,"message":"Error entering certificate in CTL","details":[]}' },
      { kind: 'status', status: 429, retryAfter: 7 },
      { kind: 'status', status: 404 },
      { kind: 'lie', body: '<html>' },
      { kind: 'lie', body: '{"signedCertificateEmbeddedSct":{"chain":{"certificates":[]}}}' },
      { kind: 'lie', body: '{"signedCertificateEmbeddedSct":{"chain":{"certificates":["-----BEGIN CERTIFICATE-----"]}}}' },
      { kind: 'truncate', bytes: 700 },
      { kind: 'refuse' },
    ] as const) {
      await proxy.set(fault);
      const { code, dependency, retryAfterMs } = await failureOf(world.open({ address: proxy.url }));
      found.push([code, dependency === `fulcio:${proxy.host}`, retryAfterMs]);
    }

    assert.deepEqual(found, [
      ['sign.fulcio-busy', true, undefined],
      ['sign.fulcio-busy', true, undefined],
      ['sign.fulcio-busy', true, 7_000],
      ['sign.fulcio-answer', true, undefined],
      ['sign.fulcio-answer', true, undefined],
      ['sign.fulcio-answer', true, undefined],
      ['sign.fulcio-answer', true, undefined],
      ['http.unreachable', true, undefined],
      ['http.unreachable', true, undefined],
    ]);
  });

  it('ends a wait when its caller is told to stop', async () => {
    await using world = await startWorld();
    await using proxy = await startFaultProxy(new URL(world.fulcio.url).host);
    await proxy.set({ kind: 'hang' });
    const stop = new AbortController();
    const opening = fulcio.open(fulcio.options.parse({ address: proxy.url, tokenFile: world.tokenFile }), meansOf(world.root), {
      ...world.ctx,
      signal: stop.signal,
    });
    setTimeout(() => stop.abort(new Error('told to stop')), 100);

    await assert.rejects(opening, /told to stop/);
  });
});

describe('secrets of a keyless signer', { skip }, () => {
  it('are in no error and no log, even when the other side repeats them', async () => {
    await using world = await startWorld();
    const token = await world.newToken();
    await using echo = await serveHttp((message, response) => {
      void bodyOf(message).then((body) => {
        const said = `${body.toString()} and ${token.split('.')[1]} and ${JSON.stringify(message.headers)}`;
        response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ code: 3, message: said }));
      });
    });
    const password = 'canary-proxy-password';
    const proxy = { http: `http://user:${password}@127.0.0.1:1` };

    const echoed = await failureOf(world.open({ address: `http://127.0.0.1:${echo.port}` }));
    const unproxied = await failureOf(world.open({ proxy }));
    await using signer = await world.open();
    await signer.sign(bytes, world.ctx);
    await world.newToken({ expiresInSeconds: -1 });
    world.skewMs = 8.5 * minute;
    await signer.sign(bytes, world.ctx);
    await sleep(50);

    assert.equal(echoed.code, 'sign.fulcio-refused');
    assert.match(echoed.message, /\[token\]/);
    const said = echoed.shown + unproxied.shown + world.log();
    assert.match(world.log(), /certificate issued/);
    assert.match(world.log(), /cannot be renewed yet/);
    const privateParts = token.split('.').slice(1);
    for (const secret of [...privateParts, password]) assert.equal(said.includes(secret), false, said);
  });
});

describe('options of a keyless signer', () => {
  it('have defaults, and take the slash off an address', () => {
    assert.deepEqual(fulcio.options.parse({ address: 'https://fulcio.example/base/' }), {
      address: 'https://fulcio.example/base',
      audience: 'sigstore',
      ambient: {},
    });
  });

  for (const address of [
    '',
    'fulcio.example',
    'ftp://fulcio.example',
    'https://me:pw@fulcio.example',
    'https://fulcio.example?x=1',
    'https://',
  ]) {
    it(`refuse the address "${address}"`, () => {
      assert.equal(fulcio.options.safeParse({ address }).success, false);
    });
  }

  it('refuse a provider that does not exist', () => {
    assert.equal(fulcio.options.safeParse({ address: 'https://fulcio.example', provider: 'interactive' }).success, false);
  });
});

describe('both cosigns', { skip: noJudge }, () => {
  it('verify blobs and attestations of a keyless signer, offline, and refuse another identity', async () => {
    await using world = await startWorld({ intermediate: true });
    await world.newToken(claims('builder'));
    await using signer = await world.open();
    const file = async (name: string, content: string | Uint8Array) => {
      await writeFile(path.join(world.dir, name), content);
      return path.join(world.dir, name);
    };
    const { signature, certificate, chain } = await signer.sign(bytes, world.ctx);
    const attestation = await seal(provenance(), filing, signer, 'dsse', world.ctx);
    const signatures = {
      'verify-blob': await file('signature', Buffer.from(signature).toString('base64')),
      'verify-blob-attestation': await file('envelope', attestation.body),
    };
    const types = { 'verify-blob': [], 'verify-blob-attestation': ['--type=slsaprovenance1'] } as const;
    const given = [`--certificate=${await file('leaf.pem', certificate)}`, `--certificate-chain=${await file('chain.pem', chain)}`];
    const blob = await file('blob', bytes);
    const env = { SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: await file('ct.pub', world.ctLog.publicKeyPem) };
    const verdict = async (version: 2 | 3, command: keyof typeof types, san: string) => {
      const by = [`--certificate-identity=${san}`, `--certificate-oidc-issuer=${world.issuer.url}`];
      const how = ['--new-bundle-format=false', '--insecure-ignore-tlog=true', `--signature=${signatures[command]}`, ...types[command]];
      return await cosign(version, [command, ...how, ...given, ...by, blob], { env });
    };

    assert.equal(attestation.certificate, certificate);
    for (const version of [2, 3] as const) {
      for (const command of ['verify-blob', 'verify-blob-attestation'] as const) {
        const good = await verdict(version, command, account('builder'));
        assert.equal(good.code, 0, good.stderr);
        const bad = await verdict(version, command, account('other'));
        assert.match(bad.stderr, /none of the expected identities matched/);
      }
    }
  });
});

const filing: Filing = {
  run: { kind: 'TaskRun', namespace: 'ci', name: 'x', uid: 'x' },
  shortKey: 'taskrun-x',
  predicateType: 'https://slsa.dev/provenance/v1',
  images: [],
};

/** About what is signed elsewhere in these tests. */
function provenance(): Payload {
  const subject = [{ name: 'blob', digest: { sha256: sha256Of(bytes) } }];
  const predicate = { buildDefinition: { buildType: 'x', externalParameters: {} }, runDetails: { builder: { id: 'x' } } };
  const predicateType = 'https://slsa.dev/provenance/v1';
  const text = JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject, predicateType, predicate });
  return { payloadType: payloadTypes.inToto, predicateType, bytes: Buffer.from(text), subjects: [], images: [], dropped: [] };
}
