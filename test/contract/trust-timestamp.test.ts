import assert from 'node:assert/strict';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CodedError } from '../../src/errors.ts';
import { contextTag, derOf, tags } from '../../src/trust/der.ts';
import { checkTimestamp } from '../../src/trust/timestamp.ts';
import { emptyRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { makeCa, makeCertificate, type KeyPair } from '../servers/certificates.ts';
import { output } from '../servers/command.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';

/** openssl's CMS makes what no timestamp authority would; what is around it is written here. */
interface Recipe {
  readonly signer?: KeyPair;
  readonly cms?: readonly string[];
  readonly content?: string;
  readonly version?: number;
  readonly imprint?: { readonly oid: string; readonly algorithm: string };
  readonly time?: string;
  readonly extras?: readonly Uint8Array[];
  readonly status?: number;
}
interface World {
  readonly work: Scratch;
  readonly ca: KeyPair;
  readonly signer: KeyPair;
  readonly root: TrustedRoot;
}
let world: World;

const over = Buffer.from('a signature');
const purpose = 'extendedKeyUsage=critical,timeStamping';
const sha256 = { oid: '608648016503040201', algorithm: 'sha256' };
/** An hour after the certificates begin. */
const now = new Date(Math.floor(Date.now() / 1000) * 1000 + 60 * 60 * 1000);
const days = (count: number): Date => new Date(now.getTime() + count * 24 * 60 * 60 * 1000);
const text = (time: Date) => `${time.toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`;

before(async () => {
  const work = await scratch('timestamps');
  const ca = await makeCa(work.dir, 'stamp-root');
  const signer = await makeCertificate(work.dir, { name: 'stamp', issuer: ca, extensions: [purpose] });
  world = { work, ca, signer, root: await trusting([signer, ca]) };
});
after(async () => {
  await world.work[Symbol.asyncDispose]();
});

async function trusting(pairs: readonly KeyPair[], start = new Date(0), end?: Date): Promise<TrustedRoot> {
  const chain = await Promise.all(pairs.map(async ({ certFile }) => new X509Certificate(await readFile(certFile))));
  return { ...emptyRoot, timestampAuthorities: [{ uri: 'https://stamps.example', chain, validFor: { start, end } }] };
}

async function certify(name: string, extensions: readonly string[]): Promise<KeyPair> {
  return await makeCertificate(world.work.dir, { name, issuer: world.ca, extensions });
}

const oid = (hex: string) => derOf(tags.oid, Buffer.from(hex, 'hex'));
const integer = (value: number) => derOf(tags.integer, Uint8Array.from([value]));

function infoOf({ version = 1, imprint = sha256, time = text(now), extras = [] }: Recipe): Uint8Array {
  const hash = createHash(imprint.algorithm).update(over).digest();
  return derOf(
    tags.sequence,
    integer(version),
    oid('2b0601040183bf3002'),
    derOf(tags.sequence, derOf(tags.sequence, oid(imprint.oid)), derOf(tags.octetString, hash)),
    integer(7),
    derOf(tags.generalizedTime, Buffer.from(time)),
    ...extras,
  );
}

/** A whole response. */
async function stamped(recipe: Recipe = {}): Promise<Uint8Array> {
  const { signer = world.signer, cms = ['-cades'], content = '1.2.840.113549.1.9.16.1.4', status = 0 } = recipe;
  const file = path.join(world.work.dir, `info-${randomBytes(8).toString('hex')}`);
  await writeFile(file, infoOf(recipe));
  const args = ['cms', '-sign', '-binary', '-nodetach', '-nosmimecap', '-in', file, '-out', `${file}.cms`, '-outform', 'DER'];
  await output('openssl', [...args, '-econtent_type', content, '-signer', signer.certFile, '-inkey', signer.keyFile, ...cms]);
  const token = await readFile(`${file}.cms`);
  await Promise.all([file, `${file}.cms`].map(async (one) => await rm(one)));
  return derOf(tags.sequence, derOf(tags.sequence, integer(status)), token);
}

describe('checkTimestamp', () => {
  it('takes what an authority signs by the rules, with its certificate inside or only in the root', async () => {
    assert.deepEqual(checkTimestamp(await stamped(), over, world.root), now);
    assert.deepEqual(checkTimestamp(await stamped({ cms: ['-cades', '-nocerts'] }), over, world.root), now);
    assert.deepEqual(checkTimestamp(await stamped(), over, await trusting([world.ca])), now);
  });

  it('takes larger digests, an RSA key, and a signer that is named by its key', async () => {
    const sha384 = { oid: '608648016503040202', algorithm: 'sha384' };
    const sha512 = { oid: '608648016503040203', algorithm: 'sha512' };
    const rsa = await certifyRsa();
    const named = await certify('named', [purpose, 'subjectKeyIdentifier=hash']);

    assert.deepEqual(checkTimestamp(await stamped({ imprint: sha384, cms: ['-cades', '-md', 'sha384'] }), over, world.root), now);
    assert.deepEqual(checkTimestamp(await stamped({ imprint: sha512, cms: ['-cades', '-md', 'sha512'] }), over, world.root), now);
    assert.deepEqual(checkTimestamp(await stamped({ signer: rsa }), over, await trusting([rsa, world.ca])), now);
    assert.deepEqual(
      checkTimestamp(await stamped({ signer: named, cms: ['-cades', '-keyid'] }), over, await trusting([named, world.ca])),
      now,
    );
  });

  it('reads fractions of a second', async () => {
    const time = `${text(now).slice(0, -1)}.25Z`;

    assert.equal(checkTimestamp(await stamped({ time }), over, world.root).getTime(), now.getTime() + 250);
  });

  const sha1 = { oid: '2b0e03021a', algorithm: 'sha1' };
  const refused: readonly {
    readonly name: string;
    readonly code: string;
    readonly says: RegExp;
    readonly recipe?: Recipe;
    readonly signer?: readonly string[];
    readonly root?: () => Promise<TrustedRoot>;
  }[] = [
    {
      name: 'what was granted with changes, as sigstore-go does',
      recipe: { status: 1 },
      code: 'trust.timestamp-refused',
      says: /status is 1/,
    },
    { name: 'what was not granted', recipe: { status: 2 }, code: 'trust.timestamp-refused', says: /status is 2/ },
    { name: 'an imprint with SHA-1', recipe: { imprint: sha1 }, code: 'trust.timestamp-malformed', says: /digest 1\.3\.14\.3\.2\.26/ },
    {
      name: 'a signature with SHA-1',
      recipe: { cms: ['-cades', '-md', 'sha1'] },
      code: 'trust.timestamp-malformed',
      says: /1\.3\.14\.3\.2\.26|1\.2\.840\.10045\.4\.1/,
    },
    {
      name: 'another type of content',
      recipe: { content: '1.2.840.113549.1.9.16.1.2' },
      code: 'trust.timestamp-malformed',
      says: /of the type 1\.2\.840\.113549\.1\.9\.16\.1\.2/,
    },
    { name: 'another version', recipe: { version: 2 }, code: 'trust.timestamp-malformed', says: /not of version 1/ },
    { name: 'a time that is none', recipe: { time: '20260231000000Z' }, code: 'trust.timestamp-malformed', says: /a time is no time/ },
    {
      name: 'a critical extension',
      recipe: {
        extras: [
          derOf(contextTag(1), derOf(tags.sequence, oid('2a0304'), derOf(tags.boolean, Uint8Array.from([255])), derOf(tags.octetString))),
        ],
      },
      code: 'trust.timestamp-malformed',
      says: /critical extension/,
    },
    { name: 'no attributes', recipe: { cms: ['-noattr'] }, code: 'trust.timestamp-malformed', says: /want tag 0xa0/ },
    { name: 'no word of the certificate that signed', recipe: { cms: [] }, code: 'trust.timestamp-malformed', says: /a part is missing/ },
    { name: 'a time before the certificate', recipe: { time: text(days(-1)) }, code: 'trust.timestamp-expired', says: /valid from/ },
    { name: 'a time after the certificate', recipe: { time: text(days(29.5)) }, code: 'trust.timestamp-expired', says: /valid from/ },
    {
      name: 'a time before the authority was trusted',
      root: async () => await trusting([world.signer, world.ca], days(1)),
      code: 'trust.timestamp-untrusted',
      says: /no path leads/,
    },
    {
      name: 'a time after the authority was trusted',
      root: async () => await trusting([world.signer, world.ca], new Date(0), days(-1)),
      code: 'trust.timestamp-untrusted',
      says: /no path leads/,
    },
    {
      name: 'an authority that nobody trusts',
      root: async () => await Promise.resolve(emptyRoot),
      code: 'trust.timestamp-untrusted',
      says: /no path leads/,
    },
    {
      name: 'a signer that is neither inside nor in the root',
      recipe: { cms: ['-cades', '-nocerts'] },
      root: async () => await trusting([world.ca]),
      code: 'trust.timestamp-untrusted',
      says: /neither in it nor that of an authority/,
    },
    {
      name: 'another signer of the same authority, where the root lists one',
      signer: [purpose],
      root: async () => await trusting([world.signer, world.ca]),
      code: 'trust.timestamp-untrusted',
      says: /no path leads/,
    },
    {
      name: 'a purpose that is not critical',
      signer: ['extendedKeyUsage=timeStamping'],
      code: 'trust.timestamp-purpose',
      says: /not for timestamps alone/,
    },
    {
      name: 'two purposes',
      signer: ['extendedKeyUsage=critical,timeStamping,codeSigning'],
      code: 'trust.timestamp-purpose',
      says: /not for timestamps alone/,
    },
    {
      name: 'another purpose',
      signer: ['extendedKeyUsage=critical,codeSigning'],
      code: 'trust.timestamp-purpose',
      says: /does not name timeStamping/,
    },
    {
      name: 'an authority that signs itself',
      signer: [purpose, 'basicConstraints=critical,CA:TRUE'],
      code: 'trust.timestamp-purpose',
      says: /certificate of an authority/,
    },
  ];
  for (const { name, code, says, recipe = {}, signer, root } of refused) {
    it(`refuses ${name}`, async () => {
      const own = signer && (await certify(`other-${randomBytes(4).toString('hex')}`, signer));
      const response = await stamped({ ...recipe, ...(own && { signer: own }) });
      const trust = root ? await root() : own ? await trusting([world.ca]) : world.root;

      refuses(response, { code, says, trust });
    });
  }

  it('refuses two signers, and a stamp over other bytes', async () => {
    const second = await certify('second', [purpose]);
    const twice = await stamped({ cms: ['-cades', '-signer', second.certFile, '-inkey', second.keyFile] });

    refuses(twice, { code: 'trust.timestamp-malformed', says: /2 signers/, trust: world.root });
    assert.throws(() => checkTimestamp(Buffer.alloc(0), over, world.root), { code: 'trust.timestamp-malformed' });
    const good = await stamped();
    assert.throws(() => checkTimestamp(good, Buffer.from('another signature'), world.root), { code: 'trust.timestamp-imprint' });
  });

  it('refuses a signature by the key of another certificate of the same name and number', async () => {
    const { certFile } = world.signer;
    const good = Buffer.from(await stamped());
    const raw = new X509Certificate(await readFile(certFile)).raw;
    const at = good.indexOf(raw);
    const forged = Buffer.from(good);
    // Its name and serial number stay, its last byte, within its signature, does not: it is another certificate.
    forged[at + raw.length - 1] = (forged[at + raw.length - 1] ?? 0) ^ 1;

    assert.ok(at > 0);
    assert.throws(() => checkTimestamp(forged, over, world.root), { code: 'trust.timestamp-signature', message: /another certificate/ });
  });

  it('refuses every change of a byte that means something, with a code', async () => {
    const good = Buffer.from(await stamped({ cms: ['-cades', '-nocerts'] }));
    const survivors: number[] = [];
    for (let at = 0; at < good.length; at += 1) {
      for (const bit of [1, 0x80]) {
        const bent = Buffer.from(good);
        bent[at] = (bent[at] ?? 0) ^ bit;
        try {
          if (checkTimestamp(bent, over, world.root).getTime() !== 0) survivors.push(at);
        } catch (error) {
          assert.ok(error instanceof CodedError, `byte ${at}: ${String(error)}`);
          assert.match(error.code, /^trust\.timestamp-/);
        }
      }
    }

    assert.deepEqual(survivors, []);
  });

  it('refuses every beginning of a response', async () => {
    const good = await stamped();
    for (let length = 0; length < good.length; length += 1) {
      assert.throws(() => checkTimestamp(good.subarray(0, length), over, world.root), { code: 'trust.timestamp-malformed' });
    }
    assert.throws(() => checkTimestamp(Buffer.concat([good, Buffer.alloc(1)]), over, world.root), { code: 'trust.timestamp-malformed' });
    assert.throws(() => checkTimestamp(Buffer.alloc(70_000), over, world.root), {
      code: 'trust.timestamp-malformed',
      message: /more than 65536/,
    });
  });
});

function refuses(
  response: Uint8Array,
  { code, says, trust }: { readonly code: string; readonly says: RegExp; readonly trust: TrustedRoot },
): void {
  assert.throws(
    () => checkTimestamp(response, over, trust),
    (error) => {
      assert.ok(error instanceof CodedError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      return true;
    },
  );
}

async function certifyRsa(): Promise<KeyPair> {
  const { work, ca } = world;
  const [keyFile, certFile, request, extensions] = ['key', 'crt', 'csr', 'ext'].map((end) => path.join(work.dir, `rsa.${end}`)) as [
    string,
    string,
    string,
    string,
  ];
  await output('openssl', ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', keyFile]);
  await output('openssl', ['req', '-new', '-key', keyFile, '-out', request, '-subj', '/CN=rsa']);
  await writeFile(extensions, `${purpose}\n`);
  const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-set_serial', '99', '-days', '29', '-extfile', extensions];
  await output('openssl', ['x509', '-req', '-in', request, ...signer, '-out', certFile]);
  return { keyFile, certFile };
}
