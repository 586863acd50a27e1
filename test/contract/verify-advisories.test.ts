import assert from 'node:assert/strict';
import { X509Certificate, createHash, createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { base64Of } from '../../src/model/base64.ts';
import { bundleOf } from '../../src/model/bundle.ts';
import { logBundleOf } from '../../src/model/cosign-annotations.ts';
import { parseSha256, sha256Of } from '../../src/model/digest.ts';
import { envelopeBytesOf, paeOf, payloadTypes } from '../../src/model/dsse.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import { noEvidence, type LogEntry } from '../../src/model/evidence.ts';
import { pemOf } from '../../src/model/pem.ts';
import { noMaterial, type Stored } from '../../src/model/receipt.ts';
import { emptyRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import type { Policy } from '../../src/verify/policy.ts';
import { verify } from '../../src/verify/verify.ts';
import { makeCa, makeCertificate } from '../servers/certificates.ts';
import { scratch } from '../servers/scratch.ts';
import { entryOn, logTime, paperLog, promiseOf, type PaperLog } from './trust-log.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const image = { digest: parseSha256('a'.repeat(64)) };
const provenance = 'https://slsa.dev/provenance/v1';
const place = { address: 'somewhere', image: undefined };
const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'app', digest: { sha256: image.digest } }],
  predicateType: provenance,
  predicate: {},
};

function signed(content: object | string = statement, by: KeyObject = privateKey): Envelope {
  const payload = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  const signature = sign('sha256', paeOf(payloadTypes.inToto, payload), by);
  return {
    kind: 'dsse',
    payloadType: payloadTypes.inToto,
    payload,
    signature,
    body: envelopeBytesOf({ payloadType: payloadTypes.inToto, payload, signatures: [{ keyid: '', signature }] }),
    publicKey: pem,
    certificate: '',
    chain: '',
    filing: { run: { kind: 'TaskRun', namespace: 'n', name: 'r', uid: 'u' }, shortKey: 'x', predicateType: provenance, images: [] },
  };
}

/** The entry that Rekor 1 makes of an envelope; of another index, another place. */
function entryOf({ body, payload, signature }: Envelope, log: PaperLog, index = 5, verifier = pem): LogEntry {
  const hash = (bytes: Uint8Array): object => ({ algorithm: 'sha256', value: createHash('sha256').update(bytes).digest('hex') });
  const signatures = [{ signature: base64Of(signature), verifier: base64Of(Buffer.from(verifier)) }];
  const spec = { envelopeHash: hash(body), payloadHash: hash(payload), signatures };
  return entryOn(log, Buffer.from(JSON.stringify({ apiVersion: '0.0.1', kind: 'dsse', spec })), { index });
}

function bundle(envelope: Envelope, ...entries: readonly LogEntry[]): Stored {
  return { kind: 'bundle', place, body: Buffer.from(bundleOf({ ...envelope, evidence: { entries, timestamps: [] } })) };
}

function tagged({ body }: Envelope, material: Partial<Stored & typeof noMaterial> = {}): Stored {
  return { kind: 'dsse', place, body, material: { ...noMaterial, ...material } };
}

/** `verified`, or the check that refused. */
function outcome(stored: Stored, policy: Partial<Policy> = {}): string {
  const verdict = verify(stored, { keys: [pem], image, predicateType: provenance, ...policy });
  return verdict.kind === 'verified' ? verdict.kind : verdict.check;
}

