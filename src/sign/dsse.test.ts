import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { TerminalError } from '../errors.ts';
import { openEnvelope, paeOf, payloadTypes } from '../model/dsse.ts';
import type { Filing } from '../model/envelope.ts';
import { isSignedBy, publicKeyOf } from '../model/public-key.ts';
import type { Payload } from '../model/work.ts';
import type { Context } from '../observe/context.ts';
import { seal } from './dsse.ts';
import type { Signer } from './signer.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const filing: Filing = {
  run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'u-1' },
  shortKey: 'taskrun-u-1',
  predicateType: 'https://slsa.dev/provenance/v1',
  images: [],
};
const payload: Payload = {
  payloadType: payloadTypes.inToto,
  predicateType: filing.predicateType,
  bytes: Buffer.from('{"_type":"…"}'),
  subjects: [],
  images: [],
  dropped: [],
};
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKey = publicKeyOf(keys.publicKey);

/** Signs with `privateKey` and says that it is `keys`. */
function signerWith(privateKey: KeyObject): Signer {
  return {
    sign: async (bytes) => ({
      signature: sign('sha256', bytes, privateKey),
      publicKey: publicKey.pem,
      certificate: 'leaf',
      chain: 'chain',
    }),
    publicKey: publicKey.pem,
    owns: async () => true,
    isCurrent: async () => true,
    [Symbol.asyncDispose]: async () => {},
  };
}

describe('seal', () => {
  it('puts one signature over the PAE into an envelope as Tekton Chains writes it', async () => {
    const envelope = await seal(payload, filing, signerWith(keys.privateKey), 'dsse', ctx);

    const signature = Buffer.from(envelope.signature);
    assert.equal(isSignedBy(publicKey, paeOf(payload.payloadType, payload.bytes), signature), true);
    assert.equal(
      Buffer.from(envelope.body).toString(),
      `{"payloadType":"application/vnd.in-toto+json","payload":"${Buffer.from(payload.bytes).toString('base64')}",` +
        `"signatures":[{"keyid":"${publicKey.fingerprint}","sig":"${signature.toString('base64')}"}]}`,
    );
    assert.deepEqual(envelope, {
      kind: 'dsse',
      payloadType: payload.payloadType,
      payload: payload.bytes,
      signature: envelope.signature,
      body: envelope.body,
      publicKey: publicKey.pem,
      certificate: 'leaf',
      chain: 'chain',
      filing,
    });
    assert.deepEqual(openEnvelope(envelope.body).payload, payload.bytes);
  });

  it('signs a raw payload as it is, and takes the signature for the body', async () => {
    const raw = { ...payload, payloadType: payloadTypes.simpleSigning };

    const envelope = await seal(raw, filing, signerWith(keys.privateKey), 'raw', ctx);

    assert.equal(isSignedBy(publicKey, payload.bytes, envelope.signature), true);
    assert.deepEqual([envelope.kind, envelope.body], ['raw', envelope.signature]);
  });

  it('refuses a signature that does not verify under the key that the signer names', async () => {
    const liar = signerWith(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

    for (const signing of ['dsse', 'raw'] as const) {
      await assert.rejects(
        seal(payload, filing, liar, signing, ctx),
        (error) => error instanceof TerminalError && error.code === 'sign.bad-signature' && error.message.includes('taskrun-u-1'),
      );
    }
  });
});
