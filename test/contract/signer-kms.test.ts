import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { parsePublicKey } from '../../src/model/public-key.ts';
import { startAzureVault } from '../servers/azure-vault.ts';
import type { CloudKeyType } from '../servers/cloud-key.ts';
import { googleKeyName, startGoogleKms } from '../servers/google-kms.ts';
import { missingMoto, startMoto } from '../servers/moto.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';
import { startVault } from '../servers/vault.ts';
import {
  assertCosignVerifies,
  assertManyVerify,
  assertVerifies,
  ctx,
  failureOf,
  openKms,
  short,
  type KmsOptions,
  reachAzure,
  setEnvironment,
} from './signer-kms-world.ts';

/** One service with its keys. */
interface Service extends AsyncDisposable {
  /** Makes a key of this type, and says how to open it. */
  readonly optionsFor: (type: CloudKeyType) => Promise<KmsOptions>;
}

interface Row {
  readonly name: string;
  readonly types: readonly CloudKeyType[];
  readonly skip: string | false;
  readonly start: () => Promise<Service>;
}

const rsa = ['RSA-2048', 'RSA-3072', 'RSA-4096'] as const;

const rows: readonly Row[] = [
  {
    name: 'Vault',
    types: ['P-256', 'P-384', 'P-521', ...rsa, 'Ed25519'],
    skip: await missing('vault'),
    async start() {
      const vault = await startVault();
      const types = { 'P-256': 'ecdsa-p256', 'P-384': 'ecdsa-p384', 'P-521': 'ecdsa-p521', Ed25519: 'ed25519' } as const;
      return {
        async optionsFor(type) {
          await vault.makeKey(`k-${type}`, type in types ? types[type as 'P-256'] : type.toLowerCase());
          return { ref: `hashivault://k-${type}`, auth: { address: vault.url, token: await vault.token() } };
        },
        async [Symbol.asyncDispose]() {
          await vault[Symbol.asyncDispose]();
        },
      };
    },
  },
  {
    name: 'AWS KMS (moto)',
    types: ['P-256', 'P-384', 'P-521', ...rsa],
    skip: await missingMoto(),
    async start() {
      const moto = await startMoto();
      const specs = { 'P-256': 'ECC_NIST_P256', 'P-384': 'ECC_NIST_P384', 'P-521': 'ECC_NIST_P521' } as const;
      setEnvironment({
        AWS_ENDPOINT_URL_KMS: moto.url,
        AWS_REGION: 'eu-central-1',
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
      });
      return {
        async optionsFor(type) {
          const spec = type in specs ? specs[type as 'P-256'] : (type.replace('-', '_') as 'RSA_2048');
          return { ref: `awskms:///${await moto.makeKey(spec)}` };
        },
        async [Symbol.asyncDispose]() {
          await moto[Symbol.asyncDispose]();
        },
      };
    },
  },
  {
    name: 'Google Cloud KMS (imitated: its REST API)',
    types: ['P-256', 'P-384', ...rsa, 'Ed25519'],
    skip: false,
    async start() {
      const google = await startGoogleKms();
      setEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: google.credentialsFile });
      return {
        async optionsFor(type) {
          await google.addVersion(`k-${type}`, type);
          return { ref: `gcpkms://${googleKeyName(`k-${type}`)}`, auth: { address: google.url } };
        },
        async [Symbol.asyncDispose]() {
          await google[Symbol.asyncDispose]();
        },
      };
    },
  },
  {
    name: 'Azure Key Vault (imitated: its REST API)',
    types: ['P-256', 'P-384', 'P-521', ...rsa],
    skip: false,
    async start() {
      const azure = await startAzureVault();
      reachAzure(azure.caPem);
      setEnvironment(azure.environment);
      return {
        async optionsFor(type) {
          await azure.addVersion(`k-${type}`, type);
          return { ref: `azurekms://${azure.host}/k-${type}` };
        },
        async [Symbol.asyncDispose]() {
          await azure[Symbol.asyncDispose]();
        },
      };
    },
  },
];

const noCosign = { 2: await missing('cosign2'), 3: await missing('cosign3') } as const;

for (const { name, types, skip, start } of rows) {
  describe(`a key in ${name}`, { skip }, () => {
    let service: Service | undefined;
    before(async () => {
      service = await start();
    });
    after(async () => await service?.[Symbol.asyncDispose]());

    for (const type of types) {
      describe(`of type ${type}`, () => {
        let options: KmsOptions = { ref: '' };
        before(async () => {
          options = (await service?.optionsFor(type)) ?? options;
        });

        it('signs what Node and OpenSSL verify with the digest of the key', async () => {
          await using folder = await scratch('kms');
          await using signer = await openKms(options);

          await assertVerifies(signer, folder.dir, 'some bytes');
          await assertVerifies(signer, folder.dir, 'ä'.repeat(30_000));
        });

        for (const version of [2, 3] as const) {
          it(`signs what cosign ${version} verifies`, { skip: noCosign[version] }, async () => {
            await using folder = await scratch('kms');
            await using signer = await openKms(options);

            await assertCosignVerifies(version, signer, folder.dir);
          });
        }
      });
    }

    it('makes 100 signatures at the same time', async () => {
      await using signer = await openKms((await service?.optionsFor('P-256')) ?? { ref: '' });

      await assertManyVerify(signer, 100);
    });

    it('owns what it signed and nothing else, and is current', async () => {
      await using signer = await openKms((await service?.optionsFor('P-384')) ?? { ref: '' });
      await using other = await openKms((await service?.optionsFor('P-256')) ?? { ref: '' });
      const publicKey = signer.publicKey ?? '';

      assert.equal(await signer.owns({ publicKey, certificate: '' }, ctx), true);
      assert.equal(await signer.owns({ publicKey: parsePublicKey(publicKey).pem.replaceAll('\n', '\r\n'), certificate: '' }, ctx), true);
      assert.equal(await signer.owns({ publicKey: other.publicKey ?? '', certificate: '' }, ctx), false);
      assert.equal(await signer.owns({ publicKey: 'no key', certificate: '' }, ctx), false);
      assert.equal(await signer.isCurrent(ctx), true);
    });

    it('finishes what it began before it closes, and signs no more', async () => {
      const signer = await openKms((await service?.optionsFor('P-256')) ?? { ref: '' });
      const begun = signer.sign(Buffer.from('begun'), ctx);

      await signer[Symbol.asyncDispose]();

      assert.equal((await begun).publicKey, signer.publicKey);
      assert.equal(short(await failureOf(signer.sign(Buffer.from('late'), ctx))), 'sign.kms-closed later');
    });
  });
}
