import { X509Certificate, createHash, createPrivateKey, randomInt, sign, type KeyObject } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { base64Of } from '../../src/model/base64.ts';
import { paeOf } from '../../src/model/dsse.ts';
import type { LogEntry } from '../../src/model/evidence.ts';
import { publicKeyOf } from '../../src/model/public-key.ts';
import { hashedRekordV002Of } from '../../src/trust/entry-kinds.ts';
import type { EntryClaim } from '../../src/trust/entry.ts';
import { spkiOf } from '../../src/trust/log-key.ts';
import { entryOn, paperLog, promiseOf, type PaperLog } from '../contract/trust-log.ts';
import { makeCa, makeCertificate } from '../servers/certificates.ts';
import { output } from '../servers/command.ts';
import type { EntryJson, RootJson } from './shapes.ts';

/** A log of ours, in whose name everything can be signed, at any time; `root` gets it. */
export function addPaperLog(version: 1 | 2, root: RootJson): PaperLog {
  const log = paperLog(version);
  root.tlogs.push({
    baseUrl: log.trusted.baseUrl,
    hashAlgorithm: 'SHA2_256',
    publicKey: {
      rawBytes: base64Of(spkiOf(log.trusted.publicKey)),
      keyDetails: 'PKIX_ECDSA_P256_SHA_256',
      validFor: { start: '2020-01-01T00:00:00Z' },
    },
    logId: { keyId: base64Of(log.trusted.logId) },
  } as RootJson['tlogs'][number]);
  return log;
}

/** The entry that such a log has of a body, since a time. */
export function paperEntry(log: PaperLog, body: Uint8Array, time: Date): EntryJson {
  const made = entryOn(log, body);
  const seconds = Math.floor(time.getTime() / 1000);
  const entry: LogEntry = log.version === 2 ? made : { ...made, integratedTime: seconds };
  const promise = log.version === 2 ? undefined : promiseOf(log, entry);
  const proof = entry.proof ?? { logIndex: 0, rootHash: new Uint8Array(), treeSize: 0, hashes: [], checkpoint: '' };
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: base64Of(entry.logId) },
    kindVersion: { kind: entry.kind, version: entry.version },
    ...(entry.integratedTime !== undefined && { integratedTime: String(seconds) }),
    ...(promise && { inclusionPromise: { signedEntryTimestamp: base64Of(promise) } }),
    inclusionProof: {
      logIndex: String(proof.logIndex),
      rootHash: base64Of(proof.rootHash),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map(base64Of),
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: base64Of(body),
  };
}

/** Bodies as the logs make them, by hand; members sorted (RFC 8785). */
export const bodies = {
  dsse: (claim: EntryClaim, verifierPem: string): Uint8Array => {
    if (claim.content.kind !== 'dsse') throw new Error('Want an envelope');
    const hash = { algorithm: 'sha256', value: sha256(claim.content.payload) };
    const signatures = [{ signature: base64Of(claim.signature), verifier: base64(verifierPem) }];
    return text({ apiVersion: '0.0.1', kind: 'dsse', spec: { envelopeHash: hash, payloadHash: hash, signatures } });
  },
  inToto2: (claim: EntryClaim, verifierPem: string): Uint8Array => {
    if (claim.content.kind !== 'dsse') throw new Error('Want an envelope');
    const hash = { algorithm: 'sha256', value: sha256(claim.content.payload) };
    const signatures = [{ publicKey: base64(verifierPem), sig: base64(base64Of(claim.signature)) }];
    const envelope = { payloadType: claim.content.payloadType, signatures };
    return text({ apiVersion: '0.0.2', kind: 'intoto', spec: { content: { envelope, hash, payloadHash: hash } } });
  },
  hashedRekord2: (claim: EntryClaim): Uint8Array => hashedRekordV002Of(claim),
} as const;

/** A signer whose certificate is good for one second only, by a CA of ours with the identity of the world. */
export interface Fleeting {
  readonly leaf: X509Certificate;
  readonly pem: string;
  readonly caPem: string;
  readonly at: Date;
  readonly privateKey: KeyObject;
  sign(payloadType: string, payload: Uint8Array): Uint8Array;
}

