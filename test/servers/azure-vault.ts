import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer } from 'node:https';
import path from 'node:path';
import { z } from 'zod';
import { makeCa, type KeyPair } from './certificates.ts';
import { makeCloudKey, type CloudKey, type CloudKeyType } from './cloud-key.ts';
import { output } from './command.ts';
import { bodyOf, serveHttp } from './http-server.ts';
import { scratch } from './scratch.ts';

export interface AzureVault extends AsyncDisposable {
  /** `team.vault.test:PORT`, a name that only a test resolves: the SDK wants https and a name below that of the service. */
  readonly host: string;
  readonly caPem: string;
  /** What a managed identity needs in the environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: () => readonly string[];
  /** Adds a version to a key, and gives its name. */
  readonly addVersion: (key: string, type: CloudKeyType, operations?: readonly string[]) => Promise<string>;
  /** From now on every call of the vault gets this status; undefined for as it should be. */
  readonly setStatus: (status: { readonly status: number; readonly retryAfter?: string } | undefined) => void;
  /** From now on another key signs. */
  readonly setOtherKey: (isOther: boolean) => void;
  /** Whether the identity gets tokens. */
  readonly setKnown: (isKnown: boolean) => void;
  readonly tokensGiven: () => number;
}

interface Version {
  readonly name: string;
  readonly key: CloudKey;
  readonly type: CloudKeyType;
  readonly operations: readonly string[];
}

/**
 * What a client of Azure Key Vault sees of its keys (learn.microsoft.com/rest/api/keyvault/keys, api-version 7.x): the challenge, get key, list
 * of versions, sign, r and s side by side; and the managed identity of App Service, over plain HTTP as there. Imitated: there is no such
 * server to run. Keys are real, permissions are not.
 */
export async function startAzureVault(): Promise<AzureVault> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('azure'));
  const ca = await makeCa(dir, 'ca');
  const pair = await makeCertificate(dir, ca);
  const keys = new Map<string, Version[]>();
  const tokens = new Set<string>();
  const other = await makeCloudKey('P-256');
  const identityHeader = randomUUID();
  let status: { readonly status: number; readonly retryAfter?: string } | undefined;
  let isOther = false;
  let isKnown = true;
  const vaultAnswer = async (message: IncomingMessage): Promise<Reply> => {
    const text = (await bodyOf(message)).toString();
    if (status !== undefined) {
      const headers = status.retryAfter === undefined ? {} : { 'retry-after': status.retryAfter };
      return { ...refusal(status.status, 'Fault'), headers };
    }
    if (!tokens.has(message.headers.authorization?.replace(/^Bearer /, '') ?? '')) return challenge;
    return keysAnswer(message, text, keys, isOther ? other : undefined);
  };
  const server = createServer({ cert: await readFile(pair.certFile), key: await readFile(pair.keyFile) }, answering(vaultAnswer));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  });
  const identity = stack.use(
    await serveHttp(
      answering(async ({ headers }) => {
        if (!isKnown || headers['x-identity-header'] !== identityHeader) return refusal(403, 'Forbidden');
        const token = `${randomUUID()}.${randomUUID()}.signature`;
        tokens.add(token);
        const expires = Math.floor(Date.now() / 1000) + 3600;
        return {
          status: 200,
          body: { access_token: token, expires_on: String(expires), resource: 'https://vault.test', token_type: 'Bearer' },
        };
      }),
    ),
  );
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Cannot start the Azure vault: it has no port');
  const life = stack.move();
  return {
    host: `team.vault.test:${address.port}`,
    caPem: await readFile(ca.certFile, 'utf8'),
    environment: { IDENTITY_ENDPOINT: `http://127.0.0.1:${identity.port}/msi/token`, IDENTITY_HEADER: identityHeader },
    secrets: () => [identityHeader, ...tokens],
    async addVersion(key, type, operations = ['sign', 'verify']) {
      const name = randomBytes(16).toString('hex');
      keys.set(key, [...(keys.get(key) ?? []), { name, key: await makeCloudKey(type), type, operations }]);
      return name;
    },
    setStatus(next) {
      status = next;
    },
    setOtherKey(next) {
      isOther = next;
    },
    setKnown(next) {
      isKnown = next;
    },
    tokensGiven: () => tokens.size,
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object;
}

/** The resource is the name of the service, of which the vault's must be a part. */
const challenge: Reply = {
  status: 401,
  headers: { 'www-authenticate': 'Bearer authorization="https://login.vault.test/tenant", resource="https://vault.test"' },
  body: {},
};

function answering(answer: (message: IncomingMessage) => Promise<Reply>): RequestListener {
  return (message, response) => {
    void answer(message).then(({ status, headers = {}, body }) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    });
  };
}

const Sign = z.object({ alg: z.string(), value: z.string() });
const hashes: Readonly<Record<string, 'sha256' | 'sha384' | 'sha512'>> = {
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  RS256: 'sha256',
};

function keysAnswer(
  { method, url: where, headers: { host } }: IncomingMessage,
  text: string,
  keys: ReadonlyMap<string, readonly Version[]>,
  other: CloudKey | undefined,
): Reply {
  const url = new URL(where ?? '/', 'http://localhost');
  const [, keyName = '', versionName = '', verb = ''] = /^\/keys\/([\w-]+)(?:\/(\w*))?(?:\/(\w+))?$/.exec(url.pathname) ?? [];
  const versions = keys.get(keyName) ?? [];
  const kid = (version: Version): string => `https://${host}/keys/${keyName}/${version.name}`;
  if (versionName === 'versions')
    return { status: 200, body: { value: versions.map((one) => ({ kid: kid(one), attributes: { enabled: true } })), nextLink: null } };
  const version = versionName === '' ? versions.at(-1) : versions.find(({ name }) => name === versionName);
  if (version === undefined) return refusal(404, 'KeyNotFound');
  if (method === 'GET') {
    const { kty, ...numbers } = version.key.publicKey.export({ format: 'jwk' });
    const isEven = [...keys.keys()].indexOf(keyName) % 2 === 0;
    const key = { kid: kid(version), ...numbers, kty: isEven ? kty : `${kty}-HSM`, key_ops: version.operations };
    return { status: 200, body: { key, attributes: { enabled: true, created: 1_700_000_000, updated: 1_700_000_000 } } };
  }
  const { alg, value } = Sign.parse(JSON.parse(text));
  const hash = hashes[alg];
  if (verb !== 'sign' || hash === undefined) return refusal(400, 'BadParameter');
  const signature = (other ?? version.key).sign(Buffer.from(value, 'base64url'), hash);
  return { status: 200, body: { kid: kid(version), value: signature.toString('base64url') } };
}

function refusal(status: number, code: string): Reply {
  return { status, body: { error: { code, message: 'a text that may say anything' } } };
}

async function makeCertificate(dir: string, ca: KeyPair): Promise<KeyPair> {
  const [keyFile, certFile, request, extensions] = ['vault.key', 'vault.crt', 'vault.csr', 'vault.ext'].map((name) => path.join(dir, name));
  const files = { keyFile: keyFile ?? '', certFile: certFile ?? '', request: request ?? '', extensions: extensions ?? '' };
  await writeFile(files.extensions, 'subjectAltName=DNS:*.vault.test\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n');
  await output('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', files.keyFile]);
  await output('openssl', ['req', '-new', '-key', files.keyFile, '-out', files.request, '-subj', '/CN=vault.test']);
  const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-set_serial', String(Date.now()), '-days', '30'];
  await output('openssl', ['x509', '-req', '-in', files.request, ...signer, '-extfile', files.extensions, '-out', files.certFile]);
  return files;
}
