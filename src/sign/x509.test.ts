import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes, verify, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { CodedError, TerminalError } from '../errors.ts';
import { pemOf } from '../model/pem.ts';
import { isSignedBy, parsePublicKey } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { writeCosignKey } from './key-file.ts';
import type { SignerMeans } from './signer.ts';
import { x509 } from './x509.ts';

/** Throw-away keys, made by cosign 3.1.2 (`generate-key-pair`) and 2.6.4 (`import-key-pair`), both with the password "pw". */
const cosign3 = {
  key: `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJ3alJtYnpIenRtRHN1V0JPeS9oZ3o2SU5zMXU0K1FH
d3FQUUFteXBHNEZBPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJkdVpwUkh5djRYT2liNzA2M1BBemdDL1IzZ1ZCL1BDaCJ9LCJj
aXBoZXJ0ZXh0IjoiOU42SmVCcXJmTGYyQUx6Yk4zOTZBTm4yWXJiaXc1Q1h1bTJU
Nzh2ZE8xOTMrQ2x1UkZQRU8wSmJPK0pRanR6RXVzT01kZFRpNm56dTN4eXd3Wjdl
dDR0ME10U1NnckJoYlhvbk5qcnptZEJ0b2s2R29sREs2WjJMbnNoQjl2MTBER2Jp
NUkvdWtybC9OUHhuMDh2NDludHR3N0sydkIvVzVYZ1Fhb1JMN1NTMmVoVDdDaGd1
bkpGcm96b29DeUNxYWtyTUpHVk5QL0VqNFE9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
`,
  publicKey: `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEM5geq00PwENdubgrS8XxF252uBcp
uFkg6iiP3UeF44cMKmUXM6ohGfFyfDgtGs19Udz7L6u0snJifAK4+yzNyw==
-----END PUBLIC KEY-----
`,
};
const cosign2 = {
  key: `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJNU3BuMDFoVys3S2JISHNFa2Q1Rnl4WVJuNWZJdStT
Sld4RzNaWWZvL0ZjPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJreC84MnFEck9taS9JeEFuWjZEYWo1Zys0TjZNWTZYUCJ9LCJj
aXBoZXJ0ZXh0IjoicmQ0YW1qR0VLVWNZa3hIRUNpY0h6SytwNFYrbkZJbVhyRlJ3
bCtlZkpoMUdWVTJnNEdhZXhDM3VaZjA4cUhQaDVBeVU5STdETnQ4dHJhbEh6NExh
UEZLRnU3NUpROExtSG9sbjdoZkgxeElkQUZvcHhjS0wxUk91VkhVeE5MVHAzZ0xT
RzVGeDlMK09VWU91YjFtMnNJOUNZWDkvYVR4YlJRMEpnTVRTdmlBa0VQdnNsTkJI
dzNySnh5K1lleiswN3NzaW54QkxtYm14QzhxY2x0cjIzdFRFQjIzRFpwdndwdEw2
dmlkdzh3d2Z3L0s3MFhmMUlEc1VJQUNKaGRkZVlBbVg4YitFVEYxeSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
`,
  publicKey: `-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEUM2T1DtDcU+6lcDWtrwC97DoCBNk+yam
tK4VDSFDcY4AI9oE6sNqeIWQWsOKBmpzzILtMCUJ6DmZkyaG6fgQfIMGL/9KBCx0
JkK32Zx5jsRewfWJGC7aYWswMzBU/IqD
-----END PUBLIC KEY-----
`,
};

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const notAskedFor = async (): Promise<never> => await Promise.reject(new Error('not asked for'));
const means: SignerMeans = { trust: notAskedFor, secret: notAskedFor };
const bytes = Buffer.from('what is signed');

/** A folder with these files; gone at the end of the test. */
async function folderWith(files: Readonly<Record<string, string | Uint8Array>>): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'x509-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) };
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
const rsa = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey;

const made = {
  p521: await writeCosignKey(ec('P-521'), Buffer.from('ä\n')),
  rsa2048: await writeCosignKey(rsa(2048), Buffer.alloc(0)),
  rsa2560: await writeCosignKey(rsa(2560), Buffer.from('pw')),
  ed25519: await writeCosignKey(generateKeyPairSync('ed25519').privateKey, Buffer.alloc(0)),
};

