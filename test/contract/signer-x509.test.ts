import assert from 'node:assert/strict';
import { verify, type KeyObject } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { CodedError } from '../../src/errors.ts';
import { openKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { openKubeconfig } from '../../src/kube/kubeconfig.ts';
import { getSecret } from '../../src/kube/objects.ts';
import { isSignedBy, parsePublicKey } from '../../src/model/public-key.ts';
import type { Context } from '../../src/observe/context.ts';
import { generateSigningKey, keyTypes, writeCosignKey, writePlainKey, type KeyType } from '../../src/sign/key-file.ts';
import type { Signer, SignerMeans } from '../../src/sign/signer.ts';
import { x509 } from '../../src/sign/x509.ts';
import { startApiServer, type ApiServer } from '../servers/apiserver.ts';
import { makeCa, makeCertificate } from '../servers/certificates.ts';
import { output } from '../servers/command.ts';
import { cosign } from '../servers/cosign.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const notAskedFor = async (): Promise<never> => await Promise.reject(new Error('not asked for'));
const noMeans: SignerMeans = { trust: notAskedFor, secret: notAskedFor };
const bytes = Buffer.from('what is signed');

/** Digests as cosign chooses them for an encrypted key; a plain one signs with SHA-256 whatever its curve. */
const usual: Readonly<Record<KeyType, 'sha256' | 'sha384' | 'sha512' | undefined>> = {
  'ecdsa-p256': 'sha256',
  'ecdsa-p384': 'sha384',
  'ecdsa-p521': 'sha512',
  'rsa-2048': 'sha256',
  'rsa-3072': 'sha256',
  'rsa-4096': 'sha256',
  ed25519: undefined,
};

interface Form {
  readonly name: string;
  readonly files: (key: KeyObject) => Promise<Readonly<Record<string, string>>>;
  readonly takes: (type: KeyType) => boolean;
  readonly digestOf: (type: KeyType) => 'sha256' | 'sha384' | 'sha512' | undefined;
}

const sha256 = (type: KeyType): 'sha256' | undefined => (type === 'ed25519' ? undefined : 'sha256');
const exported = (key: KeyObject, type: 'sec1' | 'pkcs1'): string => key.export({ type, format: 'pem' }).toString();
const forms: readonly Form[] = [
  { name: 'PKCS #8', files: async (key) => ({ 'x509.pem': writePlainKey(key) }), takes: () => true, digestOf: sha256 },
  {
    name: 'SEC1',
    files: async (key) => ({ 'x509.pem': exported(key, 'sec1') }),
    takes: (type) => type.startsWith('ecdsa'),
    digestOf: sha256,
  },
  {
    name: 'PKCS #1',
    files: async (key) => ({ 'x509.pem': exported(key, 'pkcs1') }),
    takes: (type) => type.startsWith('rsa'),
    digestOf: sha256,
  },
  {
    name: 'a cosign key',
    files: async (key) => ({ 'cosign.key': await writeCosignKey(key, Buffer.from('pw')), 'cosign.password': 'pw' }),
    takes: () => true,
    digestOf: (type) => usual[type],
  },
];

const noCosign = await missing('cosign2', 'cosign3');
for (const type of Object.keys(keyTypes) as KeyType[]) {
  describe(`a key of type ${type}`, () => {
    let key: KeyObject;
    let work: Scratch;
    before(async () => {
      key = await generateSigningKey(type);
      work = await scratch('x509');
    });
    after(async () => {
      await work[Symbol.asyncDispose]();
    });
    for (const { name, files, takes, digestOf } of forms) {
      if (!takes(type)) continue;
      const opened = async (): Promise<Signer> => {
        const directory = path.join(work.dir, name.replaceAll(' ', '-'));
        return await openFolder(directory, await files(key));
      };

      it(`in ${name} signs what Node and OpenSSL verify`, async () => {
        await using signer = await opened();

        const { signature, publicKey } = await signer.sign(bytes, ctx);

        assert.equal(publicKey, signer.publicKey);
        assert.equal(verify(digestOf(type), bytes, { key: parsePublicKey(publicKey).object, dsaEncoding: 'der' }, signature), true);
        assert.match(await openssl(work.dir, { signature, publicKey }, digestOf(type)), /Verified OK|Signature Verified Successfully/);
      });

      it(`in ${name} signs what cosign 2 and 3 verify`, { skip: noCosign }, async () => {
        await using signer = await opened();

        const signed = await signer.sign(bytes, ctx);

        const said = await Promise.all([2, 3].map(async (version) => await judged(version as 2 | 3, work.dir, signed, digestOf(type))));
        assert.deepEqual(said, ['Verified OK', 'Verified OK']);
      });
    }
  });
}

describe('a key with a certificate', { skip: noCosign }, () => {
  it('signs what cosign 2 and 3 verify by certificate and chain', async () => {
    await using work = await scratch('x509');
    const root = await makeCa(work.dir, 'root');
    const middle = await makeCertificate(work.dir, {
      name: 'middle',
      issuer: root,
      extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'],
    });
    const leaf = await makeCertificate(work.dir, {
      name: 'leaf',
      issuer: middle,
      extensions: ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=codeSigning', 'subjectAltName=email:ci@company.example'],
    });
    const text = async (file: string): Promise<string> => await readFile(file, 'utf8');
    const chain = (await text(middle.certFile)) + (await text(root.certFile));
    await using signer = await openFolder(path.join(work.dir, 'keys'), {
      'x509.pem': await text(leaf.keyFile),
      'cert.pem': await text(leaf.certFile),
      'chain.pem': chain,
    });

    const signed = await signer.sign(bytes, ctx);

    assert.equal(signed.chain, chain);
    const at = (name: string): string => path.join(work.dir, name);
    await writeFile(at('payload'), bytes);
    await writeFile(at('certificate'), signed.certificate);
    await writeFile(at('chain'), signed.chain);
    await writeFile(at('signature'), Buffer.from(signed.signature).toString('base64'));
    const who = ['--certificate-identity', 'ci@company.example', '--certificate-oidc-issuer-regexp', '.*'];
    const by = ['--certificate', at('certificate'), '--certificate-chain', at('chain'), '--signature', at('signature')];
    const offline = ['--insecure-ignore-tlog', '--insecure-ignore-sct'];
    for (const version of [2, 3] as const) {
      const { stderr } = await cosign(version, ['verify-blob', ...who, ...by, ...offline, at('payload')]);
      assert.match(stderr, /Verified OK/);
    }
  });
});

describe('2 000 signatures', () => {
  for (const type of ['ecdsa-p256', 'ecdsa-p384', 'ed25519'] as const) {
    it(`with ${type} leave no memory, no file and no socket behind`, async () => {
      await using work = await scratch('x509');
      const key = await generateSigningKey(type);
      await using signer = await openFolder(path.join(work.dir, 'keys'), { 'x509.pem': writePlainKey(key) });
      const sign = async (count: number): Promise<void> => {
        for (let left = count; left > 0; left -= 50) {
          const signed = await Promise.all(Array.from({ length: 50 }, async () => await signer.sign(bytes, ctx)));
          assert.equal(signed.length, 50);
          assert.equal(await signer.isCurrent(ctx), true);
        }
      };
      await sign(500);
      const before = await usedNow();

      await sign(2000);

      const now = await usedNow();
      assert.ok(now.bytes - before.bytes < 1024 * 1024, `grew by ${now.bytes - before.bytes} bytes`);
      assert.deepEqual(now.open, before.open);
    });
  }
});

describe('a key in a Secret', { skip: await missing('etcd', 'kube-apiserver') }, () => {
  let server: ApiServer;
  before(async () => {
    server = await startApiServer();
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
  });
  const secrets = '/api/v1/namespaces/default/secrets';
  const put = async (name: string, stringData: Readonly<Record<string, string>>, type = 'Opaque'): Promise<void> => {
    const { status, body } = await server.call('POST', secrets, { metadata: { name }, type, stringData });
    assert.equal(status, 201, JSON.stringify(body));
  };
  const optionsOf = (name: string, namespace = 'default') => ({ secret: { namespace, name } });

  it('signs, is taken up when it changes, and costs nothing while it does not', async () => {
    const [one, two] = [writePlainKey(await generateSigningKey()), writePlainKey(await generateSigningKey('ecdsa-p384'))];
    await put('changing', { 'x509.pem': one });
    await using kube = await openCluster(server.kubeconfig);
    await using old = await x509.open(optionsOf('changing'), kube.means, ctx);

    const calls = kube.calls();
    for (let count = 0; count < 200; count += 1) await old.sign(bytes, ctx);
    assert.equal(kube.calls(), calls);
    await server.call('PATCH', `${secrets}/changing`, { metadata: { labels: { touched: 'yes' } } });
    assert.equal(await old.isCurrent(ctx), true);
    await server.call('PATCH', `${secrets}/changing`, { stringData: { 'x509.pem': two } });
    assert.equal(await old.isCurrent(ctx), false);

    await using next = await x509.open(optionsOf('changing'), kube.means, ctx);
    const [before, now] = [await old.sign(bytes, ctx), await next.sign(bytes, ctx)];
    assert.deepEqual([parsePublicKey(before.publicKey).algorithm, parsePublicKey(now.publicKey).algorithm], ['ecdsa-p256', 'ecdsa-p384']);
    for (const { signature, publicKey } of [before, now]) assert.equal(isSignedBy(parsePublicKey(publicKey), bytes, signature), true);
  });

  it('goes on when it is deleted, and takes up the one that is made instead', async () => {
    const secret = async () => ({ 'x509.pem': writePlainKey(await generateSigningKey()) });
    await put('deleted', await secret());
    await using kube = await openCluster(server.kubeconfig);
    await using old = await x509.open(optionsOf('deleted'), kube.means, ctx);

    await server.call('DELETE', `${secrets}/deleted`);

    assert.equal(await old.isCurrent(ctx), false);
    await assertRefused(optionsOf('deleted'), kube.means, {
      code: 'sign.no-key',
      says: /Cannot find the Secret "default\/deleted": there is none/,
      fix: /chainsmith keys generate --k8s default\/deleted/,
    });
    assert.equal((await old.sign(bytes, ctx)).publicKey, old.publicKey);
    await put('deleted', await secret());
    await using next = await x509.open(optionsOf('deleted'), kube.means, ctx);
    assert.notEqual(next.publicKey, old.publicKey);
  });

  it('goes on while the API server is away, without a reason to open it again', async () => {
    await put('away', { 'x509.pem': writePlainKey(await generateSigningKey()) });
    await using kube = await openCluster(server.kubeconfig);
    await using signer = await x509.open(optionsOf('away'), kube.means, ctx);

    const away: boolean[] = [];
    await server.restart(async () => {
      away.push(await signer.isCurrent(ctx));
      assert.equal((await signer.sign(bytes, ctx)).publicKey, signer.publicKey);
    });

    assert.deepEqual([away, await signer.isCurrent(ctx)], [[true], true]);
  });

  it('takes a Secret of type kubernetes.io/tls', async () => {
    await using work = await scratch('x509');
    const ca = await makeCa(work.dir, 'ca');
    const extensions = ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=codeSigning'];
    const leaf = await makeCertificate(work.dir, { name: 'leaf', issuer: ca, extensions });
    const [key, certificate] = [await readFile(leaf.keyFile, 'utf8'), await readFile(leaf.certFile, 'utf8')];
    const chain = await readFile(ca.certFile, 'utf8');
    await put('tls', { 'tls.key': key, 'tls.crt': certificate + chain }, 'kubernetes.io/tls');
    await using kube = await openCluster(server.kubeconfig);

    await using signer = await x509.open(optionsOf('tls'), kube.means, ctx);

    const signed = await signer.sign(bytes, ctx);
    assert.deepEqual([signed.certificate, signed.chain], [certificate, chain]);
  });

  it('needs the verb get on its name, and says so when it may not', async () => {
    const token = await server.serviceAccountToken('team', 'signer');
    const where = '/api/v1/namespaces/team/secrets';
    const key = { 'x509.pem': writePlainKey(await generateSigningKey()) };
    await server.call('POST', where, { metadata: { name: 'ours' }, stringData: key });
    await using work = await scratch('x509');
    await using kube = await openCluster(await kubeconfigOf(work.dir, server, token));
    await assertRefused(optionsOf('ours', 'team'), kube.means, {
      code: 'sign.secret-forbidden',
      says: /Cannot read the Secret "team\/ours": our account may not/,
      fix: /a Role in "team" with apiGroups: \[""\], resources: \["secrets"\], resourceNames: \["ours"\], verbs: \["get"\]/,
    });

    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/team';
    const rules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['ours'], verbs: ['get'] }];
    await server.call('POST', `${rbac}/roles`, { metadata: { name: 'ours' }, rules });
    await server.call('POST', `${rbac}/rolebindings`, {
      metadata: { name: 'ours' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'ours' },
      subjects: [{ kind: 'ServiceAccount', name: 'signer', namespace: 'team' }],
    });

    await using signer = await untilOpen(optionsOf('ours', 'team'), kube.means);
    assert.equal(await signer.isCurrent(ctx), true);
    await assertRefused(optionsOf('other', 'team'), kube.means, { code: 'sign.secret-forbidden', says: /team\/other/, fix: /"other"/ });
  });

  it('refuses what is no key, and shows none of it', async () => {
    const encrypted = await writeCosignKey(await generateSigningKey(), Buffer.from('pw'));
    const rows = [
      { name: 'empty', data: {}, code: 'sign.no-key', says: /in the Secret "default\/empty"/ },
      { name: 'damaged', data: { 'x509.pem': 'hunter2' }, code: 'sign.key-format', says: /k8s:\/\/default\/damaged\/x509\.pem/ },
      {
        name: 'wrong-password',
        data: { 'cosign.key': encrypted, 'cosign.password': 'hunter2' },
        code: 'sign.password',
        says: /k8s:\/\/default\/wrong-password\/cosign\.key": the password is wrong/,
      },
      { name: 'no-password', data: { 'cosign.key': encrypted }, code: 'sign.password', says: /there is no password/ },
    ];
    await using kube = await openCluster(server.kubeconfig);
    for (const { name, data, code, says } of rows) {
      await put(name, data);
      await assertRefused(optionsOf(name), kube.means, { code, says, fix: /./ });
    }
  });
});

