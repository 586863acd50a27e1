import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { parsePublicKey } from '../../src/model/public-key.ts';
import { startApiServer } from '../servers/apiserver.ts';
import { makeCa, makeServerCertificate } from '../servers/certificates.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { startOidcIssuer } from '../servers/oidc-issuer.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';
import { startSpiffeAgent } from '../servers/spiffe-agent.ts';
import { missing } from '../servers/tools.ts';
import { startVault, type Vault } from '../servers/vault.ts';
import { assertHidden, assertManyVerify, ctx, failureOf, openKms, short, startRelay, type KmsOptions } from './signer-kms-world.ts';

const noVault = await missing('vault');
const noCluster = (await missing('etcd', 'kube-apiserver')) || noVault;

describe('a key in a Vault', { skip: noVault }, () => {
  let vault: Vault;
  let folder: Scratch;
  before(async () => {
    vault = await startVault();
    folder = await scratch('vault-test');
    await vault.makeKey('k', 'ecdsa-p256');
  });
  after(async () => {
    await folder[Symbol.asyncDispose]();
    await vault[Symbol.asyncDispose]();
  });
  const text = Buffer.from('some bytes');
  const options = (auth: KmsOptions['auth'], key = 'k'): KmsOptions => ({
    ref: `hashivault://${key}`,
    auth: { address: vault.url, ...auth },
  });
  const file = async (name: string, content: string): Promise<string> => {
    const where = path.join(folder.dir, name);
    await writeFile(`${where}.new`, content);
    await rename(`${where}.new`, where);
    return where;
  };
  /** The role id and the secret id in files. */
  const appRole = async (name: string, role: Parameters<Vault['appRole']>[1] = {}) => {
    const { roleId, secretId } = await vault.appRole(name, role);
    const auth = {
      approle: { roleIdPath: await file(`${name}.role`, roleId), secretIdPath: await file(`${name}.secret`, `${secretId}\n`) },
    };
    return { auth, secretId, roleId };
  };

  describe('lets in', () => {
    it('by a token, from the configuration and from the environment', async () => {
      const token = await vault.token();
      for (const given of [
        options({ token }),
        { ref: 'hashivault://k', ambient: { VAULT_ADDR: vault.url, VAULT_TOKEN: token } },
        { ref: 'openbao://k', ambient: { BAO_ADDR: `${vault.url}/`, BAO_TOKEN: token } },
        { ref: 'hashivault://k', ambient: { VAULT_ADDR: vault.url, homeTokenFile: await file('home-token', token) } },
      ] satisfies KmsOptions[]) {
        await using signer = await openKms(given);

        await assertManyVerify(signer, 2);
      }
    });

    it('by a token file, which wins over a token, loses one newline, and is read again when it changes', async () => {
      const first = await vault.token();
      const tokenPath = await file('token', `${first}\n`);
      await using relay = await startRelay(vault.url);
      await using signer = await openKms(options({ address: relay.url, tokenPath, token: 'not-this-one' }));
      const second = await vault.token();

      await file('token', second);
      await vault.call('POST', 'auth/token/revoke', { token: first });
      await assertManyVerify(signer, 3);

      const signed = relay.passed.filter(({ path: where }) => where.includes('/sign/')).map(({ headers }) => headers['x-vault-token']);
      assert.deepEqual(signed, [first, second, second, second]);
    });

    it('by AppRole', async () => {
      const { auth } = await appRole('by-app-role');
      await using signer = await openKms(options(auth));

      await assertManyVerify(signer, 2);
    });

    it('by a JWT in a file, of an issuer of its own', async () => {
      await using issuer = await startOidcIssuer();
      await vault.call('POST', 'sys/auth/jwt', { type: 'jwt' });
      await vault.call('POST', 'auth/jwt/config', { oidc_discovery_url: issuer.url, bound_issuer: issuer.url });
      const role = { role_type: 'jwt', bound_audiences: ['vault'], user_claim: 'sub', token_policies: ['sign'], token_ttl: '1h' };
      await vault.call('POST', 'auth/jwt/role/signer', role);
      const tokenPath = await file('jwt', `\n${issuer.token({ aud: 'vault' })}\n`);
      await using signer = await openKms(options({ oidc: { path: 'jwt', role: 'signer', tokenPath } }));

      await assertManyVerify(signer, 2);
      // Without role there is no such login.
      assert.equal(short(await failureOf(openKms(options({ oidc: { path: 'jwt', tokenPath } })))), 'sign.kms-credential never');
    });

    it('by a SPIFFE identity, which wins over a token', async () => {
      await using issuer = await startOidcIssuer();
      const sub = 'spiffe://example.test/controller';
      await using agent = await startSpiffeAgent({ tokenFor: ([aud = '']) => issuer.token({ sub, aud }) });
      await vault.call('POST', 'sys/auth/spire', { type: 'jwt' });
      await vault.call('POST', 'auth/spire/config', { jwks_url: `${issuer.url}/keys` });
      const role = { role_type: 'jwt', bound_audiences: ['TESTING'], bound_subject: sub, user_claim: 'sub', token_policies: ['sign'] };
      await vault.call('POST', 'auth/spire/role/signer', role);
      const spire = { sock: agent.address, audience: 'TESTING' };
      await using signer = await openKms(options({ spire, oidc: { path: 'spire', role: 'signer' }, token: 'not-this-one' }));

      await assertManyVerify(signer, 2);

      assert.deepEqual(agent.asked, [['TESTING']]);
    });

    it('by a ServiceAccount of a real cluster', { skip: noCluster }, async () => {
      await using cluster = await startApiServer();
      await vault.call('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
      await cluster.call('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
        metadata: { name: 'vault-reviews-tokens' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
        subjects: [{ kind: 'ServiceAccount', namespace: 'vault', name: 'vault' }],
      });
      const reviewer = await cluster.serviceAccountToken('vault', 'vault');
      const config = { kubernetes_host: cluster.url, kubernetes_ca_cert: cluster.caPem, token_reviewer_jwt: reviewer };
      await vault.call('POST', 'auth/kubernetes/config', config);
      const bound = { bound_service_account_names: ['controller'], bound_service_account_namespaces: ['chains'] };
      await vault.call('POST', 'auth/kubernetes/role/signer', { ...bound, token_policies: ['sign'] });
      const tokenPath = await file('service-account', await cluster.serviceAccountToken('chains', 'controller'));
      await using signer = await openKms(options({ kubernetes: { role: 'signer', tokenPath } }));

      await assertManyVerify(signer, 2);
      const stranger = await file('stranger', await cluster.serviceAccountToken('other', 'controller'));
      const error = await failureOf(openKms(options({ kubernetes: { role: 'signer', tokenPath: stranger } })));
      assert.equal(short(error), 'sign.kms-login later kms:hashivault:127.0.0.1:PORT');
    });
  });

  describe('and its tokens', () => {
    it('that a login gave are renewed: two lives of 5 s are one login', async () => {
      const { auth } = await appRole('renewed', { ttl: '5s' });
      const before = await vault.count('auth/approle/login');
      await using signer = await openKms(options(auth));

      for (const until = Date.now() + 11_000; Date.now() < until; await sleep(200)) await assertManyVerify(signer, 3);

      assert.deepEqual([(await vault.count('auth/approle/login')) - before, (await vault.count('auth/token/renew-self')) >= 2], [1, true]);
    });

    it('that can be renewed no more are replaced, once in a life, whoever asks', async () => {
      const { auth } = await appRole('replaced', { ttl: '2s', maxTtl: '2s' });
      const before = await vault.count('auth/approle/login');
      const started = Date.now();
      await using signer = await openKms(options(auth));

      while (Date.now() < started + 7_000) {
        await assertManyVerify(signer, 10);
        await sleep(50);
      }

      const logins = (await vault.count('auth/approle/login')) - before;
      const most = Math.ceil((Date.now() - started) / 2_000) + 1;
      assert.equal(logins >= 3 && logins <= most, true, `${logins} logins, at most ${most}`);
    });

    it('that are configured are renewed also while nobody signs', async () => {
      const token = await vault.token({ ttl: '5s' });
      await using signer = await openKms(options({ token }));

      await sleep(8_000);

      await assertManyVerify(signer, 2);
    });

    it('that are revoked between two calls are replaced by one login for all', async () => {
      const { auth } = await appRole('revoked');
      await using relay = await startRelay(vault.url);
      await using signer = await openKms(options({ address: relay.url, ...auth }));
      const before = await vault.count('auth/approle/login');

      await vault.call('POST', 'auth/token/revoke', { token: relay.passed.at(-1)?.headers['x-vault-token'] });
      await assertManyVerify(signer, 50);

      assert.equal((await vault.count('auth/approle/login')) - before, 1);
    });

    it('are given back when the signer closes', async () => {
      const { auth } = await appRole('given-back');
      await using relay = await startRelay(vault.url);
      const signer = await openKms(options({ address: relay.url, ...auth }));
      const token = String(relay.passed.at(-1)?.headers['x-vault-token']);

      await signer[Symbol.asyncDispose]();

      await assert.rejects(vault.call('POST', 'auth/token/lookup', { token }), /403|bad token/);
    });
  });

  describe('with versions', () => {
    it('signs with the version that it was opened with, after a rotation, too, and is no longer current', async () => {
      await vault.makeKey('rotated', 'ecdsa-p256');
      const auth = { token: await vault.token() };
      await using old = await openKms(options(auth, 'rotated'));
      assert.equal(await old.isCurrent(ctx), true);

      await vault.rotate('rotated');

      await sleep(1_100);
      assert.equal(await old.isCurrent(ctx), false);
      await assertManyVerify(old, 5);
      await using fresh = await openKms(options(auth, 'rotated'));
      assert.notEqual(fresh.publicKey, old.publicKey);
      assert.deepEqual(
        [await fresh.isCurrent(ctx), await fresh.owns({ publicKey: old.publicKey ?? '', certificate: '' }, ctx)],
        [true, true],
      );
      await using pinned = await openKms(options({ ...auth, keyVersion: 1 }, 'rotated'));
      assert.deepEqual([pinned.publicKey, await pinned.isCurrent(ctx)], [old.publicKey, true]);
      await assertManyVerify(pinned, 2);
      const none = await failureOf(openKms(options({ ...auth, keyVersion: 7 }, 'rotated')));
      assert.equal(short(none), 'sign.kms-no-key later kms:hashivault:127.0.0.1:PORT');
    });

    it('names a version that may sign no more', async () => {
      await vault.makeKey('retired', 'ecdsa-p256');
      await using signer = await openKms(options({ token: await vault.token() }, 'retired'));
      await vault.rotate('retired');

      await vault.call('POST', 'transit/keys/retired/config', { min_encryption_version: 2 });

      const error = await failureOf(signer.sign(text, ctx));
      assert.match(error.message, /version/);
      assert.equal(short(error), 'sign.kms-rejected later kms:hashivault:127.0.0.1:PORT');
    });

    it('is another key when it was made again under its name', async () => {
      await vault.makeKey('again', 'ecdsa-p256');
      await using signer = await openKms(options({ token: await vault.token() }, 'again'));

      await vault.call('POST', 'transit/keys/again/config', { deletion_allowed: true });
      await vault.call('DELETE', 'transit/keys/again');
      await vault.makeKey('again', 'ecdsa-p256');

      assert.equal(short(await failureOf(signer.sign(text, ctx))), 'sign.kms-wrong-key later kms:hashivault:127.0.0.1:PORT');
      assert.equal(await signer.isCurrent(ctx), false);
    });
  });

  it('goes on after a restart in the middle, with one login more at most', async () => {
    const { auth } = await appRole('restarted');
    await using signer = await openKms(options(auth));
    await assertManyVerify(signer, 2);

    await vault.restart(async () => {
      const error = await failureOf(signer.sign(text, ctx));
      assert.equal(short(error), 'http.unreachable later kms:hashivault:127.0.0.1:PORT');
    });

    await assertManyVerify(signer, 20);
  });

  it('is found in another mount, and asked for in a namespace', async () => {
    await vault.call('POST', 'sys/mounts/team/signing', { type: 'transit' });
    await vault.makeKey('k', 'ecdsa-p384', 'team/signing');
    await vault.call('PUT', 'sys/policies/acl/team', { policy: 'path "team/signing/*" { capabilities = ["read", "update"] }' });
    const token = await vault.token({ policies: ['team'] });
    await using relay = await startRelay(vault.url);
    await using signer = await openKms(options({ address: relay.url, token, mount: '/team/signing/', namespace: 'ns1/ns2' }));

    await assertManyVerify(signer, 1);

    assert.equal(parsePublicKey(signer.publicKey ?? '').algorithm, 'ecdsa-p384');
    assert.deepEqual([...new Set(relay.passed.map(({ headers }) => headers['x-vault-namespace']))], ['ns1/ns2']);
    assert.equal(
      relay.passed.some(({ method, path: where }) => method === 'PUT' && where === '/v1/team/signing/sign/k/sha2-384'),
      true,
    );
  });

  it('is reached over TLS with a CA of its own', async () => {
    const pair = await makeServerCertificate(folder.dir, 'vault', await makeCa(folder.dir, 'ca'));
    const identity = { cert: await readFile(pair.certFile), key: await readFile(pair.keyFile) };
    const { hostname: host, port } = new URL(vault.url);
    const line = createTlsServer(identity, (client) => {
      const upstream = connect({ host, port: Number(port) });
      client.on('error', () => upstream.destroy()).pipe(upstream);
      upstream.on('error', () => client.destroy()).pipe(client);
    }).listen(0, '127.0.0.1');
    await once(line, 'listening');
    const address = `https://127.0.0.1:${(line.address() as AddressInfo).port}`;
    const token = await vault.token();
    try {
      await using signer = await openKms(options({ address, token, caFile: path.join(folder.dir, 'ca.crt') }));
      await assertManyVerify(signer, 2);

      const stranger = await failureOf(openKms(options({ address, token })));
      const lost = await failureOf(openKms(options({ address, token, caFile: path.join(folder.dir, 'none') })));

      assert.deepEqual([stranger, lost].map(short), ['http.tls later kms:hashivault:127.0.0.1:PORT', 'sign.kms-credential later']);
    } finally {
      line.close();
    }
  });

  describe('refuses', () => {
    it('a wrong token, and shows it nowhere', async () => {
      const token = 'hvs.wrong-token-with-a-name';
      const error = await failureOf(openKms(options({ token })));

      assert.equal(short(error), 'sign.kms-refused later kms:hashivault:127.0.0.1:PORT');
      assert.match(error.message, /403 "permission denied"/);
      assert.match(error.fix ?? '', /"read" on transit\/keys\/k and "update" on transit\/sign\/k/);
      assertHidden([token], error);
    });

    it('a token whose policies do not allow it, without logging in again and again', async () => {
      const { auth, secretId } = await appRole('powerless', { policies: ['default'] });
      const before = await vault.count('auth/approle/login');
      const error = await failureOf(openKms(options(auth)));

      assert.equal(short(error), 'sign.kms-refused later kms:hashivault:127.0.0.1:PORT');
      assert.equal((await vault.count('auth/approle/login')) - before, 1);
      assertHidden([secretId], error);
    });

    it('a key that may be read and not sign', async () => {
      await vault.call('PUT', 'sys/policies/acl/reader', { policy: 'path "transit/keys/*" { capabilities = ["read"] }' });
      const error = await failureOf(openKms(options({ token: await vault.token({ policies: ['reader'] }) })));

      assert.equal(short(error), 'sign.kms-refused later kms:hashivault:127.0.0.1:PORT');
    });

    it('a login with a wrong secret, and shows neither', async () => {
      const { auth, roleId } = await appRole('wrong');
      const secretId = '0c3ec0de-0000-4000-8000-00000000cafe';
      await file('wrong.secret', secretId);
      const error = await failureOf(openKms(options(auth)));

      assert.match(error.message, /login at auth\/approle\/login: [45]00 "invalid secret id"/);
      assert.equal(short(error), 'sign.kms-login later kms:hashivault:127.0.0.1:PORT');
      assertHidden([secretId, roleId], error);
    });

    it('to show a token that an answer echoes', async () => {
      await using relay = await startRelay(vault.url);
      const token = 'hvs.echoed.token-of-a-fool';
      relay.change('/v1/', () => JSON.stringify({ errors: [`do not like ${token}, and not echoed.token-of-a-fool`] }));
      const error = await failureOf(openKms(options({ address: relay.url, token })));

      assert.match(error.message, /do not like \*\*\*, and not/);
      assertHidden([token, 'token-of-a-fool'], error);
    });

    const files = [
      { name: 'a token file that is not there', content: undefined, says: /cannot be read: ENOENT/ },
      { name: 'an empty token file', content: '\n', says: /is empty/ },
      { name: 'a file that holds no token', content: 'line\nsecret line', says: /does not hold a token/ },
    ];
    for (const { name, content, says } of files) {
      it(name, async () => {
        const tokenPath = content === undefined ? path.join(folder.dir, 'none') : await file('bad-token', content);
        const error = await failureOf(openKms(options({ tokenPath })));

        assert.equal(short(error), 'sign.kms-credential later kms:hashivault:127.0.0.1:PORT');
        assert.match(error.message, says);
        assertHidden(['secret line'], error);
      });
    }

    it('a key that is not there, and one that does not sign', async () => {
      const token = await vault.token();
      await vault.makeKey('aes', 'aes256-gcm96');

      const errors = [await failureOf(openKms(options({ token }, 'none'))), await failureOf(openKms(options({ token }, 'aes')))];

      assert.deepEqual(errors.map(short), ['sign.kms-no-key later kms:hashivault:127.0.0.1:PORT', 'sign.kms-key-type never']);
    });

    const bad: readonly { readonly name: string; readonly given: KmsOptions; readonly want: string }[] = [
      { name: 'an unknown scheme', given: { ref: 'pkcs11:token=x' }, want: 'sign.kms-scheme never' },
      { name: 'another scheme', given: { ref: 'somekms://k' }, want: 'sign.kms-scheme never' },
      {
        name: 'a key with a slash',
        given: { ref: 'hashivault://a/b', auth: { address: 'http://127.0.0.1:1', token: 't' } },
        want: 'sign.kms-ref never',
      },
      {
        name: 'a token with other characters',
        given: { ref: 'hashivault://k', auth: { address: 'http://127.0.0.1:1', token: 'two words' } },
        want: 'sign.kms-credential later kms:hashivault:127.0.0.1:PORT',
      },
      { name: 'no address', given: { ref: 'hashivault://k', auth: { token: 't' } }, want: 'sign.kms-address never' },
      {
        name: 'an address without scheme',
        given: { ref: 'hashivault://k', auth: { address: '127.0.0.1:8200', token: 't' } },
        want: 'sign.kms-address never',
      },
      {
        name: 'no way to log in',
        given: { ref: 'hashivault://k', auth: { address: 'http://127.0.0.1:1' } },
        want: 'sign.kms-credential never',
      },
      {
        name: 'a mount that leaves its place',
        given: { ref: 'hashivault://k', auth: { address: 'http://127.0.0.1:1', token: 't', mount: 'a/../b' } },
        want: 'sign.kms-address never',
      },
      {
        name: 'a server that is not there',
        given: { ref: 'hashivault://k', auth: { address: 'http://127.0.0.1:1', token: 'hvs.x' } },
        want: 'http.unreachable later kms:hashivault:127.0.0.1:PORT',
      },
    ];
    for (const { name, given, want } of bad) {
      it(name, async () => {
        assert.equal(short(await failureOf(openKms(given))), want);
      });
    }

    it('a reference with a password in it, and does not show it', async () => {
      const errors = [];
      for (const scheme of ['awskms', 'azurekms', 'gcpkms', 'hashivault'])
        errors.push(await failureOf(openKms({ ref: `${scheme}://me:canary-pw@host/k` })));

      assert.deepEqual(
        errors.map(short),
        errors.map(() => 'sign.kms-ref never'),
      );
      assertHidden(['canary-pw'], ...errors);
    });
  });

  describe('behind a line with faults', () => {
    it('is asked again later, as it wants', async () => {
      await using proxy = await startFaultProxy(vault.host);
      await using signer = await openKms(options({ address: proxy.url, token: await vault.token() }));

      await proxy.set({ kind: 'status', status: 429, retryAfter: 1 });
      const busy = await failureOf(signer.sign(text, ctx));
      assert.equal(short(busy), 'sign.kms-busy later kms:hashivault:127.0.0.1:PORT');
      assert.equal('retryAfterMs' in busy && busy.retryAfterMs, 1_000);

      await proxy.set({ kind: 'status', status: 503, body: '{"errors":["Vault is sealed"]}' });
      const sealed = await failureOf(signer.sign(text, ctx));
      assert.equal(short(sealed), 'sign.kms-unavailable later kms:hashivault:127.0.0.1:PORT');
      assert.match(sealed.message, /503 "Vault is sealed"/);

      await proxy.set({ kind: 'lie', body: '<html>', contentType: 'text/html' });
      assert.equal(short(await failureOf(signer.sign(text, ctx))), 'sign.kms-protocol later kms:hashivault:127.0.0.1:PORT');
      await proxy.set({ kind: 'lie', body: ' '.repeat(2 * 1024 * 1024) });
      assert.equal(short(await failureOf(signer.sign(text, ctx))), 'sign.kms-protocol later kms:hashivault:127.0.0.1:PORT');
      await proxy.set({ kind: 'truncate', bytes: 20 });
      assert.equal(short(await failureOf(signer.sign(text, ctx))), 'http.unreachable later kms:hashivault:127.0.0.1:PORT');

      await proxy.set({ kind: 'none' });
      await assertManyVerify(signer, 5);
    });

    it('has ten seconds for a signature', async () => {
      await using proxy = await startFaultProxy(vault.host);
      await using signer = await openKms(options({ address: proxy.url, token: await vault.token() }));
      await proxy.set({ kind: 'hang' });
      const started = Date.now();

      const error = await failureOf(signer.sign(text, ctx));

      assert.match(short(error), /^(http\.timeout|sign\.kms-timeout) later kms:hashivault:127\.0\.0\.1:PORT$/);
      assert.equal(Date.now() - started < 12_000, true);
    });

    it('ends when it is told to', async () => {
      await using proxy = await startFaultProxy(vault.host);
      await using signer = await openKms(options({ address: proxy.url, token: await vault.token() }));
      await proxy.set({ kind: 'hang' });
      const stop = new AbortController();
      const work = signer.sign(text, { ...ctx, signal: stop.signal });

      stop.abort(new Error('told to stop'));

      await assert.rejects(work, /told to stop/);
    });

    it('does not count when it gives the signature of another key', async () => {
      await vault.makeKey('other', 'ecdsa-p256');
      await using other = await openKms(options({ token: await vault.token() }, 'other'));
      const { signature } = await other.sign(text, ctx);
      await using relay = await startRelay(vault.url);
      await using signer = await openKms(options({ address: relay.url, token: await vault.token() }));

      relay.change('/sign/', () => JSON.stringify({ data: { signature: `vault:v1:${Buffer.from(signature).toString('base64')}` } }));

      const error = await failureOf(signer.sign(text, ctx));
      assert.equal(short(error), 'sign.kms-wrong-key later kms:hashivault:127.0.0.1:PORT');
      relay.change('/sign/', () => JSON.stringify({ data: { signature: 'vault:v1:*' } }));
      assert.equal(short(await failureOf(signer.sign(text, ctx))), 'sign.kms-protocol later kms:hashivault:127.0.0.1:PORT');
    });
  });
});