const sec1 = ec('P-256').export({ type: 'sec1', format: 'pem' }).toString();
const pkcs1 = rsa(2048).export({ type: 'pkcs1', format: 'pem' }).toString();

describe('x509, what it signs', () => {
  const rows = [
    { name: 'x509.pem with P-256', files: { 'x509.pem': pkcs8(ec('P-256')) }, digest: 'sha256' },
    { name: 'x509.pem with P-384', files: { 'x509.pem': pkcs8(ec('P-384')) }, digest: 'sha256' },
    { name: 'x509.pem with P-521', files: { 'x509.pem': pkcs8(ec('P-521')) }, digest: 'sha256' },
    { name: 'x509.pem with RSA', files: { 'x509.pem': pkcs8(rsa(3072)) }, digest: 'sha256' },
    { name: 'x509.pem with Ed25519', files: { 'x509.pem': pkcs8(generateKeyPairSync('ed25519').privateKey) }, digest: undefined },
    { name: 'x509.pem in SEC1', files: { 'x509.pem': sec1 }, digest: 'sha256' },
    {
      name: 'x509.pem in SEC1 after its curve',
      files: { 'x509.pem': pemOf('EC PARAMETERS', Buffer.from([6, 0])) + sec1 },
      digest: 'sha256',
    },
    { name: 'x509.pem in PKCS #1', files: { 'x509.pem': pkcs1 }, digest: 'sha256' },
    { name: 'x509.pem before cosign.key', files: { 'x509.pem': pkcs8(ec('P-256')), 'cosign.key': 'never looked at' }, digest: 'sha256' },
    { name: 'a cosign.key of cosign 3', files: { 'cosign.key': cosign3.key, 'cosign.password': 'pw' }, digest: 'sha256' },
    { name: 'a cosign.key of cosign 2 with P-384', files: { 'cosign.key': cosign2.key, 'cosign.password': 'pw' }, digest: 'sha384' },
    { name: 'a cosign.key with P-521', files: { 'cosign.key': made.p521, 'cosign.password': 'ä\n' }, digest: 'sha512' },
    { name: 'a cosign.key with RSA', files: { 'cosign.key': made.rsa2048, 'cosign.password': '' }, digest: 'sha256' },
    {
      name: 'a cosign.key with Ed25519',
      files: { 'cosign.key': made.ed25519, 'cosign.password': '' },
      digest: undefined,
    },
  ];
  for (const { name, files, digest } of rows) {
    it(`signs with ${name}, ${digest ?? 'without a digest'}`, async () => {
      await using folder = await folderWith(files);
      await using signer = await x509.open({ directory: folder.path }, means, ctx);

      const signed = await signer.sign(bytes, ctx);

      assert.deepEqual(
        { ...signed, key: signed.key?.pem },
        { signature: signed.signature, publicKey: signer.publicKey, key: signer.publicKey, certificate: '', chain: '' },
      );
      const key = parsePublicKey(signer.publicKey);
      assert.equal(key.pem, signer.publicKey);
      assert.equal(verify(digest, bytes, key.object, signed.signature), true);
      assert.equal(isSignedBy(key, bytes, signed.signature), true);
    });
  }

  it('has the public key that cosign wrote', async () => {
    for (const { key, publicKey } of [cosign3, cosign2]) {
      await using folder = await folderWith({ 'cosign.key': key, 'cosign.password': 'pw' });
      await using signer = await x509.open({ directory: folder.path }, means, ctx);
      assert.equal(signer.publicKey, publicKey);
    }
  });

  it('signs so that openssl verifies it', async () => {
    await using folder = await folderWith({ 'x509.pem': pkcs8(ec('P-256')), payload: bytes });
    await using signer = await x509.open({ keyFile: join(folder.path, 'x509.pem') }, means, ctx);

    const { signature } = await signer.sign(bytes, ctx);

    const [pub, sig] = [join(folder.path, 'pub'), join(folder.path, 'sig')];
    await writeFile(pub, signer.publicKey);
    await writeFile(sig, signature);
    const said = execFileSync('openssl', ['dgst', '-sha256', '-verify', pub, '-signature', sig, join(folder.path, 'payload')]);
    assert.equal(said.toString(), 'Verified OK\n');
  });

  it('is open to many at once, and every signature is good', async () => {
    await using folder = await folderWith({ 'x509.pem': pkcs8(ec('P-384')) });
    await using signer = await x509.open({ directory: folder.path }, means, ctx);

    const signed = await Promise.all(Array.from({ length: 16 }, async (_, index) => await signer.sign(Buffer.from([index]), ctx)));

    const key = parsePublicKey(signer.publicKey);
    assert.deepEqual(
      signed.map(({ signature }, index) => isSignedBy(key, Buffer.from([index]), signature)),
      Array(16).fill(true),
    );
  });

  it('stops when it is told to', async () => {
    await using folder = await folderWith({ 'x509.pem': pkcs8(ec('P-256')) });
    await using signer = await x509.open({ directory: folder.path }, means, ctx);
    const reason = new Error('stop');

    await assert.rejects(signer.sign(bytes, { ...ctx, signal: AbortSignal.abort(reason) }), reason);
  });
});