async function openFolder(directory: string, files: Readonly<Record<string, string>>): Promise<Signer & { readonly publicKey: string }> {
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(directory, name), text);
  return await x509.open({ directory }, noMeans, ctx);
}

interface Made {
  readonly signature: Uint8Array;
  readonly publicKey: string;
}

async function openssl(dir: string, { signature, publicKey }: Made, digest: string | undefined): Promise<string> {
  const at = (name: string): string => path.join(dir, name);
  await writeFile(at('key.pub'), publicKey);
  await writeFile(at('signature'), signature);
  await writeFile(at('payload'), bytes);
  const plain = ['pkeyutl', '-verify', '-pubin', '-inkey', at('key.pub'), '-rawin', '-in', at('payload'), '-sigfile', at('signature')];
  const hashed = ['dgst', `-${digest}`, '-verify', at('key.pub'), '-signature', at('signature'), at('payload')];
  return await output('openssl', digest === undefined ? plain : hashed);
}

/** What cosign says; it hashes with SHA-256 unless it is told otherwise, whatever the curve. */
async function judged(version: 2 | 3, dir: string, { signature, publicKey }: Made, digest: string | undefined): Promise<string> {
  const at = (name: string): string => path.join(dir, `${version}-${name}`);
  await writeFile(at('key.pub'), publicKey);
  await writeFile(at('signature'), Buffer.from(signature).toString('base64'));
  await writeFile(at('payload'), bytes);
  const told = digest === undefined || digest === 'sha256' ? [] : ['--signature-digest-algorithm', digest];
  const args = ['verify-blob', '--key', at('key.pub'), '--signature', at('signature'), '--insecure-ignore-tlog', ...told];
  const { stderr } = await cosign(version, [...args, at('payload')]);
  return stderr.split('\n').find((line) => line === 'Verified OK') ?? stderr;
}

