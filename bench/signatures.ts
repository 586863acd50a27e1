import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateSigningKey, keyTypes, writeCosignKey, writePlainKey, type KeyType } from '../src/sign/key-file.ts';
import { startWorld } from '../test/contract/fulcio-world.ts';
import { output } from '../test/servers/command.ts';
import { missingMoto, startMoto } from '../test/servers/moto.ts';
import { scratch } from '../test/servers/scratch.ts';
import { missing } from '../test/servers/tools.ts';
import { startVault } from '../test/servers/vault.ts';
import type { BenchOptions } from './backlog.ts';
import { parseReport, type Order, type Report } from './signing.ts';

/** One signer, on the servers that it needs. `asked`: how often it went for a token or a certificate, and how often it may at most. */
interface Bench {
  readonly order: Omit<Order, 'count'>;
  readonly env?: Readonly<Record<string, string>>;
  readonly asked?: (seconds: number) => Promise<string>;
}

interface Row {
  readonly name: string;
  /** Beside what the rate stands: what can be had at best. */
  readonly beside: string;
  /** Of the signatures asked for, so many are made: a stand-in may be slow. */
  readonly share?: number;
  readonly skip?: () => Promise<string | false>;
  readonly prepare: (stack: AsyncDisposableStack) => Promise<Bench>;
}

const crypto = 'crypto.sign on one thread';
const tokenSeconds = 5;
/** Fulcio gives no other. */
const certificateSeconds = 600;

const rows: readonly Row[] = [
  plain('x509, ECDSA P-256', 'ecdsa-p256', 'sha256'),
  plain('x509, ECDSA P-384', 'ecdsa-p384', 'sha256'),
  plain('x509, RSA 2048', 'rsa-2048', 'sha256'),
  plain('x509, Ed25519', 'ed25519', null),
  {
    name: 'x509, cosign.key (P-256)',
    beside: crypto,
    async prepare(stack) {
      const { dir } = stack.use(await scratch('bench'));
      const key = await generateSigningKey();
      const password = 'a password';
      await writeFile(path.join(dir, 'cosign.key'), await writeCosignKey(key, Buffer.from(password)));
      await writeFile(path.join(dir, 'cosign.password'), password);
      return { order: { kind: 'x509', options: { directory: dir }, bare: { kind: 'key', pem: writePlainKey(key), digest: 'sha256' } } };
    },
  },
  {
    name: `Vault transit (P-256), AppRole with tokens of ${tokenSeconds} s`,
    beside: 'the bare request',
    skip: async () => await missing('vault'),
    async prepare(stack) {
      const vault = stack.use(await startVault());
      const { dir } = stack.use(await scratch('bench'));
      await vault.makeKey('bench', 'ecdsa-p256');
      const life = `${tokenSeconds}s`;
      const { roleId, secretId } = await vault.appRole('bench', { ttl: life, maxTtl: life });
      const [roleIdPath, secretIdPath] = [path.join(dir, 'role-id'), path.join(dir, 'secret-id')];
      await writeFile(roleIdPath, roleId);
      await writeFile(secretIdPath, secretId);
      const digest = Buffer.alloc(32, 1).toString('base64');
      return {
        order: {
          kind: 'kms',
          options: { ref: 'hashivault://bench', auth: { address: vault.url, approle: { roleIdPath, secretIdPath } } },
          bare: {
            kind: 'request',
            method: 'PUT',
            url: `${vault.url}/v1/transit/sign/bench/sha2-256`,
            headers: { 'x-vault-token': await vault.token(), 'content-type': 'application/json' },
            body: JSON.stringify({ input: digest, prehashed: true, marshaling_algorithm: 'asn1' }),
          },
        },
        async asked(seconds) {
          const [logins, renewals] = [await vault.count('auth/approle/login'), await vault.count('auth/token/renew-self')];
          return `${bounded(logins, 'logins', seconds, tokenSeconds)}, ${renewals} renewals`;
        },
      };
    },
  },
  {
    name: 'Fulcio (P-256), certificates of 10 min',
    beside: crypto,
    skip: async () => await missing('fulcio'),
    async prepare(stack) {
      const world = stack.use(await startWorld());
      const key = await generateSigningKey();
      return {
        order: {
          kind: 'fulcio',
          options: { address: world.fulcio.url, tokenFile: world.tokenFile },
          trustedRoot: world.trustedRootJson,
          bare: { kind: 'key', pem: writePlainKey(key), digest: 'sha256' },
        },
        asked: async (seconds) => await Promise.resolve(bounded(world.issued(), 'certificates', seconds, certificateSeconds)),
      };
    },
  },
  {
    name: 'AWS KMS (P-256), imitated by moto',
    beside: 'the bare request',
    share: 1 / 20,
    skip: missingMoto,
    async prepare(stack) {
      const moto = stack.use(await startMoto());
      const keyId = await moto.makeKey('ECC_NIST_P256');
      const body = {
        KeyId: keyId,
        Message: Buffer.alloc(32, 1).toString('base64'),
        MessageType: 'DIGEST',
        SigningAlgorithm: 'ECDSA_SHA_256',
      };
      const headers = {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'TrentService.Sign',
        // moto reads the region there, and no signature.
        authorization: 'AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=00',
      };
      return {
        order: {
          kind: 'kms',
          options: { ref: `awskms:///${keyId}` },
          bare: { kind: 'request', method: 'POST', url: moto.url, headers, body: JSON.stringify(body) },
        },
        env: {
          AWS_ENDPOINT_URL_KMS: moto.url,
          AWS_REGION: 'eu-central-1',
          AWS_ACCESS_KEY_ID: 'test',
          AWS_SECRET_ACCESS_KEY: 'test',
        },
      };
    },
  },
];

