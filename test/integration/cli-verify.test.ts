import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { verifyCommand } from '../../src/cli/verify.ts';
import { recorded, type Recorded } from '../recorded-io.ts';
import { cosign, emptyTrustedRoot, signFlags } from '../servers/cosign.ts';
import { pushImage } from '../servers/crane.ts';
import { startOciRegistry, startRegistry } from '../servers/registry.ts';
import { missingRekor1 } from '../servers/rekor1.ts';
import { scratch } from '../servers/scratch.ts';
import { startSigstore } from '../servers/sigstore.ts';
import { missing } from '../servers/tools.ts';

async function verify(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Recorded> {
  return await recorded(verifyCommand, args, { env });
}

/** What cosign needs to write tags instead of bundles, without a log. */
const legacy = {
  2: ['--tlog-upload=false', '-y', '--allow-http-registry'],
  3: ['--tlog-upload=false', '--use-signing-config=false', '--new-bundle-format=false', '-y', '--allow-http-registry'],
} as const;

/** What cosign needs to write bundles, without a log. */
const bundles = {
  2: ['--tlog-upload=false', '--new-bundle-format', '-y', '--allow-http-registry'],
  3: ['--tlog-upload=false', '--use-signing-config=false', '-y', '--allow-http-registry'],
} as const;

describe('verify, bundles in a registry', { skip: await missing('registry', 'ociregistry', 'crane', 'cosign2', 'cosign3') }, () => {
  for (const [name, start] of [
    ['with the referrers API', startOciRegistry],
    ['without', startRegistry],
  ] as const) {
    for (const version of [2, 3] as const) {
      it(`verifies what cosign ${version} signed and attested, ${name}`, async () => {
        await using registry = await start();
        await using work = await scratch('verify');
        const at = (file: string): string => path.join(work.dir, file);
        const image = `${registry.host}/team/app@${await pushImage(`${registry.host}/team/app:v1`, 'hello')}`;
        await cosign(version, ['generate-key-pair', '--output-key-prefix', at('key')]);
        await cosign(version, ['generate-key-pair', '--output-key-prefix', at('other')]);
        await writeFile(at('predicate.json'), '{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"y"}}}');
        const attest = ['attest', '--key', at('key.key'), '--type', 'slsaprovenance1', '--predicate', at('predicate.json')];
        const signed = await cosign(version, ['sign', '--key', at('key.key'), ...bundles[version], image]);
        const attested = await cosign(version, [...attest, ...bundles[version], image]);
        assert.deepEqual([signed.code, attested.code], [0, 0], signed.stderr + attested.stderr);

        const good = await verify([image, '--key', at('key.pub'), '--type', 'slsaprovenance1']);
        const byOther = await verify([image, '--key', at('other.pub')]);
        const otherType = await verify([image, '--key', at('key.pub'), '--type', 'spdx']);
        const logged = await verify([
          image,
          '--key',
          at('key.pub'),
          '--trusted-root',
          await emptyTrustedRoot(work.dir),
          '--log-threshold',
          '1',
        ]);

        assert.deepEqual([good.code, byOther.code, otherType.code, logged.code], [0, 1, 1, 1], good.stdout + good.stderr);
        assert.match(good.stdout, /(?:bundle .*\n {2}verified[^]*){2}2 of 2 verified\n$/);
        assert.match(logged.stdout, /check "log": it is in 0 trusted logs, want 1/);
      });
    }
  }
});

const noSigstore = [await missingRekor1(), await missing('registry', 'crane', 'cosign3', 'rekor-tiles', 'fulcio', 'timestamp-authority')];

describe('verify, by identity', { skip: noSigstore.filter((reason) => reason !== false).join('; ') || false }, () => {
  for (const rekor of ['v1', 'v2'] as const) {
    it(`verifies what cosign 3 attested into a Rekor ${rekor}, says by whom and when, and asks nobody else`, async () => {
      await using sigstore = await startSigstore({ rekor, fulcio: true, ct: true, tsa: true });
      await using registry = await startRegistry();
      await using work = await scratch('verify');
      const at = (file: string): string => path.join(work.dir, file);
      const image = `${registry.host}/team/app@${await pushImage(`${registry.host}/team/app:v1`, 'hello')}`;
      await writeFile(at('predicate.json'), '{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"y"}}}');
      await writeFile(at('token'), sigstore.issuer?.token() ?? '');
      const attest = ['attest', '--identity-token', at('token'), '--type', 'slsaprovenance1', '--predicate', at('predicate.json')];
      const attested = await cosign(3, [...attest, ...signFlags(3, sigstore), '--allow-http-registry', image]);
      assert.equal(attested.code, 0, attested.stderr);
      const who = 'https://kubernetes.io/namespaces/default/serviceaccounts/default';
      const issuer = sigstore.issuer?.url ?? '';
      const root = ['--trusted-root', sigstore.trustedRootFile, '--offline'];
      const identity = ['--certificate-identity', who, '--certificate-oidc-issuer', issuer];

      const good = await verify([image, ...identity, ...root, '--type', 'slsaprovenance1']);
      const json = await verify([image, ...identity, ...root, '--json']);
      const pattern = await verify([
        image,
        '--certificate-identity-regexp',
        'https://kubernetes\\.io/.*',
        '--certificate-oidc-issuer-regexp',
        'http://127\\.0\\.0\\.1:\\d+',
        ...root,
      ]);
      const part = await verify([image, '--certificate-identity-regexp', 'kubernetes', '--certificate-oidc-issuer', issuer, ...root]);
      const other = await verify([image, '--certificate-identity', `${who}2`, '--certificate-oidc-issuer', issuer, ...root]);
      const twoLogs = await verify([image, ...identity, ...root, '--log-threshold', '2']);
      const twoStamps = await verify([image, ...identity, ...root, '--timestamp-threshold', '2']);
      const stamped = await verify([image, ...identity, ...root, '--timestamp-threshold', '1', '--insecure-ignore-tlog']);
      const untrusted = await verify([image, ...identity, '--trusted-root', await emptyTrustedRoot(work.dir)]);
      const noCache = await verify([image, ...identity, '--offline'], { XDG_CACHE_HOME: work.dir });

      assert.deepEqual(
        [good, json, pattern, part, other, twoLogs, twoStamps, stamped, untrusted, noCache].map(({ code }) => code),
        [0, 0, 0, 1, 1, 1, 1, 0, 1, 1],
        good.stdout + good.stderr,
      );
      assert.ok(good.stdout.includes(`  verified   as ${who}, whom ${issuer} vouches for\n`), good.stdout);
      assert.match(good.stdout, /\n {2}log {8}entry 0 of http:\/\/\S+\n {2}time {7}20\S+Z, by http:\/\/\S+\n/);
      assert.match(json.stdout, /"verified":true.*"times":\[\{"time":"20.*"identity":\{"san":"https:\/\/kubernetes\.io/);
      assert.match(other.stdout, /check "identity": the identity is "https:\/\/kubernetes\.io/);
      assert.match(part.stdout, /check "identity"/);
      assert.match(twoLogs.stdout, /check "log": it is in 1 trusted logs, want 2/);
      assert.match(twoStamps.stdout, /check "timestamp"/);
      assert.match(noCache.stderr, /^error: .*\n/);
    });
  }
});

describe('verify, in a registry', { skip: await missing('registry', 'crane', 'cosign2', 'cosign3') }, () => {
  for (const version of [2, 3] as const) {
    it(`verifies what cosign ${version} signed and attested, by tag and by digest`, async () => {
      await using registry = await startRegistry();
      await using work = await scratch('verify');
      const at = (name: string): string => path.join(work.dir, name);
      const tag = `${registry.host}/team/app:v1`;
      const digest = await pushImage(tag, 'hello');
      const image = `${registry.host}/team/app@${digest}`;
      await cosign(version, ['generate-key-pair', '--output-key-prefix', at('key')]);
      await cosign(version, ['generate-key-pair', '--output-key-prefix', at('other')]);
      await writeFile(at('predicate.json'), '{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"y"}}}');

      const before = await verify([tag, '--key', at('key.pub')]);
      const signed = await cosign(version, ['sign', '--key', at('key.key'), ...legacy[version], image]);
      const attest = ['attest', '--key', at('key.key'), '--type', 'slsaprovenance1', '--predicate', at('predicate.json')];
      const attested = await cosign(version, [...attest, ...legacy[version], image]);
      assert.deepEqual([signed.code, attested.code], [0, 0], signed.stderr + attested.stderr);
      const byTag = await verify([tag, '--key', at('other.pub'), '--key', at('key.pub'), '--type', 'slsaprovenance1']);
      const byDigest = await verify([image, '--key', at('key.pub'), '--json']);
      const byOther = await verify([image, '--key', at('other.pub')]);
      const otherType = await verify([image, '--key', at('key.pub'), '--type', 'slsaprovenance']);

      assert.deepEqual(
        [before.code, byTag.code, byDigest.code, byOther.code, otherType.code],
        [1, 0, 0, 1, 1],
        byTag.stdout + byTag.stderr,
      );
      assert.match(before.stdout, /there is no attestation and no signature/);
      assert.ok(byTag.stdout.startsWith(`image        ${image}\n`), byTag.stdout);
      assert.match(byTag.stdout, /attestation .*\.att@[^]*signature .*\.sig@[^]*2 of 2 verified\n$/);
      assert.match(byDigest.stdout, /"verified":true.*"kind":"attestation".*"kind":"signature"/);
      assert.match(byOther.stdout, /check "signature"[^]*check "signature"[^]*0 of 2 verified\n$/);
    });
  }

  it('uses the credentials and the CA that it is given', async () => {
    await using registry = await startRegistry({ auth: 'basic', tls: true });
    await using work = await scratch('verify');
    const env = { DOCKER_CONFIG: registry.dockerConfigDir ?? assert.fail(), SSL_CERT_FILE: registry.caFile ?? assert.fail() };
    const image = `${registry.host}/team/app:v1`;
    await pushImage(image, 'hello', { env });
    const key = path.join(work.dir, 'key');
    await cosign(3, ['generate-key-pair', '--output-key-prefix', key]);
    const signed = await cosign(3, ['sign', '--key', `${key}.key`, ...legacy[3], image], { env });
    assert.equal(signed.code, 0, signed.stderr);
    const args = [image, '--key', `${key}.pub`];

    const good = await verify([...args, '--ca', env.SSL_CERT_FILE], { DOCKER_CONFIG: env.DOCKER_CONFIG });
    const insecure = await verify([...args, '--insecure-registry'], { DOCKER_CONFIG: env.DOCKER_CONFIG });
    const anonymous = await verify([...args, '--ca', env.SSL_CERT_FILE]);
    const unknownCa = await verify(args, { DOCKER_CONFIG: env.DOCKER_CONFIG });

    assert.deepEqual([good.code, insecure.code, anonymous.code, unknownCa.code], [0, 0, 1, 1], good.stderr);
    assert.match(anonymous.stderr, /^error: .*\n/);
    assert.match(unknownCa.stderr, /TLS failed/);
  });

  it('ends with 1 for an image that is not there, and for a registry that is not', async () => {
    await using registry = await startRegistry();
    await using work = await scratch('verify');
    const key = path.join(work.dir, 'key');
    await cosign(3, ['generate-key-pair', '--output-key-prefix', key]);

    const noImage = await verify([`${registry.host}/team/app:v1`, '--key', `${key}.pub`]);
    const noRegistry = await verify(['127.0.0.1:1/team/app:v1', '--key', `${key}.pub`]);

    assert.deepEqual([noImage.code, noRegistry.code], [1, 1]);
    assert.match(noImage.stderr, /there is no such tag/);
    assert.match(noRegistry.stderr, /ECONNREFUSED/);
  });

  it('finds signatures that are kept in another repository', async () => {
    await using registry = await startRegistry();
    await using work = await scratch('verify');
    const image = `${registry.host}/team/app:v1`;
    const elsewhere = `${registry.host}/team/signatures`;
    await pushImage(image, 'hello');
    const key = path.join(work.dir, 'key');
    await cosign(2, ['generate-key-pair', '--output-key-prefix', key]);
    await cosign(2, ['sign', '--key', `${key}.key`, ...legacy[2], image], { env: { COSIGN_REPOSITORY: elsewhere } });
    const args = [image, '--key', `${key}.pub`];

    const codes = [
      await verify(args),
      await verify([...args, '--repository', elsewhere]),
      await verify(args, { COSIGN_REPOSITORY: elsewhere }),
    ];

    assert.deepEqual(
      codes.map(({ code }) => code),
      [1, 0, 0],
    );
  });
});
