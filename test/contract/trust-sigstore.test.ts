import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import pino from 'pino';
import { request } from 'undici';
import { CodedError } from '../../src/errors.ts';
import { base64Of } from '../../src/model/base64.ts';
import { paeOf } from '../../src/model/dsse.ts';
import type { LogEntry } from '../../src/model/evidence.ts';
import { sha256Of } from '../../src/model/digest.ts';
import { pemOf } from '../../src/model/pem.ts';
import { publicKeyOf } from '../../src/model/public-key.ts';
import { checkChain, countScts, identityOf } from '../../src/trust/certificate.ts';
import { checkEntry, checkEntryBody, type EntryClaim } from '../../src/trust/entry.ts';
import { openTrust } from '../../src/trust/open.ts';
import { checkTimestamp } from '../../src/trust/timestamp.ts';
import { emptyRoot, parseTrustedRoot, trustedRootJsonOf, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { missingRekor1, startRekor1 } from '../servers/rekor1.ts';
import { signBundle, verifyBundle } from '../servers/sigstore-go.ts';
import { startSigstore, type Sigstore } from '../servers/sigstore.ts';
import { missing } from '../servers/tools.ts';
import { trustedRootOf } from '../servers/trusted-root.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const un = (text: string | undefined) => Buffer.from(text ?? '', 'base64');
const parse = (json: string) => parseTrustedRoot(Buffer.from(json), 'a test');

interface BundleJson {
  readonly verificationMaterial: {
    readonly certificate: { readonly rawBytes: string };
    readonly tlogEntries: readonly EntryJson[];
    readonly timestampVerificationData: { readonly rfc3161Timestamps: readonly { readonly signedTimestamp: string }[] };
  };
  readonly messageSignature: { readonly signature: string };
}
interface EntryJson {
  readonly logIndex?: string;
  readonly logId: { readonly keyId: string };
  readonly kindVersion: { readonly kind: string; readonly version: string };
  readonly inclusionProof: {
    readonly logIndex?: string;
    readonly rootHash: string;
    readonly treeSize: string;
    readonly hashes?: readonly string[];
    readonly checkpoint: { readonly envelope: string };
  };
  readonly canonicalizedBody: string;
}

function entryOf({ logIndex = '0', logId, kindVersion, inclusionProof: proof, canonicalizedBody }: EntryJson): LogEntry {
  return {
    log: '',
    logIndex: Number(logIndex),
    logId: un(logId.keyId),
    ...kindVersion,
    integratedTime: undefined,
    promise: undefined,
    proof: {
      logIndex: Number(proof.logIndex ?? 0),
      treeSize: Number(proof.treeSize),
      rootHash: un(proof.rootHash),
      hashes: (proof.hashes ?? []).map(un),
      checkpoint: proof.checkpoint.envelope,
    },
    body: un(canonicalizedBody),
  };
}

const noServers = await missing('rekor-tiles', 'timestamp-authority', 'fulcio', 'sigstore-go');

describe('what Rekor 2, Fulcio, a certificate log and a timestamp authority made', { skip: noServers }, () => {
  const artifact = Buffer.from('an artifact');
  interface Made {
    readonly sigstore: Sigstore;
    readonly bundle: string;
    readonly root: TrustedRoot;
    readonly entry: LogEntry;
    readonly leaf: X509Certificate;
    readonly signature: Buffer;
    readonly timestamp: Buffer;
  }
  let made: Made;
  before(async () => {
    const sigstore = await startSigstore({ rekor: 'v2', fulcio: true, ct: true, tsa: true });
    const identityToken = sigstore.issuer?.token({ kubernetes: { namespace: 'team', serviceAccount: 'builder' } }) ?? '';
    const sign = async () =>
      await signBundle({ identityToken, signingConfig: sigstore.signingConfigJson, trustedRoot: sigstore.trustedRootJson, artifact });
    // The second entry has a path, the first is the whole tree.
    await sign();
    const bundle = await sign();
    const { verificationMaterial: material, messageSignature } = JSON.parse(bundle) as BundleJson;
    const [entry] = material.tlogEntries;
    assert.ok(entry);
    made = {
      sigstore,
      bundle,
      root: parse(sigstore.trustedRootJson),
      entry: entryOf(entry),
      leaf: new X509Certificate(un(material.certificate.rawBytes)),
      signature: un(messageSignature.signature),
      timestamp: un(material.timestampVerificationData.rfc3161Timestamps[0]?.signedTimestamp),
    };
  });
  after(async () => {
    await made.sigstore[Symbol.asyncDispose]();
  });
  const claim = (): EntryClaim => ({
    content: { kind: 'message', payload: artifact, digest: undefined },
    signature: made.signature,
    publicKey: publicKeyOf(made.leaf.publicKey),
    certificate: made.leaf.raw,
  });

  it('is believed, each part of it', () => {
    const { root, entry, leaf, signature, timestamp, sigstore } = made;

    assert.equal(checkEntry(entry, root).log, root.logs[0]);
    checkEntryBody(entry, claim());
    const time = checkTimestamp(timestamp, signature, root);
    assert.ok(Math.abs(time.getTime() - Date.now()) < 5 * 60 * 1000);
    const { issuer } = checkChain(leaf, [], time, root);
    assert.equal(countScts(leaf, issuer, root), 1);
    assert.deepEqual(identityOf(leaf), {
      san: 'https://kubernetes.io/namespaces/team/serviceaccounts/builder',
      issuer: sigstore.issuer?.url,
    });
  });

  it('is believed by the root that is exported, and sigstore-go agrees', async () => {
    const { root, bundle, entry, sigstore } = made;
    const exported = trustedRootJsonOf(root);

    assert.equal(checkEntry(entry, parse(exported)).log.baseUrl, root.logs[0]?.baseUrl);
    const by = { identity: 'https://kubernetes.io/namespaces/team/serviceaccounts/builder', issuer: sigstore.issuer?.url ?? '' };
    assert.deepEqual(await verifyBundle({ bundle, by, trustedRoot: exported, artifact }), { ok: true, stderr: '' });
  });

  it('is not believed ten minutes later, nor before it was made', () => {
    const { leaf, root } = made;

    for (const minutes of [-60, 60]) {
      const at = new Date(Date.now() + minutes * 60 * 1000);
      assert.throws(() => checkChain(leaf, [], at, root), { code: 'trust.certificate-expired' });
    }
  });

  it('counts a certificate log once, only in its time, and not one that is not trusted', () => {
    const { leaf, root } = made;
    const { issuer } = checkChain(leaf, [], leaf.validFromDate, root);
    const [ctLog] = root.ctLogs;
    assert.ok(ctLog);
    const ended = { ...ctLog, validFor: { ...ctLog.validFor, end: new Date('2024-02-01') } };
    const counts = [[], [ctLog, ctLog], [ended], [ended, ctLog]].map((ctLogs) => countScts(leaf, issuer, { ...root, ctLogs }));

    assert.deepEqual(counts, [0, 1, 0, 1]);
    assert.equal(countScts(issuer, issuer, root), 0);
  });

  it('refuses a promise of a certificate log that it did not sign, and one for another issuer', () => {
    const { leaf, root } = made;
    const { issuer } = checkChain(leaf, [], leaf.validFromDate, root);
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const ctLogs = root.ctLogs.map((log) => ({ ...log, publicKey: stranger }));

    assert.throws(() => countScts(leaf, issuer, { ...root, ctLogs }), { code: 'trust.sct' });
    assert.throws(() => countScts(leaf, leaf, root), { code: 'trust.sct' });
  });

  it('refuses every bit of the certificate that is bent: in the chain, or in the promise', () => {
    const { leaf, root } = made;
    const accepted: number[] = [];
    for (let at = 0; at < leaf.raw.length; at += 1) {
      const bent = Buffer.from(leaf.raw);
      bent[at] = (bent[at] ?? 0) ^ 1;
      const certificate = readable(bent);
      if (certificate === undefined) continue;
      try {
        const { issuer } = checkChain(certificate, [], leaf.validFromDate, root);
        if (countScts(certificate, issuer, root) > 0 && identityOf(certificate).san !== '') accepted.push(at);
      } catch (error) {
        assert.ok(error instanceof CodedError, `byte ${at}: ${String(error)}`);
        assert.match(error.code, /^trust\./);
      }
    }

    assert.deepEqual(accepted, []);
  });

  it('refuses another signature, key and content in the entry', () => {
    const { entry } = made;
    const wrong: readonly Partial<EntryClaim>[] = [
      { signature: made.signature.subarray(1) },
      { certificate: undefined },
      { certificate: made.leaf.raw.subarray(1) },
      { content: { kind: 'message', payload: Buffer.from('another artifact'), digest: undefined } },
      { content: { kind: 'dsse', payload: artifact, payloadType: 'text/plain', body: undefined } },
    ];

    for (const change of wrong) {
      assert.throws(
        () => {
          checkEntryBody(entry, { ...claim(), ...change });
        },
        { code: 'trust.entry-body' },
      );
    }
  });

  it('can be asked of the services themselves, but for the log and the certificate log', async () => {
    const { sigstore, leaf, signature, timestamp } = made;
    const services = { rekor: [], fulcio: sigstore.fulcio?.url ?? '', timestamps: [sigstore.tsa?.url ?? ''] };

    const { root, origin, json } = await openTrust({ services }, ctx);

    checkChain(leaf, [], checkTimestamp(timestamp, signature, root), root);
    assert.deepEqual([root.logs, root.ctLogs], [[], []]);
    assert.equal(origin, `what ${sigstore.fulcio?.url}/, ${sigstore.tsa?.url} said of themselves when asked (trust on first use)`);
    assert.equal(trustedRootJsonOf(parse(json)), json);
    await assert.rejects(openTrust({ services: { rekor: [sigstore.rekor?.url ?? ''], timestamps: [] } }, ctx), { code: 'trust.services' });
  });
});

describe('what Rekor 1 made', { skip: await missingRekor1() }, () => {
  const payload = Buffer.from(
    '{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://example.com","predicate":{}}',
  );
  const payloadType = 'application/vnd.in-toto+json';
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = base64Of(Buffer.from(pemOf('PUBLIC KEY', publicKey.export({ type: 'spki', format: 'der' }))));
  const signature = sign('sha256', paeOf(payloadType, payload), privateKey);
  const body = Buffer.from(JSON.stringify({ payloadType, payload: base64Of(payload), signatures: [{ sig: base64Of(signature) }] }));
  const messageSignature = sign('sha256', payload, privateKey);
  const key = { publicKey: publicKeyOf(publicKey), certificate: undefined };
  const envelope: EntryClaim = { content: { kind: 'dsse', payload, payloadType, body }, signature, ...key };
  const message: EntryClaim = { content: { kind: 'message', payload, digest: undefined }, signature: messageSignature, ...key };
  const twice = (bytes: Uint8Array) => base64Of(Buffer.from(base64Of(bytes)));

  const kinds: readonly { readonly name: string; readonly proposal: object; readonly claim: EntryClaim }[] = [
    {
      name: 'dsse 0.0.1',
      proposal: { kind: 'dsse', apiVersion: '0.0.1', spec: { proposedContent: { envelope: body.toString(), verifiers: [pem] } } },
      claim: envelope,
    },
    {
      name: 'intoto 0.0.1',
      proposal: { kind: 'intoto', apiVersion: '0.0.1', spec: { content: { envelope: body.toString() }, publicKey: pem } },
      claim: envelope,
    },
    {
      name: 'intoto 0.0.2',
      proposal: {
        kind: 'intoto',
        apiVersion: '0.0.2',
        spec: {
          content: {
            envelope: { payloadType, payload: twice(payload), signatures: [{ sig: twice(signature), publicKey: pem }] },
            hash: { algorithm: 'sha256', value: 'ab'.repeat(32) },
          },
        },
      },
      claim: envelope,
    },
    {
      name: 'hashedrekord 0.0.1',
      proposal: {
        kind: 'hashedrekord',
        apiVersion: '0.0.1',
        spec: {
          data: { hash: { algorithm: 'sha256', value: sha256Of(payload) } },
          signature: { content: base64Of(messageSignature), publicKey: { content: pem } },
        },
      },
      claim: message,
    },
  ];

  it('is believed, each kind of entry, by a root that was given and by what the log says of its key', async () => {
    await using rekor = await startRekor1();
    const root = parse(trustedRootOf({ logs: [rekor] }));
    const asked = await openTrust({ services: { rekor: [rekor.url], timestamps: [] } }, ctx);

    for (const { name, proposal, claim } of kinds) {
      const entry = await posted(rekor.url, proposal);
      assert.equal(`${entry.kind} ${entry.version}`, name);
      const { log, time } = checkEntry(entry, root);
      assert.equal(log, root.logs[0]);
      assert.ok(time !== undefined && Math.abs(time.getTime() - Date.now()) < 5 * 60 * 1000);
      checkEntryBody(entry, claim);
      assert.equal(checkEntry({ ...entry, proof: undefined }, asked.root).log.baseUrl, rekor.url);
      refusesNeighbours(entry, claim, root);
    }
  });
});

/** The same entry for another envelope, key or signature, in another log, at another place. */
function refusesNeighbours(entry: LogEntry, claim: EntryClaim, root: TrustedRoot): void {
  const other = publicKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
  assert.throws(
    () => {
      checkEntryBody(entry, { ...claim, publicKey: other });
    },
    { code: 'trust.entry-body' },
  );
  assert.throws(() => checkEntry(entry, emptyRoot), { code: 'trust.log-unknown' });
  assert.throws(() => checkEntry({ ...entry, logIndex: entry.logIndex + 1 }, root), { code: 'trust.entry-promise' });
  assert.throws(() => checkEntry({ ...entry, body: Buffer.concat([entry.body, Buffer.from(' ')]) }, root), {
    code: 'trust.entry-inclusion',
  });
}

interface Rekor1Entry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly logIndex: number;
      readonly rootHash: string;
      readonly treeSize: number;
      readonly hashes: readonly string[];
      readonly checkpoint: string;
    };
  };
}

async function posted(url: string, proposal: object): Promise<LogEntry> {
  const headers = { 'content-type': 'application/json' };
  const { statusCode, body } = await request(`${url}/api/v1/log/entries`, { method: 'POST', headers, body: JSON.stringify(proposal) });
  const text = await body.text();
  assert.equal(statusCode, 201, text);
  const [entry] = Object.values(JSON.parse(text) as Readonly<Record<string, Rekor1Entry>>);
  assert.ok(entry);
  const { inclusionProof: proof, signedEntryTimestamp } = entry.verification;
  const parsed = JSON.parse(un(entry.body).toString()) as { readonly kind: string; readonly apiVersion: string };
  return {
    log: url,
    logIndex: entry.logIndex,
    logId: Buffer.from(entry.logID, 'hex'),
    kind: parsed.kind,
    version: parsed.apiVersion,
    integratedTime: entry.integratedTime,
    promise: un(signedEntryTimestamp),
    proof: { ...proof, rootHash: Buffer.from(proof.rootHash, 'hex'), hashes: proof.hashes.map((hash) => Buffer.from(hash, 'hex')) },
    body: un(entry.body),
  };
}

function readable(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
