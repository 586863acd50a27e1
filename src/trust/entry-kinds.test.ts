import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { entryOn, keyKinds, paperLog } from '../../test/contract/trust-log.ts';
import { CodedError } from '../errors.ts';
import { base64Of } from '../model/base64.ts';
import { paeOf } from '../model/dsse.ts';
import type { LogEntry } from '../model/evidence.ts';
import { pemOf } from '../model/pem.ts';
import { publicKeyOf } from '../model/public-key.ts';
import { hashedRekordV002Of } from './entry-kinds.ts';
import { checkEntryBody, type EntryClaim } from './entry.ts';
import { spkiOf } from './log-key.ts';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const payload = Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}');
const payloadType = 'application/vnd.in-toto+json';
const signature = sign('sha256', paeOf(payloadType, payload), pair.privateKey);
const body = Buffer.from(
  `{"payloadType":"${payloadType}","payload":"${base64Of(payload)}","signatures":[{"sig":"${base64Of(signature)}"}]}`,
);
const publicKey = publicKeyOf(pair.publicKey);
const dsse: EntryClaim = { content: { kind: 'dsse', payload, payloadType, body }, signature, publicKey, certificate: undefined };
const message: EntryClaim = { ...dsse, content: { kind: 'message', payload, digest: undefined } };
/** Any certificate will do: its bytes are compared. */
const certificate = anyCertificate();

const hex = (bytes: Uint8Array, algorithm = 'sha256') => ({ algorithm, value: createHash(algorithm).update(bytes).digest('hex') });
const twice = (bytes: Uint8Array) => base64Of(Buffer.from(base64Of(bytes)));
const verifier = (key = pair.publicKey) => base64Of(Buffer.from(pemOf('PUBLIC KEY', spkiOf(key))));
const certified = base64Of(Buffer.from(pemOf('CERTIFICATE', certificate)));

const bodies = {
  dsse: () => ({
    envelopeHash: hex(body),
    payloadHash: hex(payload),
    signatures: [{ signature: base64Of(signature), verifier: verifier() }],
  }),
  inToto1: () => ({ content: { hash: hex(body), payloadHash: hex(payload) }, publicKey: verifier() }),
  inToto2: () => ({
    content: {
      envelope: { payloadType, signatures: [{ sig: twice(signature), publicKey: verifier() }] },
      hash: hex(Buffer.from('as another client writes it')),
      payloadHash: hex(payload),
    },
  }),
  hashedRekord: () => ({ data: { hash: hex(payload) }, signature: { content: base64Of(signature), publicKey: { content: verifier() } } }),
};

const log = paperLog(1);
function entryOf(kind: string, apiVersion: string, spec: unknown): LogEntry {
  return entryOn(log, Buffer.from(JSON.stringify({ apiVersion, kind, spec })));
}
const second = (claim: EntryClaim): LogEntry => entryOn(log, hashedRekordV002Of(claim));

