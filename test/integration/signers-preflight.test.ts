import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { output } from '../servers/command.ts';
import { startSigstore, type Sigstore } from '../servers/sigstore.ts';
import { missing } from '../servers/tools.ts';
import { startVault, type Vault } from '../servers/vault.ts';
import { chainsmith, envelopesOn, keyFolder, newKey, setFlags, signersOf, startSigning, vaultKey, type Signing } from './signers-world.ts';

const reason = (await missing('etcd', 'kube-apiserver', 'vault')) || (await missing('rekor-tiles', 'timestamp-authority'));

/** A signer that cannot sign, and what makes it able to. */
interface Broken {
  readonly values: Readonly<Record<string, string>>;
  readonly mend: () => Promise<void>;
  /** The public key, once it is mended. */
  readonly publicPem: () => Promise<string>;
}

interface Case {
  readonly name: string;
  readonly make: (dir: string) => Promise<Broken>;
  readonly code: string;
  readonly says: RegExp;
  readonly isPreflight: boolean;
}

describe('a configuration with a signer that cannot sign', { skip: reason }, () => {
  const stack = new AsyncDisposableStack();
  let signing: Signing;
  let vault: Vault;
  let sigstore: Sigstore;
  let good: string;

  before(async () => {
    vault = stack.use(await startVault());
    sigstore = stack.use(await startSigstore({ rekor: 'v2', tsa: true }));
    signing = stack.use(await startSigning(base));
    await signing.namespaces('ci');
    good = await readFile(signing.cluster.publicKey, 'utf8');
    await signing.restart();
  });

  after(async () => await stack.disposeAsync());

  const base = { 'artifacts.taskrun.storage': 'tekton', 'artifacts.oci.storage': '' };
  const named = (directory: string): Readonly<Record<string, string>> => ({
    'signers.named': JSON.stringify({ next: { kind: 'x509', directory } }),
    'artifacts.taskrun.signer': 'next',
  });
  const unloggable = async (dir: string): Promise<Broken> => {
    await keyFolder(dir, newKey('Ed25519'));
    const key = newKey();
    const log = {
      'transparency.enabled': 'true',
      'transparency.version': '2',
      'transparency.url': sigstore.rekor?.url ?? '',
      'transparency.timestamp.url': sigstore.tsa?.url ?? '',
      'trust.root': sigstore.trustedRootFile,
    };
    return { values: { ...named(dir), ...log }, mend: async () => void (await keyFolder(dir, key)), publicPem: async () => key.publicPem };
  };
  const notLoggable = { code: 'config.not-loggable', says: /signer \\*"next\\*".*[Ee]d25519/, make: unloggable };

  const cases: readonly Case[] = [
    {
      name: 'a wrong password',
      isPreflight: true,
      code: 'sign.password',
      says: /Signer \\*"next\\*": Cannot decrypt .*cosign\.key/,
      async make(dir) {
        await mkdir(dir);
        const made = ['keys', 'generate', '--output-key-prefix', path.join(dir, 'cosign')];
        assert.equal((await chainsmith(made, { ...process.env, COSIGN_PASSWORD: 'right' })).code, 0);
        await writeFile(path.join(dir, 'cosign.password'), 'wrong');
        return {
          values: named(dir),
          mend: async () => await writeFile(path.join(dir, 'cosign.password'), 'right'),
          publicPem: async () => await readFile(path.join(dir, 'cosign.pub'), 'utf8'),
        };
      },
    },
    {
      name: 'a token that a Vault denies',
      isPreflight: true,
      code: 'sign.kms-refused',
      says: /Signer \\*"kms\\*": .*the service refuses us \(403/,
      async make(dir) {
        await vault.makeKey('team', 'ecdsa-p256');
        await writeFile(dir, await vault.token({ policies: ['default'] }));
        const values = {
          'artifacts.taskrun.signer': 'kms',
          'signers.kms.kmsref': 'hashivault://team',
          'signers.kms.auth.address': vault.url,
          'signers.kms.auth.token-path': dir,
        };
        return {
          values,
          mend: async () => await writeFile(dir, await vault.token()),
          publicPem: async () => await vaultKey(vault, 'team'),
        };
      },
    },
    {
      name: 'a certificate that has expired',
      isPreflight: true,
      code: 'sign.certificate-expired',
      says: /Signer \\*"next\\*": .*the certificate .* ended on/,
      async make(dir) {
        const { publicPem } = await keyFolder(dir);
        const certify = async (days: number): Promise<void> => {
          const key = path.join(dir, 'x509.pem');
          await output('openssl', ['req', '-new', '-key', key, '-subj', '/CN=ci', '-out', `${dir}.csr`]);
          const files = ['-in', `${dir}.csr`, '-signkey', key, '-out', `${dir}.crt`];
          await output('openssl', ['x509', '-req', ...files, '-days', String(days)]);
          await copyFile(`${dir}.crt`, path.join(dir, 'cert.pem'));
        };
        // One that lasts no day has ended when the second is over.
        await certify(0);
        await sleep(1_100);
        return { values: named(dir), mend: async () => await certify(1), publicPem: async () => publicPem };
      },
    },
    { name: 'an Ed25519 key and a Rekor 2', isPreflight: true, ...notLoggable },
    { name: 'an Ed25519 key and a Rekor 2, without preflight', isPreflight: false, ...notLoggable },
  ];
  for (const [index, { name, make, code, says, isPreflight }] of cases.entries()) {
    it(`is refused whole, and taken up once it is mended: ${name}`, async () => {
      const { values, mend, publicPem } = await make(path.join(signing.cluster.dir, `broken-${index}`));
      const given = { ...base, ...values, 'signers.preflight': String(isPreflight) };
      const byWhom = async (run: string): Promise<readonly string[]> => {
        await signing.complete(run);
        const keys = { good, mended: await publicPem() };
        return [...envelopesOn(await signing.signed(run)).values()].flatMap((envelope) => signersOf(envelope, keys));
      };
      const logged = (await signing.log()).length;

      await signing.configure(given, 'refused');
      const lines = (await signing.log()).slice(logged);
      assert.match(lines, new RegExp(`"code":"${code}"`));
      assert.match(lines, says);
      assert.doesNotMatch(lines, /configuration applied/);
      assert.deepEqual(await byWhom(`meanwhile-${index}`), ['good']);

      const started = await chainsmith([
        'controller',
        '--log-level',
        'error',
        '--listen',
        '127.0.0.1:0',
        '--source',
        `dir:${signing.cluster.dir}/none`,
        ...setFlags({ ...given, 'journal.url': `sqlite://${signing.cluster.dir}/start-${index}.db` }),
      ]);
      assert.deepEqual([started.code, started.stdout], [2, ''], started.stderr);
      assert.match(started.stderr, new RegExp(`^error: [^\\n]*${says.source}[^\\n]*\\nfix: {3}[^\\n]+\\n$`));

      await signing.after('configuration applied', mend);
      assert.deepEqual(await byWhom(`mended-${index}`), ['mended']);
      await signing.configure(base, 'applied');
    });
  }
});