export async function makeFleeting(dir: string, identity: { readonly san: string; readonly issuer: string }): Promise<Fleeting> {
  const ca = await makeCa(dir, 'fleeting-ca');
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=codeSigning',
    `subjectAltName=critical,URI:${identity.san}`,
    `1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:${identity.issuer}`,
  ];
  const pair = await makeCertificate(dir, { name: 'fleeting', issuer: ca, extensions });
  const [csr, ext] = ['csr', 'ext'].map((ending) => path.join(dir, `fleeting.${ending}`));
  const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-set_serial', String(randomInt(1, 2 ** 40)), '-extfile', ext ?? ''];
  await output('openssl', ['x509', '-req', '-in', csr ?? '', ...signer, '-days', '0', '-out', pair.certFile]);
  const pem = await readFile(pair.certFile, 'utf8');
  const leaf = new X509Certificate(pem);
  const privateKey = createPrivateKey(await readFile(pair.keyFile, 'utf8'));
  return {
    leaf,
    pem,
    caPem: await readFile(ca.certFile, 'utf8'),
    at: leaf.validFromDate,
    privateKey,
    sign: (payloadType, payload) => sign('sha256', paeOf(payloadType, payload), privateKey),
  };
}

export function claimOf(fleeting: Fleeting, payloadType: string, payload: Uint8Array, signature: Uint8Array): EntryClaim {
  return {
    content: { kind: 'dsse', payloadType, payload, body: undefined },
    signature,
    publicKey: publicKeyOf(fleeting.leaf.publicKey),
    certificate: fleeting.leaf.raw,
  };
}

/** A stamp that comes without the certificate of its signer, or with it. */
export async function stampOf(url: string, signature: Uint8Array, certificates: boolean): Promise<string> {
  const answer = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      artifactHash: createHash('sha256').update(signature).digest('base64'),
      hashAlgorithm: 'sha256',
      certificates,
      nonce: randomInt(2 ** 40),
    }),
  });
  return Buffer.from(await answer.body.arrayBuffer()).toString('base64');
}

/** An authority whose certificate was good for one second, and a stamp that it made before that ended, or after. */
export async function briefStamp(
  dir: string,
  signature: Uint8Array,
  when: 'before' | 'after',
): Promise<{ readonly stamp: string; readonly chainPem: string }> {
  const at = (name: string): string => path.join(dir, `brief-${when}${name}`);
  const ca = await makeCa(dir, `brief-${when}-ca`);
  const extensions = ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=critical,timeStamping', 'basicConstraints=critical,CA:FALSE'];
  const pair = await makeCertificate(dir, { name: `brief-${when}`, issuer: ca, extensions });
  await writeFile(at('.sig'), signature);
  await writeFile(at('.serial'), '01\n');
  const section = {
    serial: at('.serial'),
    signer_digest: 'sha256',
    default_policy: '1.2.3.4',
    digests: 'sha256',
    ess_cert_id_alg: 'sha256',
  };
  const lines = Object.entries(section).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(at('.cnf'), `[tsa]\n${lines.join('')}`);
  await output('openssl', ['ts', '-query', '-data', at('.sig'), '-sha256', '-cert', '-out', at('.tsq')]);
  const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-set_serial', '9', '-extfile', at('.ext')];
  const reply = [
    '-reply',
    '-queryfile',
    at('.tsq'),
    '-signer',
    pair.certFile,
    '-inkey',
    pair.keyFile,
    '-config',
    at('.cnf'),
    '-section',
    'tsa',
  ];
  // The second may end between the two commands: then once more.
  for (let tries = 0; tries < 20; tries += 1) {
    await output('openssl', ['x509', '-req', '-in', at('.csr'), ...signer, '-days', '0', '-out', pair.certFile]);
    if (when === 'after') await sleep(2_000);
    await output('openssl', ['ts', ...reply, '-out', at('.tsr')]);
    const pem = await readFile(pair.certFile, 'utf8');
    const stamp = (await readFile(at('.tsr'))).toString('base64');
    const isBefore = genTimeOf(stamp) <= new X509Certificate(pem).validToDate;
    if (isBefore === (when === 'before')) return { stamp, chainPem: pem + (await readFile(ca.certFile, 'utf8')) };
  }
  throw new Error('Cannot make a stamp within one second');
}

/** The GeneralizedTime in a response, the only one there. */
export function genTimeOf(stamp: string): Date {
  const [, year, month, day, hour, minute, second] =
    /(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z/.exec(Buffer.from(stamp, 'base64').toString('latin1')) ?? [];
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** An authority or CA for a trusted root. */
export function authorityJson(uri: string, chainPem: string): RootJson['certificateAuthorities'][number] {
  const blocks = chainPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return {
    uri,
    certChain: { certificates: blocks.map((block) => ({ rawBytes: new X509Certificate(block).raw.toString('base64') })) },
    validFor: { start: '2020-01-01T00:00:00Z' },
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function base64(value: string): string {
  return Buffer.from(value).toString('base64');
}

function text(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