describe('checkEntryBody', () => {
  const taken: readonly { readonly name: string; readonly entry: LogEntry; readonly claim: EntryClaim }[] = [
    { name: 'dsse 0.0.1', entry: entryOf('dsse', '0.0.1', bodies.dsse()), claim: dsse },
    {
      name: 'dsse 0.0.1 of an envelope whose text is not known',
      entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), envelopeHash: hex(Buffer.from('another spelling')) }),
      claim: { ...dsse, content: { kind: 'dsse', payload, payloadType, body: undefined } },
    },
    {
      name: 'dsse 0.0.1 with a certificate',
      entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), signatures: [{ signature: base64Of(signature), verifier: certified }] }),
      claim: { ...dsse, certificate },
    },
    { name: 'intoto 0.0.1 of an envelope whose text is known', entry: entryOf('intoto', '0.0.1', bodies.inToto1()), claim: dsse },
    { name: 'intoto 0.0.2 with the hash of another form', entry: entryOf('intoto', '0.0.2', bodies.inToto2()), claim: dsse },
    { name: 'hashedrekord 0.0.1', entry: entryOf('hashedrekord', '0.0.1', bodies.hashedRekord()), claim: message },
    {
      name: 'hashedrekord 0.0.1 of a digest',
      entry: entryOf('hashedrekord', '0.0.1', { ...bodies.hashedRekord(), data: { hash: hex(payload, 'sha512') } }),
      claim: {
        ...message,
        content: {
          kind: 'message',
          payload: undefined,
          digest: { algorithm: 'sha512', value: createHash('sha512').update(payload).digest() },
        },
      },
    },
    { name: 'hashedrekord 0.0.2 of an envelope', entry: second(dsse), claim: dsse },
    { name: 'hashedrekord 0.0.2 of a message', entry: second(message), claim: message },
    { name: 'hashedrekord 0.0.2 with a certificate', entry: second({ ...dsse, certificate }), claim: { ...dsse, certificate } },
  ];
  for (const { name, entry, claim } of taken) {
    it(`takes ${name}`, () => {
      checkEntryBody(entry, claim);
    });
  }

  it('knows the body of Rekor 2 to the byte', () => {
    const digest = base64Of(createHash('sha256').update(paeOf(payloadType, payload)).digest());

    assert.equal(
      Buffer.from(hashedRekordV002Of(dsse)).toString(),
      `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"${digest}"},` +
        `"signature":{"content":"${base64Of(signature)}","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256",` +
        `"publicKey":{"rawBytes":"${base64Of(spkiOf(pair.publicKey))}"}}}}}}`,
    );
  });

  it('knows the digest and the name that go with each kind of key', () => {
    const named = (kind: keyof typeof keyKinds) => {
      const { publicKey: key } = keyKinds[kind]();
      const text = Buffer.from(hashedRekordV002Of({ ...dsse, publicKey: publicKeyOf(key) })).toString();
      return [/"algorithm":"(\w+)"/.exec(text)?.[1], /"keyDetails":"(\w+)"/.exec(text)?.[1]];
    };

    assert.deepEqual(named('P-384'), ['SHA2_384', 'PKIX_ECDSA_P384_SHA_384']);
    assert.deepEqual(named('P-521'), ['SHA2_512', 'PKIX_ECDSA_P521_SHA_512']);
    assert.deepEqual(named('RSA 2048'), ['SHA2_256', 'PKIX_RSA_PKCS1V15_2048_SHA256']);
    assert.deepEqual(named('Ed25519'), ['SHA2_512', 'PKIX_ED25519_PH']);
  });

  const kind = 'trust.entry-kind';
  const wrong = 'trust.entry-body';
  const differing = Buffer.from(signature).fill(1, 10, 20);
  const refused: readonly { readonly name: string; readonly entry: LogEntry; readonly claim?: EntryClaim; readonly code: string }[] = [
    { name: 'a kind that nobody knows', entry: entryOf('helm', '0.0.1', {}), code: kind },
    { name: 'a version that nobody knows', entry: entryOf('dsse', '0.0.2', bodies.dsse()), code: kind },
    { name: 'hashedrekord 0.0.1 of an envelope', entry: entryOf('hashedrekord', '0.0.1', bodies.hashedRekord()), code: kind },
    { name: 'dsse of a message', entry: entryOf('dsse', '0.0.1', bodies.dsse()), claim: message, code: kind },
    { name: 'intoto of a message', entry: entryOf('intoto', '0.0.2', bodies.inToto2()), claim: message, code: kind },
    {
      name: 'intoto 0.0.1 when the text of the envelope is not known',
      entry: entryOf('intoto', '0.0.1', bodies.inToto1()),
      claim: { ...dsse, content: { kind: 'dsse', payload, payloadType, body: undefined } },
      code: wrong,
    },
    {
      name: 'a body of another kind than the entry says',
      entry: { ...entryOf('intoto', '0.0.2', bodies.inToto2()), kind: 'dsse', version: '0.0.1' },
      code: wrong,
    },
    {
      name: 'a body that is no JSON',
      entry: { ...entryOf('dsse', '0.0.1', bodies.dsse()), body: Buffer.from('{') },
      code: 'json.malformed',
    },
    {
      name: 'a body with a member twice',
      entry: { ...entryOf('dsse', '0.0.1', bodies.dsse()), body: Buffer.from('{"kind":"dsse","kind":"dsse"}') },
      code: 'json.duplicate-member',
    },
    { name: 'a member that is unknown', entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), more: 1 }), code: wrong },
    {
      name: 'two signatures',
      entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), signatures: [...bodies.dsse().signatures, ...bodies.dsse().signatures] }),
      code: wrong,
    },
    { name: 'no signature', entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), signatures: [] }), code: wrong },
    { name: 'another payload (dsse)', entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), payloadHash: hex(body) }), code: wrong },
    { name: 'another envelope (dsse)', entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), envelopeHash: hex(payload) }), code: wrong },
    {
      name: 'another signature (dsse)',
      entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), signatures: [{ signature: base64Of(differing), verifier: verifier() }] }),
      code: wrong,
    },
    {
      name: 'another key (dsse)',
      entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), signatures: [{ signature: base64Of(signature), verifier: verifier(other) }] }),
      code: wrong,
    },
    {
      name: 'a key where the material is a certificate',
      entry: entryOf('dsse', '0.0.1', bodies.dsse()),
      claim: { ...dsse, certificate },
      code: wrong,
    },
    {
      name: 'a certificate where the material is a key',
      entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), signatures: [{ signature: base64Of(signature), verifier: certified }] }),
      code: wrong,
    },
    {
      name: 'a verifier that is no PEM',
      entry: entryOf('dsse', '0.0.1', { ...bodies.dsse(), signatures: [{ signature: base64Of(signature), verifier: 'AAAA' }] }),
      code: wrong,
    },
    {
      name: 'another envelope (intoto 0.0.1)',
      entry: entryOf('intoto', '0.0.1', { ...bodies.inToto1(), content: { hash: hex(payload) } }),
      code: wrong,
    },
    {
      name: 'another key (intoto 0.0.1)',
      entry: entryOf('intoto', '0.0.1', { ...bodies.inToto1(), publicKey: verifier(other) }),
      code: wrong,
    },
    ...intoto2Refused(),
    {
      name: 'another digest (hashedrekord 0.0.1)',
      entry: entryOf('hashedrekord', '0.0.1', { ...bodies.hashedRekord(), data: { hash: hex(body) } }),
      claim: message,
      code: wrong,
    },
    {
      name: 'the digest under another algorithm',
      entry: entryOf('hashedrekord', '0.0.1', { ...bodies.hashedRekord(), data: { hash: hex(payload, 'sha512') } }),
      claim: {
        ...message,
        content: { kind: 'message', payload, digest: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest() } },
      },
      code: wrong,
    },
    {
      name: 'SHA-1',
      entry: entryOf('hashedrekord', '0.0.1', { ...bodies.hashedRekord(), data: { hash: hex(payload, 'sha1') } }),
      claim: message,
      code: wrong,
    },
    {
      name: 'a message of which nothing is known',
      entry: entryOf('hashedrekord', '0.0.1', bodies.hashedRekord()),
      claim: { ...message, content: { kind: 'message', payload: undefined, digest: undefined } },
      code: wrong,
    },
    { name: 'an envelope for a message (hashedrekord 0.0.2)', entry: second(dsse), claim: message, code: wrong },
    { name: 'another signature (hashedrekord 0.0.2)', entry: second({ ...dsse, signature: differing }), code: wrong },
    { name: 'another key (hashedrekord 0.0.2)', entry: second({ ...dsse, publicKey: publicKeyOf(other) }), code: wrong },
    { name: 'a certificate for a key (hashedrekord 0.0.2)', entry: second({ ...dsse, certificate }), code: wrong },
    {
      name: 'a body with white space (hashedrekord 0.0.2)',
      entry: { ...second(dsse), body: Buffer.from(JSON.stringify(JSON.parse(Buffer.from(second(dsse).body).toString()), undefined, 1)) },
      code: wrong,
    },
  ];
  for (const { name, entry, claim = dsse, code } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => {
          checkEntryBody(entry, claim);
        },
        (error) => error instanceof CodedError && assert.equal(error.code, code, error.message) === undefined,
      );
    });
  }

  function intoto2Refused(): readonly { readonly name: string; readonly entry: LogEntry; readonly code: string }[] {
    const { content } = bodies.inToto2();
    const [signed] = content.envelope.signatures;
    const changed = (change: object) => entryOf('intoto', '0.0.2', { content: { ...content, ...change } });
    const envelope = (change: object) => changed({ envelope: { ...content.envelope, signatures: [{ ...signed, ...change }] } });
    return [
      { name: 'another payload (intoto 0.0.2)', entry: changed({ payloadHash: hex(body) }), code: wrong },
      {
        name: 'another type of payload (intoto 0.0.2)',
        entry: changed({ envelope: { ...content.envelope, payloadType: 'text/plain' } }),
        code: wrong,
      },
      { name: 'another signature (intoto 0.0.2)', entry: envelope({ sig: twice(differing) }), code: wrong },
      { name: 'a signature that is encoded once (intoto 0.0.2)', entry: envelope({ sig: base64Of(signature) }), code: wrong },
      { name: 'another key (intoto 0.0.2)', entry: envelope({ publicKey: verifier(other) }), code: wrong },
    ];
  }
});

/** The public instance's root, as the package that we use carries it. */
function anyCertificate(): Uint8Array {
  const seeds = JSON.parse(readFileSync(createRequire(import.meta.url).resolve('@sigstore/tuf/seeds.json'), 'utf8')) as Readonly<
    Record<string, { readonly targets: Readonly<Record<string, string>> }>
  >;
  const [seed] = Object.values(seeds);
  const root = JSON.parse(Buffer.from(seed?.targets['trusted_root.json'] ?? '', 'base64').toString()) as {
    readonly certificateAuthorities: readonly { readonly certChain: { readonly certificates: readonly { readonly rawBytes: string }[] } }[];
  };
  return new X509Certificate(Buffer.from(root.certificateAuthorities[0]?.certChain.certificates[0]?.rawBytes ?? '', 'base64')).raw;
}
