import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { recorded, type Recorded } from '../../test/recorded-io.ts';
import { bundleOf, messageBundleOf } from '../model/bundle.ts';
import type { Image } from '../model/artifact.ts';
import { parseSha256, sha256Of, type Sha256 } from '../model/digest.ts';
import { payloadTypes } from '../model/dsse.ts';
import type { Envelope, Filing } from '../model/envelope.ts';
import { noEvidence } from '../model/evidence.ts';
import { pemOf } from '../model/pem.ts';
import { keyIdOf } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { seal } from '../sign/dsse.ts';
import type { SignerMeans } from '../sign/signer.ts';
import { x509 } from '../sign/x509.ts';
import { oci } from '../store/oci/oci.ts';
import { OciOptions } from '../store/oci/options.ts';
import { verifyCommand } from './verify.ts';

const notAskedFor = async (): Promise<never> => await Promise.reject(new Error('not asked for'));
const means: SignerMeans = { trust: notAskedFor, secret: notAskedFor };
const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const image = { repository: 'registry.example/team/app', digest: parseSha256('a'.repeat(64)) };
const provenance = 'https://slsa.dev/provenance/v1';
const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: image.repository, digest: { sha256: image.digest } }],
  predicateType: provenance,
  predicate: {},
};
const simpleSigning = {
  critical: {
    identity: { 'docker-reference': image.repository },
    image: { 'docker-manifest-digest': `sha256:${image.digest}` },
    type: 'cosign container image signature',
  },
  optional: null,
};

interface Desk extends AsyncDisposable {
  readonly path: string;
  /** Public key file of the signer, and of somebody else. */
  readonly key: string;
  readonly otherKey: string;
  readonly fingerprint: string;
  readonly layout: string;
  /** Signs and puts into the layout. */
  readonly keep: (
    payload: object,
    signing: Envelope['kind'],
    how?: { readonly layout: 'referrers' | 'both'; readonly image: Image },
  ) => Promise<Envelope>;
}

/** A signer, its key as a file, and a layout folder. */
async function desk(): Promise<Desk> {
  const path = await mkdtemp(join(tmpdir(), 'verify-'));
  const at = (name: string): string => join(path, name);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(at('x509.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const signer = await x509.open({ directory: path }, means, ctx);
  await writeFile(at('key.pub'), signer.publicKey);
  await writeFile(at('other.pub'), generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }));
  const filing: Filing = {
    run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'u-1' },
    shortKey: 'taskrun-u-1',
    predicateType: provenance,
    images: [image],
  };
  return {
    path,
    key: at('key.pub'),
    otherKey: at('other.pub'),
    fingerprint: keyIdOf(signer.publicKey),
    layout: at('layout'),
    async keep(content, signing, how) {
      const payloadType = signing === 'dsse' ? payloadTypes.inToto : payloadTypes.simpleSigning;
      const payload = {
        payloadType,
        predicateType: provenance,
        bytes: Buffer.from(JSON.stringify(content)),
        subjects: [],
        images: [],
        dropped: [],
      };
      const envelope = await seal(payload, { ...filing, images: [how?.image ?? image] }, signer, signing, ctx);
      await using store = await oci.open(OciOptions.parse({ directory: at('layout'), layout: how?.layout ?? 'tags' }), ctx);
      await store.put({ ...envelope, evidence: noEvidence }, ctx);
      return envelope;
    },
    [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }),
  };
}

/** A layout folder with an image of nothing; gives its digest. */
async function putImage(layout: string): Promise<Sha256> {
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const empty = { mediaType: 'application/vnd.oci.empty.v1+json', size: 2, digest: `sha256:${sha256Of(Buffer.from('{}'))}` };
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, config: empty, layers: [] }));
  const digest = sha256Of(manifest);
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
  await writeFile(join(layout, 'blobs/sha256', digest), manifest);
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const manifests = [{ mediaType: type, size: manifest.length, digest: `sha256:${digest}` }];
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return digest;
}

async function verify(...args: readonly string[]): Promise<Recorded> {
  return await recorded(verifyCommand, args);
}

const reference = `${image.repository}@sha256:${image.digest}`;