/** Memory that cannot be let go, and what is open: files, sockets, timers. */
async function usedNow(): Promise<{ readonly bytes: number; readonly open: readonly string[] }> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  for (let times = 0; times < 4; times += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
  }
  const { heapUsed, external } = process.memoryUsage();
  const files = process.platform === 'linux' ? [`${(await readdir('/proc/self/fd')).length} files`] : [];
  return { bytes: heapUsed + external, open: [...process.getActiveResourcesInfo().toSorted(), ...files] };
}

interface Cluster extends AsyncDisposable {
  readonly means: SignerMeans;
  /** How many requests were made. */
  readonly calls: () => number;
}

async function openCluster(kubeconfig: string): Promise<Cluster> {
  let count = 0;
  const client: KubeClient = openKubeClient({
    access: await openKubeconfig({ path: kubeconfig }, ctx),
    onRequest: () => void (count += 1),
  });
  return {
    means: { trust: notAskedFor, secret: async (namespace, name, within) => await getSecret(client, { namespace, name }, within) },
    calls: () => count,
    [Symbol.asyncDispose]: async () => await client[Symbol.asyncDispose](),
  };
}

async function kubeconfigOf(dir: string, { url, caPem }: ApiServer, token: string): Promise<string> {
  const file = path.join(dir, 'kubeconfig');
  const ca = Buffer.from(caPem).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': ca } }],
    users: [{ name: 'account', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'account' } }],
    'current-context': 'test',
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

type SecretOptions = { readonly secret: { readonly namespace: string; readonly name: string } };

/** The API server learns of a new Role a moment after it is made. */
async function untilOpen(options: SecretOptions, means: SignerMeans): Promise<Signer> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await x509.open(options, means, ctx);
    } catch (error) {
      if (tries === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function assertRefused(
  options: SecretOptions,
  means: SignerMeans,
  want: { readonly code: string; readonly says: RegExp; readonly fix: RegExp },
): Promise<void> {
  await assert.rejects(x509.open(options, means, ctx), (error) => {
    assert.ok(error instanceof CodedError);
    assert.equal(error.code, want.code);
    assert.match(error.message, want.says);
    assert.match(error.fix ?? '', want.fix);
    assert.equal([error.message, error.fix, error.stack, String(error.cause)].join('\n').includes('hunter2'), false);
    return true;
  });
}