describe('what other verifiers once let pass', () => {
  const log = paperLog(1);
  const trust = log.root;

  it('an entry of another signature, in a bundle (CVE-2022-36056, CVE-2026-22703)', () => {
    const [ours, again] = [signed(), signed()];

    assert.equal(outcome(bundle(ours, entryOf(ours, log)), { trust }), 'verified');
    assert.equal(outcome(bundle(ours, entryOf(again, log)), { trust }), 'log');
    assert.equal(outcome(bundle(ours, entryOf(ours, log, 5, stranger())), { trust }), 'log');
  });

  it('an entry of another signature, in an annotation (GHSA-ccxc-vr6p-4858)', () => {
    const [ours, again] = [signed(), signed()];
    const withEntry = (entry: LogEntry): Stored => tagged(ours, { logBundle: logBundleOf(entry) ?? '' });

    assert.equal(outcome(withEntry(entryOf(ours, log)), { trust }), 'verified');
    assert.equal(outcome(withEntry(entryOf(again, log)), { trust }), 'log');
    assert.equal(outcome(tagged(ours), { trust }), 'log');
    assert.equal(outcome(tagged(ours, { logBundle: '{}' }), { trust }), 'log');
  });

  it('another predicate type than was asked for (CVE-2022-35929, CVE-2022-35930)', () => {
    assert.equal(outcome(tagged(signed()), { predicateType: 'https://spdx.dev/Document' }), 'predicate-type');
    assert.equal(outcome(tagged(signed({ ...statement, predicateType: `${provenance} ` }))), 'predicate-type');
  });

  it('what was normalised after it was signed or logged', () => {
    const ours = signed();
    const payload = Buffer.from(JSON.stringify(statement, undefined, 1));
    const pretty = {
      ...ours,
      payload,
      body: envelopeBytesOf({ payloadType: ours.payloadType, payload, signatures: [{ keyid: '', signature: ours.signature }] }),
    };
    const spaced = { ...ours, body: Buffer.from(JSON.stringify(JSON.parse(Buffer.from(ours.body).toString('utf8')), undefined, 1)) };
    const logBundle = logBundleOf(entryOf(ours, log)) ?? '';

    assert.equal(outcome(tagged(pretty)), 'signature');
    assert.equal(outcome(tagged(spaced)), 'verified');
    assert.equal(outcome(tagged(spaced, { logBundle }), { trust }), 'log');
  });

  it('one log that is counted twice, and one entry', () => {
    const [ours, second] = [signed(), paperLog(1)];
    const both: TrustedRoot = { ...emptyRoot, logs: [...log.root.logs, ...second.root.logs] };
    const policy = { trust: both, thresholds: { log: 2 } };

    assert.equal(outcome(bundle(ours, entryOf(ours, log, 5), entryOf(ours, log, 6)), policy), 'log');
    assert.equal(outcome(bundle(ours, entryOf(ours, log, 5), entryOf(ours, log, 5)), policy), 'bundle');
    assert.equal(outcome(bundle(ours, entryOf(ours, log), entryOf(ours, second)), { ...policy, trust }), 'log');
    assert.equal(outcome(bundle(ours, entryOf(ours, log), entryOf(ours, second)), policy), 'verified');
  });

  it('a key outside of the time for which it is trusted', () => {
    const ours = signed();
    const seen = new Date(logTime * 1000);
    const key = (start: string, end: string) => ({ pem, validFor: { start: new Date(start), end: new Date(end) } });
    const stored = bundle(ours, entryOf(ours, log));

    assert.equal(seen.toISOString(), '2026-01-02T00:00:00.000Z');
    assert.equal(outcome(stored, { trust, keys: [key('2026-01-01', '2026-01-03')] }), 'verified');
    assert.equal(outcome(stored, { trust, keys: [key('2025-01-01', '2026-01-01')] }), 'key-validity');
    assert.equal(outcome(stored, { trust, keys: [key('2026-01-03', '2026-01-04')] }), 'key-validity');
    assert.equal(outcome(stored, { trust, keys: [key('2025-01-01', '2026-01-01'), key('2026-01-01', '2026-01-03')] }), 'verified');
  });

  it('a certificate below an intermediate that had expired, or that only the attacker gave', async () => {
    await using work = await scratch('advisories');
    const root = await makeCa(work.dir, 'root');
    const authority = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
    const middle = await makeCertificate(work.dir, { name: 'middle', issuer: root, extensions: authority });
    const leaf = await makeCertificate(work.dir, {
      name: 'leaf',
      issuer: middle,
      extensions: [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature',
        'extendedKeyUsage=codeSigning',
        'subjectAltName=critical,URI:https://builder.example',
        '1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:https://issuer.example',
      ],
    });
    const [certificate, chain, top] = [
      await readFile(leaf.certFile, 'utf8'),
      await readFile(middle.certFile, 'utf8'),
      await readFile(root.certFile, 'utf8'),
    ];
    const key = createPrivateKey(await readFile(leaf.keyFile));
    const ours = { ...signed(statement, key), certificate };
    const trusted = (...certificates: readonly string[]): TrustedRoot => ({
      ...trust,
      certificateAuthorities: [
        { uri: '', chain: certificates.map((text) => new X509Certificate(text)), validFor: { start: new Date(0), end: undefined } },
      ],
    });
    const at = (time: number): Partial<typeof noMaterial> => {
      const entry = { ...entryOf(ours, log, 5, certificate), integratedTime: Math.floor(time / 1000) };
      return { certificate, logBundle: logBundleOf({ ...entry, promise: promiseOf(log, entry) }) ?? '' };
    };
    const policy = {
      keys: undefined,
      identity: { san: 'https://builder.example', issuer: 'https://issuer.example' },
      thresholds: { scts: 0 },
    };
    const judge = (material: Partial<typeof noMaterial>, root: TrustedRoot): string => {
      const { keys: _, ...rest } = {
        image,
        ...policy,
        trust: { ...root, logs: log.root.logs.map((row) => ({ ...row, validFor: { start: new Date(0), end: undefined } })) },
      };
      const verdict = verify(tagged(ours, material), rest);
      return verdict.kind === 'verified' ? verdict.kind : verdict.check;
    };
    const day = 24 * 60 * 60 * 1000;

    assert.equal(judge({ ...at(Date.now() + day), chain }, trusted(top)), 'verified');
    assert.equal(judge(at(Date.now() + day), trusted(chain, top)), 'verified');
    assert.equal(judge(at(Date.now() + day), trusted(top)), 'chain');
    assert.equal(judge({ ...at(Date.now() + day), chain }, trusted(certificate)), 'chain');
    assert.equal(judge({ ...at(Date.now() + 40 * day), chain }, trusted(top)), 'chain');
    assert.equal(judge({ ...at(Date.now() - day), chain }, trusted(top)), 'chain');
  });

  it('an identity that nobody in particular signed, and one whose time nobody saw', () => {
    const identity = { san: 'a', issuer: 'b' };
    const judge = (stored: Stored): string => {
      const verdict = verify(stored, { identity, trust });
      return verdict.kind === 'verified' ? verdict.kind : verdict.check;
    };

    assert.equal(judge(tagged(signed())), 'certificate');
    assert.equal(judge(bundle(signed())), 'certificate');
    assert.equal(judge(tagged(signed(), { certificate: 'x' })), 'certificate');
    assert.equal(judge(tagged(signed(), { certificate: pemOf('CERTIFICATE', Buffer.from([48, 0])) })), 'certificate');
  });
});

