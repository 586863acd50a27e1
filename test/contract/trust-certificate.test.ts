import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CodedError } from '../../src/errors.ts';
import { checkChain, identityOf } from '../../src/trust/certificate.ts';
import { emptyRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { makeCa, makeCertificate, type KeyPair } from '../servers/certificates.ts';
import { output } from '../servers/command.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';

const authority = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const leaf = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', 'extendedKeyUsage=codeSigning'];
const issuer = '1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:https://issuer.example';
const uri = 'subjectAltName=critical,URI:https://kubernetes.io/namespaces/team/serviceaccounts/builder';

interface World {
  readonly work: Scratch;
  readonly root: KeyPair;
  readonly intermediate: KeyPair;
}
let world: World;

before(async () => {
  const work = await scratch('certificates');
  const root = await makeCa(work.dir, 'root');
  world = { work, root, intermediate: await makeCertificate(work.dir, { name: 'intermediate', issuer: root, extensions: authority }) };
});
after(async () => {
  await world.work[Symbol.asyncDispose]();
});

let made = 0;
async function certify(extensions: readonly string[], by: KeyPair = world.intermediate): Promise<KeyPair> {
  return await makeCertificate(world.work.dir, { name: `certificate-${(made += 1)}`, issuer: by, extensions });
}

async function read({ certFile }: KeyPair): Promise<X509Certificate> {
  return new X509Certificate(await readFile(certFile));
}

/** A root with one authority of this chain, trusted always. */
async function trusting(...chain: readonly KeyPair[]): Promise<TrustedRoot> {
  const certificates = await Promise.all(chain.map(read));
  return { ...emptyRoot, certificateAuthorities: [{ uri: '', chain: certificates, validFor: { start: new Date(0), end: undefined } }] };
}

const inDays = (days: number): Date => new Date(Date.now() + days * 24 * 60 * 60 * 1000);

describe('checkChain', () => {
  it('finds the way over the intermediates of the root, and over those that came with the leaf', async () => {
    const { root, intermediate } = world;
    const signer = await read(await certify(leaf));

    const direct = checkChain(signer, [], inDays(0), await trusting(intermediate, root));
    const given = checkChain(signer, [await read(intermediate)], inDays(0), await trusting(root));
    const own = checkChain(await read(await certify(leaf, root)), [], inDays(0), await trusting(root));

    assert.deepEqual(
      [direct, given, own].map((found) => found.issuer.subject),
      ['O=chainsmith test\nCN=intermediate', 'O=chainsmith test\nCN=intermediate', 'CN=root'],
    );
  });

  it('bears with strangers among the intermediates, and with several authorities', async () => {
    const { root, intermediate, work } = world;
    await mkdir(path.join(work.dir, 'strange'));
    const other = await makeCa(path.join(work.dir, 'strange'), 'root');
    const namesake = await makeCertificate(path.join(work.dir, 'strange'), { name: 'intermediate', issuer: other, extensions: authority });
    const [strange, trust] = [await trusting(other), await trusting(root)];
    const both = { ...trust, certificateAuthorities: [...strange.certificateAuthorities, ...trust.certificateAuthorities] };

    const found = checkChain(await read(await certify(leaf)), [await read(namesake), await read(intermediate)], inDays(0), both);

    assert.deepEqual(found.issuer.raw, (await read(intermediate)).raw);
    assert.throws(() => checkChain(found.issuer, [], inDays(0), strange), { code: 'trust.certificate-purpose' });
    await assert.rejects(async () => checkChain(await read(await certify(leaf)), [await read(intermediate)], inDays(0), strange), {
      code: 'trust.certificate-untrusted',
      message: /its key did not sign the certificate below it/,
    });
  });

  interface Refusal {
    readonly name: string;
    readonly code: string;
    readonly says: RegExp;
    /** The leaf, what comes with it, what is trusted, and when. */
    readonly make: (intermediate: KeyPair, root: KeyPair) => Promise<readonly [KeyPair, readonly KeyPair[], TrustedRoot, Date?]>;
  }
  const weak = (...extensions: readonly string[]): Refusal['make'] => {
    return async (_, root) => {
      const middle = await certify(extensions, root);
      return [await certify(leaf, middle), [middle], await trusting(root)];
    };
  };
  const strange = (...extensions: readonly string[]): Refusal['make'] => {
    return async (intermediate, root) => [await certify(extensions, intermediate), [intermediate], await trusting(root)];
  };
  const refused: readonly Refusal[] = [
    {
      name: 'a leaf before its time',
      code: 'trust.certificate-expired',
      says: /it is valid from/,
      make: async (intermediate, root) => [await certify(leaf, intermediate), [intermediate], await trusting(root), inDays(-1)],
    },
    {
      name: 'a leaf after its time',
      code: 'trust.certificate-expired',
      says: /it is valid from/,
      make: async (intermediate, root) => [await certify(leaf, intermediate), [intermediate], await trusting(root), inDays(29.5)],
    },
    {
      name: 'an intermediate that has expired',
      code: 'trust.certificate-untrusted',
      says: /"O=chainsmith test, CN=short": it is valid from/,
      make: async (_, root) => {
        const short = await expired(root);
        return [await certify(leaf, short), [short], await trusting(root)];
      },
    },
    {
      name: 'a root that is not trusted at the time',
      code: 'trust.certificate-untrusted',
      says: /no path leads/,
      make: async (intermediate, root) => {
        const trust = await trusting(root);
        const [only] = trust.certificateAuthorities;
        const ended = { start: new Date(0), end: inDays(-1) };
        return [
          await certify(leaf, intermediate),
          [intermediate],
          { ...trust, certificateAuthorities: only === undefined ? [] : [{ ...only, validFor: ended }] },
        ];
      },
    },
    {
      name: 'a root that nobody trusts',
      code: 'trust.certificate-untrusted',
      says: /no path leads/,
      make: async (intermediate) => [
        await certify(leaf, intermediate),
        [intermediate],
        await trusting(await makeCa(world.work.dir, 'stranger')),
      ],
    },
    {
      name: 'a missing intermediate',
      code: 'trust.certificate-untrusted',
      says: /no path leads/,
      make: async (intermediate, root) => [await certify(leaf, intermediate), [], await trusting(root)],
    },
    {
      name: 'a leaf that certifies another',
      code: 'trust.certificate-untrusted',
      says: /it is not an authority/,
      make: weak(...leaf),
    },
    {
      name: 'an intermediate without basic constraints',
      code: 'trust.certificate-untrusted',
      says: /it is not an authority/,
      make: weak('keyUsage=critical,keyCertSign'),
    },
    {
      name: 'an intermediate that may not sign certificates',
      code: 'trust.certificate-untrusted',
      says: /does not allow it to sign certificates/,
      make: weak('basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature'),
    },
    {
      name: 'an intermediate for servers',
      code: 'trust.certificate-untrusted',
      says: /does not allow codeSigning/,
      make: weak(...authority, 'extendedKeyUsage=serverAuth'),
    },
    {
      name: 'an intermediate with name constraints',
      code: 'trust.certificate-untrusted',
      says: /it has name constraints/,
      make: weak(...authority, 'nameConstraints=permitted;URI:.example'),
    },
    {
      name: 'an intermediate with a critical extension that is not understood',
      code: 'trust.certificate-untrusted',
      says: /its critical extension 1\.2\.3\.4 is not understood/,
      make: weak(...authority, '1.2.3.4=critical,ASN1:NULL'),
    },
    {
      name: 'more authorities than a path length allows',
      code: 'trust.certificate-untrusted',
      says: /its path length allows 0 authorities below it/,
      make: async (_, root) => {
        const upper = await certify(['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'], root);
        const lower = await certify(authority, upper);
        return [await certify(leaf, lower), [lower, upper], await trusting(root)];
      },
    },
    {
      name: 'a leaf for servers',
      code: 'trust.certificate-purpose',
      says: /does not name codeSigning/,
      make: strange('basicConstraints=CA:FALSE', 'extendedKeyUsage=serverAuth'),
    },
    {
      name: 'a leaf for nothing',
      code: 'trust.certificate-purpose',
      says: /does not name codeSigning/,
      make: strange('basicConstraints=CA:FALSE'),
    },
    {
      name: 'a leaf for anything',
      code: 'trust.certificate-purpose',
      says: /does not name codeSigning/,
      make: strange('extendedKeyUsage=anyExtendedKeyUsage'),
    },
    {
      name: 'an authority as leaf',
      code: 'trust.certificate-purpose',
      says: /certificate of an authority/,
      make: strange(...authority, 'extendedKeyUsage=codeSigning'),
    },
    {
      name: 'a leaf that may not sign',
      code: 'trust.certificate-purpose',
      says: /does not allow signatures/,
      make: strange('keyUsage=critical,keyAgreement', 'extendedKeyUsage=codeSigning'),
    },
    {
      name: 'a precertificate',
      code: 'trust.certificate-purpose',
      says: /1\.3\.6\.1\.4\.1\.11129\.2\.4\.3 is not understood/,
      make: strange(...leaf, '1.3.6.1.4.1.11129.2.4.3=critical,ASN1:NULL'),
    },
    {
      name: 'a crowd of intermediates',
      code: 'trust.certificate-malformed',
      says: /more than 32 certificates/,
      make: async (intermediate, root) => [
        await certify(leaf, intermediate),
        Array.from({ length: 33 }, () => intermediate),
        await trusting(root),
      ],
    },
  ];
  for (const { name, code, says, make } of refused) {
    it(`refuses ${name}`, async () => {
      const [signer, given, trust, at = inDays(0)] = await make(world.intermediate, world.root);
      const intermediates = await Promise.all(given.map(read));
      const certificate = await read(signer);

      assert.throws(
        () => checkChain(certificate, intermediates, at, trust),
        (error) => {
          assert.ok(error instanceof CodedError);
          assert.equal(error.code, code, error.message);
          assert.match(error.message, says);
          return true;
        },
      );
    });
  }

  it('ends in bounded time when every certificate could have signed every other', async () => {
    const { dir } = world.work;
    const mesh = await makeCa(dir, 'mesh');
    const again = async (serial: number) => {
      const certFile = path.join(dir, `mesh-${serial}.crt`);
      const extensions = authority.flatMap((extension) => ['-addext', extension]);
      const args = ['req', '-x509', '-new', '-key', mesh.keyFile, '-subj', '/CN=mesh', '-set_serial', String(serial)];
      await output('openssl', [...args, ...extensions, '-out', certFile]);
      return await read({ ...mesh, certFile });
    };
    const certificates = await Promise.all(Array.from({ length: 12 }, async (_, at) => await again(at + 1)));
    const signer = await read(await certify(leaf, mesh));
    const stranger = await trusting(world.root);
    const started = performance.now();

    assert.throws(() => checkChain(signer, certificates, inDays(0), stranger), { code: 'trust.certificate-untrusted' });
    assert.ok(performance.now() - started < 2_000);
  });
});

describe('identityOf', () => {
  const of = async (...extensions: readonly string[]) => identityOf(await read(await certify([...leaf, ...extensions], world.root)));

  it('reads a URI, an e-mail address and a user name', async () => {
    const kubernetes = 'https://kubernetes.io/namespaces/team/serviceaccounts/builder';
    const name = 'subjectAltName=critical,otherName:1.3.6.1.4.1.57264.1.7;UTF8:builder!team.example';

    assert.deepEqual(await of(uri, issuer), { san: kubernetes, issuer: 'https://issuer.example' });
    assert.deepEqual(await of('subjectAltName=critical,email:a@team.example', issuer), {
      san: 'a@team.example',
      issuer: 'https://issuer.example',
    });
    assert.deepEqual(await of(name, issuer), { san: 'builder!team.example', issuer: 'https://issuer.example' });
  });

  it('prefers the newer issuer, and reads the older one as bare bytes', async () => {
    const older = `1.3.6.1.4.1.57264.1.1=DER:${Buffer.from('https://older.example').toString('hex')}`;

    assert.equal((await of(uri, older, issuer)).issuer, 'https://issuer.example');
    assert.equal((await of(uri, older)).issuer, 'https://older.example');
  });

  const refused: readonly { readonly name: string; readonly extensions: readonly string[]; readonly says: RegExp }[] = [
    { name: 'no name', extensions: [issuer], says: /no subject alternative name/ },
    { name: 'no issuer', extensions: [uri], says: /names no OIDC issuer/ },
    { name: 'two names', extensions: [`${uri},email:a@b.example`, issuer], says: /has 2 subject alternative names/ },
    { name: 'a host name', extensions: ['subjectAltName=DNS:host.example', issuer], says: /want tag/ },
    {
      name: 'another kind of user name',
      extensions: ['subjectAltName=otherName:1.2.3.4;UTF8:builder', issuer],
      says: /of the type 1\.2\.3\.4/,
    },
    { name: 'an issuer that is no text', extensions: [uri, '1.3.6.1.4.1.57264.1.8=ASN1:INTEGER:1'], says: /want tag/ },
    { name: 'an issuer with a line break', extensions: [uri, '1.3.6.1.4.1.57264.1.1=DER:68747470730a'], says: /no plain text/ },
    { name: 'an empty issuer', extensions: [uri, '1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:'], says: /empty/ },
  ];
  for (const { name, extensions, says } of refused) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(of(...extensions), { code: 'trust.identity', message: says });
    });
  }
});

/** An intermediate whose time is over: openssl takes dates of its own only with `-not_after`, which older ones lack, so it lasts no day. */
async function expired(root: KeyPair): Promise<KeyPair> {
  const pair = await makeCertificate(world.work.dir, { name: 'short', issuer: root, extensions: authority });
  const request = pair.certFile.replace(/crt$/, 'csr');
  const extensions = pair.certFile.replace(/crt$/, 'ext');
  const signer = ['-CA', root.certFile, '-CAkey', root.keyFile, '-set_serial', '7', '-extfile', extensions];
  await output('openssl', ['x509', '-req', '-in', request, ...signer, '-days', '-1', '-out', pair.certFile]);
  return pair;
}