describe('verify, in a layout', () => {
  it('tells a person what was checked, with which key, and about what', async () => {
    await using at = await desk();
    await at.keep(statement, 'dsse');
    await at.keep(simpleSigning, 'raw');

    const said = await verify(reference, '--layout', at.layout, '--key', at.key);

    assert.deepEqual([said.code, said.stderr], [0, '']);
    assert.equal(
      said.stdout.replaceAll(/(?<=@sha256:)[0-9a-f]{64}(?:#[0-9a-f]{64})?$/gm, '…').replaceAll(at.path, ''),
      [
        `image        ${image.repository}@sha256:…`,
        '',
        `attestation  oci:/layout:${image.repository}:sha256-${image.digest}.att@sha256:…`,
        `  verified   with the key ${at.fingerprint} (/key.pub)`,
        `  type       ${provenance}`,
        `  subject    ${image.repository}@sha256:${image.digest}`,
        '  log        not asked',
        '  checked    size, encoding, payload-type, one-signature, signature, statement, image',
        '',
        `signature    oci:/layout:${image.repository}:sha256-${image.digest}.sig@sha256:…`,
        `  verified   with the key ${at.fingerprint} (/key.pub)`,
        `  subject    ${image.repository}@sha256:${image.digest}`,
        '  log        not asked',
        '  checked    size, signature, statement, image',
        '',
        '2 of 2 verified',
        '',
      ]
        .join('\n')
        .replaceAll(/(?<=subject.*@sha256:)[0-9a-f]{64}$/gm, '…'),
    );
  });

  it('says the same as one JSON object', async () => {
    await using at = await desk();
    await at.keep(statement, 'dsse');

    const said = await verify(
      reference,
      '--layout',
      at.layout,
      '--key',
      at.otherKey,
      '--key',
      at.key,
      '--type',
      'slsaprovenance1',
      '--json',
    );

    const object: unknown = JSON.parse(said.stdout);
    assert.equal(said.code, 0);
    assert.equal(said.stdout.split('\n').length, 2);
    const address = /"address":"([^"]+)"/.exec(said.stdout)?.[1];
    assert.deepEqual(object, {
      verified: true,
      reference,
      repository: image.repository,
      digest: `sha256:${image.digest}`,
      type: provenance,
      findings: [
        {
          kind: 'attestation',
          address,
          outcome: 'verified',
          checks: ['size', 'encoding', 'payload-type', 'one-signature', 'signature', 'statement', 'image'],
          key: at.fingerprint,
          entries: [],
          times: [],
          notes: [],
          predicateType: provenance,
          subjects: statement.subject,
        },
      ],
    });
  });

  it('finds a digest alone, whatever the repository', async () => {
    await using at = await desk();
    await at.keep(statement, 'dsse');

    const there = await verify(`sha256:${image.digest}`, '--layout', at.layout, '--key', at.key);
    const elsewhere = await verify(`sha256:${'c'.repeat(64)}`, '--layout', at.layout, '--key', at.key);

    assert.equal(there.code, 0);
    assert.match(there.stdout, /1 of 1 verified\n$/);
    assert.equal(elsewhere.code, 1);
    assert.match(elsewhere.stdout, /not verified: there is no attestation and no signature\n$/);
  });

  const rows = [
    {
      name: 'the key of somebody else',
      payload: statement,
      extra: [],
      key: 'otherKey',
      code: 1,
      says: /refused {4}check "signature": .*\n.*\n\nnot verified: 0 of 1 verified\n$/,
    },
    {
      name: 'a statement about another image',
      payload: { ...statement, subject: [] },
      extra: [],
      key: 'key',
      code: 1,
      says: /refused {4}check "image"/,
    },
    { name: 'a strange member', payload: { ...statement, extra: 1 }, extra: [], key: 'key', code: 1, says: /refused {4}check "statement"/ },
    {
      name: 'another type',
      payload: statement,
      extra: ['--type', 'slsaprovenance'],
      key: 'key',
      code: 1,
      says: /1 of 1 verified, none of type https:\/\/slsa\.dev\/provenance\/v0\.2; found: https:\/\/slsa\.dev\/provenance\/v1\n$/,
    },
    { name: 'the type as a URI', payload: statement, extra: ['--type', provenance], key: 'key', code: 0, says: /1 of 1 verified\n$/ },
  ] as const;
  for (const { name, payload, extra, key, code, says } of rows) {
    it(`ends with ${code} for ${name}`, async () => {
      await using at = await desk();
      await at.keep(payload, 'dsse');

      const said = await verify(reference, '--layout', at.layout, '--key', at[key], ...extra);

      assert.equal(said.code, code);
      assert.match(said.stdout, says);
    });
  }

  for (const layout of ['referrers', 'both'] as const) {
    it(`finds bundles, by reference and by digest alone, where ${layout} are written`, async () => {
      await using at = await desk();
      const there = await putImage(at.layout);
      const about = { ...statement, subject: [{ name: image.repository, digest: { sha256: there } }] };
      await at.keep(about, 'dsse', { layout, image: { ...image, digest: there } });

      const named = `${image.repository}@sha256:${there}`;
      const byReference = await verify(named, '--layout', at.layout, '--key', at.key, '--type', 'slsaprovenance1');
      const byDigest = await verify(`sha256:${there}`, '--layout', at.layout, '--key', at.key);

      const count = layout === 'both' ? 2 : 1;
      assert.deepEqual([byReference.code, byDigest.code], [0, 0], byReference.stdout + byDigest.stdout);
      for (const { stdout } of [byReference, byDigest]) {
        assert.match(stdout, /\nbundle {7}oci:/);
        assert.ok(stdout.endsWith(`${count} of ${count} verified\n`), stdout);
      }
    });
  }

  it('is content with one that verifies beside one that does not, and shows both', async () => {
    await using at = await desk();
    await at.keep({ ...statement, subject: [] }, 'dsse');
    await at.keep(statement, 'dsse');

    const said = await verify(reference, '--layout', at.layout, '--key', at.key);

    assert.equal(said.code, 0);
    assert.match(said.stdout, /refused[^]*verified {3}with[^]*1 of 2 verified\n$/);
  });

  it('takes an image signature for no attestation of the wanted type', async () => {
    await using at = await desk();
    await at.keep(simpleSigning, 'raw');

    const said = await verify(reference, '--layout', at.layout, '--key', at.key, '--type', 'slsaprovenance1');

    assert.equal(said.code, 1);
    assert.match(said.stdout, /none of type .*; found: an image signature\n$/);
  });

  it('lets no control character of a stranger onto the terminal', async () => {
    await using at = await desk();
    await at.keep(
      { ...statement, predicateType: 'x\u001b[2J\u202e\n', subject: [{ ...statement.subject[0], name: '\u009b31m\r' }] },
      'dsse',
    );

    const said = await verify(reference, '--layout', at.layout, '--key', at.key);

    assert.equal(said.code, 0);
    // eslint-disable-next-line no-control-regex -- control characters are what this is about
    assert.doesNotMatch(said.stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    assert.match(said.stdout, /type {7}x/);
  });
});

describe('verify, an envelope', () => {
  it('verifies a file, and binds it to an image when one is named', async () => {
    await using at = await desk();
    const file = join(at.path, 'envelope.json');
    await writeFile(file, (await at.keep(statement, 'dsse')).body);

    const alone = await verify('--envelope', file, '--key', at.key);
    const bound = await verify(`sha256:${image.digest}`, '--envelope', file, '--key', at.key);
    const other = await verify(`x@sha256:${'c'.repeat(64)}`, '--envelope', file, '--key', at.key);

    assert.deepEqual([alone.code, bound.code, other.code], [0, 0, 1]);
    assert.doesNotMatch(alone.stdout, /checked.*image/);
    assert.match(bound.stdout, /checked.*image/);
    assert.match(other.stdout, /check "image"/);
  });

  it('ends with 1 for a file that is no envelope', async () => {
    await using at = await desk();

    const said = await verify('--envelope', at.key, '--key', at.key);

    assert.equal(said.code, 1);
    assert.match(said.stdout, /check "encoding"/);
  });
});

describe('verify, a bundle', () => {
  it('verifies a file, and binds it to an image when one is named', async () => {
    await using at = await desk();
    const file = join(at.path, 'bundle.json');
    await writeFile(file, bundleOf(await at.keep(statement, 'dsse')));
    const args = ['--bundle', file, '--key', at.key];

    const alone = await verify(...args);
    const bound = await verify(...args, `sha256:${image.digest}`, '--type', 'slsaprovenance1');
    const other = await verify(...args, `x@sha256:${'c'.repeat(64)}`);
    const byOther = await verify('--bundle', file, '--key', at.otherKey);

    assert.deepEqual([alone.code, bound.code, other.code, byOther.code], [0, 0, 1, 1]);
    assert.match(bound.stdout, /\nbundle {7}\S+bundle\.json\n {2}verified.*[^]*log {8}not asked\n {2}checked {4}size, bundle, .*, image\n/);
    assert.match(other.stdout, /check "image"/);
    assert.match(byOther.stdout, /check "signature"/);
  });

  it('verifies a signature of a file, with the file or by its digest', async () => {
    await using at = await desk();
    const [file, blob, other] = [join(at.path, 'bundle.json'), join(at.path, 'blob'), join(at.path, 'other')];
    const envelope = await at.keep(simpleSigning, 'raw');
    await writeFile(file, messageBundleOf(envelope));
    await writeFile(blob, envelope.payload);
    await writeFile(other, 'something else');
    const args = ['--bundle', file, '--key', at.key];
    const digest = sha256Of(envelope.payload);

    const said = [
      await verify(...args, '--blob', blob),
      await verify(...args, `sha256:${digest}`),
      await verify(...args, '--blob', other),
      await verify(...args, `sha256:${image.digest}`),
      await verify(...args),
    ];

    assert.deepEqual(
      said.map(({ code }) => code),
      [0, 0, 1, 1, 1],
    );
    assert.ok(said[0]?.stdout.startsWith(`blob         ${blob} sha256:${digest}\n`), said[0]?.stdout);
    assert.match(said[0]?.stdout ?? '', /checked {4}size, bundle, blob, signature\n/);
    for (const { stdout } of said.slice(2)) assert.match(stdout, /check "blob"/);
  });

  it('ends with 1 for a file that is no bundle', async () => {
    await using at = await desk();

    const said = await verify('--bundle', at.key, '--key', at.key, `sha256:${image.digest}`);

    assert.equal(said.code, 1);
    assert.match(said.stdout, /check "bundle"/);
  });
});

describe('verify, a signature of a blob', () => {
  it('takes it raw and as base64, and refuses that of another file', async () => {
    await using at = await desk();
    const [raw, text, blob] = [join(at.path, 'raw'), join(at.path, 'text'), join(at.path, 'blob')];
    const { signature, payload } = await at.keep(simpleSigning, 'raw');
    await writeFile(raw, signature);
    await writeFile(text, `${Buffer.from(signature).toString('base64')}\n`);
    await writeFile(blob, payload);

    const said = [
      await verify('--blob', blob, '--signature', raw, '--key', at.key),
      await verify('--blob', blob, '--signature', text, '--key', at.key),
      await verify('--blob', raw, '--signature', raw, '--key', at.key),
      await verify('--blob', blob, '--signature', raw, '--key', at.otherKey),
      await verify('--blob', blob, '--signature', raw, '--key', at.key, '--type', 'slsaprovenance1'),
    ];

    assert.deepEqual(
      said.map(({ code }) => code),
      [0, 0, 1, 1, 1],
      said.map(({ stdout }) => stdout).join(''),
    );
  });
});

describe('verify, with a key ring', () => {
  it('takes a key that has ended and says so, unless a trusted time is demanded', async () => {
    await using at = await desk();
    await at.keep(statement, 'dsse');
    const ring = join(at.path, 'ring.json');
    const publicKey = await readFile(at.key, 'utf8');
    const other = await readFile(at.otherKey, 'utf8');
    const keys = [{ publicKey: other }, { publicKey, validFor: { start: '2020-01-01T00:00:00Z', end: '2021-01-01T00:00:00Z' } }];
    await writeFile(ring, JSON.stringify({ keys }));
    const args = [reference, '--layout', at.layout, '--key-ring', ring];

    const said = await verify(...args);
    const strict = await verify(...args, '--require-trusted-time');

    assert.deepEqual([said.code, strict.code], [0, 1]);
    assert.ok(said.stdout.includes(`with the key ${at.fingerprint} (${ring})\n`), said.stdout);
    assert.match(
      said.stdout,
      /note {7}the key is trusted only for signatures until 2021-01-01T00:00:00\.000Z, and nobody vouches for when/,
    );
    assert.match(strict.stdout, /check "trusted-time"/);
  });

  it('ends with 2 for a ring that is none', async () => {
    await using at = await desk();

    const said = await verify(reference, '--layout', at.layout, '--key-ring', at.key);

    assert.equal(said.code, 2);
    assert.match(said.stderr, /Cannot read the key ring/);
  });
});

describe('verify, asked wrongly', () => {
  const rows = [
    { name: 'no key', args: [reference], says: /Cannot verify without a key or an identity.*\nfix: {3}.*--key FILE/ },
    { name: 'nothing to verify', args: ['--key', 'k'], says: /neither an image nor --envelope, --bundle or --blob/ },
    { name: 'two files', args: ['--bundle', 'b', '--envelope', 'e', '--key', 'k'], says: /--envelope and --bundle together/ },
    {
      name: 'a blob alone',
      args: ['--blob', 'b', '--key', 'k'],
      says: /Cannot verify a --blob alone.*\nfix: {3}give --bundle FILE or --signature FILE/,
    },
    { name: 'a signature alone', args: ['--signature', 's', '--key', 'k'], says: /Cannot verify a --signature alone/ },
    {
      name: 'an image and a blob',
      args: [reference, '--bundle', 'b', '--blob', 'f', '--key', 'k'],
      says: /to an image and to a --blob at once/,
    },
    { name: 'an identity without an issuer', args: [reference, '--certificate-identity', 'i'], says: /an identity without its issuer/ },
    { name: 'an issuer without an identity', args: [reference, '--certificate-oidc-issuer', 'i'], says: /an identity without its issuer/ },
    {
      name: 'a key and an identity',
      args: [reference, '--key', 'k', '--certificate-identity', 'i', '--certificate-oidc-issuer', 'i'],
      says: /Cannot demand a key and an identity/,
    },
    {
      name: 'an identity in two ways',
      args: [reference, '--certificate-identity', 'i', '--certificate-identity-regexp', 'i', '--certificate-oidc-issuer', 'i'],
      says: /both exactly and by a pattern/,
    },
    {
      name: 'a pattern that is none',
      args: [reference, '--certificate-identity-regexp', '(', '--certificate-oidc-issuer', 'i'],
      says: /Cannot use the pattern "\("/,
    },
    {
      name: 'an empty identity',
      args: [reference, '--certificate-identity', '', '--certificate-oidc-issuer', 'i'],
      says: /Cannot demand an empty identity/,
    },
    { name: 'no log at all', args: [reference, '--key', 'k', '--log-threshold', '0'], says: /want a whole number from 1 to 32/ },
    {
      name: 'log entries, and none',
      args: [reference, '--key', 'k', '--log-threshold', '1', '--insecure-ignore-tlog'],
      says: /Cannot demand log entries and ignore them/,
    },
    { name: 'an envelope in a layout', args: ['--envelope', 'e', '--layout', 'l', '--key', 'k'], says: /--envelope and --layout/ },
    { name: 'a key that is not there', args: [reference, '--key', '/nonexistent'], says: /Cannot read "\/nonexistent": ENOENT/ },
    { name: 'an option that there is not', args: ['--keys', 'k'], says: /unknown option '--keys'/ },
  ];
  for (const { name, args, says } of rows) {
    it(`ends with 2 for ${name}`, async () => {
      const said = await verify(...args);

      assert.deepEqual([said.code, said.stdout], [2, '']);
      assert.match(said.stderr, says);
    });
  }

  const wrong = [
    { name: 'a reference that is none', args: ['Not A Reference'], says: /Cannot parse image reference/ },
    { name: 'a digest without a place', args: [`sha256:${image.digest}`], says: /in which registry/ },
    {
      name: 'a folder that is no layout',
      args: [`sha256:${image.digest}`, '--layout', '/nonexistent'],
      says: /not the index of an OCI image layout/,
    },
    { name: 'a repository that is none', args: [reference, '--repository', 'a b'], says: /repository: want registry\/repository/ },
    { name: 'a digest of an envelope that is none', args: ['app:v1', '--envelope', '/dev/null'], says: /Cannot parse digest/ },
  ];
  for (const { name, args, says } of wrong) {
    it(`ends with 2 for ${name}`, async () => {
      await using at = await desk();

      const said = await verify(...args, '--key', at.key);

      assert.deepEqual([said.code, said.stdout], [2, '']);
      assert.match(said.stderr, says);
    });
  }

  it('names the file and the command for a key that is the wrong half', async () => {
    await using at = await desk();
    const certificate = join(at.path, 'certificate.pem');
    await writeFile(certificate, pemOf('CERTIFICATE', Buffer.from([48, 0])));

    const privateKey = await verify(reference, '--key', join(at.path, 'x509.pem'));
    const other = await verify(reference, '--key', certificate);

    assert.deepEqual([privateKey.code, other.code], [2, 2]);
    assert.ok(
      privateKey.stderr.includes(`fix:   make the public half with "openssl pkey -pubout -in ${at.path}/x509.pem"\n`),
      privateKey.stderr,
    );
    assert.ok(other.stderr.includes(`"openssl x509 -pubkey -noout -in ${certificate}"\n`), other.stderr);
  });
});
