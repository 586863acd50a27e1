import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, describe, it, mock } from 'node:test';
import { pino } from 'pino';
import { makeCa, makeCertificate, type KeyPair } from '../../test/servers/certificates.ts';
import { output } from '../../test/servers/command.ts';
import { scratch } from '../../test/servers/scratch.ts';
import { CodedError } from '../errors.ts';
import type { Context } from '../observe/context.ts';
import type { Signer, SignerMeans } from './signer.ts';
import { x509 } from './x509.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const notAskedFor = async (): Promise<never> => await Promise.reject(new Error('not asked for'));
const means: SignerMeans = { trust: notAskedFor, secret: notAskedFor };
const bytes = Buffer.from('what is signed');

const authority = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
const signing = ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=codeSigning'];

/** One company: root, two intermediates, and certificates of each kind. */
const work = await scratch('certificates');
after(async () => {
  await work[Symbol.asyncDispose]();
});
const made = async (name: string, issuer: KeyPair, extensions: readonly string[]): Promise<KeyPair> =>
  await makeCertificate(work.dir, { name, issuer, extensions });
const root = await makeCa(work.dir, 'root');
const upper = await made('upper', root, authority);
const lower = await made('lower', upper, authority);
const leaf = await made('leaf', lower, signing);
const plain = await made('plain', lower, []);
const anyUsage = await made('any', lower, ['extendedKeyUsage=anyExtendedKeyUsage']);
const server = await made('server', lower, ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=serverAuth']);
const encipher = await made('encipher', lower, ['keyUsage=critical,keyEncipherment', 'extendedKeyUsage=codeSigning']);
const stranger = await makeCa(work.dir, 'stranger');
const foreignIssue = await made('foreign', stranger, signing);
const noAuthority = await made('no-authority', root, ['basicConstraints=critical,CA:FALSE']);
const byNobody = await made('by-nobody', noAuthority, signing);

const textOf = (file: string): string => readFileSync(file, 'utf8');
const pem = (...pairs: readonly KeyPair[]): string => pairs.map(({ certFile }) => textOf(certFile)).join('');
const keyOf = ({ keyFile }: KeyPair): string => textOf(keyFile);

/** A folder with these files, whose paths an error must name. */
async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = path.join(work.dir, `keys-${Math.random().toString(36).slice(2)}`);
  await mkdir(folder);
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  return folder;
}

async function opened(files: Readonly<Record<string, string>>): Promise<Signer> {
  return await x509.open({ directory: await folderWith(files) }, means, ctx);
}