function plain(name: string, type: KeyType, digest: string | null): Row {
  return {
    name,
    beside: crypto,
    async prepare(stack) {
      const { dir } = stack.use(await scratch('bench'));
      const pem = writePlainKey(await keyTypes[type]());
      const keyFile = path.join(dir, 'x509.pem');
      await writeFile(keyFile, pem);
      return { order: { kind: 'x509', options: { keyFile }, bare: { kind: 'key', pem, digest } } };
    },
  };
}

/** Each kind of signer in a process of its own: its rate beside the bare key or request, and whether memory and sockets stay as they are. */
export async function signatures({ runs, only, say }: BenchOptions): Promise<void> {
  for (const { name, beside, share = 1, skip, prepare } of rows.filter((row) => row.name.includes(only))) {
    const why = (await skip?.()) ?? false;
    if (why !== false) {
      say(`${name}: not measured, ${why}`);
      continue;
    }
    await using stack = new AsyncDisposableStack();
    const { order, env, asked } = await prepare(stack);
    const { dir } = stack.use(await scratch('order'));
    const count = Math.max(1, Math.round(runs * share));
    const report = await sign({ ...order, count }, dir, env ?? {});
    say(`${name}: ${lineOf(report, count, beside)}${asked === undefined ? '' : `; ${await asked(report.seconds)}`}`);
  }
}

async function sign(order: Order, dir: string, env: Readonly<Record<string, string>>): Promise<Report> {
  const file = path.join(dir, 'order.json');
  await mkdir(dir, { recursive: true });
  await writeFile(file, JSON.stringify(order), { mode: 0o600 });
  const args = ['--expose-gc', '--max-semi-space-size=2', path.join(import.meta.dirname, 'signing.ts'), file];
  return parseReport(await output(process.execPath, args, { env: { ...process.env, ...env }, timeoutMs: 20 * 60_000 }));
}

function lineOf({ bare, signed, sealed, rssMb, heapMb, sockets, descriptors }: Report, count: number, beside: string): string {
  const grown = (rssMb[1] - rssMb[0]).toFixed(1);
  return [
    `${count} signatures, ${shown(signed)}: ${((100 * signed.rate) / bare.rate).toFixed(0)} % of ${beside}, ${shown(bare)}`,
    `sealed and verified ${shown(sealed)}`,
    `peak RSS +${grown} MB on ${rssMb[0].toFixed(0)}, heap ${heapMb.map((size) => size.toFixed(1)).join(' to ')} MB`,
    `sockets ${sockets.join(' to ')}, descriptors ${descriptors.join(' to ')}`,
  ].join('; ');
}

function shown({ rate, cpuMicros }: Report['bare']): string {
  return `${rate.toFixed(0)}/s (${cpuMicros.toFixed(0)} µs of CPU)`;
}

/** As many as lives fit in, the begun one counted, and one more. */
function bounded(found: number, what: string, seconds: number, lifeSeconds: number): string {
  return `${found} ${what} in ${seconds.toFixed(0)} s, at most ${Math.ceil(seconds / lifeSeconds) + 1} allowed`;
}
