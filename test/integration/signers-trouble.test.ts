import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRelay, type Relay } from '../contract/signer-kms-world.ts';
import { startFaultProxy, type FaultProxy } from '../servers/fault-proxy.ts';
import { missingMoto, startMoto, type Moto } from '../servers/moto.ts';
import { startServer, until, type RunningServer } from '../servers/process.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';
import { startVault, type Vault } from '../servers/vault.ts';
import { layersOf, newTaskRun, succeeded } from './cluster.ts';
import { chainsmith, linesOf, setFlags } from './signers-world.ts';

const reason = (await missing('vault', 'registry')) || (await missingMoto());
const program = path.join(import.meta.dirname, '../../src/cli/chainsmith.ts');

/** What goes wrong while the controller signs, and what ends it. */
interface Trouble {
  readonly name: string;
  readonly by: 'vault' | 'aws';
  readonly begin: () => Promise<void>;
  readonly end: () => Promise<void>;
  /** What runs wait for, as an error code. */
  readonly code: string;
}

describe('a key management service in trouble', { skip: reason }, () => {
  const stack = new AsyncDisposableStack();
  let dir: string;
  let vault: Vault;
  let relay: Relay;
  let toVault: FaultProxy;
  let moto: Moto;
  let toAws: FaultProxy;
  let registry: Registry;
  let awsKey: string;

  before(async () => {
    ({ dir } = stack.use(await scratch('trouble')));
    vault = stack.use(await startVault());
    await vault.makeKey('team', 'ecdsa-p256');
    relay = stack.use(await startRelay(vault.url));
    toVault = stack.use(await startFaultProxy(new URL(relay.url).host));
    moto = stack.use(await startMoto());
    awsKey = await moto.makeKey('ECC_NIST_P256');
    toAws = stack.use(await startFaultProxy(new URL(moto.url).host));
    registry = stack.use(await startRegistry());
  });

  after(async () => await stack.disposeAsync());

  const tokenFile = (): string => path.join(dir, 'token');
  const well = { kind: 'none' } as const;
  const awsSays = (type: string) => ({ kind: 'status', status: 400, body: JSON.stringify({ __type: type, message: 'no' }) }) as const;
  const troubles: readonly Trouble[] = [
    {
      name: 'a Vault that asks us to slow down',
      by: 'vault',
      begin: async () => await toVault.set({ kind: 'status', status: 429, retryAfter: 1 }),
      end: async () => await toVault.set(well),
      code: 'sign.kms-busy',
    },
    {
      name: 'a Vault that denies us the key',
      by: 'vault',
      begin: async () => void (await vault.call('PUT', 'sys/policies/acl/sign', { policy: 'path "+/keys/+" { capabilities = ["read"] }' })),
      end: async () =>
        void (await vault.call('PUT', 'sys/policies/acl/sign', {
          policy: 'path "+/keys/+" { capabilities = ["read"] }\npath "+/sign/*" { capabilities = ["update"] }',
        })),
      code: 'sign.kms-refused',
    },
    {
      name: 'a token that ends between two calls',
      by: 'vault',
      begin: async () => {
        await writeFile(tokenFile(), await vault.token({ ttl: '2s', maxTtl: '2s' }));
        await sleep(3_000);
      },
      end: async () => await writeFile(tokenFile(), await vault.token()),
      code: 'sign.kms-refused',
    },
    {
      name: "a Vault that answers with another key's signature",
      by: 'vault',
      begin: async () => {
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const signature = sign('sha256', Buffer.from('something'), privateKey).toString('base64');
        relay.change('/sign/', () => JSON.stringify({ data: { signature: `vault:v1:${signature}` } }));
      },
      end: async () => relay.change('/nowhere/', (body) => body),
      code: 'sign.kms-wrong-key',
    },
    {
      name: 'an AWS KMS that throttles us',
      by: 'aws',
      begin: async () => await toAws.set(awsSays('ThrottlingException')),
      end: async () => await toAws.set(well),
      code: 'sign.kms-busy',
    },
    {
      name: 'an AWS KMS that denies us the key',
      by: 'aws',
      begin: async () => await toAws.set(awsSays('AccessDeniedException')),
      end: async () => await toAws.set(well),
      code: 'sign.kms-refused',
    },
  ];
  for (const [index, { name, by, begin, end, code }] of troubles.entries()) {
    it(`holds runs up and loses none, without a flood in the log: ${name}`, async () => {
      const place = await newPlace(`trouble-${index}`);
      await writeFile(tokenFile(), await vault.token());
      const flags = setFlags({ ...place.values, ...kmsValues(by) });
      await using controller = await startController(place, flags);
      await place.drop('before');
      await until('the first run to be signed', 60_000, async () => await place.isSigned('before'));

      await using _ended = { [Symbol.asyncDispose]: end };
      await begin();
      for (const run of ['one', 'two', 'three']) await place.drop(run);
      const failures = async () => linesOf(await readFile(place.logFile, 'utf8')).filter(({ msg }) => msg === 'attempt failed');
      await until('all to have been tried', 60_000, async () => new Set((await failures()).map(({ run }) => run)).size === 3);
      await sleep(15_000);
      const seen = await failures();
      const codes = seen.flatMap(({ err }) => err?.parts?.map((part) => part.code) ?? [err?.code ?? 'none']);
      assert.deepEqual(new Set(codes.filter((said) => said !== 'breaker.open')), new Set([code]), JSON.stringify(seen));
      // Each run once, then one probe after 1, 2, 4 and 8 s, and who came beside it; without a breaker there are some eighty.
      assert.ok(seen.length <= 12, `${seen.length} lines`);
      await controller[Symbol.asyncDispose]();

      const explained = await chainsmith(['explain', '--journal', ...flags, 'default/two']);
      assert.match(
        explained.stdout,
        /^waiting {2}TaskRun default\/two\n {2}[^\n]*Signer "kms": Cannot sign with "(hashivault|awskms):[^\n]*\. Fix: [^\n]+\n/,
      );
      await using again = await startController(place, flags);
      await until('it to be tried again', 60_000, async () => (await failures()).length > seen.length);
      await end();
      for (const run of ['one', 'two', 'three']) await until(`${run} to be signed`, 90_000, async () => await place.isSigned(run));
      assert.doesNotMatch(await readFile(place.logFile, 'utf8'), /"outcome":"failed"/);
      assert.ok(again.pid > 0);
    });
  }

  function kmsValues(by: 'vault' | 'aws'): Readonly<Record<string, string>> {
    if (by === 'aws') return { 'signers.kms.kmsref': `awskms:///${awsKey}` };
    return {
      'signers.kms.kmsref': 'hashivault://team',
      'signers.kms.auth.address': toVault.url,
      'signers.kms.auth.token-path': tokenFile(),
    };
  }

  interface Place {
    readonly runs: string;
    readonly logFile: string;
    readonly values: Readonly<Record<string, string>>;
    readonly drop: (name: string) => Promise<void>;
    readonly isSigned: (name: string) => Promise<boolean>;
  }

  async function newPlace(name: string): Promise<Place> {
    const folder = path.join(dir, name);
    const runs = path.join(folder, 'runs');
    await mkdir(runs, { recursive: true });
    const hexOf = (run: string): string => Buffer.from(`${name}-${run}`.padEnd(32, '.')).toString('hex');
    const digestOf = (run: string): string => `sha256:${hexOf(run)}`;
    return {
      runs,
      logFile: path.join(folder, 'log'),
      values: {
        'artifacts.taskrun.signer': 'kms',
        'artifacts.taskrun.storage': 'oci',
        'artifacts.oci.storage': '',
        'journal.url': `sqlite://${path.join(folder, 'journal.db')}`,
        'retry.max-delay': '1s',
      },
      async drop(run) {
        const object = { ...newTaskRun(run), ...succeeded({ repository: `${registry.host}/ci/app`, digest: digestOf(run) }) };
        await writeFile(path.join(runs, `${run}.json`), JSON.stringify(object));
      },
      isSigned: async (run) => (await layersOf(registry.host, 'ci/app', `sha256-${hexOf(run)}.att`)).length === 1,
    };
  }

  async function startController({ runs, logFile }: Place, flags: readonly string[]): Promise<RunningServer> {
    return await startServer({
      name: 'controller',
      file: process.execPath,
      ports: 1,
      args: ([port]) => [program, 'controller', '--source', `dir:${runs}`, '--listen', `127.0.0.1:${port}`, ...flags],
      env: { AWS_ENDPOINT_URL_KMS: toAws.url, AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
      readyUrl: ([port]) => `http://127.0.0.1:${port}/readyz`,
      isReady: (status) => status === 200,
      stop: 'kill',
      logFile,
    });
  }
});