describe('what made other verifiers work for hours (CVE-2023-46737, CVE-2024-29902, CVE-2024-29903, CVE-2024-45395)', () => {
  const { body, signature, payload } = signed();
  const sig = base64Of(signature);
  const nested = '['.repeat(2_000_000);
  const entry = entryOf(signed(), paperLog(1));
  const text = (value: object | string): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const parsed = JSON.parse(bundleOf({ ...signed(), evidence: { entries: [entry], timestamps: [] } })) as {
    readonly verificationMaterial: { readonly tlogEntries: readonly unknown[] };
  };
  const many = Array.from({ length: 10_000 });
  const bombs = [
    {
      name: '10 000 signatures',
      kind: 'dsse',
      body: text({ payload: base64Of(payload), payloadType: payloadTypes.inToto, signatures: many.map(() => ({ sig })) }),
      check: 'encoding',
    },
    {
      name: '10 000 log entries',
      kind: 'bundle',
      body: text({
        ...parsed,
        verificationMaterial: { ...parsed.verificationMaterial, tlogEntries: many.map(() => parsed.verificationMaterial.tlogEntries[0]) },
      }),
      check: 'bundle',
    },
    {
      name: '10 000 timestamps',
      kind: 'bundle',
      body: text({
        ...parsed,
        verificationMaterial: {
          ...parsed.verificationMaterial,
          timestampVerificationData: {
            rfc3161Timestamps: many.map((_, at) => ({ signedTimestamp: base64Of(Buffer.from(`stamp ${at}`)) })),
          },
        },
      }),
      check: 'bundle',
    },
    {
      name: '10 000 subjects',
      kind: 'dsse',
      body: signed({ ...statement, subject: many.map(() => statement.subject[0]) }).body,
      check: 'statement',
    },
    {
      name: '10 000 digests',
      kind: 'dsse',
      body: signed({ ...statement, subject: [{ name: 'x', digest: Object.fromEntries(many.map((_, at) => [`a${at}`, 'ab'])) }] }).body,
      check: 'statement',
    },
    { name: 'more bytes than are read', kind: 'dsse', body: Buffer.alloc(33 * 1024 * 1024, 0x20), check: 'size' },
    { name: 'a bundle of more bytes than are read', kind: 'bundle', body: Buffer.alloc(33 * 1024 * 1024, 0x20), check: 'size' },
    { name: 'a compressed envelope, which nobody unpacks', kind: 'dsse', body: gzipSync(body), check: 'encoding' },
    { name: 'a bomb of zeros in a bundle', kind: 'bundle', body: gzipSync(Buffer.alloc(100 * 1024 * 1024)), check: 'bundle' },
    { name: 'an envelope that is nested two million deep', kind: 'dsse', body: text(nested), check: 'encoding' },
    { name: 'a bundle that is nested two million deep', kind: 'bundle', body: text(`{"mediaType":${nested}`), check: 'bundle' },
    {
      name: 'a statement that is nested deep',
      kind: 'dsse',
      body: signed(`{"predicate":${'{"a":'.repeat(100_000)}`).body,
      check: 'statement',
    },
  ] as const;
  for (const { name, kind, body: bytes, check } of bombs) {
    it(`refuses ${name} within a second`, () => {
      const startedAt = performance.now();

      const stored: Stored = kind === 'dsse' ? { kind, place, body: bytes, material: noMaterial } : { kind, place, body: bytes };
      assert.equal(outcome(stored), check);
      assert.ok(performance.now() - startedAt < 1_000, `${performance.now() - startedAt} ms`);
    });
  }

  it('tries no regular expression on a name that is not certified', () => {
    const slow = /(a+)+b/;
    const verdict = verify(tagged(signed(), { certificate: pemOf('CERTIFICATE', Buffer.alloc(100)) }), {
      identity: { san: slow, issuer: slow },
      trust: emptyRoot,
    });

    assert.equal(verdict.kind === 'refused' && verdict.check, 'certificate');
  });
});

