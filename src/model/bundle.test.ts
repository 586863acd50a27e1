import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { before, describe, it } from 'node:test';
import { bundleFromJSON } from '@sigstore/bundle';
import fc from 'fast-check';
import { makeCa, makeCertificate } from '../../test/servers/certificates.ts';
import { scratch } from '../../test/servers/scratch.ts';
import { TerminalError } from '../errors.ts';
import { bundleOf, messageBundleOf } from './bundle.ts';
import { parseBundle } from './bundle-reader.ts';
import { envelopeBytesOf, paeOf } from './dsse.ts';
import { noEvidence, type LogEntry, type Logged } from './evidence.ts';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const payload = Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}');
const payloadType = 'application/vnd.in-toto+json';
const signature = sign('sha256', paeOf(payloadType, payload), pair.privateKey);
const hash = (text: string): Uint8Array => createHash('sha256').update(text).digest();

const entry: LogEntry = {
  log: 'https://log.example',
  logIndex: 1_234,
  logId: hash('log'),
  kind: 'dsse',
  version: '0.0.1',
  integratedTime: 1_724_148_000,
  promise: Buffer.from('promise'),
  proof: { logIndex: 100, rootHash: hash('root'), treeSize: 200, hashes: [hash('a'), hash('b')], checkpoint: 'log.example\n200\n' },
  body: Buffer.from('{"apiVersion":"0.0.1","kind":"dsse","spec":{}}'),
};
const envelope: Logged = {
  kind: 'dsse',
  payloadType,
  payload,
  signature,
  body: envelopeBytesOf({ payloadType, payload, signatures: [{ keyid: 'SHA256:x', signature }] }),
  publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  certificate: '',
  chain: '',
  filing: { run: { kind: 'TaskRun', namespace: 'ci', name: 'a', uid: 'a' }, shortKey: 'taskrun-a', predicateType: 'x', images: [] },
  evidence: noEvidence,
};

let certificate: string;
let root: string;
before(async () => {
  await using files = await scratch('bundle');
  const ca = await makeCa(files.dir, 'ca');
  const leaf = await makeCertificate(files.dir, { name: 'leaf', issuer: ca, extensions: ['basicConstraints=critical,CA:FALSE'] });
  certificate = await readFile(leaf.certFile, 'utf8');
  root = await readFile(ca.certFile, 'utf8');
});

const timestamps = [
  { authority: 'https://tsa.example', over: 'signature', response: Buffer.from('over the signature') },
  { authority: 'https://tsa.example', over: 'body', response: Buffer.from('over the envelope') },
] as const;
const parse = (text: string) => parseBundle(Buffer.from(text), 'x.sigstore.json');
const derOf = (pem: string): Uint8Array => new X509Certificate(pem).raw;
/** As it is read back: nobody says there which log it was. */
const anonymous = (it: LogEntry): LogEntry => ({ ...it, log: '' });

