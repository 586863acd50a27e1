import { createHash, generateKeyPairSync, sign, X509Certificate, type KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bodyOf, serveHttp } from './http-server.ts';

/** A certificate transparency log that promises everything and keeps nothing: what Fulcio and the verifiers see of one. */
export interface CtLog extends AsyncDisposable {
  readonly url: string;
  readonly publicKeyPem: string;
  /** How many precertificates it was given. */
  readonly given: () => number;
}

/** Content of the OID 1.3.6.1.4.1.11129.2.4.3 (RFC 6962 3.1): the extension that makes a precertificate useless as a certificate. */
const poison = Buffer.from('060a2b06010401d679020403', 'hex');

/** Answers `add-pre-chain` of RFC 6962 4.2 with a signed certificate timestamp, which Fulcio checks. */
export async function startCtLog(): Promise<CtLog> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest();
  let given = 0;
  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(message);
    if (message.method !== 'POST' || message.url !== '/ct/v1/add-pre-chain') {
      response.writeHead(404).end();
      return;
    }
    given += 1;
    const { chain } = JSON.parse(body.toString()) as { readonly chain: readonly string[] };
    const [precertificate, issuer] = chain.map((der) => new X509Certificate(Buffer.from(der, 'base64')));
    if (precertificate === undefined || issuer === undefined) throw new Error('Want a precertificate and its issuer');
    const timestamp = Date.now();
    const signature = signatureOver(precertificate, issuer, timestamp, privateKey).toString('base64');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ sct_version: 0, id: id.toString('base64'), timestamp, extensions: '', signature }));
  };
  const server = await serveHttp((message, response) => {
    answer(message, response).catch(() => response.destroy());
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    given: () => given,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}

/** RFC 6962 3.2: a `digitally-signed` over version, kind, time, and the precertificate as its issuer will sign it. */
function signatureOver(precertificate: X509Certificate, issuer: X509Certificate, timestamp: number, key: KeyObject): Buffer {
  const issuerKeyHash = createHash('sha256')
    .update(issuer.publicKey.export({ format: 'der', type: 'spki' }))
    .digest();
  const tbs = withoutPoison(precertificate.raw);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(timestamp));
  const length = Buffer.alloc(3);
  length.writeUIntBE(tbs.length, 0, 3);
  const signed = Buffer.concat([Buffer.from([0, 0]), time, Buffer.from([0, 1]), issuerKeyHash, length, tbs, Buffer.from([0, 0])]);
  const signature = sign('sha256', signed, key);
  // 4: SHA-256, 3: ECDSA; then the length in two bytes.
  return Buffer.concat([Buffer.from([4, 3, signature.length >> 8, signature.length & 0xff]), signature]);
}

/** The TBSCertificate of a certificate, its lengths written anew without the poison. */
function withoutPoison(certificate: Buffer): Buffer {
  const [tbs] = elementsOf(elementAt(certificate, 0).content);
  if (tbs === undefined) throw new Error('Cannot read a precertificate: it is empty');
  const members = elementsOf(tbs.content).map((member) => {
    // [3] EXPLICIT holds the list of extensions.
    if (member.tag !== 0xa3) return member.whole;
    const extensions = elementsOf(elementAt(member.content, 0).content).filter(({ content }) => !content.subarray(0, 12).equals(poison));
    return encode(0xa3, encode(0x30, Buffer.concat(extensions.map(({ whole }) => whole))));
  });
  return encode(0x30, Buffer.concat(members));
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

/** One DER element with a tag of one byte. */
function elementAt(bytes: Buffer, at: number): Element {
  const first = bytes[at + 1] ?? 0;
  const more = first < 0x80 ? 0 : first & 0x7f;
  const length = more === 0 ? first : bytes.readUIntBE(at + 2, more);
  const start = at + 2 + more;
  return { tag: bytes[at] ?? 0, content: bytes.subarray(start, start + length), whole: bytes.subarray(at, start + length) };
}

function elementsOf(bytes: Buffer): readonly Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length; at += elements.at(-1)?.whole.length ?? bytes.length) elements.push(elementAt(bytes, at));
  return elements;
}

function encode(tag: number, content: Buffer): Buffer {
  const bytes = content.length < 0x100 ? 1 : 2;
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(content.length, 0, bytes);
  const head = content.length < 0x80 ? Buffer.from([tag, content.length]) : Buffer.concat([Buffer.from([tag, 0x80 | bytes]), length]);
  return Buffer.concat([head, content]);
}
