import { createHash, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { z } from 'zod';
import { crc32c } from '../../src/sign/kms/crc32c.ts';
import { makeCloudKey, type CloudKey, type CloudKeyType } from './cloud-key.ts';
import { bodyOf, serveHttp } from './http-server.ts';
import { scratch } from './scratch.ts';

const algorithms: Readonly<Record<CloudKeyType, string>> = {
  'P-256': 'EC_SIGN_P256_SHA256',
  'P-384': 'EC_SIGN_P384_SHA384',
  'P-521': 'none: Cloud KMS has no such keys',
  'RSA-2048': 'RSA_SIGN_PKCS1_2048_SHA256',
  'RSA-3072': 'RSA_SIGN_PKCS1_3072_SHA256',
  'RSA-4096': 'RSA_SIGN_PKCS1_4096_SHA256',
  Ed25519: 'EC_SIGN_ED25519',
};

interface Version {
  readonly name: string;
  readonly key: CloudKey;
  readonly algorithm: string;
  state: 'ENABLED' | 'DISABLED';
}

/** What the service does wrong from now on: `crc` sends wrong checksums, `request-crc` says that it did not check ours, `other-key` signs with another. */
export type GoogleFault = 'crc' | 'request-crc' | 'other-key' | undefined;

export interface GoogleKms extends AsyncDisposable {
  readonly url: string;
  /** What `GOOGLE_APPLICATION_CREDENTIALS` names: workload identity federation with a token in a file. */
  readonly credentialsFile: string;
  /** Values that must not be shown anywhere. */
  readonly secrets: () => readonly string[];
  /** Adds a version to a key, and gives the name of the version; an `algorithm` of its own is only claimed. */
  readonly addVersion: (key: string, type: CloudKeyType, algorithm?: string) => Promise<string>;
  readonly setState: (version: string, state: Version['state']) => void;
  readonly setFault: (fault: GoogleFault) => void;
  readonly tokensGiven: () => number;
}

const ring = 'projects/p/locations/europe-west1/keyRings/r/cryptoKeys';

/** The parent of the versions of a key. */
export function googleKeyName(key: string): string {
  return `${ring}/${key}`;
}

/**
 * What a client of Google Cloud KMS v1 over REST sees (cloud.google.com/kms/docs/reference/rest/v1): list of versions, public key,
 * asymmetricSign, CRC-32C both ways, google.rpc errors; and of the Security Token Service the exchange of a token (RFC 8693). Imitated: there
 * is no such server to run. Keys are real, permissions are not: any token that was given out will do.
 */
export async function startGoogleKms(): Promise<GoogleKms> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('google'));
  const versions = new Map<string, Version>();
  const tokens = new Set<string>();
  const other = await makeCloudKey('P-256');
  const subjectToken = `subject.${randomUUID()}.token`;
  let fault: GoogleFault;
  const answer = async (message: IncomingMessage): Promise<Reply> => {
    const url = new URL(message.url ?? '/', 'http://localhost');
    const text = (await bodyOf(message)).toString();
    if (url.pathname === '/v1/token') return exchange(text, subjectToken, tokens);
    if (!tokens.has(message.headers.authorization?.replace(/^Bearer /, '') ?? '')) return refusal(401, 'UNAUTHENTICATED');
    return kmsAnswer(url, text, versions, { fault, other });
  };
  const server = stack.use(
    await serveHttp((message, response) => {
      void answer(message).then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    }),
  );
  const url = `http://127.0.0.1:${server.port}`;
  const credentialsFile = await writeCredentials(dir, url, subjectToken);
  const life = stack.move();
  return {
    url,
    credentialsFile,
    secrets: () => [subjectToken, ...tokens],
    async addVersion(key, type, algorithm = algorithms[type]) {
      const parent = googleKeyName(key);
      const count = [...versions.keys()].filter((name) => name.startsWith(`${parent}/`)).length;
      const name = `${parent}/cryptoKeyVersions/${count + 1}`;
      versions.set(name, { name, key: await makeCloudKey(type), algorithm, state: 'ENABLED' });
      return name;
    },
    setState(version, state) {
      const found = versions.get(version);
      if (found) found.state = state;
    },
    setFault(next) {
      fault = next;
    },
    tokensGiven: () => tokens.size,
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

/** As the console of Google writes it for a cluster that is not Google's own. */
async function writeCredentials(dir: string, url: string, subjectToken: string): Promise<string> {
  const tokenFile = path.join(dir, 'subject-token');
  await writeFile(tokenFile, subjectToken);
  const file = path.join(dir, 'credentials.json');
  const credentials = {
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${url}/v1/token`,
    credential_source: { file: tokenFile },
  };
  await writeFile(file, JSON.stringify(credentials));
  return file;
}

function exchange(text: string, subjectToken: string, tokens: Set<string>): Reply {
  if (new URLSearchParams(text).get('subject_token') !== subjectToken) return { status: 400, body: { error: 'invalid_grant' } };
  const token = `ya29.${randomUUID()}`;
  tokens.add(token);
  const issued = { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: 3600 };
  return { status: 200, body: { access_token: token, ...issued } };
}

const Sign = z.object({
  digest: z.record(z.string(), z.string()).optional(),
  digestCrc32c: z.string().optional(),
  data: z.string().optional(),
  dataCrc32c: z.string().optional(),
});

function kmsAnswer(
  url: URL,
  text: string,
  versions: ReadonlyMap<string, Version>,
  { fault, other }: { readonly fault: GoogleFault; readonly other: CloudKey },
): Reply {
  const name = url.pathname.replace(/^\/v1\//, '');
  if (name.endsWith('/cryptoKeyVersions')) {
    const enabled = [...versions.values()].filter((version) => version.name.startsWith(`${name}/`) && version.state === 'ENABLED');
    // In the order of texts, which puts 9 before 10.
    const sorted = enabled.map((version) => version.name).sort((a, b) => (a < b ? 1 : -1));
    return { status: 200, body: { cryptoKeyVersions: sorted.map((one) => ({ name: one, state: 'ENABLED' })), totalSize: sorted.length } };
  }
  const [, versionName = '', verb] = /^(.*\/cryptoKeyVersions\/\d+)(\/publicKey|:asymmetricSign)$/.exec(name) ?? [];
  const version = versions.get(versionName);
  if (version === undefined) return refusal(404, 'NOT_FOUND');
  if (version.state !== 'ENABLED') return refusal(400, 'FAILED_PRECONDITION');
  const checksum = (bytes: Uint8Array): string => String(fault === 'crc' ? (crc32c(bytes) ^ 1) >>> 0 : crc32c(bytes));
  if (verb === '/publicKey') {
    const { publicPem: pem } = version.key;
    return { status: 200, body: { pem, algorithm: version.algorithm, pemCrc32c: checksum(Buffer.from(pem)), name: version.name } };
  }
  const request = Sign.parse(JSON.parse(text));
  const [hash, digest] = Object.entries(request.digest ?? {})[0] ?? [];
  const input = Buffer.from(digest ?? request.data ?? '', 'base64');
  const claimed = digest === undefined ? request.dataCrc32c : request.digestCrc32c;
  if (claimed !== String(crc32c(input))) return refusal(400, 'INVALID_ARGUMENT');
  if (digest !== undefined && input.length !== createHash(hash ?? '').digest().length) return refusal(400, 'INVALID_ARGUMENT');
  const raw = (fault === 'other-key' ? other : version.key).sign(input, hash as 'sha256' | undefined);
  const signature = version.algorithm.startsWith('EC_SIGN_P') ? derOf(raw) : raw;
  const isChecked = fault !== 'request-crc';
  return {
    status: 200,
    body: {
      signature: signature.toString('base64'),
      signatureCrc32c: checksum(signature),
      ...(digest === undefined ? { verifiedDataCrc32c: isChecked } : { verifiedDigestCrc32c: isChecked }),
      name: version.name,
      protectionLevel: 'SOFTWARE',
    },
  };
}

/** SEQUENCE of two INTEGERs; none of the curves that the service has makes one of more than 127 bytes. */
function derOf(raw: Buffer): Buffer {
  const integers = [raw.subarray(0, raw.length / 2), raw.subarray(raw.length / 2)].map((part) => {
    const short = part.subarray(part.findIndex((byte) => byte !== 0));
    const value = (short[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), short]) : short;
    return Buffer.concat([Buffer.from([2, value.length]), value]);
  });
  const body = Buffer.concat(integers);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

function refusal(code: number, status: string): Reply {
  return { status: code, body: { error: { code, message: 'a text that may say anything', status } } };
}
