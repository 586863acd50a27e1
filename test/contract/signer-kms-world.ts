import assert from 'node:assert/strict';
import { verify } from 'node:crypto';
import dns from 'node:dns';
import { writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import tls from 'node:tls';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { request } from 'undici';
import type { z } from 'zod';
import { CodedError } from '../../src/errors.ts';
import { isSignedBy, parsePublicKey, type KeyAlgorithm } from '../../src/model/public-key.ts';
import type { Context } from '../../src/observe/context.ts';
import { kms } from '../../src/sign/kms.ts';
import type { Signer, SignerMeans } from '../../src/sign/signer.ts';
import { output } from '../servers/command.ts';
import { cosign } from '../servers/cosign.ts';
import { bodyOf, serveHttp } from '../servers/http-server.ts';

/** Everything that signers said, for the search for secrets. */
const logged: string[] = [];
export const ctx: Context = {
  signal: new AbortController().signal,
  logger: pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) }),
};

/** A KMS needs neither trust nor Secrets. */
const means: SignerMeans = {
  trust: async () => await Promise.reject(new Error('nobody needs a trusted root here')),
  secret: async () => await Promise.reject(new Error('nobody needs a Secret here')),
};

export type KmsOptions = z.input<typeof kms.options>;

export async function openKms(options: KmsOptions, context: Context = ctx): Promise<Signer> {
  return await kms.open(kms.options.parse(options), means, context);
}

/** The coded error that a piece of work ends with. */
export async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.equal(error instanceof CodedError, true, `want a coded error, have ${inspect(error)}`);
  return error as CodedError;
}

/** `code retry`, with the dependency that is blamed. */
export function short(error: CodedError): string {
  const { retry, dependency } = error as CodedError & { readonly retry?: string; readonly dependency?: string };
  return [error.code, retry, dependency?.replace(/:\d+$/, ':PORT')].filter((word) => word !== undefined).join(' ');
}

/** Neither an error, however it is shown, nor anything that was logged holds one of these. */
export function assertHidden(secrets: readonly string[], ...errors: readonly CodedError[]): void {
  const shown = [...errors.flatMap((error) => [inspect(error, { depth: 10 }), jsonOf(error), error.stack ?? '']), ...logged].join('\n');
  for (const secret of secrets.flatMap((whole) => [whole, ...whole.split('.').filter((part) => part.length > 20)])) {
    assert.equal(shown.includes(secret), false, `a secret is shown: ${secret.slice(0, 6)}…`);
  }
}

function jsonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(JSON.stringify(error));
  return JSON.stringify({ ...Object.fromEntries(Object.entries(error)), message: error.message, cause: jsonOf(error.cause) });
}

const digests: Readonly<Record<KeyAlgorithm, 'sha256' | 'sha384' | 'sha512' | undefined>> = {
  'ecdsa-p256': 'sha256',
  'ecdsa-p384': 'sha384',
  'ecdsa-p521': 'sha512',
  rsa: 'sha256',
  ed25519: undefined,
};

/** Signs `text`, and lets Node and OpenSSL verify it, with the usual digest of the key and none else. */
export async function assertVerifies(signer: Signer, dir: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  const { signature, publicKey } = await signer.sign(bytes, ctx);
  const key = parsePublicKey(publicKey);
  const digest = digests[key.algorithm];
  assert.equal(publicKey, signer.publicKey);
  assert.equal(verify(digest, bytes, { key: key.object, dsaEncoding: 'der' }, signature), true);
  const files = await written(dir, { publicKey, signature, bytes });
  const check =
    digest === undefined
      ? ['pkeyutl', '-verify', '-pubin', '-inkey', files.key, '-rawin', '-in', files.blob, '-sigfile', files.signature]
      : ['dgst', `-${digest}`, '-verify', files.key, '-signature', files.signature, files.blob];
  assert.match(await output('openssl', check), /Verified OK|Signature Verified Successfully/);
}