describe('x509, options', () => {
  it('looks where Tekton Chains looks unless told otherwise', () => {
    assert.deepEqual(x509.options.parse({}), { directory: '/etc/signing-secrets' });
  });

  it('refuses a folder and a file at once, and what it does not know', () => {
    for (const options of [{ directory: 'd', keyFile: 'f' }, { folder: 'd' }, { directory: '' }]) {
      assert.equal(x509.options.safeParse(options).success, false);
    }
  });

  const files = async () => await folderWith({ key: cosign3.key, password: 'pw' });
  it('takes the password from a file, or as it is given', async () => {
    await using folder = await files();
    const keyFile = join(folder.path, 'key');
    for (const options of [
      { keyFile, passwordFile: join(folder.path, 'password') },
      { keyFile, password: 'pw' },
    ]) {
      await using signer = await x509.open(options, means, ctx);
      assert.equal(signer.publicKey, cosign3.publicKey);
    }
  });
});

const pbes2 = ec('P-256').export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' }).toString();
const oldEncrypted = ec('P-256').export({ type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' }).toString();

describe('x509, what it refuses', () => {
  const rows = [
    {
      name: 'an empty folder',
      files: {},
      code: 'sign.no-key',
      says: /looked for x509\.pem, cosign\.key and tls\.key/,
      fix: /keys generate/,
    },
    { name: 'an empty file', files: { 'x509.pem': '' }, code: 'sign.key-format', says: /no PEM block/, fix: /keys generate/ },
    { name: 'no text', files: { 'x509.pem': randomBytes(200) }, code: 'sign.key-format', says: /no PEM block/, fix: /keys generate/ },
    {
      name: 'encrypted PKCS #8',
      files: { 'x509.pem': pbes2 },
      code: 'sign.key-format',
      says: /"ENCRYPTED PRIVATE KEY"/,
      fix: /openssl pkey -in .*x509\.pem.* -out x509\.pem/,
    },
    {
      name: 'an encrypted SEC1',
      files: { 'x509.pem': oldEncrypted },
      code: 'sign.key-format',
      says: /an encrypted "EC PRIVATE KEY"/,
      fix: /openssl pkey -in/,
    },
    { name: 'a public key', files: { 'x509.pem': cosign3.publicKey }, code: 'sign.key-format', says: /"PUBLIC KEY"/, fix: /private half/ },
    {
      name: 'a certificate',
      files: { 'x509.pem': pemOf('CERTIFICATE', Buffer.from([48, 0])) },
      code: 'sign.key-format',
      says: /"CERTIFICATE"/,
      fix: /private key/,
    },
    {
      name: 'a damaged key',
      files: { 'x509.pem': pemOf('PRIVATE KEY', Buffer.from('hunter2')) },
      code: 'sign.key-format',
      says: /does not hold a PKCS #8 key/,
      fix: /openssl pkey/,
    },
    {
      name: 'a cosign key as x509.pem',
      files: { 'x509.pem': cosign3.key },
      code: 'sign.key-format',
      says: /encrypted cosign key/,
      fix: /cosign\.password/,
    },
    {
      name: 'a plain key as cosign.key',
      files: { 'cosign.key': pkcs8(ec('P-256')), 'cosign.password': '' },
      code: 'sign.key-format',
      says: /unencrypted key/,
      fix: /x509\.pem/,
    },
    {
      name: 'a bad x509.pem beside a good cosign.key',
      files: { 'x509.pem': pbes2, 'cosign.key': cosign3.key, 'cosign.password': 'pw' },
      code: 'sign.key-format',
      says: /x509\.pem/,
      fix: /openssl/,
    },
    {
      name: 'a file too large for a key',
      files: { 'x509.pem': Buffer.alloc(65 * 1024) },
      code: 'sign.key-format',
      says: /larger than/,
      fix: undefined,
    },
    { name: 'P-224', files: { 'x509.pem': pkcs8(ec('P-224')) }, code: 'sign.key-type', says: /ec secp224r1/, fix: /P-256/ },
    { name: 'secp256k1', files: { 'x509.pem': pkcs8(ec('secp256k1')) }, code: 'sign.key-type', says: /ec secp256k1/, fix: /P-256/ },
    {
      name: 'an odd RSA size',
      files: { 'cosign.key': made.rsa2560, 'cosign.password': 'pw' },
      code: 'sign.key-type',
      says: /2560 bits/,
      fix: /P-256/,
    },
    {
      name: 'no password',
      files: { 'cosign.key': cosign3.key },
      code: 'sign.password',
      says: /there is no password/,
      fix: /cosign\.password/,
    },
    {
      name: 'a wrong password',
      files: { 'cosign.key': cosign3.key, 'cosign.password': 'hunter2' },
      code: 'sign.password',
      says: /password is wrong/,
      fix: /byte for byte/,
    },
    {
      name: 'a newline after the password',
      files: { 'cosign.key': cosign3.key, 'cosign.password': 'pw\n' },
      code: 'sign.password',
      says: /password is wrong/,
      fix: /remove the trailing newline/,
    },
    {
      name: 'a newline after a wrong password',
      files: { 'cosign.key': cosign3.key, 'cosign.password': 'hunter2\r\n' },
      code: 'sign.password',
      says: /password is wrong/,
      fix: /also ends with a newline/,
    },
  ];
  for (const { name, files, code, says, fix } of rows) {
    it(`refuses ${name} with ${code}`, async () => {
      await using folder = await folderWith(files);

      await assert.rejects(x509.open({ directory: folder.path }, means, ctx), (error) => {
        assert.ok(error instanceof TerminalError);
        assert.equal(error.code, code);
        assert.match(error.message, says);
        assert.ok(error.message.includes(folder.path), error.message);
        if (fix) assert.match(error.fix ?? '', fix);
        for (const content of ['hunter2', ...Object.values(files).flatMap(secretsOf)])
          assert.ok(!shownOf(error).includes(content), shownOf(error));
        return true;
      });
    });
  }

  it('does not go on to the next file when one is there and cannot be read', async () => {
    await using folder = await folderWith({ 'cosign.key': cosign3.key, 'cosign.password': 'pw' });
    await mkdir(join(folder.path, 'x509.pem'));

    await assert.rejects(x509.open({ directory: folder.path }, means, ctx), { code: 'sign.key-unreadable', message: /EISDIR/ });
  });

  it('says which of the files it was told of is not there', async () => {
    await using folder = await folderWith({ key: cosign3.key });
    const keyFile = join(folder.path, 'key');

    await assert.rejects(x509.open({ keyFile: join(folder.path, 'none') }, means, ctx), { code: 'sign.no-key', message: /none/ });
    await assert.rejects(x509.open({ keyFile, passwordFile: join(folder.path, 'nothing') }, means, ctx), {
      code: 'sign.no-key',
      message: /nothing/,
    });
    await assert.rejects(x509.open({ keyFile }, means, ctx), { code: 'sign.password' });
  });
});

/** Everything that a log could show of an error. */
function shownOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return [error.message, error.stack ?? '', error instanceof CodedError ? (error.fix ?? '') : '', shownOf(error.cause ?? '')].join('\n');
}

/** The lines of a key file that must never be shown: its base64. */
function secretsOf(content: string | Uint8Array): readonly string[] {
  return typeof content === 'string' ? content.split('\n').filter((line) => line.length >= 32 && !line.startsWith('-----')) : [];
}
