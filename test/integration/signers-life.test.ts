import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCa, makeCertificate, type KeyPair } from '../servers/certificates.ts';
import { until } from '../servers/process.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';
import { startVault } from '../servers/vault.ts';
import { demand } from './cluster.ts';
import {
  chainsmith,
  envelopesOn,
  linesOf,
  mountSecret,
  newKey,
  setFlags,
  signersOf,
  startSigning,
  vaultKey,
  type Annotations,
  type Signing,
} from './signers-world.ts';

const reason = await missing('etcd', 'kube-apiserver', 'vault');

describe('a key that changes while a controller signs', { skip: reason }, () => {
  const stack = new AsyncDisposableStack();
  let signing: Signing;
  const keys: Record<string, string> = {};

  before(async () => {
    signing = stack.use(await startSigning({}));
    await signing.namespaces('ci', 'keys');
  });

  after(async () => await stack.disposeAsync());

  const base = { 'artifacts.taskrun.storage': 'tekton', 'artifacts.oci.storage': '', 'retry.max-delay': '1s' };
  const byWhom = (annotations: Annotations): string => {
    const envelopes = [...envelopesOn(annotations).values()];
    return envelopes.flatMap((envelope) => signersOf(envelope, keys)).join(' ');
  };

  it('in a mounted Secret signs from then on, and no run fails meanwhile', async () => {
    const { dir } = stack.use(await scratch('mounted'));
    const ca = await makeCa(dir, 'ca');
    const mount = path.join(dir, 'mount');
    const [old, next] = [await certified(dir, 'old', ca), await certified(dir, 'next', ca)];
    await mountSecret(mount, 1, old.files);
    keys['old'] = old.publicPem;
    keys['next'] = next.publicPem;
    const named = JSON.stringify({ mounted: { kind: 'x509', directory: mount } });
    await signing.configure({ ...base, 'signers.named': named, 'artifacts.taskrun.signer': 'mounted' });
    await signing.restart();

    const names = Array.from({ length: 60 }, (_, index) => `load-${String(index).padStart(2, '0')}`);
    for (const [index, name] of names.entries()) {
      await signing.complete(name);
      await sleep(100);
      if (index === 19) await mountSecret(mount, 2, next.files);
    }
    await until('the new key to sign', 30_000, async () => /the signer has a new key/.test(await signing.log()));
    await signing.complete('after');

    const who: string[] = [];
    for (const name of [...names, 'after']) {
      const annotations = await signing.signed(name);
      who.push(byWhom(annotations));
      const certificate = Object.entries(annotations).find(([key]) => key.startsWith('chains.tekton.dev/cert-'))?.[1] ?? '';
      const want = who.at(-1) === 'old' ? old : next;
      assert.equal(Buffer.from(certificate, 'base64').toString(), want.files['cert.pem'], name);
    }
    const change = who.indexOf('next');
    assert.ok(change >= 19, `changed at ${change}`);
    assert.deepEqual(who, [...who.slice(0, change).fill('old'), ...who.slice(change).fill('next')]);
    assert.doesNotMatch(await signing.log(), /attempt failed/);
  });

  it('in a Secret of the API server is taken up; deleted, the last one goes on; after a restart runs wait, and are signed when it is there again', async () => {
    const secrets = '/api/v1/namespaces/keys/secrets';
    const fill = (name: string): object => {
      const key = newKey();
      keys[name] = key.publicPem;
      return { stringData: { 'x509.pem': key.privatePem } };
    };
    await letRead();
    await demand(signing.cluster.api.call('POST', secrets, { metadata: { name: 'signer' }, ...fill('first') }), 'make the Secret');
    await signing.configure({ ...base, 'signers.x509.secret': 'keys/signer' }, 'applied');
    await signing.complete('secret-1');
    assert.equal(byWhom(await signing.signed('secret-1')), 'first');

    await signing.after('the signer has a new key', async () => {
      await demand(signing.cluster.api.call('PATCH', `${secrets}/signer`, fill('second')), 'rotate');
      await provoke('rotated');
    });
    await signing.complete('secret-2');
    assert.equal(byWhom(await signing.signed('secret-2')), 'second');

    await signing.after('the signer cannot be opened again, the last one goes on', async () => {
      await demand(signing.cluster.api.call('DELETE', `${secrets}/signer`), 'delete');
      await provoke('deleted');
    });
    await signing.complete('secret-3');
    assert.equal(byWhom(await signing.signed('secret-3')), 'second');

    await signing.restart();
    await signing.after('sign.no-key', async () => {
      for (const name of ['wait-1', 'wait-2', 'wait-3']) await signing.complete(name);
    });
    await until('its Event', 30_000, async () => (await explained('wait-1')).includes('the controller said'));
    const said = await explained('wait-1');
    assert.match(said, /^waiting {2}TaskRun ci\/wait-1\n/);
    assert.match(
      said,
      /Signer "x509": Cannot find the Secret "keys\/signer": there is none\. Fix: make it with "chainsmith keys generate --k8s keys\/signer"/,
    );
    const others = [await explained('wait-2'), await explained('wait-3')].join('');
    assert.equal(others.split('Cannot find the Secret "keys/signer"').length - 1, 2, others);

    await demand(signing.cluster.api.call('POST', secrets, { metadata: { name: 'signer' }, ...fill('third') }), 'make it again');
    for (const name of ['wait-1', 'wait-2', 'wait-3']) assert.equal(byWhom(await signing.signed(name)), 'third');
    // The breaker asks for all: three runs that wait for tens of seconds do not say so every second.
    const attempts = linesOf(await signing.log()).filter(
      ({ msg, run }) => msg === 'attempt failed' && run?.startsWith('ci/wait-') === true,
    );
    assert.ok(attempts.length >= 3 && attempts.length <= 30, `${attempts.length} lines`);
  });

  it('in a Vault is taken up; both versions are listed, and both verify', async () => {
    const vault = stack.use(await startVault());
    await vault.makeKey('team', 'ecdsa-p256');
    keys['v1'] = await vaultKey(vault, 'team');
    const tokenFile = path.join(signing.cluster.dir, 'token');
    await writeFile(tokenFile, await vault.token());
    const values = {
      ...base,
      'artifacts.taskrun.signer': 'kms',
      'signers.kms.kmsref': 'hashivault://team',
      'signers.kms.auth.address': vault.url,
      'signers.kms.auth.token-path': tokenFile,
    };
    await signing.configure(values, 'applied');
    await signing.complete('vault-1');
    assert.equal(byWhom(await signing.signed('vault-1')), 'v1');

    const rotatedAt = Date.now();
    await signing.after('the signer has a new key', async () => {
      await vault.rotate('team');
      await provoke('versions');
    });
    keys['v2'] = await vaultKey(vault, 'team');
    await signing.complete('vault-2');
    assert.equal(byWhom(await signing.signed('vault-2')), 'v2');
    assert.ok(Date.now() - rotatedAt < 60_000);

    await signing.stop();
    const journal = { 'journal.url': `sqlite://${path.join(signing.cluster.dir, 'controller-0/journal.db')}` };
    const listed = await chainsmith(['keys', 'list', '--json', '--journal', '--signer', 'kms', ...setFlags({ ...values, ...journal })]);
    assert.equal(listed.code, 0, listed.stderr);
    const ring = JSON.parse(listed.stdout) as {
      keys: readonly { publicKey: string; firstSigned: string; lastSigned: string; signer: string }[];
    };
    const byVault = ring.keys.filter(({ signer }) => signer === 'kms');
    assert.deepEqual(
      byVault.map(({ publicKey }) => [publicKey.trim() === keys['v2']?.trim(), publicKey.trim() === keys['v1']?.trim()]),
      [
        [true, false],
        [false, true],
      ],
    );
    const [second, first] = byVault;
    assert.ok(
      first !== undefined && second !== undefined && first.firstSigned <= first.lastSigned && first.lastSigned <= second.firstSigned,
    );
    await verifiedByRing(listed.stdout, ['vault-1', 'vault-2']);
  });

  /** Runs one after another: a signer is only looked at when it is to sign. */
  async function provoke(name: string): Promise<void> {
    for (let index = 0; index < 4; index += 1) {
      await signing.complete(`${name}-${index}`);
      await signing.signed(`${name}-${index}`);
      await sleep(2_000);
    }
  }

  async function explained(name: string): Promise<string> {
    return (await chainsmith(['explain', '--kubeconfig', signing.cluster.api.kubeconfig, `ci/${name}`])).stdout;
  }

  async function verifiedByRing(ring: string, names: readonly string[]): Promise<void> {
    const ringFile = path.join(signing.cluster.dir, 'ring.json');
    await writeFile(ringFile, ring);
    for (const name of names) {
      const file = path.join(signing.cluster.dir, `${name}.json`);
      const [envelope] = envelopesOn(await signing.annotations(name)).values();
      await writeFile(file, envelope ?? '');
      const { code, stdout, stderr } = await chainsmith(['verify', '--key-ring', ringFile, '--envelope', file]);
      assert.equal(code, 0, stdout + stderr);
    }
  }

  /** What the message of `sign.secret-forbidden` asks for. */
  async function letRead(): Promise<void> {
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/keys';
    const rules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['signer'], verbs: ['get'] }];
    await demand(signing.cluster.api.call('POST', `${rbac}/roles`, { metadata: { name: 'signer' }, rules }), 'make a Role');
    const binding = {
      metadata: { name: 'signer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'signer' },
      subjects: [{ kind: 'ServiceAccount', name: 'tekton-chains-controller', namespace: 'tekton-chains' }],
    };
    await demand(signing.cluster.api.call('POST', `${rbac}/rolebindings`, binding), 'bind it');
  }
});

interface Certified {
  readonly publicPem: string;
  readonly files: Readonly<Record<'x509.pem' | 'cert.pem' | 'chain.pem', string>>;
}

async function certified(dir: string, name: string, issuer: KeyPair): Promise<Certified> {
  const extensions = ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=codeSigning'];
  const pair = await makeCertificate(dir, { name, issuer, extensions });
  const text = async (file: string): Promise<string> => await readFile(file, 'utf8');
  const publicPem = createPublicKey(await text(pair.certFile))
    .export({ format: 'pem', type: 'spki' })
    .toString();
  return {
    publicPem,
    files: { 'x509.pem': await text(pair.keyFile), 'cert.pem': await text(pair.certFile), 'chain.pem': await text(issuer.certFile) },
  };
}
