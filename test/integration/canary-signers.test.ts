import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { pushImage } from '../servers/crane.ts';
import { until } from '../servers/process.ts';
import { missingMoto, startMoto } from '../servers/moto.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { startSigstore, type Sigstore } from '../servers/sigstore.ts';
import { missing } from '../servers/tools.ts';
import { startTufMirror } from '../servers/tuf-mirror.ts';
import { startVault } from '../servers/vault.ts';
import { filesIn, leaksIn, startEcho, storedIn, type Said } from './canary-world.ts';
import { demand, newTaskRun, succeeded } from './cluster.ts';
import { chainsmith, setFlags, startSigning, type Signing } from './signers-world.ts';

const reason =
  (await missing('etcd', 'kube-apiserver', 'registry', 'crane', 'vault', 'rekor-tiles', 'fulcio', 'timestamp-authority')) ||
  (await missingMoto());

describe('a controller with every kind of secret', { skip: reason }, () => {
  const stack = new AsyncDisposableStack();
  let signing: Signing;
  let registry: Registry;
  let secrets: Readonly<Record<string, string>>;
  let said: Said;
  let heard: string;
  const planted = 'planted-value-that-is-no-secret';

  before(async () => {
    const vault = stack.use(await startVault());
    const moto = stack.use(await startMoto());
    const sigstore: Sigstore = stack.use(await startSigstore({ rekor: 'v2', fulcio: true, ct: true, tsa: true }));
    const mirror = stack.use(await startTufMirror({ 'trusted_root.json': sigstore.trustedRootJson }));
    const echo = stack.use(await startEcho());
    registry = stack.use(await startRegistry({ auth: 'basic' }));
    signing = stack.use(await startSigning({}));
    const { cluster } = signing;
    await signing.namespaces('ci');
    const inDir = (name: string): string => path.join(cluster.dir, name);
    const write = async (name: string, text: string): Promise<string> => {
      await writeFile(inDir(name), text);
      return inDir(name);
    };
    await mkdir(inDir('locked'));
    await mkdir(inDir('docker'));
    secrets = {
      'vault token': 'canary-vault-token-51c07e9a',
      'role id': 'canary-role-id-8d20f6b3',
      'secret id': 'canary-secret-id-04be77c1',
      'AWS key id': 'AKIACANARY7Q2WXKEYID',
      'AWS secret key': 'canaryAwsSecretKey/9f+Zt31pLmQx7',
      'OIDC token': sigstore.issuer?.token({ kubernetes: { namespace: 'tekton-chains', serviceAccount: 'controller' } }) ?? '',
      'cosign password': 'canary-cosign-password-c3d9',
      'registry password': registry.password ?? '',
      'redact salt': 'canary-redact-salt-e8a1',
      'redacted param': 'canary-redacted-param-77aa',
      'proxy password': 'canary-proxy-password-b6f2',
      'kubeconfig token': cluster.api.adminToken,
      'ServiceAccount token': await readFile(inDir('serviceaccount/token'), 'utf8'),
      'named signer': 'canary-named-signer-2e5d',
    };
    // Of a token the signature alone is as secret as the whole.
    for (const name of ['OIDC token', 'ServiceAccount token'])
      secrets = { ...secrets, [`signature of the ${name}`]: secrets[name]?.split('.')[2] ?? '' };
    const of = (name: string): string => secrets[name] ?? assert.fail(name);
    await vault.makeKey('team', 'ecdsa-p256');
    await vault.call('POST', 'auth/token/create', { id: of('vault token'), policies: ['sign'], ttl: '1h' });
    await vault.call('POST', 'auth/approle/role/canary', { token_policies: ['sign'], token_ttl: '1h' });
    await vault.call('POST', 'auth/approle/role/canary/role-id', { role_id: of('role id') });
    await vault.call('POST', 'auth/approle/role/canary/custom-secret-id', { secret_id: of('secret id') });
    const made = await chainsmith(['keys', 'generate', '--output-key-prefix', inDir('locked/cosign')], {
      ...process.env,
      COSIGN_PASSWORD: of('cosign password'),
    });
    await write('locked/cosign.password', of('cosign password'));
    const auth = Buffer.from(`${registry.username}:${registry.password}`).toString('base64');
    const hosts = [registry.host, echo.host, 'registry.canary.example'];
    await write('docker/config.json', JSON.stringify({ auths: Object.fromEntries(hosts.map((host) => [host, { auth }])) }));
    const awsKey = await moto.makeKey('ECC_NIST_P256');
    const named = {
      locked: { kind: 'x509', directory: inDir('locked') },
      aws: { kind: 'kms', kmsref: `awskms:///${awsKey}` },
      keyless: { kind: 'fulcio', 'token-file': await write('token.jwt', of('OIDC token')) },
    };
    const values = (more: Readonly<Record<string, string>>): Readonly<Record<string, string>> => ({
      'artifacts.taskrun.format': 'slsa/v2alpha4',
      'artifacts.taskrun.storage': 'tekton,oci',
      'artifacts.taskrun.signer': 'locked,kms,aws,keyless',
      'artifacts.oci.signer': 'locked',
      'storage.oci.layout': 'both',
      'storage.oci.docker-config': inDir('docker'),
      'signers.named': JSON.stringify(named),
      'signers.kms.kmsref': 'hashivault://team',
      'signers.kms.auth.address': vault.url,
      'signers.x509.fulcio.address': sigstore.fulcio?.url ?? '',
      'transparency.enabled': 'true',
      'transparency.version': '2',
      'transparency.url': sigstore.rekor?.url ?? '',
      'transparency.timestamp.url': sigstore.tsa?.url ?? '',
      'trust.root': mirror.url,
      'redact.params': 'password',
      'redact.salt': of('redact salt'),
      'retry.max-delay': '1s',
      ...more,
    });
    const byToken = { 'signers.kms.auth.token': of('vault token') };
    const byRole = {
      'signers.kms.auth.approle.role-id-path': await write('role-id', of('role id')),
      'signers.kms.auth.approle.secret-id-path': await write('secret-id', of('secret id')),
    };
    const trusted = { 'trust.tuf-root': await write('root.json', mirror.firstRoot), 'trust.cache': inDir('tuf') };
    const proxy = `http://canary:${of('proxy password')}@${echo.host}`;
    const env = (awsUrl: string): Readonly<Record<string, string>> => ({
      HTTPS_PROXY: proxy,
      HTTP_PROXY: proxy,
      NO_PROXY: '127.0.0.1,localhost',
      AWS_ENDPOINT_URL_KMS: awsUrl,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: of('AWS key id'),
      AWS_SECRET_ACCESS_KEY: of('AWS secret key'),
    });
    const complete = async (name: string, host: string): Promise<void> => {
      const path = '/apis/tekton.dev/v1/namespaces/ci/taskruns';
      const params = [
        { name: 'password', value: of('redacted param') },
        { name: 'flag', value: planted },
      ];
      const digest =
        host === registry.host
          ? await pushImage(`${host}/ci/app:${name}`, name, { env: { DOCKER_CONFIG: inDir('docker') } })
          : `sha256:${Buffer.from(name.padEnd(32, '.')).toString('hex').slice(0, 64)}`;
      const image = { repository: `${host}/ci/app`, digest };
      const object = { ...newTaskRun(name), spec: { taskRef: { name: 'build' }, params } };
      await demand(cluster.api.call('POST', path, object), 'create a run');
      await demand(cluster.api.call('PATCH', `${path}/${name}/status`, succeeded(image)), 'complete a run');
    };
    const pages: string[] = [];
    const look = async (port: number | undefined): Promise<void> => {
      for (const page of ['metrics', 'readyz', 'healthz', 'nothing'])
        pages.push(await (await request(`http://127.0.0.1:${port}/${page}`)).body.text());
    };
    const debug = ['--log-level', 'debug'];

    // All is well, with a token and then with a role; but for an image behind a proxy that repeats what it is told.
    await signing.configure(values({ ...byToken, ...trusted }));
    const first = await signing.restart(debug, env(moto.url));
    await complete('well', registry.host);
    await complete(`outside-${planted}`, 'registry.canary.example');
    await signing.signed('well', 'ci', 30_000);
    await signing.configure(values({ ...byRole, ...trusted }), 'applied');
    await complete('role', registry.host);
    await signing.signed('role');
    // What is wrong with a configuration is told without what is in it.
    await signing.configure(
      values({ ...trusted, 'signers.named': `{ x: { kind: kms, kmsref: 'hashivault://team', token: ${of('named signer')} } }` }),
      'refused',
    );
    await signing.configure(values({ ...trusted, 'signers.kms.kmsref': `hashivault://me:${of('named signer')}@vault/team` }), 'refused');
    await look(first.ports[0]);
    // Everybody repeats what he is told, in his errors.
    const bad = { ...trusted, 'signers.kms.auth.address': echo.url, 'signers.x509.fulcio.address': echo.url };
    await signing.configure(values({ ...bad, ...byRole }));
    const second = await signing.restart(debug, env(echo.url));
    await complete('echo-1', registry.host);
    await complete('echo-2', echo.host);
    await until('both to be tried', 60_000, async () => {
      const log = await signing.log();
      return ['echo-1', 'echo-2'].every((name) => new RegExp(`"run":"ci/${name}".*attempt failed`).test(log));
    });
    await signing.configure(values({ ...bad, ...byToken }), 'applied');
    await complete('echo-3', registry.host);
    await until('the token to be told', 60_000, () => echo.heard().includes(of('vault token')));
    await look(second.ports[0]);
    const explained = await chainsmith(['explain', '--kubeconfig', cluster.api.kubeconfig, 'ci/echo-2']);
    await signing.stop();
    heard = echo.heard();
    const shown = await chainsmith(['config', 'show', '--json', ...setFlags(values({ ...bad, ...byToken }))]);
    const refused = await chainsmith(['keys', 'public', '--signer', 'kms', ...setFlags(values({ ...bad, ...byToken }))]);
    assert.deepEqual([made.code, explained.code, shown.code, refused.code], [0, 1, 0, 2], JSON.stringify([explained, shown, refused]));
    said = {
      logs: await signing.log(),
      Events: JSON.stringify((await cluster.api.call('GET', '/api/v1/events')).body),
      annotations: JSON.stringify(await annotationsOf(signing)),
      pages: pages.join('\n'),
      journal: await filesIn(inDir('controller-0')),
      'TUF cache': await filesIn(inDir('tuf')),
      registry: await storedIn(registry),
      'log of Rekor': await rekorEntries(sigstore),
      commands: JSON.stringify([made, explained, shown, refused]),
    };
  });

  after(async () => await stack.disposeAsync());

  it('says none of them in any place', () => {
    assert.deepEqual(leaksIn(said, secrets), []);
  });

  it('has used each of them', () => {
    const used = ['vault token', 'role id', 'secret id', 'AWS key id', 'OIDC token'].filter((name) => heard.includes(secrets[name] ?? ''));
    const basic = ['registry password', 'proxy password'].filter((name) =>
      [...heard.matchAll(/Basic ([A-Za-z0-9+/=]+)/g)].some(([, text]) =>
        Buffer.from(text ?? '', 'base64')
          .toString()
          .includes(secrets[name] ?? ''),
      ),
    );

    assert.deepEqual(
      [...used, ...basic],
      ['vault token', 'role id', 'secret id', 'AWS key id', 'OIDC token', 'registry password', 'proxy password'],
    );
    const empty = Object.entries(said).flatMap(([where, text]) => (text.length < 500 ? [`${where}: ${text}`] : []));
    assert.deepEqual(empty, []);
    assert.match(said['annotations'] ?? '', /"chains\.tekton\.dev\/signed":"true"/);
    assert.match(said['pages'] ?? '', /chainsmith_attempts_total/);
    assert.match(said['Events'] ?? '', /SigningDelayed/);
  });

  it('would be found out: what is planted is found wherever it goes', () => {
    assert.deepEqual(leaksIn(said, { planted }), [
      'planted in logs',
      'planted in Events',
      'planted in annotations',
      'planted in journal',
      'planted in registry',
    ]);
    for (const [name, secret] of Object.entries(secrets)) {
      for (const form of [secret, `x${secret}y`, `xx${secret}`].flatMap((text) => [text, base64(text), base64(base64(text))]))
        assert.deepEqual(leaksIn({ there: `before ${form} after` }, { [name]: secret }), [`${name} in there`]);
    }
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

async function annotationsOf({ cluster }: Signing): Promise<readonly unknown[]> {
  const list = await demand(cluster.api.call('GET', '/apis/tekton.dev/v1/namespaces/ci/taskruns'), 'list runs');
  return (list as { items: readonly { metadata: { annotations?: unknown } }[] }).items.map(({ metadata }) => metadata.annotations);
}

/** What everybody may read in the log: its first entries, which are all that there are. */
async function rekorEntries({ rekor }: Sigstore): Promise<string> {
  const texts: string[] = [];
  for (let size = 1; size < 256; size += 1) {
    const { statusCode, body } = await request(`${rekor?.url}/api/v2/tile/entries/000.p/${size}`);
    const text = Buffer.from(await body.arrayBuffer()).toString('latin1');
    if (statusCode === 200) texts.push(text);
  }
  return texts.join('\n');
}
