import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { noEvidence, type Logged } from '../model/evidence.ts';
import { noMaterial } from '../model/receipt.ts';
import { storedFromAnnotations, tekton } from './tekton.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const envelope: Logged = {
  kind: 'dsse',
  payloadType: 'application/vnd.in-toto+json',
  payload: Buffer.from('statement'),
  signature: Buffer.from('signature'),
  body: Buffer.from('{"payload":""}'),
  publicKey: '',
  certificate: 'CERT',
  chain: '',
  evidence: noEvidence,
  filing: { run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'u-1' }, shortKey: 'taskrun-u-1', predicateType: 'p', images: [] },
};
/** A DER signature may begin with any length; `{` as its first byte is not JSON. */
const raw: Logged = { ...envelope, kind: 'raw', body: Buffer.from('{signature'), payload: Buffer.from('payload') };

async function put(it: Logged) {
  await using store = await tekton.open();
  return await store.put(it, ctx);
}

describe('tekton', () => {
  it("gives Chains' four annotations, empty ones too, and says that the patch is the proof", async () => {
    await using store = await tekton.open();

    assert.equal(store.proof, 'patch');
    assert.deepEqual(await store.put(envelope, ctx), {
      store: 'tekton',
      places: [{ address: 'chains.tekton.dev/signature-taskrun-u-1', image: undefined }],
      note: undefined,
      annotations: {
        'chains.tekton.dev/payload-taskrun-u-1': 'c3RhdGVtZW50',
        'chains.tekton.dev/signature-taskrun-u-1': 'eyJwYXlsb2FkIjoiIn0=',
        'chains.tekton.dev/cert-taskrun-u-1': 'Q0VSVA==',
        'chains.tekton.dev/chain-taskrun-u-1': '',
      },
    });
  });

  it('takes exactly what the API server takes', async () => {
    const { annotations } = await put({ ...envelope, payload: Buffer.alloc(0), certificate: '' });
    const used = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    const room = 256 * 1024 - used;
    const most = (room >> 2) * 3;

    const full = await put({ ...envelope, payload: Buffer.alloc(most), certificate: '' });

    assert.equal(full.annotations['chains.tekton.dev/payload-taskrun-u-1']?.length, (room >> 2) * 4);
    await assert.rejects(put({ ...envelope, payload: Buffer.alloc(most + 1), certificate: '' }), {
      name: 'TerminalError',
      code: 'store.tekton.too-large',
      fix: 'choose the storage "oci" for this artifact (artifacts.*.storage)',
    });
  });
});

describe('storedFromAnnotations', () => {
  const place = { address: 'chains.tekton.dev/signature-taskrun-u-1', image: undefined };
  const key = 'taskrun-u-1';
  const material = { ...noMaterial, certificate: 'CERT' };

  it('gives an attestation back', async () => {
    assert.deepEqual(storedFromAnnotations((await put(envelope)).annotations, key), { kind: 'dsse', place, body: envelope.body, material });
  });

  it('gives an image signature back', async () => {
    const { payload, body: signature } = raw;

    assert.deepEqual(storedFromAnnotations((await put(raw)).annotations, key), { kind: 'raw', place, payload, signature, material });
  });

  it('gives nothing where nothing is', async () => {
    const { annotations } = await put(envelope);

    assert.equal(storedFromAnnotations(annotations, 'taskrun-u-2'), undefined);
    assert.equal(storedFromAnnotations({ ...annotations, 'chains.tekton.dev/signature-taskrun-u-1': '' }, key), undefined);
    assert.equal(storedFromAnnotations({}, key), undefined);
  });

  it('refuses what is not base64', () => {
    const annotations = { 'chains.tekton.dev/payload-taskrun-u-1': 'AAAA', 'chains.tekton.dev/signature-taskrun-u-1': '***' };

    assert.throws(() => storedFromAnnotations(annotations, key), { name: 'TerminalError', code: 'store.tekton.corrupt' });
  });
});