describe('what cannot be read', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const anyText = fc.string({ maxLength: 300 });
  const anyMaterial = fc.record({ certificate: anyText, chain: anyText, logBundle: anyText, timestamp: anyText });
  const good = signed();
  const anyStored: fc.Arbitrary<Stored> = fc.oneof(
    fc.record({
      kind: fc.constant('dsse' as const),
      place: fc.constant(place),
      body: fc.oneof(
        bytes,
        fc.json().map((json) => Buffer.from(json)),
        fc.constant(good.body),
      ),
      material: anyMaterial,
    }),
    fc.record({ kind: fc.constant('raw' as const), place: fc.constant(place), payload: bytes, signature: bytes, material: anyMaterial }),
    fc.record({
      kind: fc.constant('bundle' as const),
      place: fc.constant(place),
      body: fc.oneof(
        bytes,
        fc.json().map((json) => Buffer.from(json)),
      ),
    }),
  );
  const anyPolicy: fc.Arbitrary<Policy> = fc.oneof(
    fc.record({ keys: fc.array(fc.oneof(anyText, fc.constant(pem)), { maxLength: 3 }), requireTrustedTime: fc.boolean() }),
    fc.record({ identity: fc.record({ san: anyText, issuer: anyText }), trust: fc.constant(paperLog(1).root) }),
    fc.record({
      keys: fc.constant([pem]),
      thresholds: fc.record({ log: fc.integer(), timestamps: fc.integer() }),
      blob: fc.record({ sha256: fc.constant(sha256Of(good.payload)) }),
    }),
  );

  it('is a refusal with a check, a code and a reason, and never an error nor a success', () => {
    fc.assert(
      fc.property(anyStored, anyPolicy, (stored, policy) => {
        const verdict = verify(stored, policy);
        if (verdict.kind === 'refused') return verdict.reason !== '' && verdict.code !== '' && !verdict.checks.includes(verdict.check);
        // Only the one good envelope, by its key.
        return stored.kind === 'dsse' && Buffer.compare(stored.body, good.body) === 0 && verdict.checks.includes('signature');
      }),
      { numRuns: 3_000 },
    );
  });

  it('stays refused when it is nothing at all', () => {
    // The library is called from JavaScript, too, where no type stops this.
    const nothing = { kind: 'bundle', place, body: undefined } as unknown as Stored;
    const strange = verify(nothing, { keys: [pem] });

    assert.deepEqual([strange.kind, verify(tagged(good), undefined as unknown as Policy).kind], ['refused', 'refused']);
    assert.equal(noEvidence.entries.length, 0);
  });
});

function stranger(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }).toString();
}