/** Lets the stock cosign verify a blob. */
export async function assertCosignVerifies(version: 2 | 3, signer: Signer, dir: string): Promise<void> {
  const bytes = Buffer.from('for cosign');
  const { signature, publicKey } = await signer.sign(bytes, ctx);
  const files = await written(dir, { publicKey, signature, bytes });
  const digest = digests[parsePublicKey(publicKey).algorithm];
  const args = ['verify-blob', '--key', files.key, '--signature', files.base64, '--insecure-ignore-tlog=true'];
  const usual = digest === undefined || digest === 'sha256' ? [] : ['--signature-digest-algorithm', digest];
  const outcome = await cosign(version, [...args, ...usual, files.blob]);
  assert.match(outcome.stderr, /Verified OK/);
}

async function written(
  dir: string,
  { publicKey, signature, bytes }: { readonly publicKey: string; readonly signature: Uint8Array; readonly bytes: Uint8Array },
): Promise<{ readonly key: string; readonly signature: string; readonly base64: string; readonly blob: string }> {
  const file = (name: string): string => path.join(dir, name);
  await writeFile(file('key.pub'), publicKey);
  await writeFile(file('signature'), signature);
  await writeFile(file('signature.b64'), Buffer.from(signature).toString('base64'));
  await writeFile(file('blob'), bytes);
  return { key: file('key.pub'), signature: file('signature'), base64: file('signature.b64'), blob: file('blob') };
}

/** So many signatures at once; each is of its own bytes. */
export async function assertManyVerify(signer: Signer, count: number): Promise<void> {
  const texts = Array.from({ length: count }, (_, at) => Buffer.from(`payload ${at}`));
  const signed = await Promise.all(texts.map(async (bytes) => await signer.sign(bytes, ctx)));
  const isGood = signed.map(({ signature, publicKey }, at) =>
    isSignedBy(parsePublicKey(publicKey), texts[at] ?? Buffer.alloc(0), signature),
  );
  assert.deepEqual(
    isGood,
    texts.map(() => true),
  );
}

export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Relay extends AsyncDisposable {
  readonly url: string;
  /** Every request that went through. */
  readonly passed: readonly Passed[];
  /** From now on the JSON of answers to paths that hold `part` is what `change` makes of it. */
  readonly change: (part: string, change: (body: string) => string) => void;
}

/** Stands before an HTTP server, writes down what is asked, and may change what is answered. */
export async function startRelay(target: string): Promise<Relay> {
  const passed: Passed[] = [];
  let tamper: { readonly part: string; readonly change: (body: string) => string } | undefined;
  const server = await serveHttp((message, response) => {
    const { method = 'GET', url = '/', headers } = message;
    passed.push({ method, path: url, headers });
    void (async () => {
      const { host: _, connection: _connection, 'content-length': _length, 'transfer-encoding': _encoding, ...kept } = headers;
      const body = await bodyOf(message);
      const answer = await request(`${target}${url}`, { method: method as 'GET', headers: kept, body: body.length === 0 ? null : body });
      const text = await answer.body.text();
      response.writeHead(answer.statusCode, { 'content-type': 'application/json' });
      response.end(tamper !== undefined && url.includes(tamper.part) ? tamper.change(text) : text);
    })().catch(() => response.destroy());
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    passed,
    change(part, change) {
      tamper = { part, change };
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The SDKs read it; what was there before comes back when this file is through, with its process. */
export function setEnvironment(values: Readonly<Record<string, string>>): void {
  Object.assign(process.env, values);
}

/** Names below `vault.test` are loopback, and the CA of the stand-in is one of ours. */
export function reachAzure(caPem: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), caPem]);
  const plain = dns.lookup;
  const lookup = ((name: string, ...rest: Parameters<typeof plain> extends [string, ...infer Rest] ? Rest : never) => {
    (plain as (...args: readonly unknown[]) => void)(name.endsWith('.vault.test') ? '127.0.0.1' : name, ...rest);
  }) as typeof plain;
  dns.lookup = Object.assign(lookup, { __promisify__: plain.__promisify__ });
}
