import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { pino } from 'pino';
import { envelopeBytesOf, paeOf, payloadTypes } from '../../src/model/dsse.ts';
import type { Context } from '../../src/observe/context.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import { CodedError } from '../../src/errors.ts';
import type { Log, LogKind } from '../../src/tlog/log.ts';
import { logs } from '../../src/tlog/logs.ts';
import { parseTrustedRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { request } from 'undici';
import { bodyOf, serveHttp } from '../servers/http-server.ts';
import { trustedRootOf, type TrustMaterial } from '../servers/trusted-root.ts';

export const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

export interface Key {
  /** SPKI PEM. */
  readonly publicKey: string;
  sign(bytes: Uint8Array): Uint8Array;
}

/** How a key signs; none for Ed25519. */
export type Digest = 'sha256' | 'sha384' | 'sha512' | undefined;

export function keyOf(privateKey: KeyObject, publicKey: KeyObject, digest: Digest): Key {
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (bytes) => sign(digest, bytes, { key: privateKey, dsaEncoding: 'der' }),
  };
}

export function ecKey(namedCurve: 'P-256' | 'P-384' | 'P-521', digest: Digest): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return keyOf(privateKey, publicKey, digest);
}

export function rsaKey(modulusLength: number): Key {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return keyOf(privateKey, publicKey, 'sha256');
}

export function edKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return keyOf(privateKey, publicKey, undefined);
}

const p256 = ecKey('P-256', 'sha256');

/** Something to log: an attestation, or an image signature. Another name, another payload. */
export function envelopeOf(kind: Envelope['kind'], name: string, key: Key = p256): Envelope {
  const payloadType = kind === 'dsse' ? payloadTypes.inToto : payloadTypes.simpleSigning;
  const payload = Buffer.from(JSON.stringify({ name }));
  const signature = key.sign(kind === 'dsse' ? paeOf(payloadType, payload) : payload);
  return {
    kind,
    payloadType,
    payload,
    signature,
    body: kind === 'dsse' ? envelopeBytesOf({ payloadType, payload, signatures: [{ keyid: '', signature }] }) : signature,
    publicKey: key.publicKey,
    certificate: '',
    chain: '',
    filing: {
      run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'uid' },
      shortKey: 'taskrun-uid',
      predicateType: undefined,
      images: [],
    },
  };
}

export function trustIn(material: TrustMaterial): TrustedRoot {
  return parseTrustedRoot(Buffer.from(trustedRootOf(material)), 'the test');
}

/** A log by its generation, opened as configuration would. */
export async function openLog(version: 1 | 2, options: Readonly<Record<string, unknown>>, trust: TrustedRoot): Promise<Log> {
  const row: LogKind = logs[`rekor-v${version}`];
  return await row.open(row.options.parse(options), trust, ctx);
}

/** `code: message`, with the fix when there is one. */
export async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error('Cannot fail: it went well');
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Liar extends AsyncDisposable {
  readonly url: string;
  /** Paths that were asked for, with their methods. */
  readonly asked: readonly string[];
}

/** Stands between us and a real log, and changes what it says. */
export async function startLiar(target: string, lie: (reply: Reply, asked: string) => Reply | Promise<Reply>): Promise<Liar> {
  const asked: string[] = [];
  const server = await serveHttp((message, response) => {
    const what = `${message.method} ${message.url}`;
    asked.push(what);
    const pass = async (): Promise<void> => {
      const body = await bodyOf(message);
      const headers = { 'content-type': message.headers['content-type'] ?? '' };
      const answer = await request(target + message.url, { method: message.method === 'POST' ? 'POST' : 'GET', headers, body });
      const kept: Record<string, string> = {};
      for (const name of ['content-type', 'location', 'x-log-index']) {
        const value = answer.headers[name];
        if (typeof value === 'string') kept[name] = value;
      }
      const real = { status: answer.statusCode, headers: kept, body: Buffer.from(await answer.body.arrayBuffer()) };
      const { status, headers: shown, body: said } = await lie(real, what);
      response.writeHead(status, shown).end(said);
    };
    pass().catch((error: unknown) => response.writeHead(502).end(String(error)));
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The same reply with other JSON in its body. */
export function withJson(reply: Reply, change: (text: string) => string): Reply {
  return { ...reply, body: Buffer.from(change(reply.body.toString('utf8'))) };
}