describe('x509 with certificates', () => {
  it('signs with the certificate and the chain beside the key', async () => {
    const files = { 'x509.pem': keyOf(leaf), 'cert.pem': pem(leaf), 'chain.pem': pem(lower, upper, root) };
    await using signer = await opened(files);

    const signed = await signer.sign(bytes, ctx);

    assert.deepEqual([signed.certificate, signed.chain], [files['cert.pem'], files['chain.pem']]);
    assert.equal(new X509Certificate(signed.certificate).publicKey.export({ type: 'spki', format: 'pem' }), signed.publicKey);
  });

  const goods = [
    { name: 'without a chain', certificates: { 'cert.pem': pem(leaf) }, chain: '' },
    { name: 'whose chain ends before the root', certificates: { 'cert.pem': pem(leaf), 'chain.pem': pem(lower, upper) } },
    { name: 'with the chain in the same file', certificates: { 'cert.pem': pem(leaf, lower, upper) } },
    { name: 'with words around the blocks', certificates: { 'cert.pem': `leaf\n${pem(leaf)}chain\n${pem(lower, upper)}end\n` } },
    { name: 'with line ends of Windows', certificates: { 'cert.pem': pem(leaf, lower, upper).replaceAll('\n', '\r\n') } },
  ];
  for (const { name, certificates, chain } of goods) {
    it(`takes a certificate ${name}`, async () => {
      await using signer = await opened({ 'x509.pem': keyOf(leaf), ...certificates });

      const signed = await signer.sign(bytes, ctx);

      assert.deepEqual([signed.certificate, signed.chain], [pem(leaf), chain ?? pem(lower, upper)]);
    });
  }

  it('takes a certificate that names no usage, or every usage', async () => {
    for (const pair of [plain, anyUsage]) {
      await using signer = await opened({ 'x509.pem': keyOf(pair), 'cert.pem': pem(pair) });
      assert.equal((await signer.sign(bytes, ctx)).certificate, pem(pair));
    }
  });

  it('takes the tls.key and tls.crt of a Secret of type kubernetes.io/tls', async () => {
    await using signer = await opened({ 'tls.key': keyOf(leaf), 'tls.crt': pem(leaf, lower, upper), 'ca.crt': pem(root) });

    const signed = await signer.sign(bytes, ctx);

    assert.deepEqual([signed.certificate, signed.chain], [pem(leaf), pem(lower, upper)]);
  });

  it('leaves tls.key alone where there is an x509.pem', async () => {
    await using signer = await opened({ 'x509.pem': keyOf(plain), 'tls.key': keyOf(leaf), 'tls.crt': pem(leaf) });

    assert.deepEqual([(await signer.sign(bytes, ctx)).certificate, signer.publicKey], ['', publicKeyOf(plain)]);
  });

  it('takes files that are named one by one', async () => {
    const folder = await folderWith({ k: keyOf(leaf), c: pem(leaf), i: pem(lower, upper) });
    const at = (name: string): string => path.join(folder, name);
    await using signer = await x509.open({ keyFile: at('k'), certificateFile: at('c'), chainFile: at('i') }, means, ctx);

    const signed = await signer.sign(bytes, ctx);

    assert.deepEqual([signed.certificate, signed.chain], [pem(leaf), pem(lower, upper)]);
  });

  const key = keyOf(leaf);
  const refused: readonly {
    readonly name: string;
    readonly files: Record<string, string>;
    readonly code: string;
    readonly says: RegExp;
  }[] = [
    {
      name: 'the certificate of another key',
      files: { 'x509.pem': key, 'cert.pem': pem(plain) },
      code: 'sign.certificate-mismatch',
      says: /cert\.pem": the certificate "O=chainsmith test, CN=plain" \(serial [0-9A-F]+\) is for another key than the one beside it \(SHA256:/,
    },
    {
      name: 'the issuer before the leaf',
      files: { 'x509.pem': key, 'cert.pem': pem(lower), 'chain.pem': pem(leaf) },
      code: 'sign.chain-order',
      says: /cert\.pem": the certificate of the key is not the first/,
    },
    {
      name: 'a chain that begins with the root',
      files: { 'x509.pem': key, 'cert.pem': pem(leaf), 'chain.pem': pem(root, upper, lower) },
      code: 'sign.chain-order',
      says: /chain\.pem": the certificate "O=chainsmith test, CN=leaf" .* is not followed by its issuer "O=chainsmith test, CN=lower"/,
    },
    {
      name: 'a chain without the issuer',
      files: { 'x509.pem': key, 'cert.pem': pem(leaf), 'chain.pem': pem(upper, root) },
      code: 'sign.chain-broken',
      says: /chain\.pem": it does not lead on from the certificate ".*CN=leaf".*its issuer ".*CN=lower" is not there/,
    },
    {
      name: 'a chain of others',
      files: { 'x509.pem': key, 'cert.pem': pem(leaf), 'chain.pem': pem(stranger) },
      code: 'sign.chain-broken',
      says: /CN=lower" is not there/,
    },
    {
      name: 'a chain in which the leaf comes again',
      files: { 'x509.pem': key, 'cert.pem': pem(leaf), 'chain.pem': pem(leaf, lower) },
      code: 'sign.chain-order',
      says: /is not followed by its issuer/,
    },
    {
      name: 'an issuer that is no authority',
      files: { 'x509.pem': keyOf(byNobody), 'cert.pem': pem(byNobody, noAuthority, root) },
      code: 'sign.chain-broken',
      says: /CN=no-authority" is not there, or did not sign it/,
    },
    {
      name: 'a certificate for servers only',
      files: { 'tls.key': keyOf(server), 'tls.crt': pem(server) },
      code: 'sign.certificate-usage',
      says: /tls\.crt": .* is not for codeSigning/,
    },
    {
      name: 'a certificate for encryption only',
      files: { 'x509.pem': keyOf(encipher), 'cert.pem': pem(encipher) },
      code: 'sign.certificate-usage',
      says: /cert\.pem": .* is not for digitalSignature/,
    },
    {
      name: 'a key where the certificate should be',
      files: { 'x509.pem': key, 'cert.pem': key },
      code: 'sign.certificate-format',
      says: /cert\.pem" as certificates: it holds a PEM block of type "PRIVATE KEY"/,
    },
    {
      name: 'an empty certificate',
      files: { 'x509.pem': key, 'cert.pem': '' },
      code: 'sign.certificate-format',
      says: /holds no PEM block/,
    },
    {
      name: 'half a certificate',
      files: { 'x509.pem': key, 'cert.pem': pem(leaf).slice(0, 300) },
      code: 'sign.certificate-format',
      says: /damaged/,
    },
    {
      name: 'bytes that are no certificate',
      files: { 'x509.pem': key, 'cert.pem': '-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n' },
      code: 'sign.certificate-format',
      says: /does not hold a certificate/,
    },
    {
      name: 'a thousand certificates',
      files: { 'x509.pem': key, 'cert.pem': pem(leaf).repeat(50) },
      code: 'sign.certificate-format',
      says: /more than 10 certificates/,
    },
    {
      name: 'a chain without the certificate',
      files: { 'x509.pem': key, 'chain.pem': pem(lower) },
      code: 'sign.no-certificate',
      says: /chain\.pem": the certificate of the key is not beside it/,
    },
    {
      name: 'a tls.key without tls.crt',
      files: { 'tls.key': key },
      code: 'sign.no-certificate',
      says: /tls\.key": the certificate of the key/,
    },
  ];
  for (const { name, files, code, says } of refused) {
    it(`refuses ${name} with ${code}`, async () => {
      await assert.rejects(opened(files), (error) => {
        assert.ok(error instanceof CodedError);
        assert.equal(error.code, code);
        assert.match(error.message, says);
        assert.ok((error.fix ?? '').length > 10);
        const shown = [error.message, error.fix, error.stack, String(error.cause)].join('\n');
        for (const line of key.split('\n').slice(1, 3)) assert.equal(shown.includes(line), false);
        return true;
      });
    });
  }

  it('refuses a certificate before and after its time, also when that comes later', async () => {
    const files = { 'x509.pem': keyOf(foreignIssue), 'cert.pem': pem(foreignIssue) };
    const { validFromDate, validToDate } = new X509Certificate(files['cert.pem']);
    const early = { code: 'sign.certificate-not-yet-valid', retry: 'later', message: /CN=foreign".* begins on \d{4}-/ };
    const late = { code: 'sign.certificate-expired', retry: 'later', message: /CN=foreign".* ended on \d{4}-/, fix: /renew/ };
    mock.timers.enable({ apis: ['Date'], now: validFromDate.getTime() - 1 });
    try {
      await assert.rejects(opened(files), early);
      mock.timers.setTime(validToDate.getTime());
      await using signer = await opened(files);
      assert.equal((await signer.sign(bytes, ctx)).certificate, files['cert.pem']);
      mock.timers.setTime(validToDate.getTime() + 1);
      await assert.rejects(signer.sign(bytes, ctx), late);
      await assert.rejects(opened(files), late);
    } finally {
      mock.timers.reset();
    }
  });

  it('refuses an issuer that ended before the certificate', async () => {
    const files = { 'x509.pem': keyOf(leaf), 'cert.pem': pem(leaf), 'chain.pem': pem(lower, upper, root) };
    const short = await shortened(root);
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * 24 * 3_600_000 });
    try {
      await assert.rejects(opened({ ...files, 'chain.pem': `${pem(lower, upper)}${short}` }), {
        code: 'sign.certificate-expired',
        message: /chain\.pem": the certificate "CN=root"/,
      });
    } finally {
      mock.timers.reset();
    }
  });

  it('takes up a certificate that was renewed for the same key', async () => {
    const folder = await folderWith({ 'x509.pem': keyOf(leaf), 'cert.pem': pem(leaf) });
    await using signer = await x509.open({ directory: folder }, means, ctx);
    const renewed = await renewedOf(leaf, lower);

    await cp(renewed, path.join(folder, 'cert.pem'));

    assert.equal(await signer.isCurrent(ctx), false);
    await using next = await x509.open({ directory: folder }, means, ctx);
    assert.equal((await next.sign(bytes, ctx)).certificate, textOf(renewed));
    assert.equal(await signer.owns(await next.sign(bytes, ctx), ctx), true);
  });
});

function publicKeyOf({ certFile }: KeyPair): string {
  return new X509Certificate(readFileSync(certFile)).publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

/** The same authority, with a certificate for one day. */
async function shortened({ keyFile }: KeyPair): Promise<string> {
  const certificate = path.join(work.dir, 'short.crt');
  await output('openssl', ['req', '-x509', '-new', '-key', keyFile, '-subj', '/CN=root', '-days', '1', '-out', certificate]);
  return textOf(certificate);
}

async function renewedOf({ keyFile }: KeyPair, issuer: KeyPair): Promise<string> {
  const at = (name: string): string => path.join(work.dir, name);
  await output('openssl', ['req', '-new', '-key', keyFile, '-subj', '/O=chainsmith test/CN=leaf', '-out', at('renewed.csr')]);
  const by = ['-CA', issuer.certFile, '-CAkey', issuer.keyFile, '-set_serial', '77', '-days', '20'];
  await output('openssl', ['x509', '-req', '-in', at('renewed.csr'), ...by, '-extfile', at('leaf.ext'), '-out', at('renewed.crt')]);
  return at('renewed.crt');
}