describe('bundleOf', () => {
  it('is compact, deterministic, and has nothing that a key alone does not need', () => {
    const spki = createHash('sha256')
      .update(pair.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64');

    assert.equal(
      bundleOf(envelope),
      '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":' +
        `"${spki}"}},"dsseEnvelope":{"payload":"${payload.toString('base64')}","payloadType":"${payloadType}",` +
        `"signatures":[{"sig":"${signature.toString('base64')}"}]}}`,
    );
  });

  it('is read by the reference library and by us alike, with everything it may have', () => {
    const other: LogEntry = { ...entry, logIndex: 0, logId: hash('tiles'), integratedTime: undefined, promise: undefined };
    const full = { ...envelope, certificate: certificate + root, chain: root, evidence: { entries: [entry, other], timestamps } };

    const text = bundleOf(full);

    const reference = bundleFromJSON(JSON.parse(text) as unknown);
    assert.equal(reference.verificationMaterial.content.$case, 'certificate');
    assert.deepEqual(
      reference.verificationMaterial.tlogEntries.map(({ logIndex }) => logIndex),
      ['1234', '0'],
    );
    assert.deepEqual(parse(text), {
      version: '0.3',
      content: { kind: 'dsse', envelope: { payloadType, payload, signatures: [{ keyid: '', signature }] } },
      key: { kind: 'certificate', leaf: derOf(certificate), chain: [] },
      entries: [entry, other].map(anonymous),
      timestamps: [Buffer.from('over the signature')],
    });
    assert.equal(bundleOf(full), text);
  });

  it('refuses a raw signature, and an entry without proof', () => {
    const unproven = { ...envelope, evidence: { entries: [{ ...entry, proof: undefined }], timestamps: [] } };

    assert.throws(() => bundleOf({ ...envelope, kind: 'raw' }), { name: 'TerminalError', code: 'bundle.kind' });
    assert.throws(() => bundleOf(unproven), { name: 'TerminalError', code: 'bundle.proof' });
  });
});

describe('messageBundleOf', () => {
  it('has the SHA-256 of the payload, and is read by the reference library and by us alike', () => {
    const raw: Logged = { ...envelope, kind: 'raw', body: signature };

    const text = messageBundleOf(raw);

    assert.equal(bundleFromJSON(JSON.parse(text) as unknown).content.$case, 'messageSignature');
    const value = createHash('sha256').update(payload).digest();
    assert.deepEqual(parse(text).content, { kind: 'message', digest: { algorithm: 'sha256', value }, signature });
    assert.throws(() => messageBundleOf(envelope), { name: 'TerminalError', code: 'bundle.kind' });
  });
});

/** A bundle with members replaced; undefined takes one away. */
interface Parts {
  readonly mediaType?: unknown;
  readonly material?: object;
  readonly entry?: object;
  readonly proof?: object;
  readonly dsse?: object;
  readonly more?: object;
}

interface Good {
  readonly verificationMaterial: { readonly tlogEntries: readonly [{ readonly inclusionProof: object }] };
  readonly dsseEnvelope: object;
}

function textWith({
  mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json',
  material,
  entry: ofEntry,
  proof,
  dsse,
  more,
}: Parts): string {
  const good = JSON.parse(bundleOf({ ...envelope, evidence: { entries: [entry], timestamps } })) as Good;
  const [only] = good.verificationMaterial.tlogEntries;
  const inclusionProof = { ...only.inclusionProof, ...proof };
  const tlogEntries = [{ ...only, inclusionProof, ...ofEntry }];
  const verificationMaterial = { ...good.verificationMaterial, tlogEntries, ...material };
  return JSON.stringify({ ...good, mediaType, verificationMaterial, dsseEnvelope: { ...good.dsseEnvelope, ...dsse }, ...more });
}

const base = 'application/vnd.dev.sigstore.bundle+json;version=';
const base64 = (length: number): string => Buffer.alloc(length, 1).toString('base64');
const stamp = (text: string) => ({ signedTimestamp: Buffer.from(text).toString('base64') });

describe('parseBundle', () => {
  const read = [
    { name: 'the older spelling of 0.3', parts: { mediaType: `${base}0.3` } },
    { name: 'version 0.2', parts: { mediaType: `${base}0.2` } },
    { name: 'version 0.1 with a promise and no proof', parts: { mediaType: `${base}0.1`, entry: { inclusionProof: undefined } } },
    { name: 'numbers that are no text', parts: { entry: { logIndex: 1_234, integratedTime: 1_724_148_000 } } },
    { name: 'null as absent', parts: { entry: { inclusionPromise: null }, more: { messageSignature: null } } },
    { name: 'no promise', parts: { entry: { inclusionPromise: undefined } } },
    { name: 'the time 0', parts: { entry: { integratedTime: '0' } } },
    { name: 'an empty hint', parts: { material: { publicKey: {} } } },
    { name: 'no evidence', parts: { material: { tlogEntries: [], timestampVerificationData: {} } } },
    { name: 'a key id', parts: { dsse: { signatures: [{ sig: 'AAAA', keyid: 'x' }] } } },
    {
      name: '32 timestamps',
      parts: {
        material: { timestampVerificationData: { rfc3161Timestamps: Array.from({ length: 32 }, (_, index) => stamp(`t${index}`)) } },
      },
    },
  ];
  for (const { name, parts } of read) it(`reads ${name}`, () => assert.equal(parse(textWith(parts)).content.kind, 'dsse'));

  const malformed = 'bundle.malformed';
  const refused = [
    { name: 'an unknown version', code: 'bundle.version', parts: { mediaType: `${base}0.4` } },
    { name: 'no media type', code: 'bundle.version', parts: { mediaType: null } },
    { name: 'an unknown member', code: malformed, parts: { more: { note: 'x' } } },
    { name: 'an unknown member deep inside', code: malformed, parts: { proof: { note: 'x' } } },
    { name: 'the name of a member in the other spelling', code: malformed, parts: { entry: { log_index: '1' } } },
    { name: 'both contents', code: malformed, parts: { more: { messageSignature: {} } } },
    { name: 'no content', code: malformed, parts: { more: { dsseEnvelope: undefined } } },
    { name: 'no material', code: malformed, parts: { more: { verificationMaterial: undefined } } },
    { name: 'no key', code: malformed, parts: { material: { publicKey: undefined } } },
    { name: 'a key and a certificate', code: malformed, parts: { material: { certificate: { rawBytes: 'AAAA' } } } },
    {
      name: 'a certificate that is none',
      code: 'bundle.certificate',
      parts: { material: { publicKey: undefined, certificate: { rawBytes: 'AAAA' } } },
    },
    { name: 'an empty certificate', code: malformed, parts: { material: { publicKey: undefined, certificate: {} } } },
    { name: 'a chain in version 0.3', code: malformed, parts: { material: { publicKey: undefined, x509CertificateChain: {} } } },
    {
      name: 'an empty chain',
      code: malformed,
      parts: { mediaType: `${base}0.2`, material: { publicKey: undefined, x509CertificateChain: {} } },
    },
    { name: 'a negative index', code: malformed, parts: { entry: { logIndex: '-1' } } },
    { name: 'an index with a fraction', code: malformed, parts: { entry: { logIndex: 1.5 } } },
    { name: 'an index that is a text with a fraction', code: malformed, parts: { entry: { logIndex: '1.0' } } },
    { name: 'an index that JavaScript would change', code: malformed, parts: { entry: { logIndex: '9007199254740993' } } },
    { name: 'a negative time', code: malformed, parts: { entry: { integratedTime: '-5' } } },
    { name: 'broken base64', code: malformed, parts: { entry: { canonicalizedBody: 'A' } } },
    { name: 'base64 with a line break', code: malformed, parts: { dsse: { payload: 'QUFB\n' } } },
    { name: 'a body of another kind', code: malformed, parts: { entry: { kindVersion: { kind: 'hashedrekord', version: '0.0.1' } } } },
    { name: 'a body of another version', code: malformed, parts: { entry: { kindVersion: { kind: 'dsse', version: '0.0.2' } } } },
    { name: 'a body that is no JSON', code: malformed, parts: { entry: { canonicalizedBody: 'QUFB' } } },
    { name: 'no body', code: malformed, parts: { entry: { canonicalizedBody: undefined } } },
    { name: 'no kind', code: malformed, parts: { entry: { kindVersion: undefined } } },
    { name: 'a short log id', code: malformed, parts: { entry: { logId: { keyId: base64(31) } } } },
    { name: 'no proof', code: 'bundle.proof', parts: { entry: { inclusionProof: undefined } } },
    { name: 'no proof in version 0.2', code: 'bundle.proof', parts: { mediaType: `${base}0.2`, entry: { inclusionProof: undefined } } },
    { name: 'no promise in version 0.1', code: 'bundle.proof', parts: { mediaType: `${base}0.1`, entry: { inclusionPromise: undefined } } },
    { name: 'a proof without checkpoint', code: malformed, parts: { proof: { checkpoint: undefined } } },
    { name: 'an empty checkpoint', code: malformed, parts: { proof: { checkpoint: { envelope: '' } } } },
    { name: 'an index outside the tree', code: malformed, parts: { proof: { logIndex: '200' } } },
    { name: 'a short root hash', code: malformed, parts: { proof: { rootHash: base64(31) } } },
    { name: 'a long hash', code: malformed, parts: { proof: { hashes: [base64(33)] } } },
    { name: '65 hashes', code: malformed, parts: { proof: { hashes: Array.from({ length: 65 }, () => base64(32)) } } },
    { name: 'two signatures', code: malformed, parts: { dsse: { signatures: [{ sig: 'AAAA' }, { sig: 'AAAA' }] } } },
    { name: 'no signature', code: malformed, parts: { dsse: { signatures: [] } } },
    { name: 'an empty signature', code: malformed, parts: { dsse: { signatures: [{ sig: '' }] } } },
    { name: 'a null in a list', code: malformed, parts: { dsse: { signatures: [null] } } },
    { name: 'no payload type', code: malformed, parts: { dsse: { payloadType: '' } } },
    {
      name: 'the same timestamp twice',
      code: 'bundle.duplicate',
      parts: { material: { timestampVerificationData: { rfc3161Timestamps: [stamp('t'), stamp('t')] } } },
    },
    {
      name: '33 timestamps',
      code: 'bundle.bounds',
      parts: {
        material: { timestampVerificationData: { rfc3161Timestamps: Array.from({ length: 33 }, (_, index) => stamp(`t${index}`)) } },
      },
    },
  ];
  for (const { name, code, parts } of refused) {
    it(`refuses ${name}`, () => assert.throws(() => parse(textWith(parts)), { name: 'TerminalError', code }));
  }

  it('refuses one entry twice, and 33', () => {
    const twice = bundleOf({ ...envelope, evidence: { entries: [entry, { ...entry, promise: undefined }], timestamps: [] } });
    const many = Array.from({ length: 33 }, (_, logIndex) => ({ ...entry, logIndex }));

    assert.throws(() => parse(twice), { code: 'bundle.duplicate' });
    assert.throws(() => parse(bundleOf({ ...envelope, evidence: { entries: many, timestamps: [] } })), { code: 'bundle.bounds' });
  });

  it('takes a chain in version 0.2, and no root in it', () => {
    const chained = (...pems: readonly string[]) => {
      const certificates = pems.map((pem) => ({ rawBytes: Buffer.from(derOf(pem)).toString('base64') }));
      return textWith({ mediaType: `${base}0.2`, material: { publicKey: undefined, x509CertificateChain: { certificates } } });
    };

    assert.deepEqual(parse(chained(certificate, certificate)).key, {
      kind: 'certificate',
      leaf: derOf(certificate),
      chain: [derOf(certificate)],
    });
    assert.throws(() => parse(chained(certificate, root)), { code: 'bundle.certificate' });
  });

  it('refuses a certificate as PEM, or with something behind it', () => {
    for (const bytes of [Buffer.from(certificate), Buffer.concat([derOf(certificate), Buffer.from([0])])]) {
      const rawBytes = bytes.toString('base64');

      assert.throws(() => parse(textWith({ material: { publicKey: undefined, certificate: { rawBytes } } })), {
        code: 'bundle.certificate',
      });
    }
  });

  it('refuses a member that stands twice, what is no JSON, and what is too large', () => {
    const text = bundleOf(envelope);

    assert.throws(() => parse(text.replace('{', '{"mediaType":"x",')), { code: 'json.duplicate-member' });
    assert.throws(() => parse(text.slice(1)), { code: 'json.malformed' });
    assert.throws(() => parseBundle(Buffer.from(text), 'x', text.length - 1), { code: 'json.too-large' });
  });

  it('reads or refuses whatever a stranger makes of it, with an error of ours', () => {
    const text = bundleOf({ ...envelope, certificate, evidence: { entries: [entry], timestamps } });
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 3 }), (at, put) => {
        try {
          parse(text.slice(0, at) + put + text.slice(at + 1));
        } catch (error) {
          assert.ok(error instanceof TerminalError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
